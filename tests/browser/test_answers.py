"""An answer and the history, as a person uses them: in a real browser."""

import csv
import re

import cv2
import numpy as np
import pytest

from dataset.painting import paint
from tests.browser.conftest import PHONE, check_accessibility, shot, sign_in, until
from tests.test_works_on_a_photograph import TWO, wall_with
from tests.web.asked import ask_for

GREY = cv2.imencode(".png", np.full((300, 400, 3), 120, np.uint8))[1].tobytes()


@pytest.fixture
def page(visit, site, address):
    """A page of somebody who is signed in."""
    page = visit(address)
    sign_in(page, site, address)
    return page


@pytest.fixture
def found_answer(site, page, collection) -> str:
    """The path of Ada's answer to a picture of the collection."""
    return f"/answers/{ask_for(site, 'ada', (collection / 'images' / 'portrait 6.png').read_bytes())[0]}"


@pytest.fixture
def missing(site, page) -> str:
    """The path of Ada's answer to a picture that is not in it."""
    return f"/answers/{ask_for(site, 'ada', GREY)[0]}"


def test_the_evidence_is_drawn_and_each_part_is_switched(page, address, found_answer):
    page.goto(address + found_answer)
    match = page.get_by_role("img", name="details joined by lines")
    assert match.count() == 1  # the other layout is hidden from screen readers too
    for name, part in [
        ("Lines", ".match-lines"),
        ("Points", ".match-points"),
        ("Outline of the work", ".match-outline"),
    ]:
        drawn = match.locator(part).first
        assert drawn.is_visible()
        page.get_by_role("switch", name=name).press("Space")
        assert drawn.is_hidden()
        page.get_by_role("switch", name=name).press("Space")
        assert drawn.is_visible()
    for image in match.locator("image").all():
        assert image.bounding_box()["width"] > 200
    shot(page, "answer-found")


def test_where_the_search_looked_lies_over_the_picture(page, address, found_answer):
    page.goto(address + found_answer)
    overlay, under = page.get_by_alt_text("bright where"), page.get_by_alt_text("The picture that was submitted")
    assert overlay.count() == 1 and overlay.is_hidden()
    page.get_by_label("Show where the search looked").check()
    until(page, "document.querySelector('.layer-attention').naturalWidth > 0")
    assert overlay.bounding_box() == pytest.approx(under.bounding_box(), abs=1)
    shot(page, "answer-attention")


@pytest.mark.parametrize("size", [PHONE, {"width": 1366, "height": 900}], ids=["phone", "desk"])
def test_an_outline_on_the_picture_leads_to_the_entry_of_its_work(visit, site, address, engine, size):
    pictures = {place: cv2.imread(str(engine.dataset / engine.images[image])) for image, place in TWO.items()}
    wall, outlines = wall_with(pictures | {(60, 330, 270): paint("abstract", "grid", 77, 400)})
    page = visit(address, viewport=size)
    sign_in(page, site, address)
    (query,) = ask_for(site, "ada", cv2.imencode(".png", wall)[1].tobytes())
    page.goto(f"{address}/answers/{query}")
    picture = page.get_by_alt_text("The picture that was submitted").bounding_box()
    for image, outline in zip(TWO, outlines, strict=False):
        link = page.get_by_role(
            "link", name=re.compile(rf"Work \d: {engine.images[image].removesuffix('.png')}, found")
        )
        drawn = link.locator("polygon").first.bounding_box()
        left, top = outline.min(axis=0) * picture["width"] / wall.shape[1]
        assert (drawn["x"] - picture["x"], drawn["y"] - picture["y"]) == pytest.approx((left, top), abs=8)
        page.mouse.click(drawn["x"] + drawn["width"] / 4, drawn["y"] + drawn["height"] / 4)
        number = link.get_attribute("href").removeprefix("#work-")
        entry = page.locator(f"#work-{number}")
        assert page.url.endswith(f"#work-{number}") and entry.is_visible()
        assert engine.images[image].removesuffix(".png") in entry.inner_text()
        page.goto(f"{address}/answers/{query}")
    assert page.get_by_role("img", name="Looks like a work, but leads to none").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_accessibility(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shot(page, f"answer-works-{size['width']}-{scheme}")


def test_the_page_works_without_scripts(visit, site, address, collection):
    page = visit(address, java_script_enabled=False)
    sign_in(page, site, address)
    (query,) = ask_for(site, "ada", (collection / "images" / "portrait 6.png").read_bytes())
    page.goto(f"{address}/answers/{query}")
    page.get_by_label("Show where the search looked").check()
    assert page.get_by_alt_text("bright where").is_visible()
    page.get_by_role("button", name="Right", exact=True).click()
    page.get_by_text("Press the same button again").wait_for()
    page.get_by_role("link", name="Delete this answer").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("The answer and its picture have been deleted.").wait_for()


def test_feedback_by_keyboard_is_kept_and_taken_back(page, address, found_answer):
    page.goto(address + found_answer)
    button = page.get_by_role("button", name="Wrong")
    button.press("Enter")
    page.get_by_role("button", name="Wrong", pressed=True).wait_for()
    page.get_by_role("button", name="Wrong", pressed=True).press("Space")
    page.get_by_text("Your feedback is stored with the answer.").wait_for()


def test_what_is_not_found_helps_on(page, address, missing):
    page.goto(address + missing)
    page.get_by_role("heading", name="Not found in the collection").wait_for()
    shot(page, "answer-not-found")
    page.get_by_role("link", name="Try again with this photo").first.click()
    page.get_by_role("button", name="Find the painting").wait_for()  # the scripts run now: the plain form is gone
    page.get_by_role("button", name="Identify", exact=True).click()
    page.wait_for_url("**/answers/*")
    page.get_by_role("heading", name="Other parts of this photo").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(scheme, visit, site, address, collection):
    page = visit(address, viewport=PHONE, color_scheme=scheme, has_touch=True)
    sign_in(page, site, address)
    queries = [
        *ask_for(site, "ada", (collection / "images" / "portrait 6.png").read_bytes()),
        *ask_for(site, "ada", GREY),
    ]
    for path in (*(f"/answers/{query}" for query in queries), "/history", f"/answers/{queries[0]}/delete"):
        page.goto(address + path)
        for details in page.locator("summary").all():
            details.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        if path.endswith(queries[0]):
            upper, lower = page.locator(".match-stacked image").all()
            assert upper.bounding_box()["y"] < lower.bounding_box()["y"] and page.locator(".match-beside").is_hidden()
            shot(page, f"answer-phone-{scheme}")
        elif path == "/history":
            shot(page, f"history-phone-{scheme}")


def test_the_history_is_filtered_saved_and_cleared(page, address, found_answer, missing):
    page.goto(f"{address}/history")
    pictures = page.locator(".wall-picture img")
    assert pictures.count() == 2
    until(page, "[...document.images].every((image) => image.naturalWidth > 0)")
    shot(page, "history")
    page.get_by_label("Verdict", exact=True).select_option("Found")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("1 answer.").wait_for()
    assert pictures.count() == 1
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download as CSV").click()
    with saved.value.path().open(encoding="utf-8-sig", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["found"]
    page.get_by_label("Select").check()
    page.get_by_role("button", name="Delete selected").click()
    page.get_by_role("heading", name="Delete this answer?").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/history")
    assert pictures.count() == 1
    pictures.click()
    page.get_by_role("heading", name="Not found in the collection").wait_for()


def test_times_are_shown_as_the_persons_clock_has_them(visit, site, address, collection):
    page = visit(address, timezone_id="Asia/Tokyo", locale="en-GB")
    sign_in(page, site, address)
    (query,) = ask_for(site, "ada", GREY)
    page.goto(f"{address}/answers/{query}")
    time = page.locator("time")
    assert time.get_attribute("title").endswith("UTC") and not time.inner_text().endswith("UTC")
    assert time.inner_text()[-5:] != time.get_attribute("title")[-9:-4]

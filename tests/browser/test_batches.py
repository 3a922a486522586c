"""A registrar's way: files and a ZIP dropped, answered, reviewed by keyboard, and taken back as a table."""

import base64
import re

import openpyxl
import pytest

from database.tables import Query, db
from tests.browser.conftest import PHONE, check_accessibility, shot, sign_in
from tests.web.batched import GREY, add_answered, rows_of, zipped

DROP = """([files]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  for (const [name, content] of files) transfer.items.add(new File([bytes(content)], name));
  document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
}"""


@pytest.fixture
def working(site):
    """The site carries out jobs, as app.py does where it is not a test."""
    site.extensions["jobs"].start()
    yield
    site.extensions["jobs"].stop()


def drop(page, files: dict[str, bytes]) -> None:
    page.evaluate(DROP, [[[name, base64.b64encode(content).decode()] for name, content in files.items()]])


def test_from_the_drop_to_the_table(visit, site, address, working, collection, tmp_path):
    def painting(name: str) -> bytes:
        return (collection / "images" / f"{name}.png").read_bytes()

    page = visit(address)
    sign_in(page, site, address)
    page.get_by_role("link", name="Batches").click()
    shot(page, "batch-1-new")
    room = zipped({"shelf 1/IMG_1.png": painting("sea 11"), "shelf 2/IMG_1.png": GREY, "list.txt": b"no picture"})
    page.get_by_label("Name of the batch").fill("Store room 3")
    drop(page, {"portrait.png": painting("portrait 6"), "room.zip": room})
    page.get_by_text("2 files chosen.").wait_for()
    page.get_by_role("button", name="Identify them all").click()
    page.wait_for_url("**/batches/*")
    page.get_by_role("link", name="Review 3 open answers").wait_for()  # the page shows the answers by itself
    shot(page, "batch-2-answered")
    check_accessibility(page)
    assert page.get_by_text("list.txt").is_visible()

    # By keyboard alone from here.
    page.get_by_role("link", name=re.compile("Review 3")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/*")
    shot(page, "batch-3-review")
    check_accessibility(page)
    said = []
    for _ in range(3):
        name = page.locator("h1").inner_text()
        said.append(name)
        if name == "portrait.png":
            page.keyboard.press("w")
            page.get_by_text("Saved: portrait.png").wait_for()
            page.keyboard.press("u")
            page.locator("h1", has_text="portrait.png").wait_for()
            page.keyboard.press("r")
        elif name == "shelf 1/IMG_1.png":
            page.keyboard.press("/")
            page.keyboard.type("portrait 6")
            page.keyboard.press("Enter")
            page.locator("[data-key=s]").wait_for()
            page.keyboard.press("s")
        else:
            page.keyboard.press("a")
        page.get_by_text(
            f"Saved: {name}." if len(said) < 3 else "Every answer of this batch has been reviewed."
        ).wait_for()
    shot(page, "batch-4-reviewed")
    assert sorted(said) == ["portrait.png", "shelf 1/IMG_1.png", "shelf 2/IMG_1.png"]

    with page.expect_download() as download:
        page.get_by_role("link", name="Excel").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "answers_Store_room_3.xlsx"
    sheet = openpyxl.load_workbook(file).active
    rows = {row[0]: row for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert {name: (row[4], row[7], row[8]) for name, row in rows.items()} == {
        "portrait.png": ("portrait 6.png", "right", "ada"),
        "shelf 1/IMG_1.png": ("portrait 6.png", "corrected", "ada"),
        "shelf 2/IMG_1.png": (None, "not in the collection", "ada"),
        "list.txt": (None, None, None),
    }
    with site.app_context():
        assert db.session.scalar(db.select(db.func.count(Query.id)).where(Query.confirmed_id.is_not(None))) == 2


def test_its_pages_fit_a_phone_and_can_be_read_by_everybody(visit, site, address, engine, collection):
    page = visit(address, viewport=PHONE, color_scheme="dark")
    sign_in(page, site, address)
    found = engine.ask((collection / "images" / "sea 11.png").read_bytes())
    batch = add_answered(site, "ada", {"sea.png": found, "a folder/with/a very long name.jpg": found})
    for name in ("", f"/{batch}", f"/{batch}/review?show=found", f"/{batch}/sheet", f"/{batch}/delete"):
        page.goto(f"{address}/batches{name}")
        shot(page, f"batches-{name.rsplit('/', 1)[-1][:6] or 'list'}")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, f"{name} sticks out"
        check_accessibility(page)


def test_a_folder_is_sent_whole_and_files_of_one_name_stay_two(visit, site, address, tmp_path):
    for name in ("shelf 1/1.png", "shelf 2/1.png", "shelf 2/Thumbs.db", ".hidden"):
        path = tmp_path / "depot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GREY)
    page = visit(address)
    sign_in(page, site, address)
    page.goto(f"{address}/batches")
    page.get_by_label("Or a whole folder").set_input_files(tmp_path / "depot")
    page.get_by_text("2 files chosen.").wait_for()
    page.get_by_role("button", name="Identify them all").click()
    page.wait_for_url("**/batches/*")
    assert [row.name for row in rows_of(site, page.url.rsplit("/", 1)[-1])] == [
        "depot/shelf 1/1.png",
        "depot/shelf 2/1.png",
    ]
    assert "0 of 2 photographs have been looked at." in page.locator("main").inner_text()

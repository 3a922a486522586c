"""Asking, as a person does it: in a real browser."""

import base64
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from database.tables import Photograph, Query, db
from tests.browser.conftest import PHONE, check_accessibility, shot, sign_in, until
from tests.web.test_addresses import Pages, local, serve_pages, server  # noqa: F401  (fixtures)
from tests.web.test_search import encoded, hung
from web.service import Service

ANSWER = re.compile(r"/answers/[\w-]{22}$")
# Makes a DataTransfer with a file, from its content in base64.
BRING = """([content, name, type]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const brought = new DataTransfer();
    brought.items.add(new File([bytes], name, { type }));
    return brought;
}"""


@pytest.fixture
def picture(collection) -> Path:
    """A file with a work of the collection."""
    return sorted((collection / "images").iterdir())[0]


@pytest.fixture
def two_works(collection, tmp_path) -> Path:
    """A photograph of two works on a wall."""
    paths = sorted((collection / "images").iterdir())[:2]
    path = tmp_path / "wall.png"
    path.write_bytes(encoded(hung(*(cv2.imread(str(path)) for path in paths))))
    return path


@pytest.fixture
def page(visit, site, address) -> Page:
    """The start page of somebody who is signed in."""
    page = visit(address)
    sign_in(page, site, address)
    return page


def choose(page: Page, file: Path) -> None:
    """Choose a file, and wait until the photograph is there to be changed."""
    page.get_by_label("Choose a picture").set_input_files(file)
    expect(button(page, "Identify")).to_be_visible()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("main").get_by_role("button", name=name, exact=True)


def handle(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, name: str, across: float, down: float) -> None:
    x, y = middle(handle(page, name))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across / 2, y + down / 2)
    page.mouse.move(x + across, y + down)
    page.mouse.up()


def ask(page: Page, name: str = "Identify") -> None:
    button(page, name).click()
    page.wait_for_url(ANSWER)


def queries(site) -> list[Query]:
    with site.app_context():
        return db.session.scalars(db.select(Query).order_by(Query.number)).all()


def sources(site) -> list[str]:
    with site.app_context():
        return db.session.scalars(db.select(Photograph.source)).all()


# The start page


def test_strangers_are_told_what_the_site_does(visit, address):
    page = visit(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Which work is this?")
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    check_accessibility(page)
    shot(page, "start")


def test_the_form_works_without_scripts(visit, site, address, picture):
    page = visit(address, java_script_enabled=False)
    sign_in(page, site, address)
    page.get_by_label("Choose a picture").set_input_files(picture)
    shot(page, "ask-without-scripts")
    ask(page)
    assert [query.verdict for query in queries(site)] == ["found"]


# The ways in


def test_a_file_is_chosen_and_asked_for(page, site, picture):
    check_accessibility(page)
    shot(page, "ask")
    choose(page, picture)
    expect(button(page, "Identify")).to_be_focused()
    check_accessibility(page)
    shot(page, "ask-photograph")
    page.keyboard.press("Enter")
    page.wait_for_url(ANSWER)
    assert [(query.verdict, query.work_path, query.corners) for query in queries(site)] == [
        ("found", picture.name, None)
    ]
    assert sources(site) == ["file"]


@pytest.mark.parametrize(("event", "source"), [("drop", "drop"), ("paste", "paste")])
def test_a_picture_is_dropped_or_pasted_anywhere_on_the_page(page, site, picture, event, source):
    content = base64.b64encode(picture.read_bytes()).decode()
    brought = page.evaluate_handle(BRING, [content, "sea.png", "image/png"])
    if event == "drop":
        page.dispatch_event("body", "dragover", {"dataTransfer": brought})
        expect(page.locator("#choose")).to_have_class(re.compile("choose-over"))
        page.dispatch_event("footer", "drop", {"dataTransfer": brought})
    else:
        pasted = "new ClipboardEvent('paste', { clipboardData: brought, bubbles: true })"
        page.evaluate(f"(brought) => document.body.dispatchEvent({pasted})", brought)
    ask(page)
    assert sources(site) == [source]


def test_a_picture_is_fetched_from_its_address(visit, make_site, serve, console, server, local, picture, monkeypatch):  # noqa: F811
    monkeypatch.setattr(
        Pages, "picture", lambda self, _rest: self.answer(picture.read_bytes(), Content_Type="image/png")
    )
    site = make_site(addresses=True, config={"NETWORK": local})
    address = serve(site)
    page = visit(address)
    sign_in(page, site, address)
    console.expect(422)
    field = page.get_by_label("web address")
    field.fill("http://127.0.0.7/picture")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That address is not on the public internet.")
    check_accessibility(page)
    shot(page, "ask-address-refused")
    field.fill(f"http://museum.example:{server.server_port}/picture")
    button(page, "Use this address").click()
    expect(button(page, "Identify")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    ask(page)
    assert sources(site) == ["address"]


def test_a_photograph_is_taken_with_the_camera(page, site):
    button(page, "Take a photo").click()
    expect(button(page, "Take photo")).to_be_focused()
    until(page, "document.getElementById('camera-view').videoWidth > 0")
    check_accessibility(page)
    shot(page, "ask-camera")
    page.evaluate("window.tracks = document.getElementById('camera-view').srcObject.getTracks()")
    button(page, "Take photo").click()
    expect(button(page, "Identify")).to_be_visible()
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]
    expect(page.locator("#camera")).to_be_hidden()
    ask(page)
    assert sources(site) == ["camera"]


def test_the_camera_is_let_go_where_one_turns_back(page):
    button(page, "Take a photo").click()
    expect(button(page, "Take photo")).to_be_focused()
    page.evaluate("window.tracks = document.getElementById('camera-view').srcObject.getTracks()")
    page.keyboard.press("Escape")
    expect(page.locator("#camera")).to_be_hidden()
    expect(button(page, "Take a photo")).to_be_focused()
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [("NotAllowedError", "does not allow this page to use the camera"), ("NotFoundError", "No camera was found")],
)
def test_without_a_camera_the_devices_own_app_takes_its_place(page, picture, failure, sentence):
    page.evaluate(
        "(failure) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', failure)); }",
        failure,
    )
    button(page, "Take a photo").click()
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    with page.expect_file_chooser() as chosen:
        button(page, "Take a photo").click()
    chosen.value.set_files(picture)
    expect(button(page, "Identify")).to_be_visible()


def test_what_is_refused_is_said_and_another_can_be_chosen(page, console, tmp_path, picture):
    console.expect(400)
    (tmp_path / "notes.txt").write_text("no picture")
    page.get_by_label("Choose a picture").set_input_files(tmp_path / "notes.txt")
    expect(page.get_by_role("alert")).to_contain_text("The picture cannot be used: not a picture")
    shot(page, "ask-refused")
    page.locator("#choose").evaluate("form => { form.dataset.megabytes = '20'; }")  # the site's limit is larger
    (tmp_path / "large.jpg").write_bytes(bytes((20 << 20) + 1))
    page.get_by_label("Choose a picture").set_input_files(tmp_path / "large.jpg")
    expect(page.get_by_role("alert")).to_have_text("The file is too large: the limit is 20 MB.")
    choose(page, picture)
    expect(page.get_by_role("alert")).to_be_hidden()
    button(page, "Another picture").click()
    expect(page.get_by_label("Choose a picture")).to_be_focused()


def test_while_the_search_warms_up_the_page_says_so_and_asks_again(visit, make_site, serve, engine, console, picture):
    loaded = threading.Event()
    service = Service(lambda: loaded.wait(60) and engine, 2, 8)
    site = make_site(ready=service)
    address = serve(site)
    page = visit(address)
    sign_in(page, site, address)
    expect(page.get_by_text("The search is starting up. You can already choose your picture.")).to_be_visible()
    console.expect(503)
    choose(page, picture)
    button(page, "Identify").click()
    expect(page.locator("#ask-status")).to_contain_text("will try again automatically")
    expect(button(page, "Identify")).to_be_disabled()
    shot(page, "ask-warming-up")
    loaded.set()
    expect(page.locator("#engine-state")).to_be_empty()
    page.wait_for_url(ANSWER)
    service.stop()


# Before asking


def test_a_part_is_cut_out_with_the_mouse(page, site, picture):
    choose(page, picture)
    width, height = size_of(picture)
    scale = page.locator("#stage image").bounding_box()["width"] / width
    drag(page, "Upper left corner", 0.25 * width * scale, 0.125 * height * scale)
    drag(page, "Right edge", -0.125 * width * scale, 50)
    drag(page, "Lower edge", 300, 9999)  # no further than the picture goes
    expect(page.locator("#choice")).to_have_text("The part within the handles")
    expect(handle(page, "Upper left corner")).to_have_attribute(
        "aria-valuetext", re.compile(r"2[45] % across, 1[23] % down")
    )
    shot(page, "ask-crop")
    ask(page)
    (query,) = queries(site)
    left, top, right, bottom = 0.25 * width, 0.125 * height, 0.875 * width, height
    expected = [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert np.abs(np.array(query.corners) - expected).max() < 2 / scale + 1


def test_a_part_is_cut_out_with_the_keyboard(page, site, picture):
    choose(page, picture)
    long = max(size_of(picture))
    corner = handle(page, "Upper left corner")
    while not corner.evaluate("(element) => element === document.activeElement"):
        page.keyboard.press("Shift+Tab")
    for key in (
        "Shift+ArrowRight",
        "Shift+ArrowRight",
        "ArrowLeft",
        "ArrowDown",
        "ArrowUp",
        "ArrowUp",
        "Shift+ArrowDown",
    ):
        page.keyboard.press(key)
    expect(corner).to_have_attribute("aria-valuenow", str(round(0.095 * long)))
    ask(page)
    (query,) = queries(site)
    assert np.allclose(query.corners[0], [0.095 * long, 0.05 * long], atol=0.2)


def test_a_part_is_cut_out_with_a_finger_while_the_page_stays(visit, site, address, picture):
    page = visit(address, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=3)
    sign_in(page, site, address)
    choose(page, picture)
    page.evaluate("window.scrollTo(0, 100)")
    x, y = middle(handle(page, "Lower right corner"))
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x - 8 * step, y - 16 * step))
    touch("touchEnd")
    assert page.evaluate("window.scrollY") == 100
    expect(page.locator("#choice")).to_have_text("The part within the handles")
    # No sideways scrolling on the narrowest phones.
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    check_accessibility(page)
    shot(page, "ask-phone")
    ask(page)
    assert queries(site)[0].corners[2] < list(size_of(picture))


def test_a_lying_picture_is_turned(page, site, picture, tmp_path):
    lying = cv2.imread(str(picture))
    cv2.imwrite(str(tmp_path / "lying.png"), cv2.rotate(lying, cv2.ROTATE_90_COUNTERCLOCKWISE))
    choose(page, tmp_path / "lying.png")
    button(page, "Turn left").click()
    expect(page.locator("#choice")).to_have_text("The whole picture, turned left")
    button(page, "Turn right").click()
    button(page, "Turn right").click()
    expect(page.locator("#choice")).to_have_text("The whole picture, turned right")
    box = page.locator("#stage image").bounding_box()
    height, width = lying.shape[:2]
    assert abs(box["width"] / box["height"] - width / height) < 0.02
    # Arrows and the mouse mean the screen's directions, also on what is turned.
    drag(page, "Lower left corner", 0, 40)  # seen in the upper left, once it is turned
    handle(page, "Lower left corner").press("Shift+ArrowDown")
    shot(page, "ask-turned")
    ask(page)
    (query,) = queries(site)
    assert (query.turns, query.work_path, query.verdict) == (1, picture.name, "found")
    x = [corner[0] for corner in query.corners]
    assert x[0] == x[3] > 0.05 * max(width, height) and x[1] == x[2] == lying.shape[0]


def test_two_works_are_found_on_one_photograph_and_asked_for(page, site, two_works, collection):
    choose(page, two_works)
    button(page, "Find the painting").click()
    expect(page.locator("#ask-status")).to_have_text("2 paintings detected.")
    expect(page.locator("#choice")).to_contain_text("You can select one or more paintings in it.")
    first, second = (page.get_by_role("button", name=f"Painting {number} of 2") for number in (1, 2))
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#choice")).to_have_text("One work, straightened")
    second.focus()
    page.keyboard.press("Space")
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(second).to_be_focused()
    expect(page.get_by_role("img", name="Painting 2, straightened")).to_be_visible()
    check_accessibility(page)
    shot(page, "ask-two-works")
    ask(page, "Identify 2 works")
    names = [path.name for path in sorted((collection / "images").iterdir())[:2]]
    assert sorted(query.work_path for query in queries(site)) == names
    assert [query.verdict for query in queries(site)] == ["found", "found"]


def test_the_corners_of_a_found_work_can_be_moved(page, site, two_works):
    choose(page, two_works)
    button(page, "Find the painting").click()
    page.get_by_role("button", name="Painting 2 of 2").press("Enter")
    corner = handle(page, "Painting 2, lower right corner")
    before = int(corner.get_attribute("aria-valuenow"))
    corner.press("Shift+ArrowRight")
    width = size_of(two_works)[0]
    expect(corner).to_have_attribute(
        "aria-valuenow", re.compile(rf"^{before + round(0.05 * width)}|{before + round(0.05 * width) + 1}$")
    )
    for _ in range(40):  # never through the opposite side
        corner.press("Shift+ArrowLeft")
    ask(page)
    outline = np.array(queries(site)[0].corners, np.float32)
    assert cv2.isContourConvex(outline)


def test_a_straightened_work_is_shown_as_the_engine_will_see_it(page, site, tmp_path):
    """A quarter of each colour, seen askew: the preview has each in its corner."""
    colours = [(40, 40, 220), (40, 200, 40), (220, 120, 40), (30, 200, 220)]  # BGR, clockwise from the upper left
    front = np.zeros((200, 300, 3), np.uint8)
    front[:100, :150], front[:100, 150:], front[100:, 150:], front[100:, :150] = colours
    corners = np.float32([[120, 90], [520, 130], [500, 400], [140, 430]])
    mapping = cv2.getPerspectiveTransform(np.float32([[0, 0], [300, 0], [300, 200], [0, 200]]), corners)
    wall = np.full((500, 700, 3), 245, np.uint8)
    cv2.warpPerspective(front, mapping, (700, 500), wall, borderMode=cv2.BORDER_TRANSPARENT)
    cv2.imwrite(str(tmp_path / "askew.png"), wall)
    choose(page, tmp_path / "askew.png")
    button(page, "Find the painting").click()
    painting = page.get_by_role("button", name="Painting 1 of")
    expect(painting).to_be_visible()
    if painting.get_attribute("aria-pressed") != "true":
        painting.press("Enter")
    for turns in range(2):
        shown = page.locator("#previews li").first.screenshot()
        seen = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
        high, wide = seen.shape[:2]
        places = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
        found = [seen[int(y * high), int(x * wide)].astype(int) for x, y in places]
        assert np.abs(np.array(found) - np.roll(colours, turns, axis=0)).max() < 40
        button(page, "Turn right").click()


def test_where_no_painting_can_be_made_out_it_is_said(page, tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((300, 400, 3), 200, np.uint8))
    choose(page, tmp_path / "wall.png")
    button(page, "Find the painting").click()
    expect(page.locator("#ask-status")).to_contain_text("No painting detected.")
    expect(handle(page, "Left edge")).to_be_visible()


def test_reset_brings_the_picture_back(page, site, two_works):
    choose(page, two_works)
    handle(page, "Left edge").press("Shift+ArrowRight")
    button(page, "Turn right").click()
    button(page, "Find the painting").click()
    page.get_by_role("button", name="Painting 1 of 2").press("Enter")
    button(page, "Reset").click()
    expect(page.locator("#choice")).to_have_text("The whole picture")
    expect(button(page, "Find the painting")).to_have_attribute("aria-pressed", "false")
    ask(page)
    (query,) = queries(site)
    assert (query.corners, query.turns) == (None, 0)


def test_the_choice_of_works_can_be_left_again(page, two_works):
    choose(page, two_works)
    button(page, "Find the painting").click()
    expect(page.get_by_role("button", name="Painting 1 of 2")).to_be_visible()
    button(page, "Find the painting").click()
    expect(page.get_by_role("button", name="Painting 1 of 2")).to_have_count(0)
    expect(handle(page, "Left edge")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, {"width": 3840, "height": 2160}], ids=["phone", "wall"])
def test_the_pages_fit_every_screen_in_both_schemes(visit, site, address, two_works, scheme, viewport):
    page = visit(address, viewport=viewport, color_scheme=scheme)
    name = f"{viewport['width']}-{scheme}"
    shot(page, f"start-{name}")
    check_accessibility(page)
    sign_in(page, site, address)
    shot(page, f"ask-{name}")
    check_accessibility(page)
    choose(page, two_works)
    button(page, "Find the painting").click()
    page.get_by_role("button", name="Painting 1 of 2").press("Enter")
    shot(page, f"ask-works-{name}")
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels."""
    height, width = cv2.imread(str(path)).shape[:2]
    return width, height

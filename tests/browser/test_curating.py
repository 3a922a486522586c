"""An administrator's way: pictures dropped onto the site are indexed, and a register with strange columns is loaded."""

import shutil
import sys
from dataclasses import replace

import pytest

from tests.browser.conftest import DESK, check_accessibility, shot, sign_in
from tests.browser.test_batches import drop
from tests.web.batched import GREY, zipped
from web.curating import indexing

LOOKS = {
    f"{'phone' if width < 500 else 'desk'}-{scheme}": {
        "viewport": {"width": width, "height": 860},
        "color_scheme": scheme,
    }
    for width in (390, 1366)
    for scheme in ("light", "dark")
}
# In place of the scripts, which take longer: it is under way until the file is there.
SCRIPT = """
import pathlib, sys, time
print("Describing:  40%|####      | 2/5 [00:10<00:15]", flush=True)
while not pathlib.Path({0!r}).exists():
    time.sleep(0.05)
"""


@pytest.fixture
def settings(settings, collection, tmp_path):
    """With a folder of pictures of its own."""
    shutil.copytree(collection / "images", tmp_path / "pictures")
    return replace(settings, dataset=tmp_path / "pictures")


@pytest.fixture
def working(site):
    """The site carries out jobs, as app.py does where it is not a test."""
    site.extensions["jobs"].start()
    yield
    site.extensions["jobs"].stop()


def looks(page, name: str) -> None:
    """Pictures of the page on a phone and a desk, light and dark."""
    for look, options in LOOKS.items():
        page.set_viewport_size(options["viewport"])
        page.emulate_media(color_scheme=options["color_scheme"], reduced_motion="reduce")  # nothing fades
        shot(page, f"{name}-{look}")
    page.set_viewport_size(DESK)


def test_pictures_are_dropped_and_indexed_and_a_register_is_loaded(
    visit, site, address, working, settings, engine, tmp_path, monkeypatch, console
):
    go_on = tmp_path / "go on"
    monkeypatch.setattr(indexing, "_command", lambda _: [sys.executable, "-c", SCRIPT.format(str(go_on))])
    page = visit(address)
    sign_in(page, site, address, "root", admin=True)
    page.get_by_role("link", name="Administration").click()
    page.get_by_label("Administration").get_by_role("link", name="Collection").click()
    page.get_by_text("not been indexed here yet").wait_for()
    looks(page, "curating-1-new")
    check_accessibility(page)

    drop(page, {"hare.png": GREY, "notes.txt": b"no picture", "room.zip": zipped({"a/one.png": GREY, "b.txt": b"no"})})
    page.get_by_role("button", name="Add them").click()
    page.get_by_text("2 files were not taken: notes.txt: ").wait_for()
    assert (settings.dataset / "hare.png").is_file() and (settings.dataset / "a" / "one.png").is_file()
    page.get_by_role("link", name="Go on").click()
    page.get_by_text("Describing: 40%").wait_for()  # it comes by itself
    page.get_by_text("Step 1 of 3: Looking at the pictures").wait_for()
    looks(page, "curating-2-under-way")
    check_accessibility(page)
    go_on.touch()
    page.get_by_text("The last indexing is finished.").wait_for()

    rows = "\n".join(f"Titel {n};{file};Regal {n}" for n, file in enumerate(engine.images.values()))
    register = {"name": "Liste.csv", "mimeType": "text/csv", "buffer": f"Benennt;Scan;Regal\n{rows}\n".encode()}
    page.get_by_label("Register of works").set_input_files(register)
    console.expect(400)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("Choose below what the columns are").wait_for()
    page.get_by_label("Benennt").select_option("Title")
    page.get_by_label("Scan").select_option("Image file")
    page.get_by_role("button", name="Preview again").click()
    page.get_by_text("12 rows, 12 works matched").wait_for()
    looks(page, "curating-3-register")
    check_accessibility(page)
    page.get_by_role("button", name="Load it").click()
    page.get_by_text("The register is loaded: 12 works matched.").wait_for()
    looks(page, "curating-4-done")
    check_accessibility(page)

    page.goto(f"{address}/works/1")
    page.get_by_role("link", name="Remove this picture").click()
    page.get_by_text("The work has no other picture").wait_for()
    looks(page, "curating-5-remove")
    check_accessibility(page)

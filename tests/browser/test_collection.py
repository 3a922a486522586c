"""The collection and the page for programs, as a person uses them: in a real browser."""

import pytest

from database.catalog import Work as Row
from database.tables import Work, db
from database.works import load_catalog
from tests.browser.conftest import DESK, PHONE, shot

PAGES = {
    "collection": "/collection",
    "collection-search": "/collection?q=title&school=Dutch",
    "collection-empty": "/collection?q=nothing+like+it",
    "collection-values": "/collection/by/author",
    "work": "/works/1",
    "work-similar": "/works/1/similar",
    "programs": "/api",
}


@pytest.fixture
def address(site, serve) -> str:
    """Where a site with a catalogue is served."""
    with site.app_context():
        rows = [
            Row(
                author=f"ARTIST {work.id}",
                title=f"Title {work.id}",
                school=("Dutch", "Flemish")[work.id % 2],
                file=work.path,
            )
            for work in db.session.scalars(db.select(Work))
        ]
        load_catalog(rows)
    return serve(site)


def pictures_loaded(page) -> bool:
    """Whether every picture in the window has arrived."""
    return page.evaluate(
        "[...document.images].filter(it => it.getBoundingClientRect().top < innerHeight)"
        ".every(it => it.complete && it.naturalWidth)"
    )


def test_one_browses_searches_narrows_down_and_looks_for_similar_works_without_scripts(visit, address):
    page = visit(address + "/collection", java_script_enabled=False)
    page.get_by_role("heading", name="12 works").wait_for()
    page.get_by_role("searchbox", name="Search the collection").fill("title")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Dutch").click()
    page.get_by_role("heading", name="6 works").wait_for()
    page.get_by_role("link", name="School: Dutch (remove)").click()
    page.get_by_role("heading", name="12 works").wait_for()
    page.get_by_role("link", name="Title 7", exact=True).click()
    page.get_by_role("heading", name="Title 7").wait_for()
    page.get_by_role("link", name="More like this").click()
    page.get_by_role("heading", name="Similar to “Title 7”").wait_for()
    assert page.locator(".wall-item").count() == 11


def test_a_phone_opens_the_filters_by_keyboard(visit, address):
    page = visit(address + "/collection", viewport=PHONE)
    link = page.get_by_role("link", name="Flemish")
    assert not link.is_visible()
    page.get_by_text("Narrow down").focus()
    page.keyboard.press("Enter")
    link.wait_for()
    link.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="6 works").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("size", "viewport"), [("desk", DESK), ("phone", PHONE), ("4k", {"width": 3840, "height": 2160})]
)
def test_every_page_fits_the_window(visit, address, size, viewport, scheme):
    page = visit(address, viewport=viewport, color_scheme=scheme)
    for name, path in PAGES.items():
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
        assert pictures_loaded(page), path
        shot(page, f"{name}-{size}-{scheme}")

"""Every page at every width, in light and dark: nothing sticks out, and axe-core finds nothing serious."""

import cv2
import numpy as np
import pytest

from tests.browser.conftest import DESK, PHONE, check_accessibility, shot, sign_in, until
from tests.web.asked import ask_for

LARGE = {"width": 3840, "height": 2160}
GREY = cv2.imencode(".png", np.full((300, 400, 3), 120, np.uint8))[1].tobytes()
STRANGERS = {
    "start": "/",
    "sign-in": "/user/sign-in",
    "register": "/user/register",
    "forgot-password": "/user/forgot-password",
    "resend-confirmation": "/user/resend-email-confirmation",
    "collection": "/collection",
    "collection-nothing": "/collection?q=nothing-at-all",
    "work": "/works/{work}",
    "similar": "/works/{work}/similar",
    "api": "/api",
    "not-there": "/nowhere",
}
MEMBERS = {
    "ask": "/",
    "answer": "/answers/{found}",
    "answer-not-found": "/answers/{missing}",
    "delete-answer": "/answers/{found}/delete",
    "history": "/history",
    "profile": "/profile",
    "change-password": "/user/change-password",
    "change-username": "/user/change-username",
    "change-names": "/user/edit_user_profile",
    "sign-out": "/user/sign-out",
}
ADMINISTRATORS = {"users": "/admin/users", "invitations": "/admin/invitations", "activity": "/admin/activity"}


def look(page, name: str) -> None:
    """Fail where the page sticks out of its window, or where axe-core finds a serious violation."""
    shot(page, name)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, f"{name} sticks out"
    page.evaluate("document.querySelectorAll('main details').forEach((details) => (details.open = true))")
    check_accessibility(page)


@pytest.mark.parametrize(
    ("size", "colours"),
    [(PHONE, "light"), (DESK, "dark"), (LARGE, "light")],
    ids=lambda value: value if isinstance(value, str) else str(value["width"]),
)
def test_every_page_fits_and_can_be_read_by_everybody(visit, site, address, console, engine, collection, size, colours):
    console.expect(404)
    page = visit(address, viewport=size, color_scheme=colours)
    suffix = f"{size['width']}-{colours}"
    for name, path in STRANGERS.items():
        page.goto(address + path.format(work=next(iter(engine.images))))
        look(page, f"{name}-{suffix}")
    sign_in(page, site, address, admin=True)
    painting = (collection / "images" / "portrait 6.png").read_bytes()
    found, missing = ask_for(site, "ada", painting)[0], ask_for(site, "ada", GREY)[0]
    for name, path in (MEMBERS | ADMINISTRATORS).items():
        page.goto(address + path.format(found=found, missing=missing))
        look(page, f"{name}-{suffix}")


def test_pages_open_without_scripts(visit, site, address):
    page = visit(address, java_script_enabled=False, color_scheme="dark")
    sign_in(page, site, address, admin=True)
    for path in ("/", "/collection", "/history", "/profile", "/admin/users", "/api"):
        page.goto(address + path)
        assert page.locator("h1").is_visible()
    background = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert sum(map(int, background.removeprefix("rgb(").rstrip(")").split(","))) < 150  # dark, as the system wishes


def test_light_and_dark_follow_the_system_until_somebody_chooses(visit, address):
    page = visit(address, color_scheme="dark")
    root = page.locator("html")
    assert root.get_attribute("data-bs-theme") == "dark"
    page.emulate_media(color_scheme="light")
    until(page, "document.documentElement.dataset.bsTheme === 'light'")
    page.get_by_role("button", name="Switch to dark colours").click()
    assert root.get_attribute("data-bs-theme") == "dark"
    page.reload()
    assert root.get_attribute("data-bs-theme") == "dark"


def test_the_keyboard_skips_to_the_content(visit, address):
    page = visit(address)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    assert skip.is_visible()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

"""Asking, as a person does it: in a real browser."""

import pytest

from tests.browser.conftest import shot, sign_in


@pytest.fixture
def page(visit, site, address):
    """The start page of somebody who is signed in."""
    page = visit(address)
    sign_in(page, site, address)
    return page


def test_strangers_are_told_what_the_site_does(visit, address):
    page = visit(address)
    page.get_by_role("heading", name="Which work is this?").wait_for()
    page.get_by_role("main").get_by_role("link", name="Sign in").wait_for()
    shot(page, "start")


def test_the_form_works_without_scripts(visit, site, address, picture):
    page = visit(address, java_script_enabled=False)
    sign_in(page, site, address)
    page.locator("#picture").set_input_files(picture)
    shot(page, "ask-without-scripts")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_url("**/answers/*")


@pytest.fixture
def picture(collection):
    """A file with a picture of the collection."""
    return sorted((collection / "images").iterdir())[0]

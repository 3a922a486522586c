"""A newcomer's way: register, confirm the e-mail address, identify a photograph, rate the answer, look around."""

import re

import cv2
import numpy as np

from tests.browser.conftest import shot
from tests.web.conftest import PASSWORD
from tests.web.emails import emails, text_of
from utils.transforms import photograph


def test_from_registering_to_the_first_answer_and_around(visit, site, address, collection, tmp_path):
    work = cv2.imread(str(collection / "images" / "portrait 6.png"))
    taken = photograph(work, np.random.default_rng(5))
    file = tmp_path / "IMG_0001.jpg"
    assert cv2.imwrite(str(file), taken)

    page = visit(address)
    page.get_by_role("link", name="Register").first.click()
    page.locator("input[name=username]").fill("grace")
    page.locator("input[name=email]").fill("grace@example.com")
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.locator("main form").get_by_role("button").first.click()
    page.get_by_text("grace@example.com").wait_for()
    shot(page, "journey-1-registered")

    (message,) = emails(site)
    page.goto(re.search(r"http://\S+", text_of(message))[0])
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("your e-mail address is confirmed").wait_for()
    shot(page, "journey-2-confirmed")

    page.locator("input[type=file]").first.set_input_files(file)
    page.get_by_role("button", name="Identify", exact=True).click()
    page.wait_for_url("**/answers/*")
    shot(page, "journey-3-answer")
    assert page.locator("h1").inner_text() == "This is portrait 6"

    page.get_by_role("button", name="Right").click()
    page.wait_for_url("**#feedback")
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/history")
    assert page.get_by_text("Found", exact=True).count() >= 1
    page.get_by_role("link", name="Collection").first.click()
    page.get_by_role("link", name="portrait 6").first.click()
    page.get_by_role("link", name="More like this").first.click()
    page.wait_for_url("**/similar")
    assert page.locator("main img").count() > 3
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.wait_for()

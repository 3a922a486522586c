"""A site that nobody has used yet, without a collection: each page says what to do next."""

import threading

import pytest

from tests.web.conftest import browser, signed_in
from utils.errors import WrongUse
from web.service import Service, without_folders


@pytest.fixture
def empty(make_site, settings):
    """A site without a collection, and its folder of results."""
    output = settings.output.absolute()

    def open_engine():
        raise WrongUse(f"There is no collection in {output}: run train.py first.")

    service = Service(open_engine, 1, 1, shown=lambda problem: without_folders(problem, settings))
    service.start()
    while service.state == "warming up":
        threading.Event().wait(0.01)
    site = make_site(service, config={"TESTING": False})
    with site.app_context():
        from database.works import follow

        follow({})
    yield site, str(settings.output)
    service.stop()


def test_every_page_says_what_to_do_next_and_names_no_folder_of_the_server(empty):
    site, output = empty
    admin = signed_in(site, "root", admin=True)
    pages = {
        "/": "There is no collection yet: put images into the folder of the dataset, then run create_list.py",
        "/collection": "Put images into the folder of the dataset",
        "/history": "Identify a work",
        "/admin/activity": "Nobody has asked yet.",
        "/admin/invitations": "Nobody has been invited yet.",
        "/admin/messages": "No message waits.",
        "/statistics/evaluation": "There is no run yet.",
        "/statistics/usage": "Nobody has asked yet.",
        "/statistics/collection": "There is no collection yet",
        "/readyz": "There is no collection yet",
        "/state": "There is no collection yet",
    }
    for address, words in pages.items():
        page = " ".join(admin.get(address).text.split())
        assert words in page, address
        assert output not in page and "Busy" not in page, address
    assert "folder of the dataset" not in browser(site).get("/collection").text  # readers cannot do it


def test_an_incomplete_collection_is_told_without_folders(settings):
    problem = f"{settings.output / 'collection.lmdb'} is not complete: run train.py again; it continues."
    assert without_folders(problem, settings) == "The collection is not complete: run train.py again; it continues."

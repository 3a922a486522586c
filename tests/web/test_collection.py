"""The collection's pages and pictures, for everybody and where it is private."""

import io
import os
import re
import shutil
import subprocess
import threading
from dataclasses import replace

import pytest
from PIL import Image

from database import works
from database.catalog import Work as Row
from database.tables import Work, db
from database.works import follow, load_catalog
from models.collection.store import Store
from tests.web import commands
from tests.web.conftest import browser, signed_in
from web.pictures import made
from web.service import Service

PAGES = ("/collection", "/collection/by/author", "/works/1", "/works/1/similar")
FILES = ("/works/1/thumbnail.jpg", "/works/1/picture.jpg", "/works/1/manifest.json")


def text(client, address: str, code: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == code
    return answer.get_data(as_text=True)


def works_on(page: str) -> list[str]:
    return re.findall(r'<span class="wall-title">(.*?)</span>', page)


@pytest.fixture
def big(site):
    """A hundred works by three artists, with a catalogue; only the first picture exists."""
    with site.app_context():
        paths = {number: f"some folder/{number:03}.jpg" for number in range(1, 101)}
        follow(paths)
        rows = [
            Row(
                author=f"ARTIST {number % 3}",
                title=f"Title {number:03}",
                school="Dutch" if number % 2 else "Flemish",
                form="painting",
                file=path,
            )
            for number, path in paths.items()
        ]
        load_catalog(rows)
    return site


# Browsing


def test_the_collection_is_shown_page_by_page(big):
    client = browser(big)
    page = text(client, "/collection?sort=title")
    assert works_on(page) == [f"Title {number:03}" for number in range(1, 49)]
    assert 'rel="next"' in page and 'rel="prev"' not in page
    last = text(client, "/collection?sort=title&page=3")
    assert works_on(last) == [f"Title {number:03}" for number in range(97, 101)]
    assert 'rel="prev"' in last and 'rel="next"' not in last


@pytest.mark.parametrize("page", ["0", "-1", "99999999999999999999999", "x", "%00", "1e9"])
def test_a_page_that_does_not_exist_is_the_nearest_one(big, page):
    assert works_on(text(browser(big), f"/collection?page={page}"))


def test_a_search_is_narrowed_down_and_widened_again(big):
    client = browser(big)
    page = text(client, "/collection?q=title+00")
    assert "9 works" in page  # a word is looked for as the beginning of one, so 100 is not among them
    assert 'href="/collection?q=title+00&amp;school=Dutch"' in page
    narrowed = text(client, "/collection?q=title+00&school=Dutch")
    assert "5 works" in narrowed
    assert 'href="/collection?q=title+00"' in narrowed and 'href="/collection?school=Dutch"' in narrowed


def test_years_among_the_words_are_shown_as_years(big):
    page = text(browser(big), "/collection?q=1600–1899")
    assert "Years 1600 to 1899" in page and 'id="from" name="from"' in page and 'value="1600"' in page


def test_of_many_works_it_says_how_many_are_counted(big, monkeypatch):
    monkeypatch.setattr(works, "COUNTED", 50)
    page = text(browser(big), "/collection?q=title")
    assert "Counted among 50 of the" in page and "at least 25<" in page
    page = text(browser(big), "/collection")
    assert "Counted among" not in page and "at least" not in page


def test_a_search_without_a_result_says_so_and_offers_the_way_back(big):
    page = text(browser(big), "/collection?q=nothing+like+it")
    assert "Nothing in the collection matches this." in page
    assert 'href="/collection">Show the whole collection' in page


def test_what_comes_from_outside_is_escaped(big):
    page = text(browser(big), "/collection?q=%3Cscript%3E&school=%22%3E%3Cb%3E")
    assert "<script>" not in page and "<b>" not in page


@pytest.mark.parametrize("query", ["q=%00", "school=%00", "q=%ff%fe", "sort=words", "q=" + "a+" * 5000, "author="])
def test_odd_searches_do_no_harm(big, query):
    text(browser(big), f"/collection?{query}")


def test_many_values_of_a_facet_have_a_page_of_their_own(site):
    with site.app_context():
        follow({number: f"{number}.jpg" for number in range(1, 31)})
        load_catalog([Row(author=f"Artist {number:02}", title="t", file=f"{number}.jpg") for number in range(1, 31)])
    client = browser(site)
    page = text(client, "/collection")
    assert page.count("?author=Artist") == 15
    assert 'href="/collection/by/author"' in page
    assert text(client, "/collection/by/author").count("?author=Artist") == 30
    text(client, "/collection/by/words", 404)


def test_without_a_catalogue_files_and_folders_are_shown(site):
    with site.app_context():
        follow({1: "north/a.jpg", 2: "south/b.jpg"})
    client = browser(site)
    page = text(client, "/collection")
    assert works_on(page) == ["a", "b"]
    assert 'href="/collection?folder=south"' in page
    assert works_on(text(client, "/collection?folder=south")) == ["b"]


def test_an_empty_collection_says_so(site):
    with site.app_context():
        follow({})
    assert "There are no works here yet" in text(browser(site), "/collection")


# One work


def test_a_work_shows_its_entry_and_links_to_its_page(big):
    with big.app_context():
        load_catalog(
            [
                Row(title="Hare", author="DÜRER", url="https://museum.example/hare.html", file="some folder/001.jpg"),
                Row(title="Trap", url="javascript:alert(1)", file="some folder/002.jpg"),
            ]
        )
    client = browser(big)
    page = text(client, "/works/1")
    assert "<h1" in page and "Hare" in page and "DÜRER" in page and "some folder/001.jpg" in page
    assert 'href="https://museum.example/hare.html" rel="noopener noreferrer"' in page
    assert "javascript:" not in text(client, "/works/2")


@pytest.mark.parametrize("number", ["0", "999", "2147483648", "9" * 40, "-1", "x"])
@pytest.mark.parametrize("rest", ["", "/similar", "/thumbnail.jpg", "/picture.jpg", "/manifest.json"])
def test_a_work_that_does_not_exist_is_not_found(client, number, rest):
    text(client, f"/works/{number}{rest}", 404)


def test_the_most_similar_works_are_shown_with_their_similarity(client, engine):
    page = text(client, "/works/1/similar")
    found = engine.similar(1, 24)
    assert len(works_on(page)) == 11 == len(found)
    assert [int(id) for id in re.findall(r'class="wall-link" href="/works/(\d+)"', page)] == [id for id, _ in found]
    assert f"Similarity {found[0][1]:.2f}" in page


def test_while_the_engine_warms_up_only_similar_works_must_wait(make_site):
    waits = threading.Event()
    warming = Service(lambda: waits.wait(30), 1, 1)
    client = browser(make_site(warming))
    answer = client.get("/works/1/similar")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "starting up" in answer.get_data(as_text=True)
    text(client, "/works/1")
    text(client, "/collection")
    warming._stopped.set()
    waits.set()


# Pictures


@pytest.fixture
def own_pictures(make_site, tmp_path):
    """A site over pictures of its own: one on its side with metadata, one that is damaged, and names without a file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = Image.new("RGB", (2400, 1200), "red")
    picture.paste("blue", (0, 0, 1200, 1200))
    exif = picture.getexif()
    exif[0x0112], exif[0x010F] = 6, "a camera of mine"
    picture.save(folder / "turned.jpg", exif=exif)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff" + b"rubbish" * 100)
    site = make_site(dataset=folder)
    with site.app_context():
        follow({1: "turned.jpg", 2: "damaged.jpg", 3: "gone.jpg", 4: "nul\0.jpg"})
    return site


@pytest.mark.parametrize(("address", "size"), [("thumbnail", (160, 320)), ("picture", (800, 1600))])
def test_pictures_are_upright_small_and_without_metadata(own_pictures, address, size):
    answer = browser(own_pictures).get(f"/works/1/{address}.jpg")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    picture = Image.open(io.BytesIO(answer.data))
    assert picture.size == size
    assert picture.getpixel((10, 10))[2] > 200  # turned clockwise, the blue left half is on top
    assert not picture.getexif() and b"camera" not in answer.data


def test_pictures_are_made_once_and_anew_where_the_file_has_changed(own_pictures):
    client = browser(own_pictures)
    first = client.get("/works/1/thumbnail.jpg")
    cache = own_pictures.extensions["settings"].output / "thumbnails"
    (kept,) = cache.rglob("*.jpg")
    kept.write_bytes(b"as it was kept")
    assert client.get("/works/1/thumbnail.jpg").data == b"as it was kept"
    same = client.get("/works/1/thumbnail.jpg", headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    Image.new("RGB", (100, 100), "green").save(own_pictures.extensions["settings"].dataset / "turned.jpg")
    changed = client.get("/works/1/thumbnail.jpg", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert Image.open(io.BytesIO(changed.data)).size == (100, 100)
    assert [path.suffix for path in cache.rglob("*.*")] == [".jpg"]  # neither old pictures nor unfinished ones


@pytest.mark.parametrize("id", [2, 3, 4])
@pytest.mark.parametrize("address", ["thumbnail", "picture"])
def test_a_file_of_no_use_has_a_drawn_picture(own_pictures, id, address):
    answer = browser(own_pictures).get(f"/works/{id}/{address}.jpg")
    assert (answer.status_code, answer.mimetype) == (404, "image/svg+xml")
    assert b"<svg" in answer.data
    assert answer.headers["Cache-Control"] == "no-store"


def test_many_first_requests_at_once_get_the_same_picture(own_pictures):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(browser(own_pictures).get("/works/1/thumbnail.jpg")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.data for answer in answers}) == 1


def test_pictures_may_be_kept_by_browsers_and_shown_by_other_sites(client):
    for address in ("/works/1/thumbnail.jpg", "/works/1/picture.jpg"):
        answer = client.get(address)
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers


def test_pages_are_for_no_other_site(client):
    answer = client.get("/works/1")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_picture_of_a_name_with_a_blank_is_found(client, site, engine):
    with site.app_context():
        work = db.session.get(Work, 1)
        assert " " in work.path == engine.images[1] or " " in work.path
        assert made(work, 320).path.is_absolute()
    assert client.get("/works/1/thumbnail.jpg").status_code == 200


# A private collection


@pytest.mark.parametrize("address", PAGES)
def test_a_private_collection_sends_strangers_to_sign_in(make_site, address):
    site = make_site(private=True)
    stranger = browser(site)
    answer = stranger.get(address)
    assert answer.status_code == 302 and "/user/sign-in" in answer.headers["Location"]
    assert stranger.get(address, headers={"Accept": "application/json"}).status_code == 401
    assert signed_in(site, "ada").get(address).status_code == 200
    assert signed_in(site, "root", admin=True).get(address).status_code == 200


@pytest.mark.parametrize("address", FILES)
def test_pictures_of_a_private_collection_are_for_people_with_an_account(make_site, address):
    site = make_site(private=True)
    assert browser(site).get(address).status_code == 401
    answer = signed_in(site, "ada").get(address)
    assert answer.status_code == 200
    assert "public" not in answer.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("address", (*PAGES, *FILES))
def test_an_open_collection_is_for_everybody(client, member, admin, address):
    for somebody in (client, member, admin):
        assert somebody.get(address).status_code == 200


# The command line


def run(settings, *command) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETRIEVAL_")}
    environment |= {
        "RETRIEVAL_DATABASE": str(settings.database),
        "RETRIEVAL_OUTPUT": str(settings.output),
        "RETRIEVAL_DATASET": str(settings.dataset),
    }
    return commands.run(*command, environment=environment)


@pytest.fixture
def stored(site, collection, tmp_path):
    """The settings of a site whose store is its own, so that another process may read it."""
    settings = replace(site.extensions["settings"], output=tmp_path / "stored")
    settings.output.mkdir()
    shutil.copy(collection / "output" / "collection.lmdb", settings.output)
    with site.app_context():
        follow({})  # as where the engine has never run
    return settings


def test_a_catalogue_is_loaded_by_a_command(site, stored, tmp_path):
    store = Store.reading(stored.output)
    paths = [stamp.path for stamp in store.images().values()]
    store.close()
    file = tmp_path / "works.csv"
    rows = [f"ARTIST {number},Title {number},{path}" for number, path in enumerate(paths)]
    rows += [f"X,Missing {number},missing {number}.jpg" for number in range(25)]
    file.write_text("AUTHOR,TITLE,FILE\n" + "\n".join(rows))
    done = run(stored, "load_catalog", file)
    assert done.returncode == 0, done.stderr
    assert "37 rows, 12 works matched, 25 rows without a work, 0 works without a row." in done.stdout
    assert "X, Missing 19, missing 19.jpg: there is no picture of the name missing 19.jpg." in done.stdout
    assert "Missing 20" not in done.stdout and "and 5 more." in done.stdout
    listed = (stored.output / "catalog_unmatched.csv").read_text().splitlines()
    assert len(listed) == 26 and listed[0].startswith("REASON;Inventory number;Artist;")
    with site.app_context():
        assert {work.title for work in db.session.scalars(db.select(Work))} == {f"Title {n}" for n in range(12)}


@pytest.mark.parametrize("content", [None, "", "nothing;of;use\n1;2;3", "\0\0binary"])
def test_a_bad_catalogue_is_refused_in_one_sentence(stored, tmp_path, content):
    file = tmp_path / "bad.csv"
    if content is not None:
        file.write_text(content)
    done = run(stored, "load_catalog", file)
    assert done.returncode == 2
    assert "bad.csv" in done.stderr and "Traceback" not in done.stderr


def test_without_a_collection_the_command_says_what_to_do(stored, tmp_path):
    file = tmp_path / "works.csv"
    file.write_text("AUTHOR,TITLE,FILE\na,b,c.jpg\n")
    done = run(replace(stored, output=tmp_path / "nowhere"), "load_catalog", file)
    assert done.returncode == 2
    assert "run train.py first" in done.stderr and "Traceback" not in done.stderr

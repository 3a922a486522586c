"""The site as a whole: what it is made of, what every answer carries, and what it refuses."""

import re
import stat

import pytest
from flask import abort

from app import create_app
from database.tables import db
from tests.web.conftest import add_user, browser, signed_in
from utils.errors import Failed, WrongUse
from utils.images import ImageProblem
from utils.version import VERSION
from web.service import Service, Unavailable

# Health


def test_it_is_alive_and_ready(client):
    assert client.get("/healthz").json == {"status": "alive", "version": VERSION}
    assert client.get("/readyz").json == {"status": "ready", "images": 12}


def test_the_foot_of_every_page_says_the_version(client):
    for page in ("/", "/collection", "/nowhere"):
        foot = client.get(page).text.partition("<footer")[2]
        assert f"version {VERSION}<" in foot, page


def test_while_the_engine_is_missing_it_is_alive_but_not_ready_and_its_pages_open(make_site):
    def nothing():
        raise Failed("There is no collection in output: run train.py first.")

    service = Service(nothing, 1, 1)
    client = browser(make_site(service))
    service.start()
    try:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json["status"] in ("warming up", "There is no collection in output: run train.py first.")
        assert client.get("/").status_code == 200
    finally:
        service.stop()


def test_a_kind_of_local_features_that_there_is_not_is_refused_at_the_start(make_site):
    with pytest.raises(WrongUse, match=r"^RETRIEVAL_FEATURE='nonsense' is unknown: choose one of orb, sift\.$"):
        make_site(feature="nonsense")


# What every answer carries


@pytest.mark.parametrize("address", ["/", "/collection", "/nowhere", "/healthz", "/static/css/site.css"])
def test_every_answer_carries_the_security_headers(member, address):
    headers = member.get(address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert (
        policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    )
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=(self)" in headers["Permissions-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_over_plain_http_there_is_no_promise_of_https(site):
    assert "Strict-Transport-Security" not in browser(site).get("/", base_url="http://localhost").headers


def test_pages_are_not_kept_by_caches_and_styles_are(member):
    assert "no-store" in member.get("/").headers["Cache-Control"]
    assert "no-store" not in member.get("/static/css/site.css").headers["Cache-Control"]


def test_the_session_cookie_is_secure_http_only_and_same_site(site):
    add_user(site, "ada")
    cookie = browser(site).get("/user/sign-in").headers["Set-Cookie"]
    assert "; Secure" in cookie and "; HttpOnly" in cookie and "; SameSite=Lax" in cookie


def test_cookies_over_plain_http_are_a_setting(make_site):
    client = make_site(secure_cookies=False).test_client()
    cookie = client.get("/user/sign-in").headers["Set-Cookie"]
    assert "Secure" not in cookie and "; HttpOnly" in cookie


def test_no_page_has_scripts_styles_or_handlers_of_its_own_or_from_other_sites(admin):
    for address in ("/", "/collection", "/history", "/batches", "/profile", "/admin/users", "/api", "/nowhere"):
        page = admin.get(address).get_data(as_text=True)
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), address
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", page), address
        loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page)
        assert loaded and all(one.startswith("/") and not one.startswith("//") for one in loaded), address


# What it refuses


def test_a_request_for_another_host_is_refused(client, site):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost"}).status_code == 200


def test_names_of_the_site_are_a_setting(make_site):
    client = browser(make_site(hosts="art.example localhost"))
    assert client.get("/", headers={"Host": "art.example"}).status_code == 200
    assert client.get("/", headers={"Host": "127.0.0.1"}).status_code == 400


def test_forwarded_headers_are_believed_from_as_many_proxies_as_there_are(make_site):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
    plain = browser(make_site(hosts="localhost art.example"))
    answer = plain.get("/", headers=forwarded, base_url="http://localhost")
    assert "Strict-Transport-Security" not in answer.headers
    proxied = browser(make_site(hosts="art.example", proxies=1))
    answer = proxied.get("/", headers=forwarded, base_url="http://localhost")
    assert answer.status_code == 200 and "Strict-Transport-Security" in answer.headers


def test_a_form_without_its_secret_is_refused_in_words(client):
    answer = client.post("/user/sign-in", data={"username": "ada", "password": "x"})
    assert answer.status_code == 400
    assert "The form was not accepted" in answer.get_data(as_text=True)


def test_what_is_not_there_is_told_as_a_page_to_people_and_as_json_to_scripts(client):
    page = client.get("/nowhere")
    assert page.status_code == 404 and "<h1" in page.get_data(as_text=True)
    answer = client.get("/nowhere", headers={"Accept": "application/json"})
    assert answer.status_code == 404 and answer.json["error"].startswith("There is nothing at this address.")


@pytest.fixture
def raising(make_site):
    """raising(problem): the answer of a site one of whose pages raises it."""

    def ask(problem, **headers):
        site = make_site(config={"TESTING": False})

        @site.get("/raising")
        def page():
            raise problem

        return browser(site).get("/raising", headers=headers)

    return ask


def test_where_the_engine_is_busy_it_is_said_when_to_come_back(raising):
    answer = raising(Unavailable("Many people are asking.", seconds=7))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert "Many people are asking." in answer.get_data(as_text=True)


def test_a_picture_that_cannot_be_used_is_told_with_the_reason(raising):
    answer = raising(ImageProblem("damaged <or> cut off"))
    assert answer.status_code == 400
    assert "The picture cannot be used: damaged &lt;or&gt; cut off." in answer.get_data(as_text=True)


def test_a_fault_of_ours_shows_no_traceback(raising):
    answer = raising(ZeroDivisionError("secret"))
    assert answer.status_code == 500
    page = answer.get_data(as_text=True)
    assert "Something went wrong on our side" in page and "secret" not in page and "Traceback" not in page


def test_a_view_may_refuse_with_a_sentence_of_its_own(make_site):
    site = make_site()

    @site.get("/refusing")
    def page():
        abort(400, "Give a year, like 1598.")

    answer = browser(site).get("/refusing", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json) == (400, {"error": "Give a year, like 1598."})


# The key and the database


def test_the_key_is_made_once_kept_and_readable_by_its_owner_only(make_site, settings):
    first = make_site().config["SECRET_KEY"]
    assert len(bytes.fromhex(first)) == 32
    assert make_site().config["SECRET_KEY"] == first
    assert stat.S_IMODE((settings.database / "secret_key").stat().st_mode) == 0o600
    assert sorted(path.name for path in settings.database.glob("secret_key*")) == ["secret_key"]


def test_the_tables_are_made_at_the_first_start_and_agree_with_the_migrations(settings, service):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    app = create_app(settings, service)
    with app.app_context(), db.engine.connect() as connection:
        # The index of words is no table of SQLAlchemy's: FTS5 on SQLite, with tables of its own (database/fulltext.py).
        # Nor are those of the queue of jobs, where it is in the same database.
        own = ("work_texts", "huey_")
        options = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith(own)}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata) == []
    with app.app_context():
        db.engine.dispose()


def test_a_database_that_cannot_be_reached_is_told_without_its_password(settings, service, monkeypatch):
    from dataclasses import replace

    url = "postgresql://ada:secret@127.0.0.1:1/none"
    with pytest.raises(Failed, match=r"^The database postgresql\+psycopg://ada:\*\*\*@127.0.0.1:1/none cannot be used"):
        create_app(replace(settings, database_url=url), service)


def test_a_private_collection_is_not_in_the_menu_of_strangers(make_site):
    site = make_site(private=True)
    assert "/collection" not in browser(site).get("/").get_data(as_text=True)
    assert "/collection" in signed_in(site, "ada").get("/").get_data(as_text=True)

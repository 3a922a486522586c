"""A site over a dozen painted pictures, with a real engine; on SQLite, or on the PostgreSQL that DATABASE_URL names."""

import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache

from app import create_app
from config import Settings
from database.tables import Role, User, db, now
from database.works import follow
from tests import small_collection
from web.flask_user_fixes import Argon2PasswordManager
from web.service import Service

Argon2PasswordManager.hasher = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)  # quick tests
# Clients speak https, as behind a proxy: session cookies are Secure.
TEST_CONFIG = {"TESTING": True, "RATELIMIT_ENABLED": False, "PREFERRED_URL_SCHEME": "https"}
PASSWORD = "A long enough passw0rd"


class Compiled(BytecodeCache):
    """The templates that a site has compiled, for those of the tests that follow."""

    def __init__(self):
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


@pytest.fixture(scope="session")
def service(engine) -> Service:
    """The engine as the site uses it, ready to answer."""
    service = Service(lambda: engine, computing=2, waiting=8)
    service.start()
    while service.state == "warming up":
        threading.Event().wait(0.02)
    assert service.state == "ready"
    yield service
    service.stop()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A SQLite file with all tables, to be copied: quicker than to migrate for each test."""
    settings = replace(small_collection.SETTINGS, database=tmp_path_factory.mktemp("migrated"))
    app = create_app(settings)
    with app.app_context():
        db.engine.dispose()
    return settings.database / "site.sqlite"


@pytest.fixture
def settings(collection, tmp_path) -> Settings:
    """Of a site of its own, with an empty database, for one test."""
    return replace(
        small_collection.SETTINGS,
        dataset=collection / "images",
        output=tmp_path / "output",
        database=tmp_path / "database",
        database_url=os.environ.get("DATABASE_URL", ""),
    )


@pytest.fixture
def make_site(settings, service, engine, migrated):
    """make_site(registration="closed", ...): a site with settings of its own over the shared engine."""
    made = []

    def make(ready: Service | None = service, config: dict | None = None, **changed):
        its = replace(settings, **changed)
        its.database.mkdir(parents=True, exist_ok=True)
        if not its.database_url and not (its.database / "site.sqlite").exists():
            shutil.copy(migrated, its.database / "site.sqlite")
        app = create_app(its, ready, **TEST_CONFIG | (config or {}))
        app.jinja_env.bytecode_cache = COMPILED
        with app.app_context():
            if its.database_url and not made:
                _empty()
            follow(engine.images)
        made.append(app)
        return app

    yield make
    for app in made:
        for background in ("jobs", "sweeper"):  # on PostgreSQL they would take what belongs to the next test
            app.extensions[background].stop()
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def _empty() -> None:
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(table.delete())
    db.session.commit()


@pytest.fixture
def site(make_site):
    """The site with its default settings."""
    return make_site()


@pytest.fixture
def client(site) -> FlaskClient:
    """Somebody who is not signed in."""
    return browser(site)


@pytest.fixture
def member(site) -> FlaskClient:
    """Ada, signed in."""
    return signed_in(site, "ada")


@pytest.fixture
def other(site) -> FlaskClient:
    """Another person, Bob, signed in."""
    return signed_in(site, "bob")


@pytest.fixture
def admin(site) -> FlaskClient:
    """An administrator, signed in."""
    return signed_in(site, "root", admin=True)


def browser(site) -> FlaskClient:
    """Somebody with a browser of their own. It speaks https, as behind a proxy."""
    return site.test_client()


def add_user(site, name: str, *, admin: bool = False, confirmed: bool = True) -> int:
    """The id of a new user with PASSWORD."""
    with site.app_context():
        user = User(
            username=name,
            email=f"{name}@example.com",
            email_confirmed_at=now() if confirmed else None,
            password=site.user_manager.hash_password(PASSWORD),
        )
        if admin:
            user.roles.append(db.session.scalar(db.select(Role).filter_by(name="admin")) or Role(name="admin"))
        db.session.add(user)
        db.session.commit()
        return user.id


def signed_in(site, name: str, *, admin: bool = False) -> FlaskClient:
    """A client of a new user."""
    add_user(site, name, admin=admin)
    client = browser(site)
    answer = post(client, "/user/sign-in", {"username": name, "password": PASSWORD})
    assert answer.status_code == 302, answer.get_data(as_text=True)
    return client


def csrf_token(client: FlaskClient, page: str = "/user/sign-in") -> str:
    """The secret that every form of this client's session carries."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).get_data(as_text=True))
    if not found:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/").get_data(as_text=True))
    return found[1]


def post(client: FlaskClient, address: str, data: dict | None = None, page: str | None = None, **options):
    """Send a form as its page would: with the secret, and with the page as its referrer.

    page: where the form is (the same address).
    """
    token = csrf_token(client, page or address)
    options.setdefault("headers", {"Referer": "https://localhost" + (page or address)})
    return client.post(address, data={"csrf_token": token, **(data or {})}, **options)

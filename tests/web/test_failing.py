"""The disk is full, or the database locked: people are told in a sentence, and nothing is half-kept."""

import contextlib
import io
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import event

from database.tables import Event, Photograph, Query, db
from tests.web.conftest import browser
from tests.web.test_api import program_of
from utils.errors import Failed
from web.service import Service

ROOT = Path(__file__).parents[2]


@pytest.fixture
def locking(make_site, settings):
    """(site, locked): a site that soon loses patience, and a block in which another process writes to its database."""
    if settings.database_url:
        pytest.skip("only SQLite is locked as a whole")
    site = make_site(config={"TESTING": False})
    with site.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=20"))

    @contextlib.contextmanager
    def locked():
        with contextlib.closing(sqlite3.connect(settings.database / "site.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    return site, locked


def kept(site) -> list[int]:
    """The number of photographs, queries, refusals and files."""
    with site.app_context():
        rows = [db.session.scalar(db.select(db.func.count()).select_from(kind)) for kind in (Photograph, Query, Event)]
        folder = site.extensions["uploads"].folder
        return [*rows, len(list(folder.iterdir())) if folder.is_dir() else 0]


def picture(engine) -> tuple[io.BytesIO, str]:
    return io.BytesIO((engine.dataset / engine.images[1]).read_bytes()), "photograph.png"


def check_told(answer, words: str) -> None:
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert words in answer.get_data(as_text=True)


def test_a_locked_database_is_told_and_nothing_is_kept(locking, engine):
    site, locked = locking
    program = program_of(site, "program")
    with locked():
        check_told(program.post(data={"picture": picture(engine)}), "database cannot be used just now")
        answer = browser(site).get("/readyz")
        assert answer.status_code == 503 and "locked by another process" in answer.json["status"]
        assert browser(site).get("/healthz").status_code == 200
        assert browser(site).get("/collection").status_code == 200  # reading goes on
    assert kept(site) == [0, 0, 0, 0]
    assert browser(site).get("/readyz").status_code == 200
    assert program.post(data={"picture": picture(engine)}).status_code == 201


def test_a_database_that_is_locked_before_the_answer_is_stored(locking, engine):
    site, locked = locking
    program = program_of(site, "program")

    class Locking:
        """Locks the database while it answers."""

        def ask(self, view):
            held.enter_context(locked())
            return engine.ask(view)

    with contextlib.ExitStack() as held:
        site.extensions["service"] = Service(lambda: None, 1, 1)
        site.extensions["service"]._engine = Locking()
        check_told(program.post(data={"picture": picture(engine)}), "nothing has been kept")
    photographs, *others = kept(site)
    assert others == [0, 0, 0]
    with site.app_context():  # at most its row is left, which nobody sees, and the next sweep deletes
        assert (
            photographs <= 1 and not db.session.scalars(db.select(Photograph.id).where(Photograph.queries.any())).all()
        )


def test_a_page_that_needs_the_database_is_told_without_it(make_site, settings):
    if settings.database_url:
        pytest.skip("its file is taken away")
    site = make_site(config={"TESTING": False})
    with site.app_context():
        db.engine.dispose()
    file = settings.database / "site.sqlite"
    file.rename(settings.database / "gone")
    file.mkdir()
    answer = browser(site).get("/collection")
    check_told(answer, "database cannot be used just now")
    assert "<h1" in answer.text and "<nav" not in answer.text
    assert browser(site).get("/readyz").status_code == 503
    file.rmdir()
    (settings.database / "gone").rename(file)
    assert browser(site).get("/collection").status_code == 200


@contextlib.contextmanager
def no_file_longer_than(size: int):
    """As on a disk with a quota: a write beyond it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_is_told_and_nothing_is_kept(make_site, engine):
    site = make_site(config={"TESTING": False})
    program = program_of(site, "program")
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    sent = io.BytesIO(cv2.imencode(".jpg", noise)[1].tobytes()), "noise.jpg"
    with no_file_longer_than(150_000):  # what SQLite writes before the next checkpoint is shorter
        check_told(program.post(data={"picture": sent}), "disk is full, and nothing has been kept")
    photographs, queries, _, files = kept(site)
    assert (photographs, queries, files) == (0, 0, 0)


FULL = """
import subprocess, sys
from dataclasses import replace
from pathlib import Path
from app import create_app
from config import Settings
from web.service import Service

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
app = create_app(replace(Settings(), database=folder, output=folder), Service(lambda: None, 1, 1))
app.extensions["service"].start = lambda: None  # there is no collection; what is asked for is no engine
app.extensions["service"]._engine = object()
app.config["WTF_CSRF_ENABLED"] = False
client = app.test_client()

def register(name):
    passwords = dict.fromkeys(("password", "retype_password"), "Long enough")
    form = {"username": name, "email": name + "@museum.org"} | passwords
    return client.post("/user/register", data=form, base_url="https://localhost")

with (folder / "filling").open("wb", buffering=0) as filling:
    try:
        while filling.write(bytes(4096)):
            pass
    except OSError:
        pass
answers = [register(f"name-{number}") for number in range(25)]
told = [answer for answer in answers if answer.status_code == 503]
assert told and all("disk is full" in answer.text and answer.headers["Retry-After"] for answer in told), answers
assert all(answer.status_code in (302, 503) for answer in answers), answers
ready = client.get("/readyz")
assert ready.status_code == 503 and "disk" in ready.json["status"], ready.text
(folder / "filling").unlink()
assert register("somebody").status_code == 302
print("done")
"""


def test_a_disk_that_is_really_full(tmp_path):
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL, tmp_path]
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("this computer lets nobody mount")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_a_damaged_collection_is_told_without_its_path(make_site):
    site = make_site(config={"TESTING": False})

    @site.get("/raising")
    def page():
        raise Failed("/srv/output/collection.lmdb is damaged: ...")

    answer = browser(site).get("/raising")
    check_told(answer, "The collection cannot be used just now")
    assert "/srv" not in answer.text

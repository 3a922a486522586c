"""Work in the background: who takes it, and that nothing is lost when a worker is killed."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from database.tables import Job, Query, db, now
from tests.web.asked import count, files
from tests.web.batched import GREY, create, rows_of, zipped
from utils.errors import WrongUse
from web import jobs
from web.batches import answering
from web.service import Service, Unavailable

ROOT = Path(__file__).parents[2]
SOON = 60  # seconds a test waits for another process at most


@pytest.fixture
def worker(settings):
    """worker(stuck_at): a started process that carries out jobs; killed after the test."""
    running = []

    def start(stuck_at: int = 0) -> subprocess.Popen:
        queue = settings.database_url.replace("postgresql+psycopg", "postgresql")
        arguments = [str(settings.database), queue, settings.database_url, str(stuck_at)]
        command = [sys.executable, "-m", "tests.web.worker_process", *arguments]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition) -> None:
    waiting = threading.Event()
    for _ in range(SOON * 20):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("It did not come to hold.")


def job_of(site, batch: str) -> Job:
    with site.app_context():
        return jobs.of(answering.KIND, batch)


def test_a_worker_that_is_killed_loses_nothing_and_the_next_goes_on(site, member, worker):
    batch = create(member, **{"1.png": GREY, "room.zip": zipped({f"{n}.png": GREY for n in range(2, 6)})})
    with site.app_context():
        jobs.start(answering.KIND, batch)
    first = worker(stuck_at=4)
    assert any("stuck" in line for line in iter(first.stdout.readline, ""))
    first.send_signal(signal.SIGKILL)
    assert first.wait(SOON) == -signal.SIGKILL
    rows = rows_of(site, batch)
    assert [row.state for row in rows] == ["answered"] * 3 + ["waiting"] * 2
    assert job_of(site, batch).state == "running"  # nobody has told the database
    given = [row.query_id for row in rows[:3]]

    worker()
    until(lambda: job_of(site, batch).state == "done")
    rows = rows_of(site, batch)
    assert [(row.state, row.problem) for row in rows] == [("answered", "")] * 5
    assert [row.query_id for row in rows[:3]] == given and count(site, Query) == 5
    assert len(files(site)) == 5  # one for each photograph, and the ZIP is gone


def test_one_job_is_done_by_one_worker(site, monkeypatch):
    begun, go, more = threading.Event(), threading.Event(), []

    def work(subject: str, alive) -> bool:
        begun.set()
        go.wait(SOON)
        more.append(subject)
        return False

    monkeypatch.setitem(jobs._kinds, "test", work)
    with site.app_context():
        jobs.start("test", "subject")
        jobs.start("test", "subject")
        id = jobs.of("test", "subject").id
        assert count(site, Job) == 1

    def carry_out() -> None:
        with site.app_context():
            jobs.carry_out(id)

    thread = threading.Thread(target=carry_out)
    thread.start()
    assert begun.wait(SOON)
    carry_out()
    assert more == []
    go.set()
    thread.join(SOON)
    assert more == ["subject"]
    with site.app_context():
        assert jobs.of("test", "subject").state == "done"
        carry_out()
        assert more == ["subject"]


def test_what_is_started_again_while_it_ends_is_done_again(site, monkeypatch):
    def work(subject: str, alive) -> bool:
        if not done:
            jobs.start("test", subject)  # a photograph has come, too late for this time
        done.append(subject)
        return False

    done = []
    monkeypatch.setitem(jobs._kinds, "test", work)
    with site.app_context():
        jobs.start("test", "subject")
        id = jobs.of("test", "subject").id
        assert jobs.carry_out(id) and not jobs.carry_out(id)
        assert done == ["subject"] * 2 and jobs.of("test", "subject").state == "done"


@pytest.mark.parametrize(
    ("raised", "state", "problem"),
    [
        (WrongUse("The disk is full."), "failed", "The disk is full."),
        (Unavailable("The search is starting up.", 5), "waiting", "The search is starting up."),
        (ZeroDivisionError(), "failed", jobs.BROKEN),
    ],
)
def test_a_job_that_fails_or_has_to_wait_says_why(site, monkeypatch, raised, state, problem):
    def work(subject: str, alive) -> bool:
        raise raised

    monkeypatch.setitem(jobs._kinds, "test", work)
    with site.app_context():
        jobs.start("test", "subject")
        job = jobs.of("test", "subject")
        assert not jobs.carry_out(job.id)
        db.session.refresh(job)
        assert (job.state, job.problem) == (state, problem)
        monkeypatch.setitem(jobs._kinds, "test", lambda subject, alive: False)
        jobs.start("test", "subject")
        jobs.carry_out(job.id)
        db.session.refresh(job)
        assert (job.state, job.problem) == ("done", "")


def test_a_job_of_a_worker_that_is_gone_or_silent_is_free(site):
    host, me = jobs._me.split(":")[0], os.getpid()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with site.app_context():
        for worker, silent, free in [
            (f"{host}:{ended.pid}:a", 0, True),
            (f"{host}:{os.getppid()}:a", 0, False),
            (f"{host}:{me}:of an earlier start", 0, True),
            (jobs._me, 0, False),
            ("elsewhere:1:a", 0, False),
            ("elsewhere:1:a", 61, True),
        ]:
            alive = now() - timedelta(seconds=silent)
            assert jobs._is_free(Job(state="running", worker=worker, alive_at=alive)) is free, worker


def test_a_worker_stops_when_another_has_taken_its_job(site, monkeypatch):
    reached = []

    def work(subject: str, alive) -> bool:
        alive()
        reached.append(1)
        db.session.execute(db.update(Job).values(worker="elsewhere:1:a"))
        db.session.commit()
        alive()
        reached.append(2)
        return False

    monkeypatch.setitem(jobs._kinds, "test", work)
    with site.app_context():
        jobs.start("test", "subject")
        job = jobs.of("test", "subject")
        assert not jobs.carry_out(job.id)
        db.session.refresh(job)
        assert reached == [1] and (job.state, job.worker) == ("running", "elsewhere:1:a")


def test_nothing_that_the_queue_keeps_is_run_or_unpickled():
    made = jobs._Plain()
    message = made.deserialize(made.serialize(jobs.Message("id", "name", args=("job",), kwargs={})))
    assert (message.id, message.name, message.args) == ("id", "name", ["job"])
    with pytest.raises(ValueError):
        made.deserialize(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


@pytest.mark.parametrize("address", ["mysql://localhost", "http://localhost", "pickle://x"])
def test_a_queue_that_no_worker_understands_is_refused(address):
    from config import Settings

    with pytest.raises(WrongUse, match="is no queue"):
        Settings.read({"RETRIEVAL_QUEUE": address})


def test_people_go_first(site):
    service = Service(lambda: object(), computing=1, waiting=1)
    service.start()
    until(lambda: service.state == "ready")
    waited, ended = threading.Event(), threading.Event()

    def in_the_background() -> None:
        with service.spare(waited.set):
            ended.set()

    with service.turn():
        thread = threading.Thread(target=in_the_background)
        thread.start()
        assert waited.wait(SOON) and not ended.is_set()
    assert ended.wait(SOON)
    thread.join(SOON)
    service.stop()

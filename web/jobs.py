"""Work in the background, of which nothing is lost: a queue (Huey) says that there is some, the database says what.

A job is a row of the database, so it survives its worker. A worker that takes one says every now and then that it is
alive; one that was killed says so no more, and another worker goes on with the job. How far it is belongs to what the
job is about: of a batch, each photograph is a row of its own.
"""

import json
import logging
import os
import secrets
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Any

from flask import Flask, current_app
from huey import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import PostgresStorage, RedisStorage, SqliteStorage
from sqlalchemy.exc import IntegrityError

from config import Settings
from database.tables import Job, changed, db, now, random_id
from utils.errors import Failed, WrongUse
from web.command_line import Command
from web.service import Unavailable
from web.worker import Worker

LEASE = timedelta(seconds=60)  # a worker on another computer that has been silent for longer is taken for dead
LOOK_SECONDS = 5.0  # between two looks whether there are jobs that nobody works on
NICE = 10  # of a worker's process: people's questions go first
BROKEN = "It stopped because of an error on our side, which has been logged. You can start it again."

Alive = Callable[[], None]  # what a job calls at least every few seconds; raises Lost

log = logging.getLogger(__name__)

_me = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
_kinds: dict[str, Callable[[str, Alive], bool]] = {}


class Lost(Exception):
    """Another worker has taken the job."""


def job(kind: str) -> Callable:
    """A decorator for what does jobs of a kind: called with the subject's id, and with what says that it is alive.

    It does some of the work, of about a minute, and returns whether there is more. It may be called again at any point.
    Unavailable means later; WrongUse and Failed carry the sentence with which the job has failed.
    """

    def register(work: Callable[[str, Alive], bool]) -> Callable[[str, Alive], bool]:
        _kinds[kind] = work
        return work

    return register


def start(kind: str, subject: str) -> None:
    """See that a job is done; it goes on where it stopped. Commits."""
    found = of(kind, subject)
    if found is None:
        try:
            found = Job(id=random_id(), kind=kind, subject=subject)
            db.session.add(found)
            db.session.commit()
        except IntegrityError:  # somebody has just started it too
            db.session.rollback()
            found = of(kind, subject)
            assert found is not None
    id = found.id
    # In this order: a worker that is just ending sees one of the two.
    changed(db.update(Job).where(Job.id == id).values(again=True))
    db.session.commit()
    ended = db.update(Job).where(Job.id == id, Job.state.in_(("done", "failed")))
    changed(ended.values(state="waiting", problem=""))
    db.session.commit()
    current_app.extensions["jobs"].ring(id)


def of(kind: str, subject: str) -> Job | None:
    """The job about a subject, as it stands."""
    return db.session.scalar(db.select(Job).where(Job.kind == kind, Job.subject == subject))


def carry_out(id: str) -> bool:
    """Do some of a job, unless somebody does or it is done; whether there is more. Needs an application context."""
    if not _take(id):
        return False
    kind, subject = db.session.execute(db.select(Job.kind, Job.subject).where(Job.id == id)).one()
    try:
        more = _kinds[kind](subject, lambda: _say_alive(id))
        if more:
            return _leave(id, "waiting")
        return not _leave(id, "done")
    except Lost:
        db.session.rollback()
    except Unavailable as problem:
        _leave(id, "waiting", str(problem))
    except (WrongUse, Failed) as problem:
        _leave(id, "failed", str(problem))
    except Exception:  # the worker must survive
        log.exception("A job of the kind %s failed.", kind)
        _leave(id, "failed", BROKEN)
    return False


def _take(id: str) -> bool:
    """Make a job ours, if nobody works on it; two workers cannot both."""
    found = db.session.get(Job, id, populate_existing=True)
    if found is None or not _is_free(found):
        db.session.rollback()
        return False
    as_seen = (Job.id == id) & (Job.state == found.state) & (Job.worker == found.worker)
    mine = {"state": "running", "worker": _me, "alive_at": now(), "problem": "", "again": False}
    taken = changed(db.update(Job).where(as_seen).values(mine))
    db.session.commit()
    return taken == 1


def _is_free(found: Job) -> bool:
    if found.state == "running":
        return now() - found.alive_at > LEASE or _is_dead(found.worker)
    return found.state == "waiting"


def _is_dead(worker: str) -> bool:
    """Whether a process of this computer has ended; False where nobody can tell."""
    host, _, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != _me.partition(":")[0] or not pid.isdecimal() or worker == _me:
        return False
    if int(pid) == os.getpid():
        return True  # it was another process, which had this one's number
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _say_alive(id: str) -> None:
    mine = changed(db.update(Job).where(Job.id == id, Job.worker == _me).values(alive_at=now()))
    db.session.commit()
    if mine != 1:
        raise Lost


def _leave(id: str, state: str, problem: str = "") -> bool:
    """Leave a job in a state; False where it was started again meanwhile, so that it is not done."""
    db.session.rollback()
    mine = db.update(Job).where(Job.id == id, Job.worker == _me)
    values = {"problem": problem, "alive_at": now(), "worker": ""}
    if state == "done":
        left = changed(mine.where(~Job.again).values(state=state, **values)) == 1
        if not left:
            changed(mine.values(state="waiting", **values))
    else:
        left = changed(mine.values(state=state, **values)) == 1
    db.session.commit()
    return left


# The queue


class _Plain(Serializer):
    """What the queue keeps, as JSON: Huey's own way is pickle, which runs what somebody else may have written."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(bytes(data)))


class _Threads(Consumer):
    """Huey's threads, without its signals: those of the process stay as they are."""

    def _set_signal_handlers(self) -> None:
        pass


def _queue(settings: Settings) -> Huey:
    address = settings.queue or str(settings.database.absolute() / "queue.sqlite")
    where: dict[str, Any] = {"storage_class": SqliteStorage, "filename": address}
    if address.startswith("postgresql://"):
        where = {"storage_class": PostgresStorage, "dsn": address}
    elif "://" in address:
        where = {"storage_class": RedisStorage, "url": address}
    return Huey("retrieval", results=False, serializer=_Plain(), **where)


class Jobs(Worker):
    """The queue of a process and, once it is started, its threads that take from it."""

    def __init__(self, app: Flask):
        super().__init__("jobs")
        self._app = app

    def ring(self, id: str) -> None:
        """Tell the workers of a job. Where the queue cannot be reached, they find it in the database a little later."""
        try:
            self._carry_out(id)
        except Exception as problem:  # of three kinds of storage
            log.warning("The queue of jobs cannot be reached (%s); the job waits until a worker sees it.", problem)

    @cached_property
    def _huey(self) -> Huey:
        return _queue(self._app.extensions["settings"])

    @cached_property
    def _carry_out(self) -> Callable[[str], object]:
        def carry_out_here(id: str) -> None:
            with self._app.app_context():
                more = carry_out(id)
            if more:
                self.ring(id)  # behind the others that wait

        return self._huey.task(name="carry_out")(carry_out_here)

    def _run(self) -> None:
        threads: Consumer | None = None
        while not self._stopped.is_set():
            try:
                if threads is None:
                    assert callable(self._carry_out)  # known to the queue before the threads take from it
                    count = max(1, self._app.extensions["settings"].jobs)
                    threads = _Threads(self._huey, count, periodic=False, max_delay=1, check_worker_health=False)
                    threads.start()
                with self._app.app_context():
                    self._look()
            except Exception:  # this thread must survive, or no job would ever be done
                log.exception("Jobs in the background are held up; the next attempt is in a few seconds.")
            self._stopped.wait(LOOK_SECONDS)
        if threads is not None:
            threads.stop(graceful=True)

    def _look(self) -> None:
        """Ring for jobs that nobody works on: what a worker left that was killed, what waits, what the queue lost."""
        if self._huey.storage.queue_size():
            return
        unfinished = db.session.scalars(db.select(Job).where(Job.state.in_(("waiting", "running")))).all()
        free = [found.id for found in unfinished if _is_free(found)]
        db.session.rollback()
        for id in free:
            self.ring(id)


def init_app(app: Flask) -> None:
    app.extensions["jobs"] = Jobs(app)
    if not app.testing and app.extensions["settings"].jobs:
        app.before_request(app.extensions["jobs"].start)  # in the process that answers, also where it was forked


def add_commands(manager) -> None:
    """Adds the commands of this room to app.py."""
    manager.add_command("worker", Command(work))


def work() -> None:
    """Carry out jobs in a process of its own, beside the site or on another computer, until Ctrl-C."""
    os.nice(NICE)
    current_app.extensions["service"].start()
    current_app.extensions["jobs"].start()
    print("Jobs are carried out here. Press Ctrl-C to stop.", flush=True)
    try:
        current_app.extensions["jobs"].wait()
    except KeyboardInterrupt:
        print("Stopped. What was under way goes on with the next worker.")

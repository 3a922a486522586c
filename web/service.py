"""The site's engine: loaded in the background, used by a few queries at a time, and reloaded when the store changes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from flask import current_app

from config import Settings
from utils.errors import Failed, WrongUse
from web.worker import Worker

if TYPE_CHECKING:
    from models.engine import Engine

T = TypeVar("T", bound="Following")

FOLLOW_SECONDS = 3.0  # between two checks whether the store has changed
PATIENCE_SECONDS = 1.0  # between two signs of life of what waits for spare time
RETRY_SECONDS = 10.0  # between two attempts to load the engine after a failure

EMPTY = (
    "There is no collection yet: put images into the folder of the dataset, then run create_list.py, train.py and "
    "pre_compute_descriptor.py. This site notices by itself when they are done."
)

log = logging.getLogger(__name__)


def without_folders(problem: str, settings: Settings) -> str:
    """A sentence of the engine's for people: what is to be done, without the folders of the server."""
    if problem.startswith("There is no collection"):
        return EMPTY
    output, store = str(settings.output), str(settings.output / "collection.lmdb")
    return problem.replace(store, "The collection").replace(output, "the folder of results")


class Following(Protocol):
    """What is kept up with a store: an engine, or on the site of the statistics what they need of one."""

    def is_current(self) -> bool: ...

    def refreshed(self: T) -> T: ...


class Unavailable(Exception):
    """The engine cannot answer now; carries a sentence, and the seconds after which to try again."""

    def __init__(self, sentence: str, seconds: int):
        super().__init__(sentence)
        self.seconds = seconds


class Service(Worker, Generic[T]):
    """The one engine of a process.

    open_engine: loads the engine; called in the background. ready: called with each engine, before its first query.
    shown: turns a sentence that is logged into one for people, which names no folder of the server.
    computing: number of queries computed at the same time. waiting: number of queries that may wait for their turn.
    """

    def __init__(
        self,
        open_engine: Callable[[], T],
        computing: int,
        waiting: int,
        ready: Callable[[T], None] = lambda _: None,
        shown: Callable[[str], str] = str,
    ):
        super().__init__("engine")
        self._open, self._ready, self._shown = open_engine, ready, shown
        self._computing = threading.BoundedSemaphore(computing)
        self._admitted = threading.BoundedSemaphore(computing + waiting)
        self._people = 0  # who compute or wait for their turn
        self._quiet = threading.Condition()  # tells when nobody does any more
        self._engine: T | None = None
        self._problem = ""

    @property
    def state(self) -> str:
        """ "ready", "warming up", or a sentence that says why the engine cannot be loaded."""
        return "ready" if self._engine is not None else self._shown(self._problem) or "warming up"

    @property
    def engine(self) -> T:
        """The current engine. Raises Unavailable while there is none."""
        engine = self._engine
        if engine is None:
            if self._problem:
                raise Unavailable(f"The search is not ready. {self._shown(self._problem)}", seconds=30)
            raise Unavailable("The search is starting up. Please try again in a few seconds.", seconds=5)
        return engine

    @contextmanager
    def turn(self) -> Iterator[T]:
        """Wait for a turn, and use the engine for as long as the context lasts.

        Raises Unavailable at once if the queue is full or there is no engine.
        """
        engine = self.engine
        if not self._admitted.acquire(blocking=False):
            raise Unavailable("The search is busy. Please try again in a few seconds.", seconds=3)
        try:
            self._count(1)
            with self._computing:
                yield engine
        finally:
            self._count(-1)
            self._admitted.release()

    @contextmanager
    def spare(self, waiting: Callable[[], None]) -> Iterator[T]:
        """Use the engine once nobody else does: what is done in the background waits until all people have answers.

        waiting: called once a second while it waits. Raises Unavailable while there is no engine.
        """
        engine = self.engine
        while not self._is_quiet():
            waiting()
        yield engine

    def _count(self, more: int) -> None:
        with self._quiet:
            self._people += more
            if not self._people:
                self._quiet.notify_all()

    def _is_quiet(self) -> bool:
        """Whether nobody computes or waits; waits for it for a second at most."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._people, PATIENCE_SECONDS)

    def _run(self) -> None:
        """Load the engine, and reload it whenever the store has changed and is complete."""
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                if self._engine is None:
                    self._take(self._open())
                elif not self._engine.is_current():
                    self._take(self._engine.refreshed())
                pause = FOLLOW_SECONDS
            except (WrongUse, Failed) as problem:
                pause = self._note_problem(str(problem))
            except Exception as problem:  # this thread must survive, or the site would never recover
                log.exception("The engine could not be loaded.")
                pause = self._note_problem(f"the engine could not be loaded ({type(problem).__name__}); see the log.")
            else:
                if time.monotonic() - started > 1:
                    log.info("The engine is ready.")
            self._stopped.wait(pause)

    def _take(self, engine: T) -> None:
        self._ready(engine)
        self._engine, self._problem = engine, ""

    def _note_problem(self, problem: str) -> float:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem
        return RETRY_SECONDS if self._engine is None else FOLLOW_SECONDS


def service() -> "Service[Engine]":
    """The site's engine; on the site of the statistics only what they need of one, which cannot be asked."""
    return current_app.extensions["service"]

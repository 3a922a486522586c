"""The engine as the site uses it: loaded in the background, asked by a few at a time, and following the store."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from flask import current_app

from utils.errors import Failed, WrongUse
from web.worker import Worker

if TYPE_CHECKING:
    from models.engine import Engine

T = TypeVar("T", bound="Following")

FOLLOW_SECONDS = 3.0  # between two looks whether the store has changed
RETRY_SECONDS = 10.0  # between two attempts to load the engine where it could not be had

log = logging.getLogger(__name__)


class Following(Protocol):
    """What is kept up with a store: an engine, or on the site of the statistics what they need of one."""

    def is_current(self) -> bool: ...

    def refreshed(self: T) -> T: ...


class Unavailable(Exception):
    """The engine cannot answer now; carries a sentence, and after how many seconds to try again."""

    def __init__(self, sentence: str, seconds: int):
        super().__init__(sentence)
        self.seconds = seconds


class Service(Worker, Generic[T]):
    """One engine a process.

    open_engine: loads the engine; called in the background. ready: told of each engine, before it answers anything.
    computing: questions that are computed at the same time. waiting: questions that wait for their turn.
    """

    def __init__(
        self,
        open_engine: Callable[[], T],
        computing: int,
        waiting: int,
        ready: Callable[[T], None] = lambda _: None,
    ):
        super().__init__("engine")
        self._open, self._ready = open_engine, ready
        self._computing = threading.BoundedSemaphore(computing)
        self._admitted = threading.BoundedSemaphore(computing + waiting)
        self._engine: T | None = None
        self._problem = ""

    @property
    def state(self) -> str:
        """ "ready", "warming up", or a sentence that says why the engine cannot be had."""
        return "ready" if self._engine is not None else self._problem or "warming up"

    @property
    def engine(self) -> T:
        """The engine as it is now; Unavailable while there is none."""
        engine = self._engine
        if engine is None:
            if self._problem:
                raise Unavailable(f"The search is not ready: {self._problem}", seconds=30)
            raise Unavailable("The search is warming up. Please try again in a few seconds.", seconds=5)
        return engine

    @contextmanager
    def turn(self) -> Iterator[T]:
        """Wait for one's turn, and have the engine for as long as the context lasts.

        Raises Unavailable at once where the line is full already, or where there is no engine.
        """
        engine = self.engine
        if not self._admitted.acquire(blocking=False):
            raise Unavailable("Many people are asking just now. Please try again in a few seconds.", seconds=3)
        try:
            with self._computing:
                yield engine
        finally:
            self._admitted.release()

    def _run(self) -> None:
        """Load the engine, and load it again whenever the store has changed and is whole."""
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                if self._engine is None:
                    self._take(self._open())
                elif not self._engine.is_current():
                    self._take(self._engine.refreshed())
                pause = FOLLOW_SECONDS
            except (WrongUse, Failed) as problem:
                pause = self._tell(str(problem))
            except Exception as problem:  # this thread must live: without it the site would never recover
                log.exception("The engine could not be loaded.")
                pause = self._tell(f"the engine could not be loaded ({type(problem).__name__}); the log says more.")
            else:
                if time.monotonic() - started > 1:
                    log.info("The engine is ready.")
            self._stopped.wait(pause)

    def _take(self, engine: T) -> None:
        self._ready(engine)
        self._engine, self._problem = engine, ""

    def _tell(self, problem: str) -> float:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem
        return RETRY_SECONDS if self._engine is None else FOLLOW_SECONDS


def service() -> "Service[Engine]":
    """The site's engine; on the site of the statistics only what they need of one, which cannot be asked."""
    return current_app.extensions["service"]

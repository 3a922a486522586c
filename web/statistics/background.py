"""Measurements that take too long for a page: they run in the background, and the last result is kept."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from utils.errors import Failed, WrongUse

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Background(Generic[Result]):
    """One measurement at a time, in a thread of its own."""

    def __init__(self):
        self.result: Result | None = None
        self.measured = 0.0  # seconds since the epoch
        self.problem = ""
        self.progress = (0, 0)  # what is done of how much, where the measurement says so
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, measure: Callable[[], Result], oldest: float = 0.0) -> None:
        """Start a measurement, unless one is running or was finished less than `oldest` seconds ago; does not wait."""
        with self._starting:
            if not self.is_running and time.time() - self.measured >= oldest:
                self.progress = (0, 0)
                self._thread = threading.Thread(target=self._run, args=(measure,), daemon=True)
                self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the measurement is done, for at most so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, measure: Callable[[], Result]) -> None:
        try:
            self.result, self.problem = measure(), ""
        except (WrongUse, Failed) as problem:
            self.problem = str(problem)
        except Exception:  # nobody else would hear of it
            log.exception("A measurement in the background failed.")
            self.problem = "The last measurement failed; the log says why."
        self.measured = time.time()

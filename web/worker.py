"""Work in the background for as long as the site runs."""

import threading


class Worker:
    """A thread that runs `_run` of a subclass until it is stopped; `_run` watches the event `_stopped`."""

    def __init__(self, name: str):
        self._name = name
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it is running; returns immediately."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop the background work, and wait for it to end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def wait(self) -> None:
        """Wait until somebody stops it."""
        self._stopped.wait()

    def _run(self) -> None:
        raise NotImplementedError

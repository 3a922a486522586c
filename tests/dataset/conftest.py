"""What the tests of both downloads share."""

import threading
from http.server import ThreadingHTTPServer

import pytest

from tests.dataset.server import Handler


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.lock, made.stop, made.dripping = threading.Lock(), threading.Event(), threading.Event()
    made.asked, made.headers, made.agents, made.answers = [], [], set(), {}
    made.in_flight = made.most_in_flight = 0
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.stop.set()
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty repository, as far as the script sees it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

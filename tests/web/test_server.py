"""The server: clients that only hold connections open do not keep others out."""

import contextlib
import socket
import threading
from http.client import HTTPConnection

import pytest

from web import server
from web.server import Guard

HALF = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf of"
WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def serve():
    """serve(application, Guard(...)): the port of a running server."""
    running = []

    def _serve(application, guard: Guard) -> int:
        made = server.make(application, "127.0.0.1", 0, threads=2, body_bytes=1000, guard=guard)
        thread = threading.Thread(target=made.run)
        thread.start()
        running.append((made, thread))
        return made.effective_port

    yield _serve
    for made, thread in running:
        made.trigger.pull_trigger(lambda made=made: made.asyncore.close_all(made._map))  # in its own thread
        thread.join(30)
        made.task_dispatcher.shutdown()


@pytest.fixture
def connect():
    """connect(port, what): a client that has sent that, and says no more."""
    with contextlib.ExitStack() as held:

        def _connect(port: int, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
            client = held.enter_context(socket.create_connection(("127.0.0.1", port), 10, (source, 0)))
            client.sendall(sent)
            return client

        yield _connect


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def answer(port: int, source: str = "127.0.0.1") -> bytes:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10, source_address=(source, 0))) as connection:
        connection.request("GET", "/")
        return connection.getresponse().read()


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.05)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_idle_clients_and_half_requests_keep_nobody_out(serve, connect):
    port = serve(hello, Guard(connections=20, of_one_address=20))
    clients = [connect(port, b"" if number % 5 else HALF) for number in range(40)]
    assert answer(port) == b"hello"
    assert sum(map(is_closed, clients)) == 21


def test_who_is_idle_goes_before_who_is_sending_and_the_longest_silent_first(serve, connect):
    port = serve(hello, Guard(connections=3, of_one_address=3))
    sending, first, second = connect(port, HALF), connect(port), connect(port)
    assert answer(port) == b"hello"
    assert [is_closed(client) for client in (sending, first, second)] == [False, True, False]


def test_one_address_has_its_share_and_others_theirs(serve, connect):
    port = serve(hello, Guard(connections=20, of_one_address=3))
    other = [connect(port, source="127.0.0.2") for _ in range(3)]
    own = [connect(port, source="127.0.0.3") for _ in range(5)]
    assert answer(port, "127.0.0.3") == b"hello"
    assert not any(map(is_closed, other)) and sum(map(is_closed, own)) == 3


def test_an_address_whose_requests_are_all_at_work_is_refused_one_more(serve, connect):
    working, finish = threading.Semaphore(0), threading.Event()

    def slow(environ, start_response):
        working.release()
        assert finish.wait(30)
        return hello(environ, start_response)

    port = serve(slow, Guard(connections=20, of_one_address=2))
    clients = [connect(port, WHOLE, "127.0.0.2") for _ in range(2)]
    assert working.acquire(timeout=30) and working.acquire(timeout=30)
    assert is_closed(connect(port, WHOLE, "127.0.0.2"))
    finish.set()
    assert answer(port) == b"hello"
    for client in clients:
        assert client.recv(15) == b"HTTP/1.1 200 OK"

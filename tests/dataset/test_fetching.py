"""Fetching, against a server on 127.0.0.1 that misbehaves; the tests of both downloads try more of it."""

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from dataset import fetching
from dataset.fetching import Edition, Fetcher
from tests.dataset.server import RED, give


def test_retry_after_is_a_number_or_a_date():
    soon = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=100), usegmt=True)
    assert fetching.retry_after("12") == 12
    assert 90 < fetching.retry_after(soon) <= 100
    assert fetching.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [fetching.retry_after(text) for text in ("", "soon", "-5", "9" * 40)] == [None] * 4


def test_half_a_write_leaves_nothing(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        fetching.save(place / "00000/a.jpg", RED)
    assert list((place / "00000").iterdir()) == []


def test_no_connection_is_worth_another_try(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fetching.open_session("A test", "*/*") as session, pytest.raises(fetching.TryAgain, match="no connection"):
        fetching.fetch_once(session, "http://127.0.0.1:1/art/a.jpg", 1000)


def test_pauses_are_between_requests_to_the_same_host(server, monkeypatch):
    waits = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    server.answers = {"/a": [give(RED)]}
    other = server.url.replace("127.0.0.1", "localhost")
    with Fetcher("A test", "*/*", pause=2, retries=0) as fetcher:
        for address in (server.url, other, server.url, other):
            assert fetcher.get(address + "/a", 100_000).data == RED
            waits.append(address)
    assert waits == [server.url, other, 2, server.url, 2, other]


def conditional(etag: str, data: bytes):
    """Answers 304 to whoever names the ETag."""

    def answer(handler):
        same = handler.headers["If-None-Match"] == etag
        (give(b"", 304) if same else give(data, ETag=etag))(handler)

    return answer


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (conditional('"1"', RED), conditional('"1"', RED), False),
        (conditional('"1"', RED), conditional('"2"', RED), True),
        (give(RED, ETag='"1"'), give(RED, ETag='"1"'), False),  # the server knows no conditional requests
        (give(RED, Last_Modified="Mon, 05 Jan 2026 00:00:00 GMT"), give(RED, Last_Modified="today"), True),
        (give(RED), give(RED), False),  # the length is all there is
        (give(RED), give(RED + b"!"), True),
        (give(RED), lambda handler: (handler.send_response(200), handler.end_headers()), False),  # it says nothing
        (give(RED), give(RED, ETag='"1"'), True),
    ],
)
def test_an_edition_that_is_known_is_not_fetched_again(server, old, new, changed):
    server.answers = {"/a": [old, new]}
    with Fetcher("A test", "*/*", pause=0, retries=0) as fetcher:
        first = fetcher.get(server.url + "/a", 100_000)
        second = fetcher.get(server.url + "/a", 100_000, first.edition)
    assert first.edition.size == len(RED)
    assert (second is not None) == changed


def test_a_304_that_nobody_asked_for_is_no_file(server):
    server.answers = {"/a": [give(b"", 304)]}
    with Fetcher("A test", "*/*", 0, 0) as fetcher, pytest.raises(fetching.NotFetched, match="status 304"):
        fetcher.get(server.url + "/a", 1000, Edition(size=12))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/a", "a.jpg", "http://", "http://[", "//host/a"])
def test_what_is_no_web_address(address):
    assert not fetching.is_web_address(address)
    with Fetcher("A test", "*/*", 0, 0) as fetcher, pytest.raises(fetching.NotFetched, match="usable address"):
        fetcher.get(address, 1000)

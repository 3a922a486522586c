"""Fetching files from other people's servers: politely, within limits, and whole or not at all.

One request at a time, a pause between two to the same host, a longer one before every retry or as long as the server
asks for. Only http and https; private addresses are allowed, because the operator names the server.
"""

import email.utils
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from utils.errors import Failed, WrongUse
from utils.files import hold, write

TIMEOUTS = (10, 30)  # seconds to connect, seconds between two pieces of the answer
MAX_SECONDS = 120  # for the whole of one file, which stops a server that sends a byte now and then, and
SLOW = 200_000  # bytes: one second more for each so many, for large files
MAX_WAIT = 300  # seconds, whatever Retry-After says
MAX_IN_A_ROW = 10  # files without an answer, after which the server is taken to be away
MAX_REDIRECTS = 5
FOLDER_SIZE = 3000  # pictures, or works, that share a sub-folder


class NotFetched(Exception):
    """This file cannot be had now; asking again at once would not help. `status`: of the answer, 0 without one."""

    def __init__(self, reason: str, status: int = 0):
        super().__init__(reason)
        self.status = status


class TryAgain(NotFetched):
    """The server or the line had a bad moment. `wait`: seconds the server asks for, None where it does not say."""

    def __init__(self, reason: str, wait: float | None = None, status: int = 0):
        super().__init__(reason, status)
        self.wait = wait


@dataclass(frozen=True)
class Edition:
    """What tells one edition of a file from the next; what the server did not say is empty, or 0."""

    etag: str = ""
    modified: str = ""  # Last-Modified, as the server wrote it
    size: int = 0  # bytes


@dataclass(frozen=True)
class Fetched:
    """A file's bytes, and which edition they are."""

    data: bytes
    edition: Edition


class Fetcher:
    """Fetches files one after the other; use it in a `with` block.

    agent: the User-Agent, which names the project. accept: the Accept header.
    pause: seconds between two requests to one host; doubles with every retry. retries: of one file.
    """

    def __init__(self, agent: str, accept: str, pause: float, retries: int):
        self.pause, self.retries = pause, retries
        self.in_a_row = 0  # files without an answer
        self._hosts: set[str] = set()  # those asked before
        self._session = open_session(agent, accept)

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_) -> None:
        self._session.close()

    def get(self, address: str, max_bytes: int, known: Edition | None = None) -> Fetched | None:
        """A file, or None where it is still the edition that is `known`. Raises NotFetched, with the reason."""
        host = host_of(address)
        if host in self._hosts:
            time.sleep(self.pause)
        self._hosts.add(host)
        try:
            fetched = self._patiently(address, max_bytes, known)
        except NotFetched as problem:
            self.in_a_row = self.in_a_row + 1 if isinstance(problem, TryAgain) else 0
            raise
        self.in_a_row = 0
        return fetched

    def _patiently(self, address: str, max_bytes: int, known: Edition | None) -> Fetched | None:
        for attempt in range(1, self.retries + 2):
            try:
                return fetch_once(self._session, address, max_bytes, known)
            except TryAgain as problem:
                if attempt > self.retries:
                    raise
                wait = self.pause * 2**attempt if problem.wait is None else max(problem.wait, self.pause)
                time.sleep(min(wait, MAX_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def stop_if_away(self, address: str, problem: NotFetched) -> None:
        """Raise Failed where the server seems to be away: many files in a row had no answer, this one the last."""
        if self.in_a_row >= MAX_IN_A_ROW:
            raise Failed(
                f"{host_of(address)} does not answer ({problem}), {self.in_a_row} files in a row; "
                "repeat the command later to continue."
            )


def open_session(agent: str, accept: str) -> requests.Session:
    """A session that follows few and short redirects, to http and https only."""
    session = requests.Session()
    # Without compression the announced length is that of the file, and nothing small swells into something huge.
    session.headers.update({"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity"})
    session.max_redirects = MAX_REDIRECTS
    session.hooks["response"].append(no_long_redirect)
    return session


def host_of(address: str) -> str:
    """The host of an address with its port: what pauses are kept for."""
    try:
        return urlsplit(address).netloc.rpartition("@")[2].casefold()
    except ValueError:
        return ""


def is_web_address(address: str) -> bool:
    """Whether it is a complete http or https address."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def fetch_once(session: requests.Session, address: str, max_bytes: int, known: Edition | None = None) -> Fetched | None:
    """One request. Raises TryAgain where another may do better, else NotFetched; None as Fetcher.get says."""
    asked = {}
    if known and known.etag:
        asked["If-None-Match"] = known.etag
    if known and known.modified:
        asked["If-Modified-Since"] = known.modified
    try:
        with session.get(address, stream=True, timeout=TIMEOUTS, headers=asked) as response:
            status = response.status_code
            if status == 304 and asked:
                return None
            if status == 429 or status >= 500:
                raise TryAgain(f"status {status}", retry_after(response.headers.get("Retry-After", "")), status)
            if status != 200:
                raise NotFetched(f"status {status}", status)
            if known and is_same(response, known):
                return None
            data = body(response, max_bytes)
            headers = response.headers
            edition = Edition(headers.get("ETag", "")[:1000], headers.get("Last-Modified", "")[:1000], len(data))
            return Fetched(data, edition)
    except (ValueError, requests.TooManyRedirects) as problem:
        raise NotFetched(f"not a usable address ({type(problem).__name__})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as problem:
        raise TryAgain(f"no connection, or broken off ({type(problem).__name__})") from None


def is_same(response: requests.Response, known: Edition) -> bool:
    """Whether an answer is the known edition, for servers that know no conditional requests, by its headers alone.

    Where the server names neither ETag nor date, the length decides, if it is known; where the server names nothing at
    all, the file is taken to be the same: fetching everything again each time would not be polite.
    """
    headers = response.headers
    if known.etag or headers.get("ETag"):
        return known.etag == headers.get("ETag", "")
    if known.modified or headers.get("Last-Modified"):
        return known.modified == headers.get("Last-Modified", "")
    return known.size > 0 and headers.get("Content-Length", str(known.size)) == str(known.size)


def body(response: requests.Response, max_bytes: int) -> bytes:
    """What was sent, at most `max_bytes`, not endlessly slowly; urllib3 raises where it is cut off."""
    too_large = NotFetched(f"larger than {max_bytes // 1_000_000} MB")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise too_large
    data = bytearray()
    end = time.monotonic() + MAX_SECONDS
    # read1 gives what has arrived; read would wait for a full piece, however slowly the bytes come.
    while piece := response.raw.read1(65536, decode_content=True):
        data += piece
        if len(data) > max_bytes:
            raise too_large
        if time.monotonic() > end + len(data) / SLOW:
            raise TryAgain(f"not complete after {MAX_SECONDS + len(data) // SLOW} s")
    return bytes(data)


def no_long_redirect(response: requests.Response, **_) -> None:
    """Requests reads the page of a redirect in full, whatever its length: refuse one that is no short note."""
    if response.is_redirect and len(response.raw.read(65537)) > 65536:
        raise NotFetched("a redirect without end")


def retry_after(text: str) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date (RFC 9110, 10.2.3); None for neither."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())


def save(path: Path, data: bytes) -> None:
    """Write the file so that it is there whole or not at all, whatever happens meanwhile."""
    make_folder(path.parent)
    write(path, data)


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise WrongUse(f"{path} must be a folder but is a file: move it or choose another.") from None


def is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


@contextmanager
def only_one(dataset: Path) -> Iterator[None]:
    """Make the dataset's folder and hold it against a second download, which would double the server's load."""
    make_folder(dataset)
    folder = os.open(dataset, os.O_RDONLY)
    try:
        hold(folder, f"Another download into {dataset} is running: wait until it has finished.")
        yield
    finally:
        os.close(folder)  # lets go of the lock as well

"""People who ask at once: what the site answers them, how long they wait, and how much memory it takes.

Examples:
  python benchmarks/load.py                                  over the demonstration: ./demo.sh --no-serve makes it
  python benchmarks/load.py --people 32 --queries 500
  python benchmarks/load.py --people 8 --batch 500           while a batch is answered in the background
  python benchmarks/load.py --output output/museum --dataset output/museum/pictures --photographs FOLDER

The site runs as `python app.py` does, with a database of its own. Each photograph is asked alone first; then all people
ask at the same time, each again as soon as the answer is there, and what they are told has to be what was told before.
Who is told to come back (503) does so after as many seconds as the site says. A batch is given once each photograph has
been asked alone, and goes on whenever nobody asks.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests

from benchmarks.measure import ROOT, table
from config import Settings
from utils import script
from utils.errors import Failed, WrongUse

PATIENCE = 120.0  # seconds until the site has to be ready, and for one answer
PICTURES = (".jpg", ".jpeg", ".png")


@dataclass
class Seen:
    """What all people were told; threads append to the lists."""

    seconds: list[float] = field(default_factory=list)  # from sending a photograph to its answer
    waited: list[float] = field(default_factory=list)  # the same with the times of being told to come back
    codes: Counter = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)  # MiB, in the course of the run
    wrong: list[str] = field(default_factory=list)  # answers that are not those of their photograph


def main(argv: Sequence[str] | None = None) -> None:
    settings = Settings.read()
    options = _options(argv)
    photographs = photographs_in(options.photographs)
    with tempfile.TemporaryDirectory() as scratch:
        settings = replace(
            settings, dataset=options.dataset, output=options.output, database=Path(scratch), database_url=""
        )
        tokens = people(settings, options.people)
        with site(settings) as (address, process):
            seen = _ask_all(address, process, tokens, photographs, options)
    _print_report(seen, options)
    if seen.wrong or set(seen.codes) - {200, 201, 503}:
        raise Failed("There were errors, or answers that belong to another photograph.")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    parser.add_argument("--people", type=script.positive, default=32, help="who ask at once (%(default)s)")
    parser.add_argument("--queries", type=script.positive, default=500, help="in all (%(default)s)")
    parser.add_argument("--batch", type=int, default=0, help="photographs of a batch meanwhile (%(default)s)")
    parser.add_argument("--pause", type=float, default=0, help="seconds between an answer and the next (%(default)s)")
    add_folders(parser)
    return parser.parse_args(argv)


def photographs_in(folder: Path) -> list[Path]:
    """The photographs to ask about. Raises WrongUse if there are none."""
    photographs = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not photographs:
        raise WrongUse(f"There are no photographs in {folder}: name a folder with --photographs.")
    return photographs


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The options that name a collection, and photographs to ask it about."""
    parser.add_argument("--output", type=Path, default=Path("output/demo"), help="the collection (%(default)s)")
    parser.add_argument("--dataset", type=Path, default=Path("dataset/demo/images"), help="its pictures (%(default)s)")
    parser.add_argument("--photographs", type=Path, default=Path("dataset/demo/queries"), help="(%(default)s)")


def people(settings: Settings, count: int) -> list[str]:
    """Accounts with a token each: the tokens."""
    import hashlib
    import secrets

    from app import create_app
    from database.tables import Token, User, db, now

    tokens = [secrets.token_urlsafe(32) for _ in range(count)]
    app = create_app(settings)
    with app.app_context():
        for number, token in enumerate(tokens):
            name = f"person{number}"
            user = User(username=name, email=f"{name}@example.com", email_confirmed_at=now(), password="!")
            db.session.add(user)
            db.session.flush()
            db.session.add(Token(user_id=user.id, name="load", digest=hashlib.sha256(token.encode()).hexdigest()))
        db.session.commit()
        db.engine.dispose()
    return tokens


@contextmanager
def site(settings: Settings):
    """(address, process) of the site, ready to answer; ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    for name in ("dataset", "output", "database"):
        environment[f"RETRIEVAL_{name.upper()}"] = str(getattr(settings, name).absolute())
    environment["RETRIEVAL_PORT"] = str(port)
    process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=sys.stderr)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process)
        yield address, process
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen) -> None:
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE and process.poll() is None:
        try:
            if requests.get(f"{address}/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    raise Failed("The site did not become ready; the lines above say why.")


def _ask_all(
    address: str, process: subprocess.Popen, tokens: list[str], photographs: list[Path], options: argparse.Namespace
) -> Seen:
    every, photographs = photographs, photographs[: len(tokens)]
    told = [_ask(address, tokens[0], photograph)[1] for photograph in photographs]
    seen, left, lock = Seen(), iter(range(options.queries)), threading.Lock()
    batch = _give_batch(address, tokens[0], every, options.batch) if options.batch else None

    def person(number: int) -> None:
        while True:
            with lock:
                turn = next(left, None)
            if turn is None:
                return
            place = (number + turn) % len(photographs)
            said = _until_answered(address, tokens[number], photographs[place], seen)
            if said is not None and said != told[place]:
                seen.wrong.append(f"{photographs[place].name}: {said} in place of {told[place]}")
            if turn % 50 == 0:
                seen.memory.append(memory(process.pid))
            time.sleep(options.pause)

    with ThreadPoolExecutor(len(tokens)) as pool:
        list(pool.map(person, range(len(tokens))))
    seen.memory.append(memory(process.pid))
    if batch:
        done = requests.get(batch, headers={"Authorization": f"Bearer {tokens[0]}"}, timeout=PATIENCE).json()
        print(f"of the batch, {done['answered']} of {done['photographs']} were answered meanwhile")
    return seen


def _give_batch(address: str, token: str, photographs: list[Path], count: int) -> str:
    """Send a ZIP of so many photographs; the address at which the API tells how far it is."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for number in range(count):
                photograph = photographs[number % len(photographs)]
                archive.write(photograph, f"{number}{photograph.suffix}")
        file.seek(0)
        headers = {"Authorization": f"Bearer {token}"}
        files = {"files": ("batch.zip", file)}
        given = requests.post(f"{address}/api/v1/batches", files=files, headers=headers, timeout=PATIENCE)
    given.raise_for_status()
    return address + given.headers["Location"]


def _until_answered(address: str, token: str, photograph: Path, seen: Seen) -> tuple | None:
    """Ask, and come back when told to; None where the site failed."""
    first = time.monotonic()
    while True:
        started = time.monotonic()
        response, said = _ask(address, token, photograph)
        seen.codes[response.status_code] += 1
        if response.ok:
            seen.seconds.append(time.monotonic() - started)
            seen.waited.append(time.monotonic() - first)
            return said
        if response.status_code != 503:
            return None
        time.sleep(int(response.headers["Retry-After"]))


def _ask(address: str, token: str, photograph: Path) -> tuple[requests.Response, tuple | None]:
    """The response, and of an answer what must be the same each time."""
    with photograph.open("rb") as file:
        response = requests.post(
            f"{address}/api/v1/search",
            files={"picture": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
        )
    if not response.ok:
        return response, None
    answer = response.json()
    return response, (answer["verdict"], answer["work"] and answer["work"]["id"])


def memory(process: int) -> int:
    """MiB that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024


def _print_report(seen: Seen, options: argparse.Namespace) -> None:
    rows = [
        [
            name,
            f"{statistics.median(values):.2f}",
            f"{statistics.quantiles(values, n=20)[-1]:.2f}",
            f"{max(values):.2f}",
        ]
        for name, values in (("one request", seen.seconds), ("with coming back", seen.waited))
    ]
    print(f"{options.people} people, {options.queries} queries; seconds until the answer:")
    print(table(["", "median", "95th percentile", "longest"], rows))
    answered = sum(count for code, count in seen.codes.items() if code < 300)
    others = {code: count for code, count in seen.codes.items() if code >= 300 and code != 503}
    print(f"{answered} answered, {seen.codes[503]} times told to come back, other errors: {others or 'none'}")
    print(f"answers that belong to another photograph, or differ from the one given alone: {len(seen.wrong)}")
    for line in seen.wrong[:5]:
        print(f"  {line}")
    print(f"memory of the site, MiB, every 50 queries: {', '.join(map(str, seen.memory))}")


if __name__ == "__main__":
    script.run(main)

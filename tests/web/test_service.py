"""The engine as the site uses it: loaded in the background, asked by a few at a time, following the store."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import small_collection
from utils.errors import WrongUse
from web.service import Service, Unavailable

SOON = 60.0  # seconds; more than it takes on a busy machine


class Engine:
    """Stands in for the real one: the service only asks whether it is current, and for the next."""

    def __init__(self, name: str = "first"):
        self.name, self.current, self.next = name, True, None

    def is_current(self) -> bool:
        return self.current

    def refreshed(self) -> "Engine":
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


@pytest.fixture
def made(monkeypatch):
    """made(open_engine, ...): a started service, stopped after the test; it looks at the store all the time."""
    monkeypatch.setattr("web.service.FOLLOW_SECONDS", 0.01)
    monkeypatch.setattr("web.service.RETRY_SECONDS", 0.01)
    services = []

    def make(open_engine, computing=1, waiting=1, **options) -> Service:
        services.append(Service(open_engine, computing, waiting, **options))
        services[-1].start()
        return services[-1]

    yield make
    for service in services:
        service.stop()


def until(condition) -> None:
    """Wait until it holds."""
    waiting = threading.Event()
    for _ in range(int(SOON / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("It did not come to hold.")


def test_it_says_that_it_is_warming_up_until_the_engine_is_there(made):
    go = threading.Event()
    service = made(lambda: go.wait(SOON) and Engine())
    assert service.state == "warming up"
    with pytest.raises(Unavailable, match="starting up") as told, service.turn():
        pass
    assert told.value.seconds > 0
    go.set()
    until(lambda: service.state == "ready")
    with service.turn() as engine:
        assert engine.name == "first"


def test_it_says_what_is_missing_and_looks_again(made):
    problems = [WrongUse("There is no collection in output: run train.py first."), RuntimeError("boom")]
    seen = []

    def open_engine():
        if problems:
            raise problems.pop(0)
        return Engine()

    service = Service(open_engine, 1, 1)
    states = iter(lambda: service.state, "ready")
    service.start()
    for state in states:
        seen.append(state)
    service.stop()
    assert "There is no collection in output: run train.py first." in seen
    assert service.engine.name == "first"


def test_it_loads_once_however_many_start_it(made):
    loaded = []
    service = made(lambda: loaded.append(1) or Engine())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: service.start(), range(8)))
    until(lambda: service.state == "ready")
    assert loaded == [1]


def test_one_more_than_the_line_holds_is_told_at_once_to_come_back(made):
    service = made(Engine, computing=2, waiting=3)
    until(lambda: service.state == "ready")
    go, inside = threading.Event(), threading.Semaphore(0)
    computing, most = [], []

    def ask():
        with service.turn():
            computing.append(1)
            most.append(len(computing))
            inside.release()
            go.wait(SOON)
            computing.pop()

    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask) for _ in range(5)]
        assert inside.acquire(timeout=SOON) and inside.acquire(timeout=SOON)
        until(lambda: service._admitted._value == 0)  # all five are in, two of them computing
        with pytest.raises(Unavailable, match="The search is busy") as told, service.turn():
            pass
        assert told.value.seconds > 0
        go.set()
        for one in asked:
            one.result(SOON)
    assert max(most) == 2
    with service.turn() as engine:  # and all places are free again
        assert engine.name == "first"


def test_a_question_that_fails_gives_its_place_back(made):
    service = made(Engine, computing=1, waiting=0)
    until(lambda: service.state == "ready")
    for _ in range(3):
        with pytest.raises(ValueError), service.turn():
            raise ValueError
    with service.turn() as engine:
        assert engine.name == "first"


def test_it_follows_the_store_and_keeps_the_old_engine_while_the_new_one_cannot_be_had(made):
    first, second, told = Engine(), Engine("second"), []
    service = made(lambda: first, ready=lambda engine: told.append(engine.name))
    until(lambda: service.state == "ready")
    first.next = WrongUse("output/collection.lmdb is not complete: run train.py again.")
    first.current = False
    until(lambda: service._problem)
    assert (service.state, service.engine.name) == ("ready", "first")
    first.next = second
    until(lambda: service.engine is second)
    assert told == ["first", "second"]


def test_the_real_engine_follows_a_real_store(made, collection, tmp_path):
    """An image that the scripts delete is no longer answered with, without a restart."""
    from models.engine import Engine as RealEngine

    shutil.copytree(collection / "output", tmp_path / "output")
    service = made(lambda: RealEngine.open(tmp_path / "output", collection / "images", small_collection.SETTINGS))
    until(lambda: service.state != "warming up")
    gone, path = next(iter(service.engine.images.items()))
    picture = collection / "images" / path
    assert service.engine.ask(picture).after[0].id == gone
    script = "import sys; from pathlib import Path; from models.collection.store import Store\n"
    script += "with Store.writing(Path(sys.argv[1]), 1) as store: store.delete([sys.argv[2]])"
    subprocess.run([sys.executable, "-c", script, tmp_path / "output", path], check=True)  # as the scripts: elsewhere
    until(lambda: gone not in service.engine.images)
    answer = service.engine.ask(picture)
    assert gone not in [candidate.id for candidate in answer.after]

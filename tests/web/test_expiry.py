"""What goes by itself: old photographs, those that nobody asked about, and files that belong to nothing."""

import os
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

import app as command
from database.tables import Answer, Photograph, Query, db, now
from tests.web.asked import add_photograph, add_query, count, files
from web import expiry
from web.expiry import Sweeper, sweep

MOMENT = datetime(2026, 6, 1, 12)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def swept(site, member):
    """swept(): sweep Ada's site at MOMENT."""

    def at_the_moment(a_site=site):
        with a_site.app_context():
            return sweep(MOMENT)

    return at_the_moment


def _left_over(site, name: str, age: timedelta) -> None:
    folder = site.extensions["uploads"].folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    written = (MOMENT - age).replace(tzinfo=timezone.utc).timestamp()
    os.utime(folder / name, (written, written))


def test_what_is_older_than_the_setting_goes_with_all_that_belongs_to_it(site, swept):
    old = add_query(site, "ada", at=MOMENT - 365 * DAY - SECOND)
    young = add_query(site, "ada", at=MOMENT - 365 * DAY + SECOND)
    assert swept() == (1, 0)
    with site.app_context():
        assert db.session.get(Query, old) is None
        photograph = db.session.get(Query, young).photograph_id
    assert count(site, Answer) == count(site, Photograph) == 1
    assert files(site) == {f"{photograph}.jpg"}


def test_the_exact_copy_of_a_photograph_is_kept_for_a_day(site, swept):
    uploads = site.extensions["uploads"]
    for name, age in (("old", DAY + SECOND), ("young", DAY - SECOND)):
        uploads.write_exact(name, np.zeros((60, 80, 3), np.uint8))
        written = (MOMENT - age).replace(tzinfo=timezone.utc).timestamp()
        os.utime(uploads.exact / f"{name}.png", (written, written))
    swept()
    assert uploads.read_exact("old") is None and uploads.read_exact("young").shape == (60, 80, 3)
    uploads.delete("young")
    assert not list(uploads.exact.iterdir())


def test_the_setting_decides_how_long(make_site, swept):
    from tests.web.conftest import add_user

    site = make_site(keep_days=10)
    add_user(site, "eve")
    add_query(site, "eve", at=MOMENT - 11 * DAY)
    add_query(site, "eve", at=MOMENT - 9 * DAY)
    assert swept(site) == (1, 0) and count(site, Query) == 1


@pytest.mark.parametrize("keep_days", [0, 10**9])
def test_zero_or_more_days_than_there_are_keep_everything(keep_days, make_site, swept):
    from tests.web.conftest import add_user

    site = make_site(keep_days=keep_days)
    add_user(site, "eve")
    add_query(site, "eve", at=MOMENT - 9999 * DAY)
    assert swept(site) == (0, 0) and count(site, Query) == 1


def test_a_photograph_that_nobody_asked_about_is_kept_for_a_day(site, swept):
    add_photograph(site, "ada", MOMENT - DAY - SECOND)
    young = add_photograph(site, "ada", MOMENT - DAY + SECOND)
    assert swept() == (1, 0) and files(site) == {f"{young}.jpg"}


def test_files_without_a_row_go_after_a_day(site, swept):
    known = add_photograph(site, "ada", MOMENT)
    for name in ("orphan.jpg", "orphan.small.jpg", "orphan.0a0b.part", f"{known}.0a0b.part", "notes.txt"):
        _left_over(site, name, DAY + SECOND)
    for name in ("young.jpg", "young.0a0b.part"):
        _left_over(site, name, DAY - SECOND)
    for name in (f"{known}.jpg", f"{known}.small.jpg"):
        _left_over(site, name, 5 * DAY)
    assert swept() == (0, 4)
    assert files(site) == {"notes.txt", "young.jpg", "young.0a0b.part", f"{known}.jpg", f"{known}.small.jpg"}


def test_more_than_a_statement_holds(site, swept, monkeypatch):
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        add_query(site, "ada", at=MOMENT - 999 * DAY)
    for number in range(5):
        _left_over(site, f"orphan-{number}.jpg", 2 * DAY)
    assert swept() == (5, 5)
    assert not files(site) and count(site, Answer) == 0


def test_several_processes_may_sweep_at_once(site, swept):
    for number in range(20):
        add_query(site, "ada", at=MOMENT - 999 * DAY)
        _left_over(site, f"orphan-{number}.jpg", 2 * DAY)
    problems = []

    def one():
        try:
            swept()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and not files(site) and count(site, Photograph) == 0


def test_there_may_be_nothing_at_all(swept):
    assert swept() == (0, 0)


def test_it_runs_in_the_background_again_and_again(site, member, monkeypatch):
    monkeypatch.setattr(expiry, "FIRST_SECONDS", 0)
    monkeypatch.setattr(expiry, "PAUSE_SECONDS", 0)
    calls, enough = [], threading.Event()

    def broken_once():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("no space left on device")
        sweep()
        enough.set()

    monkeypatch.setattr(expiry, "sweep", broken_once)
    add_query(site, "ada", at=now() - 999 * DAY)
    sweeper = Sweeper(site)
    sweeper.start()
    sweeper.start()  # it is one all the same
    assert enough.wait(20)
    sweeper.stop()
    assert count(site, Query) == 0


def test_the_command_does_it_and_tells(site, member, monkeypatch, capsys):
    add_query(site, "ada", at=now() - 999 * DAY)
    monkeypatch.setattr(command, "create_app", lambda **config: site)
    monkeypatch.setattr("sys.argv", ["app.py", "sweep"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert not ended.value.code
    assert "with their answers: 1." in capsys.readouterr().out and count(site, Query) == 0

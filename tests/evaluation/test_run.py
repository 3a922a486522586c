"""The run: interrupted, resumed, begun anew, and swapped in whole."""

import csv
import itertools
import os
import signal
import sys
from dataclasses import replace

import pytest

from config import ANSWER_SETTINGS, Settings
from models.answer import Verdict
from models.evaluation import records
from models.evaluation.queries import transformed_queries
from models.evaluation.run import _identity, evaluate
from tests.evaluation.stand_in import IMAGES, alone, answer, candidate, paint, rows, run
from utils.errors import WrongUse


def test_an_interrupted_run_goes_on_and_ends_with_the_same_answers(engine, museum, place):
    run(engine, museum, place)
    whole = rows(place)
    good = engine.answers["4 false.png"]
    engine.asked.clear()

    engine.answers["4 false.png"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    assert rows(place) == whole  # the earlier result stays
    log = place.parent / ".photographs.partial" / "answers.jsonl"
    with log.open("ab") as file:  # the line that was being written
        file.write(b'{"file": "4 fal')

    engine.answers["4 false.png"] = good
    engine.asked.clear()
    summary = run(engine, museum, place)
    assert [name for name, _ in engine.asked] == sorted(engine.answers)[3:]
    assert summary["queries"] == 6
    assert rows(place) == whole
    assert sorted(path.name for path in place.parent.iterdir()) == ["photographs"]
    assert not (place / "answers.jsonl").exists()


@pytest.mark.parametrize("change", ["thresholds", "calibration", "settings", "query", "ground truth", "collection"])
def test_an_interrupted_run_of_another_kind_starts_anew(engine, museum, place, change):
    good, engine.answers["4 false.png"] = engine.answers["4 false.png"], KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    engine.answers["4 false.png"] = good
    engine.asked.clear()
    settings = Settings()
    if change == "thresholds":
        engine.thresholds = {"similarity": 0.6}
    elif change == "calibration":
        engine.calibration = {"sentence": "Calibrated anew."}
    elif change == "settings":
        settings = Settings(shortlist=50)
    elif change == "query":
        paint(museum / "1 right.png", 77)
    elif change == "ground truth":
        (museum / "ground_truth.csv").write_text("query,relevant\n1 right.png,\n")
    else:
        engine.images = IMAGES | {9: "c/new.png"}
    run(engine, museum, place, settings)
    assert len(engine.asked) == 7


def test_settings_that_shape_no_answer_do_not_keep_a_run_from_resuming(engine, museum, place):
    good, engine.answers["4 false.png"] = engine.answers["4 false.png"], KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    engine.answers["4 false.png"] = good
    engine.asked.clear()
    run(engine, museum, place, Settings(title="The museum", port=8080, workers=1))
    assert [name for name, _ in engine.asked] == sorted(engine.answers)[3:]


@pytest.mark.parametrize("name", ANSWER_SETTINGS)
def test_each_setting_that_shapes_answers_identifies_a_run(engine, name):
    value = getattr(Settings(), name)
    other = replace(Settings(), **{name: "Flat" if isinstance(value, str) else value + 1})
    assert _identity(engine, [], other) != _identity(engine, [], Settings())


def test_a_run_killed_while_swapping_brings_the_earlier_result_back(engine, museum, place):
    run(engine, museum, place)
    place.rename(place.parent / ".photographs.old")
    engine.answers["1 right.png"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    assert (place / "summary.json").is_file()


def killed_at(step: int, work) -> bool:
    """Whether work(), in a process of its own, was killed before its step of that number: a change to the disk."""
    child = os.fork()
    if not child:
        steps = itertools.count(1)

        def count(event, arguments):
            changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "ctypes.dlopen")
            if (changes or (event == "open" and "w" in str(arguments[1]))) and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("can_exchange", [True, False])
def test_killed_at_any_moment_a_whole_result_stays_and_the_next_run_ends(
    engine, museum, place, can_exchange, monkeypatch
):
    if not can_exchange:
        monkeypatch.setattr("utils.files.exchange", lambda one, other: False)
    run(engine, museum, place)
    whole = rows(place)
    step = 1
    while killed_at(step, lambda: run(engine, museum, place)):
        assert not can_exchange or (rows(place) == whole and records.read(place)[0]["queries"] == 6), step
        if step % 4 == 0:  # else the next one is killed over what this one has left
            run(engine, museum, place)
            assert rows(place) == whole
            assert sorted(path.name for path in place.parent.iterdir()) == ["photographs"]
            assert sorted(path.name for path in place.iterdir()) == [
                "answers.csv",
                "answers.xlsx",
                "pictures",
                "queries.csv",
                "report.html",
                "summary.json",
            ]
        step += 1
    assert step > 10


def test_a_second_run_on_the_same_place_is_refused(engine, museum, place):
    def meanwhile(engine, exclude):
        with pytest.raises(WrongUse, match="Another run"):
            run(engine, museum, place)
        return answer(Verdict.NOT_FOUND, [])

    engine.answers["1 right.png"] = meanwhile
    assert run(engine, museum, place)["queries"] == 6


def test_transformed_copies_are_asked_as_pictures_in_memory(engine, place):
    def asked(engine, exclude):
        return answer(Verdict.FOUND, [candidate(IMAGES, image) for image in IMAGES if image not in exclude])

    engine.answers[""] = asked
    queries = transformed_queries(engine.dataset, IMAGES, alone, sample=3, copies=2, absent=1, seed=0)
    summary = evaluate(engine, queries, place, Settings())
    assert (summary["in_collection"], summary["not_in_collection"]) == (6, 1)
    assert summary["verdict"]["false_found"] == 1
    assert [len(exclude) for _, exclude in engine.asked] == [0] * 6 + [1]
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        assert all(row["changes"] for row in csv.DictReader(file))

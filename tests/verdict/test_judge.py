"""Who judges, whatever becomes of verdict.json."""

import json

import pytest

from models.verdict.calibration import NAME
from models.verdict.judge import Judge
from models.verdict.rules import BY_HAND
from tests.verdict.test_calibration import calibration, changed

HERE = {"weights": "bundled"}


def test_without_a_file_the_thresholds_hold_and_it_is_said(tmp_path):
    judge = Judge.of(tmp_path, HERE)
    assert judge == Judge(BY_HAND, None, None)
    assert judge.to_json()["calibrated"] is False
    assert "set by hand" in judge.to_json()["sentence"]


def test_a_calibration_of_this_collection_holds(tmp_path):
    calibration().write(tmp_path)
    judge = Judge.of(tmp_path, HERE)
    assert (judge.rule, judge.problem) == (calibration(), None)
    told = judge.to_json()
    assert told["calibrated"] and told["thresholds"] == {"found_probability": 0.8, "maybe_probability": 0.5}
    assert "2026-11-24" in told["sentence"] and "one and two" in told["sentence"]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.parametrize("content", [b"{", changed(fingerprint={"weights": "others"})], ids=["damaged", "foreign"])
def test_a_file_that_cannot_be_used_leaves_the_last_good_one(tmp_path, content):
    calibration().write(tmp_path)
    good = Judge.of(tmp_path, HERE)
    (tmp_path / NAME).write_bytes(content)
    for last in (good, Judge.of(tmp_path, HERE, good)):  # and it stays so, however often it is read
        judge = Judge.of(tmp_path, HERE, last)
        assert judge.rule == calibration() and judge.problem and judge.stamp != good.stamp
        assert judge.problem in judge.to_json()["sentence"]
    assert Judge.of(tmp_path, HERE).rule == BY_HAND  # at the start there is no last one
    assert "calibrate again" in Judge.of(tmp_path, HERE).problem or content == b"{"
    other_store = Judge.of(tmp_path, {"weights": "new"}, good)
    assert other_store.rule == BY_HAND  # what was good for another store is not good here


def test_a_file_taken_away_takes_the_calibration_away(tmp_path):
    calibration().write(tmp_path)
    good = Judge.of(tmp_path, HERE)
    (tmp_path / NAME).unlink()
    assert Judge.of(tmp_path, HERE, good) == Judge(BY_HAND)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"shortlist": 50}, "was made with shortlist 50, which is 100 now: calibrate again, or change it back."),
        ({"grounds": 0}, "was made by another version of this program: calibrate again."),
        ({"grounds": 0, "shortlist": 50}, "was made by another version of this program: calibrate again."),
        ({"weights": "others"}, "was made for another collection: calibrate again."),
        ({"weights": "others", "shortlist": 50}, "was made for another collection: calibrate again."),
    ],
    ids=str,
)
def test_a_calibration_made_for_others_is_not_used_and_the_sentence_says_why(tmp_path, made, sentence):
    now = {"weights": "bundled", "shortlist": 100, "grounds": 1}
    calibration(fingerprint=now | made).write(tmp_path)
    judge = Judge.of(tmp_path, now)
    assert judge.rule == BY_HAND
    assert judge.problem == f"verdict.json {sentence}"
    assert sentence in judge.to_json()["sentence"]

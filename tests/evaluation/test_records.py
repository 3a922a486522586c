"""The files of a run: what is written comes back, and what cannot be read is told in one sentence."""

import csv
import json
import shutil
from dataclasses import asdict, replace

import pytest

from models.answer import STAGES, Grounds
from models.evaluation import records
from models.evaluation.fit_calibration import examples
from models.evaluation.records import Record
from tests.evaluation.stand_in import run
from utils.errors import WrongUse


def test_table_has_a_row_a_query(engine, museum, place):
    run(engine, museum, place)
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert list(rows) == sorted(engine.answers)
    right = rows["1 right.png"]
    assert (right["expected"], right["in_collection"], right["result"]) == ("a/one.png", "yes", "right")
    assert (right["first_before"], right["first_before_similarity"]) == ("a/two.png", "0.7")
    assert (right["first_after"], right["first_after_score"], right["similarity"]) == ("a/one.png", "1.0", "0.9")
    assert (right["matches"], right["inliers"], right["query_area"], right["work_area"]) == ("40", "30", "0.25", "0.5")
    assert (right["keypoints"], right["verdict"], right["seconds_network"]) == ("123", "found", "0.25")
    assert (right["probability"], right["inlier_ratio"], right["lead"], right["group"]) == (
        "0.95",
        "0.75",
        "0",
        "a/one.png",
    )
    assert float(right["margin"]) == pytest.approx(0.2)
    # Less the mean of 0.7 and 0.6, in their standard deviation of 0.05.
    assert float(right["normalised"]) == pytest.approx((0.9 - 0.65) / 0.05)
    assert (rows["2 wrong.png"]["group"], rows["4 false.png"]["group"]) == ("a/two.png", "4 false.png")
    assert (rows["2 wrong.png"]["expected"], rows["2 wrong.png"]["result"]) == ("a/two.png b/five.png", "wrong first")
    assert [rows[name]["result"] for name in list(rows)[2:]] == ["missed", "false found", "right", "", ""]
    assert [rows[name]["in_collection"] for name in list(rows)[2:]] == ["yes", "no", "no", "", ""]
    assert rows["7 text.jpg"]["skipped"] == "not a picture"


def test_the_table_holds_the_grounds_to_the_last_digit(engine, museum, place):
    run(engine, museum, place)
    kept = examples(records.read(place)[1])
    known = list(engine.answers.values())[:5]
    assert kept.grounds == [one.grounds for one in known]
    assert kept.right.tolist() == [True, False, True, False, False]
    assert kept.inside.tolist() == [True, True, True, False, False]


WHOLE = Record(
    file="photo; one.png (copy 1)",
    group="a/one.png",
    expected=["a/one.png", 'b/"quoted" two.png', "c three.png"],
    result="wrong first",
    verdict="maybe",
    works=['b/"quoted" two.png', "a/one.png"],
    works_expected=3,
    works_right=2,
    changes=["turned by 2.5 degrees", "on a wall"],
    first_before="a/one.png",
    first_before_similarity=0.1 + 0.2,
    first_after="b/<five>.png",
    first_after_score=-1e-17,
    probability=1 / 3,
    **asdict(Grounds(0.4, -1.5, 0.1, 40, 30, 0.75, -2, 0.25, 0.5, 1.1, 1.2, 1.3, 0.6, 900)),
    rank_before=2,
    precision_before=0.5,
    precision_after=0.0,
    seconds=0.123456789,
    stages=dict.fromkeys(STAGES, 0.1),
    answered_picture="pictures/000001-answered.jpg",
)
RECORDS = [
    WHOLE,
    Record(file="absent.png", group="absent.png", expected=[], result="right", verdict="not found"),
    Record(file="unknown.png", group="unknown.png", verdict="not found", keypoints=7),
    Record(file="broken.png", group="broken.png", skipped="not a picture"),
]
SUMMARY = {"format": records.FORMAT, "fingerprint": {"weights": "none"}, "queries": 3}


@pytest.fixture
def written(tmp_path):
    place = tmp_path / "museum"
    place.mkdir()
    records.write(place, SUMMARY, RECORDS)
    return place


def test_what_is_written_comes_back_the_same(written):
    assert records.read(written) == (SUMMARY, RECORDS)
    assert records.read(written, earlier=True) == (SUMMARY, RECORDS)
    assert [record.in_collection for record in RECORDS] == [True, False, None, None]
    assert [record.grounds is None for record in RECORDS] == [False, True, True, True]
    first = records.read(written)[1][0]
    assert [type(value) for value in vars(first).values()] == [type(value) for value in vars(WHOLE).values()]


def change_summary(**changes):
    return lambda place: (place / "summary.json").write_text(json.dumps(SUMMARY | changes))


def change_table(old: bytes, new: bytes):
    def change(place):
        table = (place / "queries.csv").read_bytes()
        assert old in table
        (place / "queries.csv").write_bytes(table.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda place: shutil.rmtree(place), "no run museum"),
        (lambda place: (place / "summary.json").unlink(), "interrupted: summary.json is missing"),
        (lambda place: (place / "queries.csv").unlink(), "interrupted: queries.csv is missing"),
        (change_summary(format=records.FORMAT + 1), "made by a later version"),
        (change_summary(format="2"), "made by a later version"),
        (change_summary(format=records.FORMAT - 1), "made by another version"),
        (change_summary(fingerprint=None), "damaged: summary.json"),
        (lambda place: (place / "summary.json").write_text("{"), "damaged: summary.json"),
        (lambda place: (place / "summary.json").write_text("[" * 100_000), "damaged: summary.json"),
        (lambda place: (place / "queries.csv").write_bytes(b""), "another version: queries.csv has no column"),
        (change_table(b"agreement", b"consent"), "another version: queries.csv has no column agreement"),
        (change_table(b"0.75", b"half"), "damaged: queries.csv"),
        (change_table(b"0.75", b"nan"), "damaged: queries.csv"),
        (change_table(b"0.75", b""), "damaged: queries.csv"),  # a candidate without all its grounds
        (change_table(b"no,absent", b"perhaps,absent"), "damaged: queries.csv"),
        (change_table(b"no,absent", b"yes,absent"), "damaged: queries.csv"),  # but nothing is expected
        (change_table(b"no,absent.png,", b"no,"), "damaged: queries.csv"),  # a cell too few
        (change_table(b"no,absent", b"no,,absent"), "damaged: queries.csv"),  # a cell too many
        (change_table(b"absent", b"\xff"), "damaged: queries.csv"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(written, spoil, sentence):
    spoil(written)
    with pytest.raises(WrongUse, match=sentence) as told:
        records.read(written)
    assert "museum" in str(told.value) and len(str(told.value).splitlines()) == 1


def test_earlier_versions_are_read_where_that_is_asked_for(written):
    change_summary(format=1)(written)
    change_table(b"agreement", b"consent")(written)
    _, (first, *others) = records.read(written, earlier=True)
    assert first == replace(WHOLE, agreement=None) and first.grounds is None
    assert others == RECORDS[1:]


def test_an_interrupted_log_gives_its_whole_lines_to_the_same_run_only(tmp_path):
    with (tmp_path / records.LOG).open("a+b") as log:
        records.start(log, "this run")
        for record in RECORDS:
            records.append(log, record)
        log.write(b'{"file": "half')
        log.flush()
        assert records.resume(log, "another run") == []
        assert records.resume(log, "this run") == RECORDS
        records.append(log, RECORDS[0])  # after the last whole line
        assert records.resume(log, "this run") == [*RECORDS, RECORDS[0]]
        records.start(log, "another run")
        assert records.resume(log, "another run") == records.resume(log, "this run") == []

"""The measures of a run, worked out by hand."""

import json

import pytest

from config import Settings
from models.answer import Verdict
from models.evaluation.queries import folder_queries
from models.evaluation.run import evaluate
from models.evaluation.summary import table
from tests.evaluation.stand_in import IMAGES, STAGES, answer, candidate, paint, rows, run
from utils.images import ImageProblem
from utils.statistics import wilson


def test_summary_holds_the_measures_worked_out_by_hand(engine, museum, place):
    run(engine, museum, place)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    summary = json.loads((place / "summary.json").read_text(), parse_constant=refuse)
    assert summary["queries"] == 6
    assert summary["in_collection"] == 3
    assert summary["not_in_collection"] == 2
    assert summary["without_ground_truth"] == 1
    assert summary["collection_size"] == 4
    assert summary["skipped"] == [{"file": "7 text.jpg", "reason": "not a picture"}]
    # Before: places 2, 3 (of two relevant images, one not on the shortlist), 1. After: 1, 3, 1.
    before, after = summary["before"], summary["after"]
    assert (before["recall@1"], before["recall@10"], before["recall@100"]) == pytest.approx((1 / 3, 1, 1))
    assert (after["recall@1"], after["recall@10"], after["recall@100"]) == pytest.approx((2 / 3, 1, 1))
    assert before["mAP"] == pytest.approx((1 / 2 + 1 / 6 + 1) / 3)
    assert after["mAP"] == pytest.approx((1 + 1 / 6 + 1) / 3)
    # Before: a right answer leads. After: of three equally sure answers one is right, then a wrong and a right one.
    assert before["GAP"] == pytest.approx(1 / 3)
    assert after["GAP"] == pytest.approx((1 / 3 + 2 / 5) / 3)
    assert after["first_of_shortlisted"] == pytest.approx(2 / 3)
    assert summary["before_and_after"] == {"right_right": 1, "right_wrong": 0, "wrong_right": 1, "wrong_wrong": 1}
    verdict = summary["verdict"]
    assert (verdict["precision"], verdict["recall"]) == pytest.approx((1 / 3, 1 / 3))
    assert (verdict["false_found"], verdict["wrong_found"], verdict["maybe"]) == (1, 1, 1)
    assert verdict["thresholds"] == engine.thresholds
    assert verdict["calibration"] == engine.calibration
    assert summary["format"] == 3
    assert verdict["maybe_share"] == pytest.approx(1 / 5)
    assert verdict["precision_interval"] == pytest.approx(wilson(1, 3))
    assert verdict["recall_interval"] == pytest.approx(wilson(1, 3))
    # Said 0.95 of three, of which one is right; 0.5 of one that is wrong; 0.05 of one that is right.
    assert [row["count"] for row in verdict["reliability"]] == [1, 1, 3]
    assert verdict["calibration_error"] == pytest.approx((0.95 + 0.5 + 3 * (0.95 - 1 / 3)) / 5)
    # Told: one, right, of one; another than the two; nothing, of one; one that is not expected.
    assert summary["works"] == {
        "recall": pytest.approx(1 / 4),
        "recall_interval": pytest.approx(wilson(1, 4)),
        "precision": pytest.approx(1 / 3),
        "precision_interval": pytest.approx(wilson(1, 3)),
        "told": 3,
        "right": 1,
        "expected": 4,
    }
    assert "works: precision 0.333 (0.061 to 0.792), recall 0.250 (0.046 to 0.699), 1 right of 3 told" in table(summary)
    assert summary["wrong_answers"] == {"wrong first": 1, "false found": 1, "missed": 1}
    assert list(summary["seconds"]) == ["mean", "p50", "p95", "stages"]
    assert list(summary["seconds"]["stages"]) == STAGES
    assert summary["seconds"]["stages"]["search"]["p95"] == 0.25
    assert summary["fingerprint"] == engine.fingerprint
    assert summary["versions"] == engine.versions


def test_each_work_of_a_photograph_counts_and_a_work_of_several_images_once(engine, museum, place):
    one, two, three, five = (candidate(IMAGES, image) for image in IMAGES)
    engine.answers["1 right.png"] = answer(Verdict.FOUND, [one, two, three, five], others=[two, five])
    (museum / "ground_truth.csv").write_text("query,relevant\n1 right.png,one.png two.png\n2 wrong.png,\n")
    works = [("1921.2", frozenset({2, 5})), ("", frozenset({1, 8}))]  # so five, 8, is of the work of one
    queries = folder_queries(museum, None, engine.images, works)
    summary = evaluate(engine, queries, place, Settings())
    # On the first: one and two are right, and five is one again. On the second: one that is not expected.
    assert (summary["works"]["told"], summary["works"]["right"], summary["works"]["expected"]) == (4, 2, 2)
    first = rows(place)[0]
    assert first["works"] == "a/one.png a/two.png b/five.png"
    assert (first["works_expected"], first["works_right"]) == ("2", "2")
    assert [row["works_expected"] for row in rows(place)[1:]] == ["0", "", "", "", "", ""]


def test_without_ground_truth_there_are_answers_and_times_but_no_measures(engine, museum, place):
    (museum / "ground_truth.csv").unlink()
    summary = run(engine, museum, place)
    assert (summary["queries"], summary["without_ground_truth"], summary["in_collection"]) == (6, 6, 0)
    assert summary["after"]["recall@1"] is None and summary["after"]["mAP"] is None
    assert summary["before"]["GAP"] is None and summary["after"]["GAP"] is None
    assert summary["verdict"]["precision"] is None
    assert summary["seconds"]["p50"] is not None
    assert "There is no ground truth" in table(summary)
    report = (place / "report.html").read_text(encoding="utf-8")
    assert "no answer is called right or wrong" in report
    assert not any(
        word in report for word in ("Wrong first", "Missed", "Precision of", "According to the ground truth")
    )


def test_a_folder_of_nothing_readable_still_gives_strict_json(engine, place, tmp_path):
    paint(tmp_path / "queries" / "x.png", 1)
    engine.answers["x.png"] = ImageProblem("broken")
    summary = run(engine, tmp_path / "queries", place)
    assert (summary["queries"], summary["seconds"]["p50"], len(summary["skipped"])) == (0, None, 1)
    assert "could be read" in table(summary)
    assert json.loads((place / "summary.json").read_text()) == summary

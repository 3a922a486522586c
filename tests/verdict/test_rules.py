"""Ranking score, grounds and verdict, at the very boundaries; and what becomes of a verdict.json."""

import itertools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from models.answer import Candidate, Evidence, Grounds, Verdict, Warp
from models.verdict.rules import (
    CHANCE,
    FEATURES,
    INLIER_WORTH,
    LEAST_SPREAD,
    NAME,
    Calibration,
    Damaged,
    Judge,
    Thresholds,
    features,
    grounds,
    normalised,
    score,
)

ASKED = Thresholds(
    found_inliers=10, found_agreement=0.5, sure_inliers=40, sure_area=0.25, maybe_inliers=6, maybe_similarity=0.5
)
PROOF = Grounds(matches=40, inliers=10, agreement=0.5)


def test_the_score_is_similarity_and_inliers_above_chance():
    assert score(0.3, Evidence()) == 0.3
    assert score(-0.2, Evidence(inliers=CHANCE)) == -0.2
    assert score(0.3, Evidence(inliers=CHANCE + 1)) == pytest.approx(0.3 + INLIER_WORTH)
    assert score(0.3, Evidence(inliers=CHANCE + 30)) == pytest.approx(0.3 + 30 * INLIER_WORTH)


def test_a_chance_homography_takes_no_place_away():
    assert score(0.9, Evidence()) > score(0.8, Evidence(matches=200, inliers=CHANCE))


def test_many_inliers_outweigh_any_similarity():
    assert score(-1, Evidence(inliers=CHANCE + 21)) > score(1, Evidence())


# Thresholds set by hand


@pytest.mark.parametrize(
    ("similarity", "changes", "verdict"),
    [
        (0.0, {}, Verdict.FOUND),  # everything exactly at its threshold
        (-1.0, {"inliers": 300, "agreement": 1.0}, Verdict.FOUND),  # similarity is not asked for
        (0.0, {"inliers": 40, "work_area": 0.25, "agreement": 0.0}, Verdict.FOUND),  # nor is agreement of so many
        (0.0, {"inliers": 9}, Verdict.MAYBE),
        (0.0, {"agreement": 0.4999}, Verdict.MAYBE),
        (0.0, {"inliers": 300, "work_area": 0.2499, "agreement": 0.4999}, Verdict.MAYBE),
        (0.0, {"inliers": 39, "work_area": 1.0, "agreement": 0.4999}, Verdict.MAYBE),
        (0.0, {"inliers": 6, "agreement": 0.0}, Verdict.MAYBE),
        (0.4999, {"inliers": 5}, Verdict.NOT_FOUND),
        (0.5, {"inliers": 5}, Verdict.MAYBE),
        (1.0, {"inliers": 9, "agreement": 1.0}, Verdict.MAYBE),  # similarity and agreement alone never find
        (-1.0, {"inliers": 0, "matches": 500}, Verdict.NOT_FOUND),  # nor do matches
    ],
)
def test_the_verdict_at_its_boundaries(similarity, changes, verdict):
    assert ASKED.decide(replace(PROOF, similarity=similarity, **changes)) is verdict
    assert ASKED.probability(PROOF) is None


def test_no_evidence_is_not_found():
    assert Thresholds().decide(Grounds()) is Verdict.NOT_FOUND


def test_more_evidence_never_lowers_the_verdict():
    order = [Verdict.NOT_FOUND, Verdict.MAYBE, Verdict.FOUND]
    for area, agreement in itertools.product((0.0, 0.2, 0.3), (0.0, 0.6)):
        rising = [Grounds(0.1, inliers=n, work_area=area, agreement=agreement) for n in range(60)]
        ranks = [order.index(ASKED.decide(grounds)) for grounds in rising]
        assert ranks == sorted(ranks)


# Grounds


def candidate(image, similarity, evidence=Evidence()):  # noqa: B008
    return Candidate(image, f"{image}.png", similarity, (60, 80), evidence, score(similarity, evidence))


def test_grounds_by_hand():
    proof = Evidence(40, 30, np.eye(3), 0.25, 0.75, warp=Warp(0.5, 1.2, 1.1))
    first = replace(candidate(1, 0.5, proof), agreement=0.8)
    ranking = [first, candidate(2, 0.7, Evidence(9, 6)), candidate(3, 0.3), candidate(4, 0.2)]
    found = grounds(ranking, 123)
    mean = (0.7 + 0.3 + 0.2) / 3
    deviation = math.sqrt(((0.7 - mean) ** 2 + (0.3 - mean) ** 2 + (0.2 - mean) ** 2) / 3)
    assert asdict(found) == pytest.approx(
        {
            "similarity": 0.5,
            "normalised": (0.5 - mean) / deviation,
            "margin": -0.2,
            "matches": 40,
            "inliers": 30,
            "inlier_ratio": 0.75,
            "lead": 24,
            "query_area": 0.25,
            "work_area": 0.75,
            "scale": 0.5,
            "stretch": 1.2,
            "tilt": 1.1,
            "agreement": 0.8,
            "keypoints": 123,
        }
    )


def test_normalised_is_the_standard_score_of_the_background():
    background = np.random.default_rng(0).normal(0.2, 0.1, 99)
    assert normalised(0.6, background) == pytest.approx(stats.zmap([0.6], background)[0])


def test_small_collections_break_no_grounds():
    assert grounds([], 7) == Grounds(keypoints=7)
    for others in ([], [candidate(2, 0.4)], [candidate(2, 0.4), candidate(3, 0.4)]):
        found = grounds([candidate(1, 0.9), *others], 7)
        assert np.isfinite(features(found)).all()
    assert normalised(0.9, [0.4]) == 0
    assert normalised(0.9, [0.4, 0.4]) == pytest.approx(0.5 / LEAST_SPREAD)


def test_features_are_finite_numbers_whatever_the_grounds():
    extremes = [Grounds(), Grounds(1, 50, 1, 2000, 2000, 1, 2000, 1, 1, 8, 4, 4, 2000), Grounds(-1, -9, -2)]
    rows = np.array([features(extreme) for extreme in extremes])
    assert rows.shape == (3, len(FEATURES)) and np.isfinite(rows).all()


# A calibration


def calibration(**changed):
    """One that looks at similarity alone: log-odds 4 (similarity - 0.5)."""
    weights = [4.0 if name == "similarity" else 0.0 for name in FEATURES]
    means = [0.5 if name == "similarity" else 0.0 for name in FEATURES]
    whole = {
        "features": list(FEATURES),
        "means": means,
        "deviations": [1.0] * len(FEATURES),
        "coefficients": weights,
        "intercept": 0.0,
        "found": 0.8,
        "maybe": 0.5,
        "operating_point": "no wrong “found”",
        "measured": {"precision": 1.0},
        "runs": ["one", "two"],
        "fingerprint": {"weights": "bundled"},
        "date": "2026-11-24T08:30:00Z",
    }
    return Calibration(**whole | changed)


def test_the_probability_is_the_logistic_of_the_standardised_features():
    rule = calibration(deviations=[2.0] * len(FEATURES), intercept=0.3)
    assert rule.probability(Grounds(similarity=0.9)) == pytest.approx(float(expit(4 * 0.4 / 2 + 0.3)))


def test_the_thresholds_belong_to_the_verdict_above():
    at_found, at_maybe = Grounds(similarity=0.9), Grounds(similarity=0.5)
    rule = calibration(found=calibration().probability(at_found))
    assert rule.decide(at_found) is Verdict.FOUND
    assert rule.decide(Grounds(similarity=0.8999)) is Verdict.MAYBE
    assert rule.decide(at_maybe) is Verdict.MAYBE  # exactly 0.5
    assert rule.decide(Grounds(similarity=0.4999)) is Verdict.NOT_FOUND


def test_what_is_written_is_plain_json_and_comes_back_the_same(tmp_path):
    rule = calibration(found=0.1 + 0.2, maybe=1e-17)
    rule.write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [NAME]
    assert json.loads((tmp_path / NAME).read_text())["found"] == 0.1 + 0.2
    assert Calibration.read(tmp_path) == rule


def test_what_makes_no_sense_is_not_written(tmp_path):
    calibration().write(tmp_path)
    for changed in ({"intercept": math.nan}, {"found": 0.4}, {"features": ["colour"]}):
        with pytest.raises(ValueError, match=NAME):
            calibration(**changed).write(tmp_path)
    assert Calibration.read(tmp_path) == calibration()


def changed(**fields):
    return json.dumps(asdict(calibration()) | fields).encode()


DAMAGED = {
    "empty": b"",
    "cut off": changed()[:-40],
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"7",
    "another thing": b"{}",
    "another version": changed(format=99),
    "a field too many": changed(colour="red"),
    "no thresholds": json.dumps({"format": 1, "features": []}).encode(),
    "not a number": changed(intercept=math.nan),
    "text for a number": changed(found="high"),
    "thresholds the wrong way round": changed(found=0.1, maybe=0.9),
    "a threshold that is no probability": changed(found=2.0),
    "coefficients of other features": changed(features=["colour"] * len(FEATURES)),
    "a coefficient missing": changed(coefficients=[1.0]),
    "no spread": changed(deviations=[0.0] * len(FEATURES)),
    "runs that are no names": changed(runs=[1]),
    "deeply nested": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_told_in_a_sentence(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(Damaged, match=rf"^{NAME} .*\.$"):
        Calibration.read(tmp_path)


# Who judges

HERE = {"weights": "bundled"}


def test_without_a_file_the_thresholds_hold_and_it_is_said(tmp_path):
    judge = Judge.of(tmp_path, HERE)
    assert judge == Judge(Thresholds(), None, None)
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
    assert Judge.of(tmp_path, HERE).rule == Thresholds()  # at the start there is no last one
    assert "calibrate again" in Judge.of(tmp_path, HERE).problem or content == b"{"
    other_store = Judge.of(tmp_path, {"weights": "new"}, good)
    assert other_store.rule == Thresholds()  # what was good for another store is not good here


def test_a_file_taken_away_takes_the_calibration_away(tmp_path):
    calibration().write(tmp_path)
    good = Judge.of(tmp_path, HERE)
    (tmp_path / NAME).unlink()
    assert Judge.of(tmp_path, HERE, good) == Judge(Thresholds())

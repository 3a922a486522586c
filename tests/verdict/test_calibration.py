"""A calibration's probability and thresholds, and what becomes of a verdict.json."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.special import expit

from models.answer import Grounds, Verdict
from models.verdict.calibration import FEATURES, NAME, Calibration, Damaged, features


def test_features_are_finite_numbers_whatever_the_grounds():
    extremes = [Grounds(), Grounds(1, 50, 1, 2000, 2000, 1, 2000, 1, 1, 8, 4, 4, 2000), Grounds(-1, -9, -2)]
    rows = np.array([features(extreme) for extreme in extremes])
    assert rows.shape == (3, len(FEATURES)) and np.isfinite(rows).all()


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

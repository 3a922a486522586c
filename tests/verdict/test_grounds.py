"""Grounds, worked out by hand and against SciPy."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from models.answer import Candidate, Evidence, Grounds, Warp
from models.verdict.calibration import features
from models.verdict.grounds import LEAST_SPREAD, grounds_of, normalised
from models.verdict.ranking import score


def candidate(image, similarity, evidence=Evidence()):  # noqa: B008
    return Candidate(image, f"{image}.png", similarity, (60, 80), evidence, score(similarity, evidence))


def test_grounds_by_hand():
    proof = Evidence(40, 30, np.eye(3), 0.25, 0.75, warp=Warp(0.5, 1.2, 1.1))
    first = replace(candidate(1, 0.5, proof), agreement=0.8)
    ranking = [first, candidate(2, 0.7, Evidence(9, 6)), candidate(3, 0.3), candidate(4, 0.2)]
    found = grounds_of(ranking, 123)
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
    assert grounds_of([], 7) == Grounds(keypoints=7)
    for others in ([], [candidate(2, 0.4)], [candidate(2, 0.4), candidate(3, 0.4)]):
        found = grounds_of([candidate(1, 0.9), *others], 7)
        assert np.isfinite(features(found)).all()
    assert normalised(0.9, [0.4]) == 0
    assert normalised(0.9, [0.4, 0.4]) == pytest.approx(0.5 / LEAST_SPREAD)

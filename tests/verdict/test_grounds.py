"""Grounds, worked out by hand and against SciPy."""

import math
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from models.answer import Candidate, Evidence, Grounds, Warp
from models.local.kinds import KINDS
from models.verdict.calibration import features
from models.verdict.grounds import GROUNDS, LEAST_SPREAD, grounds_of, normalised
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


# The code that makes grounds: whoever changes one of these constants also counts GROUNDS up, because a calibration that
# was fitted on the grounds of before does not hold for those of after.
MADE_BY = {
    "GROUNDS": 2,
    "verdict.grounds": "CHANCE 5 COHORT 100 LEAST_SPREAD 0.02",
    "verdict.ranking": "CHANCE 5 INLIER_WORTH 0.1",
    "question": "LIKELIEST 10 MOST_SIMILAR 12 MOST_VOTED 32 TILES 4",
    "local.matching": "RATIO 0.8",
    "local.verification": "MIN_MATCHES 5 SCALE (0.12, 8.0) STRETCH 4.0 TILT 4.0 TOLERANCE 4.0",
    "local.agreement": "CHANGE 0.001 FAINT 5.0 GOOD 0.8 LEAST 64 NEAR 6.0 REFINED_BLUR 5 SIDE 96 STEPS 15",
    "local.extractor": "MARGIN 48 MIN_FRAME 32 MIN_TILE 200",
    "local.votes": "ANGLES 64 COARSE_ANGLE 4 COARSE_SIZE 4 MANY 8192 NEIGHBOURS 10 PER_LIST 4096 PROBED 4 "
    "ROUNDS 4 SAMPLE 16 SIZES 64",
    "local.orb": "FAINT (7, 3) FEW 500 LARGEST 3 SMALL 320",
    "local.sift": "CONTRAST 0.01 EDGE 30",
}


NO_PART = ("BLOCK", "GROUNDS", "ESTIMATOR", "MOST_WORKS", "STAGES", "TYPE_CHECKING")


def constants(module: str) -> str:
    values = vars(import_module(f"models.{module}"))
    plain = {name: value for name, value in values.items() if name.isupper() and isinstance(value, int | float | tuple)}
    return " ".join(f"{name} {plain[name]}" for name in sorted(plain) if name not in NO_PART)


def test_every_kind_of_local_feature_is_among_the_code_that_makes_grounds():
    assert {kind.__module__.removeprefix("models.") for kind in KINDS.values()} <= set(MADE_BY)


def test_constants_that_shape_grounds_do_not_change_without_the_counter():
    shaping = {module: constants(module) for module in MADE_BY if module != "GROUNDS"}
    assert {"GROUNDS": GROUNDS} | shaping == MADE_BY

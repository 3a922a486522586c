"""Thresholds set by hand, at the very boundaries."""

import itertools
from dataclasses import replace

import pytest

from models.answer import Grounds, Verdict
from models.verdict.rules import BY_HAND, Thresholds

ASKED = Thresholds(
    found_inliers=10, found_agreement=0.5, sure_inliers=40, sure_area=0.25, maybe_inliers=6, maybe_similarity=0.5
)
PROOF = Grounds(matches=40, inliers=10, agreement=0.5)


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
    assert BY_HAND.decide(Grounds()) is Verdict.NOT_FOUND


def test_more_evidence_never_lowers_the_verdict():
    order = [Verdict.NOT_FOUND, Verdict.MAYBE, Verdict.FOUND]
    for area, agreement in itertools.product((0.0, 0.2, 0.3), (0.0, 0.6)):
        rising = [Grounds(0.1, inliers=n, work_area=area, agreement=agreement) for n in range(60)]
        ranks = [order.index(ASKED.decide(grounds)) for grounds in rising]
        assert ranks == sorted(ranks)

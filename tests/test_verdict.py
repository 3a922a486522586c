"""Ranking score and verdict, at the very boundaries."""

from dataclasses import replace

import pytest

from models.answer import Evidence, Verdict
from models.verdict import CHANCE, INLIER_WORTH, Thresholds, decide, score

ASKED = Thresholds(found_inliers=10, found_area=0.25, found_similarity=0.7, maybe_inliers=6, maybe_similarity=0.5)
PROOF = Evidence(matches=40, inliers=10, work_area=0.25)


def test_the_score_is_similarity_and_inliers_above_chance():
    assert score(0.3, Evidence()) == 0.3
    assert score(-0.2, Evidence(inliers=CHANCE)) == -0.2
    assert score(0.3, Evidence(inliers=CHANCE + 1)) == pytest.approx(0.3 + INLIER_WORTH)
    assert score(0.3, Evidence(inliers=CHANCE + 30)) == pytest.approx(0.3 + 30 * INLIER_WORTH)


def test_a_chance_homography_takes_no_place_away():
    assert score(0.9, Evidence()) > score(0.8, Evidence(matches=200, inliers=CHANCE))


def test_many_inliers_outweigh_any_similarity():
    assert score(-1, Evidence(inliers=CHANCE + 21)) > score(1, Evidence())


@pytest.mark.parametrize(
    ("similarity", "changes", "verdict"),
    [
        (0.0, {}, Verdict.FOUND),  # everything exactly at its threshold
        (-1.0, {"inliers": 300, "work_area": 1.0}, Verdict.FOUND),  # where matches spread, similarity is not asked for
        (0.7, {"work_area": 0.0}, Verdict.FOUND),  # where descriptors agree, spread is not asked for
        (0.0, {"inliers": 9}, Verdict.MAYBE),
        (0.0, {"inliers": 300, "work_area": 0.2499}, Verdict.MAYBE),
        (0.6999, {"work_area": 0.2499}, Verdict.MAYBE),
        (0.0, {"inliers": 6, "work_area": 0.0}, Verdict.MAYBE),
        (0.4999, {"inliers": 5}, Verdict.NOT_FOUND),
        (0.5, {"inliers": 5}, Verdict.MAYBE),
        (1.0, {"inliers": 9, "work_area": 0.0}, Verdict.MAYBE),  # similarity alone never finds
        (-1.0, {"inliers": 0, "matches": 500}, Verdict.NOT_FOUND),  # nor do matches
    ],
)
def test_the_verdict_at_its_boundaries(similarity, changes, verdict):
    assert decide(similarity, replace(PROOF, **changes), ASKED) is verdict


def test_no_evidence_is_not_found():
    assert decide(0.0, Evidence(), Thresholds()) is Verdict.NOT_FOUND


def test_more_evidence_never_lowers_the_verdict():
    order = [Verdict.NOT_FOUND, Verdict.MAYBE, Verdict.FOUND]
    for area in (0.0, 0.2, 0.3):
        ranks = [order.index(decide(0.1, Evidence(inliers=n, work_area=area), ASKED)) for n in range(30)]
        assert ranks == sorted(ranks)

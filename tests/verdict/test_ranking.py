"""The re-ranking score."""

import pytest

from models.answer import Evidence
from models.verdict.grounds import CHANCE
from models.verdict.ranking import INLIER_WORTH, score


def test_the_score_is_similarity_and_inliers_above_chance():
    assert score(0.3, Evidence()) == 0.3
    assert score(-0.2, Evidence(inliers=CHANCE)) == -0.2
    assert score(0.3, Evidence(inliers=CHANCE + 1)) == pytest.approx(0.3 + INLIER_WORTH)
    assert score(0.3, Evidence(inliers=CHANCE + 30)) == pytest.approx(0.3 + 30 * INLIER_WORTH)


def test_a_chance_homography_takes_no_place_away():
    assert score(0.9, Evidence()) > score(0.8, Evidence(matches=200, inliers=CHANCE))


def test_many_inliers_outweigh_any_similarity():
    assert score(-1, Evidence(inliers=CHANCE + 21)) > score(1, Evidence())

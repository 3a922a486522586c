"""The score by which re-ranking sorts candidates."""

from models.answer import Evidence
from models.verdict.grounds import CHANCE

INLIER_WORTH = 0.1  # similarity that an inlier above chance is worth


def score(similarity: float, evidence: Evidence) -> float:
    """The re-ranking score: similarity, plus a bonus for each inlier above chance.

    A work with few keypoints thus keeps its rank by similarity, and no chance homography overtakes it.
    similarity: cosine of the descriptors, -1..1. Returns -1 or more, without an upper bound.
    """
    return similarity + INLIER_WORTH * max(0, evidence.inliers - CHANCE)

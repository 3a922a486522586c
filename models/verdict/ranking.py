"""What the re-ranking sorts candidates by."""

from models.answer import Evidence
from models.verdict.grounds import CHANCE

INLIER_WORTH = 0.1  # of similarity, for each inlier above chance


def score(similarity: float, evidence: Evidence) -> float:
    """The re-ranking score: similarity, plus a bonus for each inlier above chance.

    A work with few keypoints thus keeps the place that its similarity gives it, and no chance homography overtakes it.
    similarity: cosine of the descriptors, -1..1. Returns -1 or more, without an upper bound.
    """
    return similarity + INLIER_WORTH * max(0, evidence.inliers - CHANCE)

"""The verdict: is the first candidate the work on the picture?"""

from dataclasses import dataclass

from models.answer import Evidence, Verdict


@dataclass(frozen=True)
class Thresholds:
    """What evidence a verdict asks for."""

    found_inliers: int = 10
    found_area: float = 0.03  # share of the work that the inliers cover ...
    found_similarity: float = 0.7  # ... unless the descriptors agree as well as this
    maybe_inliers: int = 6
    maybe_similarity: float = 0.6


CHANCE = 5  # inliers that a sane homography reaches between pictures that have nothing in common
INLIER_WORTH = 0.1  # of similarity, for each inlier above chance


def score(similarity: float, evidence: Evidence) -> float:
    """What the re-ranking sorts by: similarity, and inliers as far as they are more than chance.

    So a work with few keypoints keeps its place by similarity, and no chance homography can take it away.
    """
    return similarity + INLIER_WORTH * max(0, evidence.inliers - CHANCE)


def decide(similarity: float, evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict on the first candidate after re-ranking.

    Inliers alone do not decide: those of a label, a frame or a signature crowd on a spot, those of a work spread.
    """
    spread = evidence.work_area >= thresholds.found_area or similarity >= thresholds.found_similarity
    if evidence.inliers >= thresholds.found_inliers and spread:
        return Verdict.FOUND
    if evidence.inliers >= thresholds.maybe_inliers or similarity >= thresholds.maybe_similarity:
        return Verdict.MAYBE
    return Verdict.NOT_FOUND

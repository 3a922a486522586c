"""The grounds of a verdict: evidence for and against the first candidate after re-ranking."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from models.answer import Candidate, Grounds

GROUNDS = 2  # increased when the code computes different grounds: a calibration is valid only for its own version

CHANCE = 5  # inliers of a plausible homography between unrelated pictures
COHORT = 100  # the most similar other candidates, with which a similarity is compared
LEAST_SPREAD = 0.02  # minimum standard deviation of similarities; a few candidates may have less by chance


def grounds_of(ranking: Sequence[Candidate], keypoints: int) -> Grounds:
    """The grounds of a verdict on the first candidate.

    ranking: all candidates after re-ranking, best first. keypoints: number of keypoints in the query.
    """
    if not ranking:
        return Grounds(keypoints=keypoints)
    first, *others = ranking
    similarities = sorted((candidate.similarity for candidate in others), reverse=True)[:COHORT]
    evidence = first.evidence
    return Grounds(
        similarity=first.similarity,
        normalised=normalised(first.similarity, similarities),
        margin=first.similarity - max(similarities, default=0.0),
        matches=evidence.matches,
        inliers=evidence.inliers,
        inlier_ratio=evidence.inliers / evidence.matches if evidence.matches else 0.0,
        lead=evidence.inliers - max((candidate.evidence.inliers for candidate in others), default=0),
        query_area=evidence.query_area,
        work_area=evidence.work_area,
        **asdict(evidence.warp),
        agreement=first.agreement or 0.0,
        keypoints=keypoints,
    )


def normalised(similarity: float, background: Sequence[float]) -> float:
    """A similarity in standard deviations above the mean of others; 0 if there are fewer than two others.

    Some queries are similar to everything (a dark photograph, a bare wall), others to nothing, so the same cosine can
    mean different things. Score normalisation by a cohort comes from speaker recognition (Auckenthaler, Carey and
    Lloyd-Thomas, Score normalization for text-independent speaker verification systems, 2000). The cohort here are the
    other candidates: they cost nothing, and they are what the work could be confused with.
    """
    if len(background) < 2:
        return 0.0
    return float((similarity - np.mean(background)) / max(np.std(background), LEAST_SPREAD))

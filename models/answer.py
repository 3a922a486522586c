"""The engine's answer to a query: plain data, from the shortlist to the verdict."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

# The timed stages of a query: "search" is by descriptor, "votes" by local features; "detection" looks for paintings.
STAGES = ("decode", "network", "pooling", "search", "features", "votes", "reranking", "detection")


class Verdict(str, Enum):
    """Whether the first candidate is the work in the picture."""

    FOUND = "found"
    MAYBE = "maybe"
    NOT_FOUND = "not found"


VERDICTS = tuple(verdict.value for verdict in Verdict)


@dataclass(frozen=True)
class Warp:
    """The local distortion of the picture by a homography, at the matched points."""

    scale: float = 1.0  # pixels of the work for one of the query, median
    stretch: float = 1.0  # ratio of the scales of two orthogonal directions, median; 1 or more
    tilt: float = 1.0  # ratio of the largest to the smallest scale among the points; 1 or more


@dataclass(frozen=True)
class Evidence:
    """What the local features of a query and of a work have in common.

    Points and the homography are in pixels of the frames: the pictures scaled down so that their
    long side has at most `query_side` or `feature_side` pixels (see `Answer.frame`, `Candidate.frame`).
    """

    matches: int = 0  # pairs of keypoints that pass the ratio test
    inliers: int = 0  # matches that agree with the homography; 0 without a plausible one
    homography: np.ndarray | None = None  # (3, 3) float64, query -> work; None without a plausible one
    query_area: float = 0.0  # share of the query's frame that the inliers' convex hull covers, 0..1
    work_area: float = 0.0  # the same of the work's frame
    query_points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))  # (inliers, 2) x, y
    work_points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))  # (inliers, 2) x, y
    warp: Warp = Warp()  # of the homography; the identity without one


@dataclass(frozen=True)
class Candidate:
    """One work on the shortlist."""

    id: int  # in the collection store; never changes
    path: str  # relative to the dataset
    similarity: float  # cosine of the descriptors, -1..1
    frame: tuple[int, int]  # (height, width) of the work at the scale of the points
    evidence: Evidence
    score: float  # re-ranking score
    votes: float = 0.0  # of the local features, 0..1 (see models.local.votes); 0 if others had more
    agreement: float | None = None  # as in Grounds; only of works that were once first in the ranking


@dataclass(frozen=True)
class Grounds:
    """The numbers on which the verdict is decided: evidence for and against the first candidate after re-ranking."""

    similarity: float = 0.0  # cosine of the descriptors, -1..1
    normalised: float = 0.0  # similarity in standard deviations above the mean of the 100 most similar others
    margin: float = 0.0  # similarity less that of the most similar other; negative if re-ranking put it first
    matches: int = 0  # this and the following fields up to `tilt`: as in Evidence and Warp
    inliers: int = 0
    inlier_ratio: float = 0.0  # inliers / matches, 0..1
    lead: int = 0  # inliers less the maximum of the other candidates
    query_area: float = 0.0
    work_area: float = 0.0
    scale: float = 1.0
    stretch: float = 1.0
    tilt: float = 1.0
    agreement: float = 0.0  # pixelwise, of the picture warped onto the work, 0..1 (see models.local.agreement)
    keypoints: int = 0  # in the query


@dataclass(frozen=True)
class Sighting:
    """One work on the photograph."""

    candidate: Candidate
    verdict: Verdict  # FOUND or MAYBE
    grounds: Grounds
    probability: float | None  # that it is this work, 0..1; None without a calibration
    outline: np.ndarray | None  # see models.local.outlines.of_work


@dataclass(frozen=True)
class Answer:
    """The engine's answer to one query."""

    verdict: Verdict  # on the first candidate after re-ranking, whatever else the query shows
    before: list[Candidate]  # by similarity, best first
    after: list[Candidate]  # the same candidates by score, best first
    keypoints: int  # in the query
    frame: tuple[int, int]  # (height, width) of the query at the scale of the points
    seconds: dict[str, float]  # stage of STAGES -> seconds
    # Where the network looked: (rows, columns) uint8, 255 is most; covers the whole picture.
    attention: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    grounds: Grounds = Grounds()  # of the verdict; the defaults without a candidate
    probability: float | None = None  # that the first candidate is right, 0..1; None without a calibration
    works: list[Sighting] = field(default_factory=list)  # all works that the query shows, none twice; surest first
    # Outlines, (4, 2) float32 in pixels of the query's frame, of what looks like a work but leads to none.
    unknown: list[np.ndarray] = field(default_factory=list)

"""Matching: pairs of keypoints of a query and of a work that look alike."""

from collections.abc import Callable, Sequence

import numpy as np

from models.collection.features import Features
from models.local.kinds import kind_of

RATIO = 0.8  # nearest against second nearest (Lowe 2004)

Nearest = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # see models.local.distances


def match(query: Features, works: Sequence[Features], *, ratio: float = RATIO) -> list[np.ndarray]:
    """The matches of a query with each of the works: (matches, 2) int, positions in query and in work.

    For each keypoint of a work, the nearest neighbour in the query is found, and kept if the second nearest is clearly
    further away (Lowe's ratio test). The search goes from work to query, because a photograph shows far more than one
    work, and its other keypoints would otherwise produce false matches. If two keypoints of a work have the same
    neighbour, the nearer one is kept. All works are searched at once, which is twice as fast as one after the other.

    Raises ValueError if query and works are of different kinds.
    """
    if any(work.kind != query.kind for work in works):
        raise ValueError("Local features of different kinds cannot be matched.")
    if len(query.descriptors) < 2 or not any(len(work.descriptors) for work in works):
        return [np.zeros((0, 2), np.int64) for _ in works]
    nearest: Nearest = kind_of(query.kind).nearest_two
    distances, positions = nearest(np.concatenate([work.descriptors for work in works]), query.descriptors)
    ends = np.cumsum([len(work.descriptors) for work in works])[:-1]
    pairs = zip(np.split(distances, ends), np.split(positions, ends), strict=True)
    return [_distinct(*both, ratio) for both in pairs]


def _distinct(distances: np.ndarray, positions: np.ndarray, ratio: float) -> np.ndarray:
    """The matches of one work that pass the ratio test; distances and positions are (keypoints of the work, 2)."""
    passing = np.flatnonzero(distances[:, 0] < ratio * distances[:, 1])
    passing = passing[np.argsort(distances[passing, 0], kind="stable")]
    chosen, first = np.unique(positions[passing, 0], return_index=True)
    return np.stack([chosen, passing[first]], axis=1)

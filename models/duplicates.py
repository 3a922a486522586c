"""Pictures of the collection that show the same work: similar descriptors, confirmed by local features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.collection import vector_index
from models.collection.store import Store
from models.local.matching import match
from models.local.verification import verify

NEIGHBOURS = 10  # of each picture that are considered, at most
AT_ONCE = 1024  # descriptors in one search
CONFIRMING = 10  # inliers; similar pictures of different works have fewer by chance


@dataclass(frozen=True)
class Pair:
    """Two pictures that may show the same work."""

    first: int  # id, the lower one
    second: int
    similarity: float  # cosine of the descriptors
    inliers: int  # of their local features, as between a query and a work
    same_file: bool  # byte for byte

    @property
    def confirmed(self) -> bool:
        return self.same_file or self.inliers >= CONFIRMING


def near_duplicates(store: Store, similarity: float, most: int) -> list[Pair]:
    """Pairs of pictures at least this similar: confirmed ones first, then by similarity; at most `most` are examined.

    The time grows with the square of the collection: half a minute for 40,000 pictures.
    """
    with store.snapshot() as now:
        checksums = {image: stamp.checksum for image, stamp in now.images().items()}
        ids, descriptors = now.descriptors()
        close = sorted(_close(ids, descriptors, similarity), key=lambda pair: -pair[2])[:most]
        pairs = []
        for first, second, cosine in close:
            same = checksums[first] == checksums[second]
            pairs.append(Pair(first, second, cosine, _inliers(now, first, second), same))
    return sorted(pairs, key=lambda pair: (not pair.confirmed, -pair.similarity))


def _close(ids: np.ndarray, descriptors: np.ndarray, similarity: float) -> Iterator[tuple[int, int, float]]:
    """(id, higher id, cosine) of pairs in which one is among the other's nearest neighbours."""
    if len(ids) < 2:
        return
    index = vector_index.build(ids, descriptors, "SQfp16")
    seen = set()
    for start in range(0, len(ids), AT_ONCE):
        block = descriptors[start : start + AT_ONCE].astype(np.float32)
        others, cosines = index.search_many(block, min(NEIGHBOURS + 1, len(ids)))  # one of them is the picture itself
        for row, place in zip(*np.nonzero(cosines >= similarity), strict=True):
            one, other = int(ids[start + row]), int(others[row, place])
            first, second = min(one, other), max(one, other)
            if first != second and (first, second) not in seen:
                seen.add((first, second))
                yield first, second, float(cosines[row, place])


def _inliers(store: Store, first: int, second: int) -> int:
    one, other = store.features([first, second])
    if one is None or other is None:
        return 0
    return verify(one, other, match(one, [other])[0]).inliers


def keypoint_counts(store: Store) -> Sequence[int]:
    """Number of keypoints of each picture that has local features; takes a second for 40,000 pictures."""
    with store.snapshot() as now:
        return [len(features.keypoints) for features in now.features(now.images()) if features is not None]

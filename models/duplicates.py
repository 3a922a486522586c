"""Pictures of the collection that show the same work: neighbours of each other, confirmed by local features and pixels.

How similar the descriptors of a copy and its original are depends on what became of the copy: cropped, it may be less
similar than another work is to a third. But hardly any work is more similar to the original. So the nearest neighbours
of each picture are examined, however near they are, and the pictures that its keypoints vote for.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from models.collection.features import Features
from models.collection.reading import Reading
from models.collection.store import Stamp, Store
from models.local.agreement import agreement
from models.local.verification import examine
from models.local.votes import Votes
from utils import images, work
from utils.images import ImageProblem

SIMILAR, VOTED = 4, 3  # neighbours of a picture that are examined: by its descriptor, by the votes of its keypoints
VOTING = 32  # keypoints of a picture that vote; a part of a picture has enough of them as well
# The same work has so many inliers, and agrees so far. Of painted works that differ, none had more than 11 inliers or
# agreed by more than .4; of 2,473 real ones, two portraits in white ovals had 28 and agreed by .58.
INLIERS, AGREEMENT = 8, 0.6
AT_ONCE = 64  # pictures that are read at a time
BLOCK = 65536  # descriptors that are indexed at a time, because they are copied in single precision

# The index of the descriptors. What is very similar lies in the same list or in one beside it, so the lists that are
# searched need not grow with the collection. Up to PER_LIST * PROBED pictures, all are searched.
PER_LIST, PROBED = 512, 8
SAMPLE, ROUNDS = 32, 4  # descriptors a list, and rounds of k-means, by which the lists' centres are learned

Progress = Callable[[int, int], object]  # called with the pictures that have been examined, and all


@dataclass(frozen=True)
class Pair:
    """Two pictures that show the same work."""

    first: int  # id, the lower one
    second: int
    checksums: tuple[str, str]  # of their files
    similarity: float  # cosine of the descriptors
    inliers: int  # of their local features, as between a query and a work
    agreement: float  # of their pixels, 0..1

    @property
    def same_file(self) -> bool:
        """Whether the two are the same byte for byte; the other figures are then not measured, and 1 or 0."""
        return self.checksums[0] == self.checksums[1]


def near_duplicates(store: Store, reading: Reading, workers: int, progress: Progress) -> Iterator[Pair]:
    """Pairs of pictures that show the same work; of pictures with the same file, each with the first of them.

    The time grows in proportion to the collection. Of its data, only the descriptors are held in memory.
    workers: threads. Raises WrongUse where the index of keypoints is missing, Failed where the store is damaged.
    """
    stamps, (ids, descriptors) = store.images(), store.descriptors()
    first_of: dict[str, int] = {}
    for image, stamp in stamps.items():
        first = first_of.setdefault(stamp.checksum or stamp.path, image)
        if first != image:
            yield Pair(first, image, (stamp.checksum, stamp.checksum), similarity=1, inliers=0, agreement=1)
    single = np.isin(ids, list(first_of.values()))  # one picture of each file
    ids, descriptors = ids[single], descriptors[single]
    if not len(ids):
        return
    comparing = _Comparing(store, reading, stamps, ids, descriptors)
    # FAISS would divide each of these short searches among threads, which wait for each other most of the time.
    with work.ending(ThreadPoolExecutor(workers, initializer=faiss.omp_set_num_threads, initargs=(1,))) as pool:
        for start in range(0, len(ids), AT_ONCE):
            progress(start, len(ids))
            rows = range(start, min(start + AT_ONCE, len(ids)))
            known = [(row, its) for row, its in zip(rows, comparing.features(rows), strict=True) if its]
            list(pool.map(comparing.find_neighbours, *zip(*known, strict=True)))
            for pairs in pool.map(comparing.confirmed, *zip(*known, strict=True)):
                yield from pairs
    progress(len(ids), len(ids))


class _Comparing:
    """Compares the pictures of a collection with their neighbours; each is the row of its descriptor."""

    def __init__(
        self, store: Store, reading: Reading, stamps: dict[int, Stamp], ids: np.ndarray, descriptors: np.ndarray
    ):
        """stamps: by id. ids: (rows,) int64, ascending. descriptors: (rows, dimensions) float16."""
        self.store, self.reading, self.stamps = store, reading, stamps
        self.ids, self.descriptors = ids, descriptors
        self.index, self.votes, self.among = _index(descriptors), Votes.reading(store), set(ids.tolist())
        self.neighbours = np.full((len(ids), SIMILAR + VOTED), -1)  # rows; -1 for none

    def features(self, rows: Iterable[int]) -> list[Features | None]:
        return self.store.features(self.ids[list(rows)].tolist())

    def find_neighbours(self, row: int, features: Features) -> None:
        """Fill the picture's row of `neighbours`."""
        _, similar = self.index.search(self.descriptors[row : row + 1].astype(np.float32), SIMILAR + 1)
        voted = self.votes.candidates(_fewer(features), VOTED + 1, self.among)
        for_votes = np.searchsorted(self.ids, [image for image, _ in voted])
        found = {
            int(other)
            for those, most in ((similar[0], SIMILAR), (for_votes, VOTED))
            for other in those[(those >= 0) & (those != row)][:most]
        }
        self.neighbours[row, : len(found)] = sorted(found)

    def confirmed(self, row: int, features: Features) -> list[Pair]:
        """The picture's pairs with neighbours; not with earlier ones that have it as a neighbour too."""
        others = [other for other in self.neighbours[row].tolist() if other >= 0]
        others = [other for other in others if other > row or row not in self.neighbours[other]]
        known = [(other, its) for other, its in zip(others, self.features(others), strict=True) if its]
        pairs, picture = [], None
        for (other, its), evidence in zip(known, examine(features, [its for _, its in known]), strict=True):
            if evidence.homography is None or evidence.inliers < INLIERS:
                continue
            try:
                picture = self._picture(row, features) if picture is None else picture
                agreed = agreement(picture, self._picture(other, its), evidence.homography, evidence.work_points)
            except ImageProblem:  # it has left the dataset, or is damaged by now
                continue
            if agreed >= AGREEMENT:
                pairs.append(self._pair(min(row, other), max(row, other), evidence.inliers, agreed))
        return pairs

    def _picture(self, row: int, features: Features) -> np.ndarray:
        path = self.reading.dataset / self.stamps[int(self.ids[row])].path
        return images.stretch(self.reading.decode(path), *features.frame)

    def _pair(self, one: int, other: int, inliers: int, agreed: float) -> Pair:
        first, second = self.ids[[one, other]].tolist()
        similarity = self.descriptors[one].astype(np.float32) @ self.descriptors[other].astype(np.float32)
        checksums = self.stamps[first].checksum, self.stamps[second].checksum
        return Pair(first, second, checksums, round(float(similarity), 3), inliers, round(agreed, 3))


def _fewer(features: Features) -> Features:
    """Every second, third, ... keypoint, which keeps all sizes."""
    every = slice(None, None, -(-len(features.keypoints) // VOTING) or 1)
    return Features(features.frame, features.keypoints[every], features.descriptors[every], features.kind)


def _index(descriptors: np.ndarray) -> Any:  # faiss.IndexIVF: FAISS's types do not know its parameters
    """An index of (images, dimensions) descriptors by their rows."""
    lists = max(1, len(descriptors) // PER_LIST)
    index: Any = faiss.index_factory(descriptors.shape[1], f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = ROUNDS, 1, SAMPLE
    index.nprobe = min(PROBED, lists)
    index.train(descriptors[:: max(1, len(descriptors) // (lists * SAMPLE))].astype(np.float32))
    for start in range(0, len(descriptors), BLOCK):
        index.add(descriptors[start : start + BLOCK].astype(np.float32))
    return index

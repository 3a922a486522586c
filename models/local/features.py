"""Local features of a picture: keypoints and what surrounds them (ORB, Rublee et al. 2011; SIFT, Lowe 2004)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import faiss
import numpy as np

from models.collection.store import Features
from utils import images
from utils.errors import WrongUse

KINDS = ("orb", "sift")
WIDTH = {"orb": 32, "sift": 128}  # bytes of a descriptor
LISTS, PROBED = 16, 4  # of an approximate search: lists of descriptors, and how many of them are looked into
FEW = 500  # keypoints, or half of those wanted: where ORB finds fewer, it looks again for ...
FAINT = (7, 3)  # ... corners that differ from their surroundings by so many grey levels, instead of OpenCV's 20
SMALL, LARGER = 320, 3  # pixels of the long side up to which ORB gets a picture enlarged; times, at most
FAINTEST, EDGIEST = 0.01, 30  # SIFT's thresholds, instead of OpenCV's 0.04 and 10: drawings have faint blobs on lines
MIN_FRAME = 32  # pixels; in a smaller frame ORB's patches do not fit


@dataclass(frozen=True)
class Finder:
    """Finds the strongest keypoints of pictures. Safe to call from several threads."""

    kind: str  # orb or sift
    keypoints: int  # at most
    side: int  # pixels; the picture's long side is reduced to this first

    def __post_init__(self):
        if self.kind not in KINDS:
            raise WrongUse(f"The feature {self.kind!r} is not known: choose one of {', '.join(KINDS)}.")

    def to_json(self) -> dict:
        """What a store remembers of it."""
        thresholds = {"thresholds": [FAINTEST, EDGIEST]} if self.kind == "sift" else {}
        return asdict(self) | thresholds

    def find(self, picture: np.ndarray) -> Features:
        """The local features of a (height, width, 3) uint8 BGR picture; there may be none.

        SIFT descriptors are RootSIFT (Arandjelovic & Zisserman 2012), scaled to 0..255.
        """
        frame = images.fit(picture, self.side)
        keypoints, descriptors = (), None
        larger = self._larger(frame)
        if min(frame.shape[:2]) >= MIN_FRAME:
            grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
            if larger > 1:
                grey = cv2.resize(grey, None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC)
            keypoints, descriptors = self._detected(grey)
        if descriptors is None or not len(keypoints):
            empty = np.zeros((0, WIDTH[self.kind]), np.uint8)
            return Features(frame.shape[:2], np.zeros((0, 4), np.float32), empty)
        # SIFT may return one or two more than asked for.
        keypoints, descriptors = keypoints[: self.keypoints], descriptors[: self.keypoints]
        table = np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)
        table[:, :3] /= larger
        return Features(frame.shape[:2], table, descriptors if self.kind == "orb" else _root(descriptors))

    def _larger(self, frame: np.ndarray) -> float:
        """How many times a small picture is enlarged: ORB's patches are 31 pixels wide, and its margin is as well."""
        return min(LARGER, max(1.0, SMALL / max(frame.shape[:2]))) if self.kind == "orb" else 1.0

    def _detected(self, grey: np.ndarray) -> tuple[Sequence[cv2.KeyPoint], np.ndarray | None]:
        """Keypoints and descriptors. ORB finds next to none on a dark or blurred picture, so it looks again."""
        if self.kind == "sift":
            detector = cv2.SIFT_create(self.keypoints, contrastThreshold=FAINTEST, edgeThreshold=EDGIEST)
            return detector.detectAndCompute(grey, None)
        detector = cv2.ORB_create(self.keypoints)
        found = detector.detectAndCompute(grey, None)
        for threshold in FAINT:
            if len(found[0]) >= min(FEW, self.keypoints / 2):
                break
            detector.setFastThreshold(threshold)
            found = detector.detectAndCompute(grey, None)
        return found


def in_frame(features: Features, frame: tuple[int, int]) -> Features:
    """The same features in the pixels of another frame, (height, width), of the same picture."""
    scale = np.float32([frame[1] / features.frame[1], frame[0] / features.frame[0], frame[1] / features.frame[1], 1])
    return Features(frame, features.keypoints * scale, features.descriptors)


def _root(descriptors: np.ndarray) -> np.ndarray:
    """RootSIFT as bytes: the square root of the l1-normalised descriptor."""
    sums = np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return np.minimum(np.sqrt(descriptors / sums) * 512, 255).round().astype(np.uint8)


def nearest_two(asking: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each descriptor its two nearest among others: (asking, 2) distances float32, (asking, 2) positions.

    32-byte descriptors are compared by Hamming distance, 128-byte ones by Euclidean distance.
    """
    if asking.shape[1] == WIDTH["orb"]:
        distances, positions = faiss.knn_hamming(asking, among, 2)
        return distances.astype(np.float32), positions
    squares, positions = faiss.knn(asking.astype(np.float32), among.astype(np.float32), 2)
    return np.sqrt(np.maximum(squares, 0)), positions


def roughly_nearest_two(asking: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest_two` in less than half the time, where now and then a neighbour is missed.

    The descriptors of `among` are shared out to lists around some of themselves, and only the lists nearest to a
    descriptor are looked into (FAISS' inverted file). A neighbour that was not found lies at the largest distance.
    """
    if asking.shape[1] != WIDTH["orb"] or len(among) < LISTS**2:
        return nearest_two(asking, among)
    bits = 8 * among.shape[1]
    centres = faiss.IndexBinaryFlat(bits)
    centres.add(np.ascontiguousarray(among[:: len(among) // LISTS][:LISTS]))
    lists = faiss.IndexBinaryIVF(centres, bits, LISTS)
    lists.is_trained = True  # its centres are chosen, not learned: learning takes longer than the search
    lists.nprobe = PROBED
    lists.add(among)
    distances, positions = lists.search(asking, 2)
    return np.where(positions < 0, bits, distances).astype(np.float32), positions

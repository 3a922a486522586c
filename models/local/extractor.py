"""The base class of all kinds of local features. Each kind has its own file and is listed in models/local/kinds.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np

from models.collection.features import Features
from utils import images

MIN_FRAME = 32  # pixels; the patches of detectors do not fit into a smaller frame
MIN_TILE = 200  # pixels; side of a part that is searched by itself, at least ...
MARGIN = 48  # ... and what of its surroundings is searched with it


@dataclass(frozen=True)
class Extractor(ABC):
    """Extracts the strongest local features of a picture. Safe to call from several threads.

    A kind defines the shape of its descriptors (`width`, `dtype`), computes them (`detect`), and compares them
    (`nearest_two`). It is a frozen dataclass, so that it can be passed to worker processes and kept in the store.
    """

    kind: ClassVar[str]  # its name in models.local.kinds.KINDS; at most 16 bytes
    width: ClassVar[int]  # numbers in a descriptor
    dtype: ClassVar[type[np.generic]]  # of these numbers: uint8, float16 or float32
    binary: ClassVar[bool] = False  # whether their bits are compared, rather than the numbers

    keypoints: int  # at most
    side: int  # pixels; the picture's long side is reduced to this first

    @abstractmethod
    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints and their descriptors, the strongest first or scale by scale.

        grey: (height, width) uint8, both at least MIN_FRAME.
        Returns (n, 4) float32 x, y, size (diameter) in pixels and angle in degrees, and (n, width) of `dtype`.
        """

    @staticmethod
    @abstractmethod
    def nearest_two(descriptors: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each of (n, width) descriptors the two nearest of (m, width) others: see models.local.distances."""

    def enlargement(self, frame: tuple[int, int]) -> float:  # noqa: ARG002  (for kinds that do)
        """The factor by which a picture of this frame, (height, width), is enlarged before detection."""
        return 1.0

    def settings(self) -> dict:
        """Everything that shapes the extracted features, as plain JSON data, which the store keeps."""
        return {"kind": self.kind, **asdict(self)}

    def extract(self, picture: np.ndarray, tiles: int = 1) -> Features:
        """The local features of a (height, width, 3) uint8 BGR picture; there may be none.

        tiles: into how many parts each side is divided, if the picture is large enough. Each part has its own share of
        the keypoints; otherwise one work of strong contrast takes those of all others.
        """
        frame = images.fit(picture, self.side)
        if min(frame.shape[:2]) < MIN_FRAME:
            return self._features(frame, np.zeros((0, 4), np.float32), np.zeros((0, self.width), self.dtype))
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        enlargement = self.enlargement(frame.shape[:2])
        if enlargement > 1:
            grey = cv2.resize(grey, None, fx=enlargement, fy=enlargement, interpolation=cv2.INTER_CUBIC)
        table, descriptors = self._by_tiles(grey, min(tiles, min(grey.shape) // MIN_TILE))
        table = table[: self.keypoints].astype(np.float32)
        table[:, :3] /= np.float32(enlargement)
        return self._features(frame, table, descriptors[: self.keypoints])

    def _by_tiles(self, grey: np.ndarray, tiles: int) -> tuple[np.ndarray, np.ndarray]:
        """As `detect`, of tiles x tiles parts; each is searched with a margin, in which the patches at its edge lie."""
        if tiles < 2:
            return self.detect(grey)
        found = []
        share = self.keypoints / tiles**2
        for top, bottom in _parts(grey.shape[0], tiles):
            for left, right in _parts(grey.shape[1], tiles):
                upper, outer = max(0, top - MARGIN), max(0, left - MARGIN)
                part = grey[upper : bottom + MARGIN, outer : right + MARGIN]
                most = round(share * part.size / ((bottom - top) * (right - left)))
                table, descriptors = replace(self, keypoints=most).detect(part)
                table = table.astype(np.float32)
                table[:, :2] += (outer, upper)
                inside = (table[:, 0] >= left) & (table[:, 0] < right) & (table[:, 1] >= top) & (table[:, 1] < bottom)
                found.append((table[inside], descriptors[inside]))
        return np.concatenate([table for table, _ in found]), np.concatenate([numbers for _, numbers in found])

    def _features(self, frame: np.ndarray, table: np.ndarray, descriptors: np.ndarray) -> Features:
        return Features(frame.shape[:2], table, descriptors, self.kind)

    def from_opencv(
        self, keypoints: Sequence[cv2.KeyPoint], descriptors: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Converts what an OpenCV detector returns into what `detect` has to return; an unknown angle becomes 0."""
        if descriptors is None or not len(keypoints):
            return np.zeros((0, 4), np.float32), np.zeros((0, self.width), self.dtype)
        table = [(*point.pt, point.size, max(point.angle, 0)) for point in keypoints]  # -1: unknown
        return np.array(table, np.float32), descriptors


def _parts(length: int, count: int) -> list[tuple[int, int]]:
    """Start and end of `count` parts of a length."""
    ends = [length * part // count for part in range(count + 1)]
    return list(pairwise(ends))


def in_frame(features: Features, frame: tuple[int, int]) -> Features:
    """The same features in the pixels of another frame, (height, width), of the same picture."""
    scale = np.array([frame[1] / features.frame[1], frame[0] / features.frame[0], frame[1] / features.frame[1], 1])
    return Features(frame, features.keypoints * scale.astype(np.float32), features.descriptors, features.kind)

"""The base class of all kinds of local features. Each kind has its own file and is listed in models/local/kinds.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import cv2
import numpy as np

from models.collection.features import Features
from utils import images

MIN_FRAME = 32  # pixels; the patches of detectors do not fit into a smaller frame


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

    @classmethod
    def approximate_nearest_two(cls, descriptors: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest_two`; a kind may override it by a faster search that occasionally misses a neighbour."""
        return cls.nearest_two(descriptors, among)

    def enlargement(self, frame: tuple[int, int]) -> float:  # noqa: ARG002  (for kinds that do)
        """The factor by which a picture of this frame, (height, width), is enlarged before detection."""
        return 1.0

    def settings(self) -> dict:
        """Everything that shapes the extracted features, as plain JSON data, which the store keeps."""
        return {"kind": self.kind, **asdict(self)}

    def extract(self, picture: np.ndarray) -> Features:
        """The local features of a (height, width, 3) uint8 BGR picture; there may be none."""
        frame = images.fit(picture, self.side)
        if min(frame.shape[:2]) < MIN_FRAME:
            return self._features(frame, np.zeros((0, 4), np.float32), np.zeros((0, self.width), self.dtype))
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        enlargement = self.enlargement(frame.shape[:2])
        if enlargement > 1:
            grey = cv2.resize(grey, None, fx=enlargement, fy=enlargement, interpolation=cv2.INTER_CUBIC)
        table, descriptors = self.detect(grey)
        table = table[: self.keypoints].astype(np.float32)
        table[:, :3] /= np.float32(enlargement)
        return self._features(frame, table, descriptors[: self.keypoints])

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


def in_frame(features: Features, frame: tuple[int, int]) -> Features:
    """The same features in the pixels of another frame, (height, width), of the same picture."""
    scale = np.array([frame[1] / features.frame[1], frame[0] / features.frame[0], frame[1] / features.frame[1], 1])
    return Features(frame, features.keypoints * scale.astype(np.float32), features.descriptors, features.kind)

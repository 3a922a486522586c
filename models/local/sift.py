"""SIFT: blobs and gradient histograms; slower than ORB, but good for blurred pictures and thin drawings (Lowe 2004)."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.local import distances
from models.local.extractor import Extractor

CONTRAST, EDGE = 0.01, 30  # thresholds, instead of OpenCV's 0.04 and 10: drawings have faint blobs on lines


@dataclass(frozen=True)
class Sift(Extractor):
    """OpenCV's SIFT (Lowe 2004) with RootSIFT descriptors (Arandjelovic & Zisserman 2012), scaled to 0..255."""

    kind = "sift"
    width = 128
    dtype = np.uint8
    nearest_two = staticmethod(distances.euclidean)

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As Extractor.detect. OpenCV may return one or two keypoints more than requested."""
        detector = cv2.SIFT.create(self.keypoints, contrastThreshold=CONTRAST, edgeThreshold=EDGE)
        table, descriptors = self.from_opencv(*detector.detectAndCompute(grey, None))
        return table, root_sift(descriptors)

    def settings(self) -> dict:
        """Includes the thresholds, so that features made with others are computed again."""
        return super().settings() | {"thresholds": [CONTRAST, EDGE]}


def root_sift(descriptors: np.ndarray) -> np.ndarray:
    """RootSIFT as bytes, (n, 128) uint8: the square root of the l1-normalised descriptor, times 512, at most 255."""
    sums = np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return np.minimum(np.sqrt(descriptors / sums) * 512, 255).round().astype(np.uint8)

"""Corners, described by the blurred pixels around them: a kind of local feature with float32 descriptors."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.local import distances
from models.local.extractor import Extractor

HALF = 12  # pixels from a corner to the border of its patch


@dataclass(frozen=True)
class Patches(Extractor):
    """Corners (Shi & Tomasi 1994) and 8 x 8 pixels around each, less their mean and of length 1."""

    kind = "patches"
    width = 64
    dtype = np.float32
    nearest_two = staticmethod(distances.euclidean)

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = grey[HALF:-HALF, HALF:-HALF]
        corners = cv2.goodFeaturesToTrack(inner, self.keypoints, 0.01, 5)
        points = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2) + HALF
        smooth = cv2.GaussianBlur(grey, (0, 0), 2).astype(np.float32)
        patches = [
            cv2.resize(cv2.getRectSubPix(smooth, (2 * HALF, 2 * HALF), point.tolist()), (8, 8)) for point in points
        ]
        descriptors = np.array(patches, np.float32).reshape(-1, 64)
        descriptors -= descriptors.mean(1, keepdims=True)
        descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)
        size_and_angle = np.tile(np.float32([2 * HALF, 0]), (len(points), 1))
        return np.hstack([points, size_and_angle]), descriptors

"""ORB: corners and binary descriptors, quick to compute and to compare (Rublee et al. 2011)."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.local import distances
from models.local.extractor import Extractor

FEW = 500  # keypoints, or half of the maximum: if ORB finds fewer, it repeats the search for ...
FAINT = (7, 3)  # ... corners that differ from their surroundings by this many grey levels, instead of OpenCV's 20
SMALL, LARGEST = 320, 3  # long side in pixels below which a picture is enlarged; maximum factor


@dataclass(frozen=True)
class Orb(Extractor):
    """OpenCV's ORB, adapted to dark, pale and small pictures."""

    kind = "orb"
    width = 32
    dtype = np.uint8
    binary = True
    nearest_two = staticmethod(distances.hamming)

    def enlargement(self, frame: tuple[int, int]) -> float:
        """Small pictures are enlarged, because ORB's patches and margins are 31 pixels wide."""
        return min(LARGEST, max(1.0, SMALL / max(frame)))

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As Extractor.detect. With the default threshold, ORB finds very little in dark or blurred pictures."""
        detector = cv2.ORB.create(self.keypoints)
        keypoints, descriptors = detector.detectAndCompute(grey, None)
        for threshold in FAINT:
            if len(keypoints) >= min(FEW, self.keypoints / 2):
                break
            detector.setFastThreshold(threshold)
            keypoints, descriptors = detector.detectAndCompute(grey, None)
        return self.from_opencv(keypoints, descriptors)

"""ORB: corners and binary descriptors, quick to compute and to compare (Rublee et al. 2011)."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.local import distances
from models.local.extractor import Extractor

FEW = 500  # keypoints, or half of the most allowed: where ORB finds fewer, it looks again for ...
FAINT = (7, 3)  # ... corners that differ from their surroundings by so many grey levels, instead of OpenCV's 20
SMALL, LARGEST = 320, 3  # pixels of the long side up to which a picture is enlarged; times, at most


@dataclass(frozen=True)
class Orb(Extractor):
    """ORB as OpenCV has it, which looks again where a picture is dark, pale or small."""

    kind = "orb"
    width = 32
    dtype = np.uint8
    nearest_two = staticmethod(distances.hamming)
    approximate_nearest_two = staticmethod(distances.approximate_hamming)

    def enlargement(self, frame: tuple[int, int]) -> float:
        """ORB's patches are 31 pixels wide, and so is its margin: small pictures are enlarged."""
        return min(LARGEST, max(1.0, SMALL / max(frame)))

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As Extractor.detect. ORB finds next to nothing on a dark or blurred picture, so it looks again."""
        detector = cv2.ORB.create(self.keypoints)
        keypoints, descriptors = detector.detectAndCompute(grey, None)
        for threshold in FAINT:
            if len(keypoints) >= min(FEW, self.keypoints / 2):
                break
            detector.setFastThreshold(threshold)
            keypoints, descriptors = detector.detectAndCompute(grey, None)
        return self.from_opencv(keypoints, descriptors)

"""Pictures as arrays, (height, width, 3) uint8: reduced and brought to a size."""

import cv2
import numpy as np


def fit(image: np.ndarray, long_side: int) -> np.ndarray:
    """The picture scaled down so that its long side has at most `long_side` pixels; never up."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def stretch(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture at exactly this size in pixels: a side that shrinks is averaged, one that grows interpolated."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The picture (height, width, ...) as EXIF orientation 1..8 has it (EXIF 2.32, tag 0x0112), contiguous."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)

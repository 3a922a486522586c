"""Validates outlines of four corners that come from outside: can a part of a picture be cut out along them?

Corners are (4, 2) arrays of finite x, y in pixels of a picture that is `width` x `height` pixels.
"""

import cv2
import numpy as np

BEYOND = 0.05  # fraction of a side by which a corner may lie outside the picture; it is then moved to the border


def is_near(corners: np.ndarray, width: int, height: int) -> bool:
    """Whether all corners lie inside the picture, or outside by at most BEYOND of its sides."""
    size = np.array((width, height))
    return bool((corners >= -BEYOND * size).all() and (corners <= (1 + BEYOND) * size).all())


def clip(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """The corners with those that lie outside the picture moved to its border."""
    return np.clip(corners, 0, (width, height))


def is_convex_clockwise(corners: np.ndarray) -> bool:
    """Whether the outline turns clockwise at every corner (y points down): with four corners it is then convex."""
    sides = np.roll(corners, -1, axis=0) - corners
    turned = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    return bool((turned > 0).all())


def is_large(corners: np.ndarray, least: int) -> bool:
    """Whether the shortest side has `least` pixels, and the area divided by the longest side half of that."""
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    # The area rules out slivers, whose sides may be long though there is nothing between them.
    return bool(lengths.min() >= least and cv2.contourArea(corners.astype(np.float32)) >= least * lengths.max() / 2)

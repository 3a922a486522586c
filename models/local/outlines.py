"""Outlines of four corners: those of works in a photograph, and checks of those that come from outside.

Corners are (4, 2) arrays of finite x, y in pixels of a picture that is `width` x `height` pixels.
"""

import cv2
import numpy as np

from models.answer import Evidence

SHARED = 0.5  # of the smaller of two outlines, above which they are of the same place
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


def of_work(evidence: Evidence, frame: tuple[int, int]) -> np.ndarray | None:
    """Where the work is in the query, by the homography: (4, 2) float32, in pixels of the query's frame.

    The corners are clockwise from the work's upper left, and may lie outside the query. Where the homography folds a
    corner over, because it is known only where the inliers are, it is the rectangle around these. None without one.
    frame: (height, width) of the work.
    """
    if evidence.homography is None:
        return None
    height, width = frame
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    placed = cv2.perspectiveTransform(corners, np.linalg.inv(evidence.homography))[0].astype(np.float32)
    if np.isfinite(placed).all() and is_convex_clockwise(placed):
        return placed
    x, y, wide, high = cv2.boundingRect(evidence.query_points)
    return np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]], np.float32)


def same_place(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two convex outlines, (4, 2) x, y, share much of the smaller one; not if there is none."""
    if one is None or other is None:
        return False
    common, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
    smaller = min(cv2.contourArea(one.astype(np.float32)), cv2.contourArea(other.astype(np.float32)))
    return bool(common > SHARED * smaller)

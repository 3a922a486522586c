"""Detects paintings in a photograph: the four corners of frames and canvases."""

import cv2
import numpy as np

from utils import images

SIDE = 480  # pixels; details finer than a frame are only noise
SHARE = (0.04, 0.95)  # of the photograph that a work may cover
SAME = 0.6  # overlap (intersection over union) above which two quadrilaterals are the same work
EDGES = ((30, 90), (15, 45))  # Canny's thresholds: clear frames first, then faint ones
BEND = 0.04  # maximum deviation of an outline from four straight lines, as a fraction of its length
INNER = 0.9  # share of the outline's width and height inside a typical frame
CORNER = (50, 130)  # degrees between two sides of a rectangle in perspective
PAINTINGS = 6  # maximum number offered in one photograph
WALL = 0.5  # of the photograph; a larger outline may be the wall on which works hang
WITHIN = 0.9  # share of an outline inside another one, above which it is a part of that painting
# Limits of the perspective distortion of a rectangle in a usable photograph.
SKEWED = 0.42  # maximum cosine of the angle between two sides: 65 to 115 degrees
FORESHORTENED = 0.5  # minimum ratio of two opposite sides


def quadrilaterals(picture: np.ndarray, most: int = 4) -> list[np.ndarray]:
    """Outlines that could be works, largest first.

    picture: (height, width, 3) uint8 BGR. Returns at most `most` arrays (4, 2) float32 of x, y in its pixels,
    clockwise from the corner nearest to the picture's upper left.
    """
    small = images.fit(picture, SIDE)
    scale = picture.shape[1] / small.shape[1]
    distinct: list[np.ndarray] = []
    for corners in sorted(_candidates(small), key=cv2.contourArea, reverse=True):
        if all(_overlap(corners, other) < SAME for other in distinct):
            distinct.append(corners)
    return [clockwise(corners.reshape(4, 2).astype(np.float32) * scale) for corners in distinct[:most]]


def paintings(picture: np.ndarray, most: int = PAINTINGS) -> list[np.ndarray]:
    """Outlines to offer to people, largest first; `quadrilaterals` also returns some that would puzzle them.

    picture: (height, width, 3) uint8 BGR. Returns at most `most` arrays (4, 2) float32 of x, y in its pixels,
    clockwise from the corner nearest to the picture's upper left; corners may lie slightly outside of it.
    """
    offered: list[np.ndarray] = []
    height, width = picture.shape[:2]
    for corners in filter(_like_a_work, quadrilaterals(picture, 4 * most)):
        # A large outline may be a wall with works on it; an outline within a smaller one is a part of that painting.
        frames = [frame for frame in offered if cv2.contourArea(frame) < WALL * width * height]
        if not any(_is_within(corners, frame) for frame in frames):
            offered.append(corners)
    return offered[:most]


def _is_within(inner: np.ndarray, outer: np.ndarray) -> bool:
    common, _ = cv2.intersectConvexConvex(inner, outer)
    return common > WITHIN * cv2.contourArea(inner)


def _like_a_work(corners: np.ndarray) -> bool:
    """Whether a rectangle could look like this in a photograph."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    cosines = (sides * np.roll(sides, -1, axis=0)).sum(1) / (lengths * np.roll(lengths, -1))
    shorter, longer = np.minimum(lengths[:2], lengths[2:]), np.maximum(lengths[:2], lengths[2:])
    return bool((np.abs(cosines) <= SKEWED).all() and (shorter >= FORESHORTENED * longer).all())


def _candidates(small: np.ndarray) -> list[np.ndarray]:
    """Convex outlines of four corners in the edges of lightness and of both colour axes."""
    room = small.shape[0] * small.shape[1]
    candidates = []
    for channel in cv2.split(cv2.cvtColor(cv2.bilateralFilter(small, 7, 40, 7), cv2.COLOR_BGR2LAB)):
        for low, high in EDGES:
            edges = cv2.dilate(cv2.Canny(channel, low, high), np.ones((3, 3), np.uint8))
            outlines, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
            for outline in outlines:
                hull = cv2.convexHull(outline)
                if SHARE[0] * room <= cv2.contourArea(hull) <= SHARE[1] * room:
                    corners = cv2.approxPolyDP(hull, BEND * cv2.arcLength(hull, True), True)
                    if len(corners) == 4 and cv2.contourArea(corners) >= SHARE[0] * room and _like_a_rectangle(corners):
                        candidates.append(corners)
    return candidates


def _like_a_rectangle(corners: np.ndarray) -> bool:
    sides = np.roll(corners.reshape(4, 2), -1, axis=0) - corners.reshape(4, 2)
    sides = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((-sides * np.roll(sides, -1, axis=0)).sum(1), -1, 1)))
    return bool((angles >= CORNER[0]).all() and (angles <= CORNER[1]).all())


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two convex outlines, 0..1."""
    common, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
    return common / (cv2.contourArea(one) + cv2.contourArea(other) - common)


def clockwise(corners: np.ndarray) -> np.ndarray:
    """Four corners, (4, 2) x, y in any order, clockwise from the one nearest to the picture's upper left."""
    middle = corners.mean(0)
    around = corners[np.argsort(np.arctan2(corners[:, 1] - middle[1], corners[:, 0] - middle[0]))]
    return np.roll(around, -int(np.argmin(around.sum(1))), axis=0)


def without_frame(corners: np.ndarray) -> np.ndarray:
    """The corners moved inwards by about the width of a frame, because collection images have no frames."""
    middle = corners.mean(0)
    return (middle + INNER * (corners - middle)).astype(np.float32)


def straighten(picture: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The area within four corners, rectified: (height, width, 3) uint8 BGR.

    corners: (4, 2) x, y, clockwise from the upper left. Each side is as long as the longer of the opposite pair.
    """
    lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    width, height = round(max(lengths[0], lengths[2], 1)), round(max(lengths[1], lengths[3], 1))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    mapping = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return cv2.warpPerspective(picture, mapping, (width, height))

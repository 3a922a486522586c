"""Drawings of a match: query and work side by side, with matched points joined."""

import cv2
import numpy as np

GAP = 12  # pixels between the two pictures
BACKGROUND = (128, 128, 128)  # BGR; stands out from neither a light nor a dark page
OUTLINE = (80, 220, 60)  # BGR


def draw_match(
    query: np.ndarray,
    work: np.ndarray,
    query_points: np.ndarray,
    work_points: np.ndarray,
    outline: np.ndarray | None = None,
) -> np.ndarray:
    """Query on the left, work on the right, each pair of points joined by a thin line in a different colour.

    query, work: (h, w, 3) uint8 BGR, at the scale of the points.
    query_points, work_points: (n, 2) x, y in pixels; row i of the one matches row i of the other.
    outline: (m, 2) polygon of the work in the query, or None; it may reach beyond the query.
    Returns (max of the heights, sum of the widths + GAP, 3) uint8 BGR; the inputs stay as they are.
    """
    width = query.shape[1]
    canvas = np.full((max(len(query), len(work)), width + GAP + work.shape[1], 3), BACKGROUND, np.uint8)
    canvas[: len(query), :width] = query
    canvas[: len(work), width + GAP :] = work
    if outline is not None:
        left = np.ascontiguousarray(canvas[:, :width])  # so that the outline does not run into the work
        _polygon(left, outline)
        canvas[:, :width] = left
    shift = np.array([width + GAP, 0])
    for colour, start, end in zip(_colours(len(query_points)), query_points, work_points + shift, strict=True):
        cv2.line(canvas, _fixed(start), _fixed(end), colour, 1, cv2.LINE_AA, _SHIFT)
        for point in (start, end):
            _dot(canvas, point, colour)
    return canvas


def outline(homography: np.ndarray | None, frame: tuple[int, int]) -> np.ndarray | None:
    """Where the frame of a work lies in a query.

    homography: (3, 3), query -> work; frame: (height, width) of the work, in pixels.
    Returns (4, 2) float64 x, y, from the work's top left corner clockwise; None without a homography,
    or where the frame reaches the query's horizon, so that it has no outline.
    """
    if homography is None:
        return None
    height, width = frame
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    try:
        projected = corners @ np.linalg.inv(homography).T
    except np.linalg.LinAlgError:
        return None
    depth = projected[:, 2:]
    if not np.isfinite(projected).all() or abs(np.sign(depth).sum()) < 4:
        return None
    return projected[:, :2] / depth


_SHIFT = 4  # OpenCV takes coordinates as whole 1/16 pixels
_FARTHEST = 20_000  # pixels; OpenCV's coordinates are 32 bits, and nothing beyond is visible


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.round(np.clip(point, -_FARTHEST, _FARTHEST) * 2**_SHIFT).astype(int)
    return int(x), int(y)


def _dot(image: np.ndarray, point: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A point with a dark rim, which is visible on any picture."""
    cv2.circle(image, _fixed(point), 4 << _SHIFT, (0, 0, 0), -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, _fixed(point), 3 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)


def _polygon(image: np.ndarray, points: np.ndarray) -> None:
    corners = np.array([_fixed(point) for point in points])
    cv2.polylines(image, [corners], True, (0, 0, 0), 5, cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, [corners], True, OUTLINE, 2, cv2.LINE_AA, _SHIFT)


def _colours(count: int) -> list[tuple[int, int, int]]:
    """BGR colours of full brightness; neighbours in the list lie far apart on the colour circle (golden angle)."""
    hues = (np.arange(count) * 180 * 0.381966) % 180
    hsv = np.stack([hues, np.full(count, 170), np.full(count, 255)], axis=1).astype(np.uint8)
    return [(int(blue), int(green), int(red)) for blue, green, red in _to_bgr(hsv)]


def _to_bgr(hsv: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2BGR)[0] if len(hsv) else hsv

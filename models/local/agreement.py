"""Pixelwise agreement of a picture with a work, after warping the picture onto the work.

Inliers only show that some points agree. A stamp, a signature or a frame that two pictures share gives twenty of them,
and a good photograph of a smooth painting hardly more; but only the photograph agrees with the work everywhere.
"""

import cv2
import numpy as np

from utils import images

SIDE = 96  # pixels of the work's long side; the homography is not exact enough for finer detail
NEAR = 6.0  # standard deviation, in pixels, of the neighbourhood that a pixel is compared with
FAINT = 5.0  # grey levels by which pixels differ in a plain area: noise, which gets a low weight
LEAST = 64  # minimum number of pixels that overlap
STEPS, CHANGE = 15, 1e-3  # maximum number of refinement steps; gain of correlation below which it ends
GOOD = 0.8  # agreement above which no other mapping is tried
REFINED_BLUR = 5  # pixels; side of the blur that OpenCV applies during refinement


def agreement(query: np.ndarray, work: np.ndarray, homography: np.ndarray, points: np.ndarray) -> float:
    """How well a picture, warped onto a work by a homography, agrees with it: 0 (not at all) to 1.

    This is the correlation of the two over the visible part of the work, after subtracting the local mean and dividing
    by the local standard deviation, so that light and shadow do not matter. First the homography is refined on the
    pixels (ECC, Evangelidis & Psarakis 2008), because an estimate from points on one part of the work is inexact
    elsewhere; if that fails or is worse, it is used as it is. Points on a small part determine the perspective of the
    rest poorly, and then the similarity transform nearest to the homography may be closer to the truth, so it is tried
    as well.

    query, work: (height, width, 3) uint8 BGR. homography: (3, 3) float64, pixels of the query -> pixels of the work.
    points: (points, 2) x, y in the work where the two match; one or more.
    """
    small = _grey(images.fit(work, SIDE))
    shrunk = np.array([small.shape[1] / work.shape[1], small.shape[0] / work.shape[0], 1.0])
    query, centre = _grey(query), (points * shrunk[:2]).mean(0)
    best = _agreement(query, small, shrunk[:, None] * homography, centre)
    similarity = _similarity(homography, points) if best < GOOD and len(points) > 1 else None
    if similarity is not None:
        best = max(best, _agreement(query, small, shrunk[:, None] * similarity, centre))
    return best


def _similarity(homography: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """The similarity transform nearest to the homography at the matched points, (points, 2); None if none fits."""
    in_query = cv2.perspectiveTransform(points[None].astype(np.float64), np.linalg.inv(homography))[0]
    # The threshold is so large that this is the fit to all points.
    fitted, _ = cv2.estimateAffinePartial2D(in_query, points.astype(np.float64), ransacReprojThreshold=1e9)
    return None if fitted is None else np.vstack([fitted, (0, 0, 1)])


def _agreement(query: np.ndarray, small: np.ndarray, mapping: np.ndarray, centre: np.ndarray) -> float:
    """Of float32 grey pictures; mapping: (3, 3), query -> small work; centre: as in `_warped`."""
    warped, seen = _warped(query, mapping, small.shape, centre)
    best = _correlation(small, warped, seen)
    refinement = _refinement(small, warped, seen)
    if refinement is not None:
        flags = cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(warped, refinement, small.shape[::-1], flags=flags | cv2.INTER_LINEAR)
        seen = cv2.warpPerspective(seen, refinement, small.shape[::-1], flags=flags | cv2.INTER_NEAREST)
        best = max(best, _correlation(small, warped, seen))
    return best


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)


def _warped(query: np.ndarray, mapping: np.ndarray, shape: tuple[int, int], centre: np.ndarray) -> tuple:
    """The query warped onto the work, and a mask of where it is visible: arrays of `shape`, float32 and uint8 (0, 1).

    mapping: (3, 3), query -> small work. centre: x, y in the small work where the homography is known to be right.
    """
    back = np.linalg.inv(mapping)
    middle = back @ (*centre, 1.0)
    # Pixels of the query per pixel of the work, along a side: without reduction, most of them would be ignored.
    x, y = middle[:2] / middle[2]
    jacobian = back[:2, :2] - np.outer((x, y), back[2, :2])
    side = np.sqrt(abs(np.linalg.det(jacobian))) / abs(middle[2])
    if side > 1:
        height, width = (max(1, round(length / side)) for length in query.shape)
        mapping = mapping @ np.diag([query.shape[1] / width, query.shape[0] / height, 1.0])
        query = cv2.resize(query, (width, height), interpolation=cv2.INTER_AREA)
    warped = cv2.warpPerspective(query, mapping, shape[::-1])
    inside = cv2.warpPerspective(np.ones_like(query), mapping, shape[::-1]) > 0.99
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    depth = back[2, 0] * columns + back[2, 1] * rows + back[2, 2]
    return warped, (inside & (depth * middle[2] > 0)).astype(np.uint8)  # nothing beyond the horizon is visible


def _refinement(work: np.ndarray, warped: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """A homography work -> warped that improves the agreement; None if there is none."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, CHANGE)
    start = np.eye(3, dtype=np.float32)
    try:
        _, refinement = cv2.findTransformECC(
            work, warped, start, cv2.MOTION_HOMOGRAPHY, criteria, 255 * seen, REFINED_BLUR
        )
    except cv2.error:  # it does not converge, or the pictures have no structure
        return None
    return refinement if np.isfinite(refinement).all() else None


def _correlation(work: np.ndarray, warped: np.ndarray, seen: np.ndarray) -> float:
    """Of the local contrasts of two float32 pictures where seen is 1; 0..1, negative values become 0."""
    if seen.sum() < LEAST:
        return 0.0
    one, other = (_contrast(picture, seen.astype(np.float32))[seen == 1] for picture in (work, warped))
    one, other = one - one.mean(), other - other.mean()
    lengths = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / lengths, 0, 1)) if lengths > 0 else 0.0


def _contrast(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Each pixel less the local mean, divided by the local standard deviation, over the visible pixels."""
    weight = cv2.GaussianBlur(seen, (0, 0), NEAR) + 1e-6
    rest = picture - cv2.GaussianBlur(picture * seen, (0, 0), NEAR) / weight
    variance = cv2.GaussianBlur(rest**2 * seen, (0, 0), NEAR) / weight
    return rest / np.sqrt(variance + FAINT**2)

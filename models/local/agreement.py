"""Whether a picture agrees with a work all over: the two are laid one upon the other and compared as pixels.

Inliers tell that some points agree. A stamp, a signature or a frame that two pictures share gives twenty of them, and a
good photograph of a smooth painting hardly more; laid upon the work, only the latter agrees with it everywhere.
"""

import cv2
import numpy as np

from utils import images

SIDE = 96  # pixels of the work's long side; finer detail would ask more of the homography than it can give
NEAR = 6.0  # standard deviation in pixels of the surroundings that a pixel is compared with
FAINT = 5.0  # grey levels by which a pixel differs from its surroundings in a plain area: noise, so it counts little
LEAST = 64  # pixels that must overlap
STEPS, CHANGE = 15, 1e-3  # of the refinement, at most; gain of correlation below which it ends
GOOD = 0.8  # agreement from which on no other mapping is tried
REFINED_BLUR = 5  # pixels; side of the blur that OpenCV applies while it refines


def agreement(query: np.ndarray, work: np.ndarray, homography: np.ndarray, points: np.ndarray) -> float:
    """How well a picture, laid upon a work by a homography, agrees with it: 0 (not at all) to 1.

    This is the correlation of the two, each less its local mean and divided by its local spread, so that light and
    shadows do not count, over what the picture shows of the work. The homography is refined on the pixels first (ECC,
    Evangelidis & Psarakis 2008), because one that was found by points on a part of the work is inexact elsewhere; where
    that fails or does worse, it is taken as it is. Points on a small part say little of how the rest is tilted, and
    then the similarity nearest to the homography may come closer to the truth: so it is tried as well.

    query, work: (height, width, 3) uint8 BGR. homography: (3, 3) float64, pixels of the query -> pixels of the work.
    points: (points, 2) x, y in the work where the two match; one or more.
    """
    small = _grey(images.fit(work, SIDE))
    shrunk = np.array([small.shape[1] / work.shape[1], small.shape[0] / work.shape[0], 1.0])
    query, centre = _grey(query), (points * shrunk[:2]).mean(0)
    found = _agreement(query, small, shrunk[:, None] * homography, centre)
    similarity = _similarity(homography, points) if found < GOOD and len(points) > 1 else None
    if similarity is not None:
        found = max(found, _agreement(query, small, shrunk[:, None] * similarity, centre))
    return found


def _similarity(homography: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """The similarity that puts the matched points, (points, 2), nearest to where they are; None where there is none."""
    asked = cv2.perspectiveTransform(points[None].astype(np.float64), np.linalg.inv(homography))[0]
    # No point is so far off that it would not count: this is the fit to all of them.
    found, _ = cv2.estimateAffinePartial2D(asked, points.astype(np.float64), ransacReprojThreshold=1e9)
    return None if found is None else np.vstack([found, (0, 0, 1)])


def _agreement(query: np.ndarray, small: np.ndarray, mapping: np.ndarray, centre: np.ndarray) -> float:
    """Of float32 grey pictures; mapping: (3, 3), query -> small work; centre: as in `_laid`."""
    laid, seen = _laid(query, mapping, small.shape, centre)
    found = _correlation(small, laid, seen)
    refinement = _refinement(small, laid, seen)
    if refinement is not None:
        flags = cv2.WARP_INVERSE_MAP
        laid = cv2.warpPerspective(laid, refinement, small.shape[::-1], flags=flags | cv2.INTER_LINEAR)
        seen = cv2.warpPerspective(seen, refinement, small.shape[::-1], flags=flags | cv2.INTER_NEAREST)
        found = max(found, _correlation(small, laid, seen))
    return found


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)


def _laid(query: np.ndarray, mapping: np.ndarray, shape: tuple[int, int], centre: np.ndarray) -> tuple:
    """The query as the work's pixels see it, and where they see it: two arrays of `shape`, float32 and uint8 (0, 1).

    mapping: (3, 3), query -> small work. centre: x, y in the small work where the homography is known to hold.
    """
    back = np.linalg.inv(mapping)
    middle = back @ (*centre, 1.0)
    # So many pixels of the query lie along the side of one of the work's: without a blur most would not be looked at.
    x, y = middle[:2] / middle[2]
    jacobian = back[:2, :2] - np.outer((x, y), back[2, :2])
    side = np.sqrt(abs(np.linalg.det(jacobian))) / abs(middle[2])
    if side > 1:
        height, width = (max(1, round(length / side)) for length in query.shape)
        mapping = mapping @ np.diag([query.shape[1] / width, query.shape[0] / height, 1.0])
        query = cv2.resize(query, (width, height), interpolation=cv2.INTER_AREA)
    laid = cv2.warpPerspective(query, mapping, shape[::-1])
    inside = cv2.warpPerspective(np.ones_like(query), mapping, shape[::-1]) > 0.99
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    depth = back[2, 0] * columns + back[2, 1] * rows + back[2, 2]
    return laid, (inside & (depth * middle[2] > 0)).astype(np.uint8)  # what lies beyond the horizon is not seen


def _refinement(work: np.ndarray, laid: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """A homography work -> laid that makes them agree better; None where none is found."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, CHANGE)
    start = np.eye(3, dtype=np.float32)
    try:
        _, refinement = cv2.findTransformECC(
            work, laid, start, cv2.MOTION_HOMOGRAPHY, criteria, 255 * seen, REFINED_BLUR
        )
    except cv2.error:  # it does not converge, or there is nothing to hold on to
        return None
    return refinement if np.isfinite(refinement).all() else None


def _correlation(work: np.ndarray, laid: np.ndarray, seen: np.ndarray) -> float:
    """Of the local contrasts of two float32 pictures where seen is 1: 0..1, less than 0 counts 0."""
    if seen.sum() < LEAST:
        return 0.0
    one, other = (_contrast(picture, seen.astype(np.float32))[seen == 1] for picture in (work, laid))
    one, other = one - one.mean(), other - other.mean()
    lengths = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / lengths, 0, 1)) if lengths > 0 else 0.0


def _contrast(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Each pixel less the mean of its surroundings, by their standard deviation; only what is seen counts."""
    weight = cv2.GaussianBlur(seen, (0, 0), NEAR) + 1e-6
    rest = picture - cv2.GaussianBlur(picture * seen, (0, 0), NEAR) / weight
    variance = cv2.GaussianBlur(rest**2 * seen, (0, 0), NEAR) / weight
    return rest / np.sqrt(variance + FAINT**2)

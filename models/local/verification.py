"""Geometric verification: is there a homography between query and work that a photograph could have?"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from models.answer import Evidence, Warp
from models.collection.features import Features
from models.local.matching import match

TOLERANCE = 4.0  # pixels between a keypoint of the work and the mapped position of its match
ESTIMATOR = cv2.USAC_MAGSAC  # of the homography: MAGSAC++ (Barath et al. 2020)
MIN_MATCHES = 5  # four points always fit a homography, so a fifth has to confirm it

# Limits of the local distortion at a matched point in a photograph of a flat picture.
SCALE = (0.12, 8.0)  # pixels of the work per pixel of the query
STRETCH = 4.0  # ratio of the scales of two orthogonal directions
TILT = 4.0  # ratio of the scales at two matched points


def examine(query: Features, works: Sequence[Features]) -> list[Evidence]:
    """The evidence that `query` shows each of the works, in their order."""
    matched = zip(works, match(query, works), strict=True)
    return [verify(query, work, matches) for work, matches in matched]


def verify(
    query: Features,
    work: Features,
    matches: np.ndarray,
    *,
    estimator: int = ESTIMATOR,
    warp_of: Callable[[np.ndarray, np.ndarray], Warp | None] | None = None,
) -> Evidence:
    """The evidence that `query` shows `work`: inliers of a plausible homography between their matches.

    matches: (matches, 2) int, as `match` returns them. estimator: OpenCV's number of a robust estimator.
    warp_of: the distortion by a homography, or None if it is not plausible; `sane_warp` by default.
    """
    warp_of = warp_of or sane_warp
    if len(matches) < MIN_MATCHES:
        return Evidence(matches=len(matches))
    query_points = query.keypoints[matches[:, 0], :2]
    work_points = work.keypoints[matches[:, 1], :2]
    homography, mask = cv2.findHomography(
        query_points, work_points, estimator, TOLERANCE, maxIters=1000, confidence=0.999
    )
    if homography is None:
        return Evidence(matches=len(matches))
    inside = mask.ravel().astype(bool)
    query_points, work_points = query_points[inside], work_points[inside]
    warp = warp_of(homography, query_points) if len(query_points) >= MIN_MATCHES else None
    if warp is None:
        return Evidence(matches=len(matches))
    return Evidence(
        matches=len(matches),
        inliers=len(query_points),
        homography=homography,
        warp=warp,
        query_area=_covered(query_points, query.frame),
        work_area=_covered(work_points, work.frame),
        query_points=query_points,
        work_points=work_points,
    )


def sane_warp(homography: np.ndarray, points: np.ndarray) -> Warp | None:
    """The distortion by a homography; None if it cannot come from a photograph of a flat picture.

    homography: (3, 3) float64, query -> work; points: (points, 2) x, y of the matched points in the query, at which it
    is evaluated. It must neither fold nor mirror, and scale, stretch and the change of scale from point to point must
    stay within limits, which chance matches rarely do. Evaluated by the derivative of the mapping (Hartley & Zisserman
    2004, section 2.4).
    """
    mapped = np.column_stack([points, np.ones(len(points))]) @ homography.T
    depth = mapped[:, 2]
    if not np.isfinite(mapped).all() or depth.min() * depth.max() <= 0:  # some points lie behind the horizon
        return None
    place = mapped[:, :2] / depth[:, None]
    # jacobian[n, i, j]: how coordinate i of the mapped point n changes with coordinate j of the query's.
    jacobian = (homography[None, :2, :2] - place[:, :, None] * homography[2, :2]) / depth[:, None, None]
    stretches = np.linalg.svd(jacobian, compute_uv=False)
    scales = np.sqrt(stretches[:, 0] * stretches[:, 1])
    narrow = float(np.median(stretches[:, 1]))
    if (np.linalg.det(jacobian) <= 0).any() or scales.min() <= SCALE[0] or narrow == 0:
        return None
    warp = Warp(
        scale=float(np.median(scales)),
        stretch=float(np.median(stretches[:, 0])) / narrow,
        tilt=float(scales.max() / scales.min()),
    )
    return warp if scales.max() < SCALE[1] and warp.tilt < TILT and warp.stretch < STRETCH else None


def _covered(points: np.ndarray, frame: tuple[int, int]) -> float:
    """The share of a (height, width) frame that the convex hull of the points covers, 0..1."""
    return min(1.0, float(cv2.contourArea(cv2.convexHull(points)) / (frame[0] * frame[1])))

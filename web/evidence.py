"""Explains an answer: the matches as a drawing, the map of attention, and a sentence in plain words."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from database.tables import Query
from models.local.drawing import outline

SIDE = 1000  # units of a drawing; the height of both pictures beside each other, or their width one above the other
GAP = 24  # units between the two pictures
COLOURS = ("#ffd166", "#7bdff2", "#ff9fb2", "#b8f2a0", "#d9b3ff", "#ffb37a")  # light: each has a dark rim
CELLS = 12  # per direction of a work; one line is drawn from each cell, so that many matches stay readable
FARTHEST = 100_000  # pixels; no part of an outline beyond that is visible
HEAT_SIDE = 480  # pixels; the long side of the map of attention as it is sent
OPAQUE = 0.85  # of the map of attention, where it is strongest
# Inliers from which "not sure" is explained by details, below by similarity as a whole. No verdict depends on it.
DETAILS = 6


@dataclass(frozen=True)
class Box:
    """Where a picture lies in a drawing, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Query and work beside each other, or one above the other; `lines` are SVG paths, one for each of COLOURS."""

    name: str  # beside or stacked
    width: float
    height: float
    query: Box
    work: Box
    lines: list[str]


@dataclass(frozen=True)
class Drawing:
    """A match as SVG paths: the points and the outline in pixels of the frames, the lines in units of a layout."""

    query_frame: tuple[int, int]  # (height, width)
    work_frame: tuple[int, int]
    query_points: str
    work_points: str
    lines: int  # how many of the points are joined
    outline: str  # of the work, in the query; empty where it has none
    layouts: list[Layout]


def draw(content: dict, candidate: dict) -> Drawing | None:
    """The match of a query with one of its candidates; None if there are no inliers.

    content: of an Answer, as web.asking.to_json describes it; candidate: one of its candidates.
    """
    if "homography" not in candidate:
        return None
    frames = content["frame"], candidate["frame"]
    points = np.array(candidate["query_points"], float), np.array(candidate["work_points"], float)
    joined = _one_of_each_cell(points[1], candidate["frame"])
    ends = [picture_points[joined] for picture_points in points]
    edge = outline(np.array(candidate["homography"], float), candidate["frame"])
    return Drawing(
        query_frame=tuple(frames[0]),
        work_frame=tuple(frames[1]),
        query_points=_dots(points[0]),
        work_points=_dots(points[1]),
        lines=len(joined),
        outline="" if edge is None else _polygon(np.clip(edge, -FARTHEST, FARTHEST)),
        layouts=[_beside(*frames, *ends), _stacked(*frames, *ends)],
    )


def _one_of_each_cell(points: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """Indices of representative points: the first in each cell of the frame."""
    cells = (points * CELLS / (frame[1], frame[0])).astype(int)
    return np.sort(np.unique(cells, axis=0, return_index=True)[1])


def _beside(query_frame, work_frame, query_points, work_points) -> Layout:
    widths = [SIDE * width / height for height, width in (query_frame, work_frame)]
    query, work = Box(0, 0, widths[0], SIDE), Box(widths[0] + GAP, 0, widths[1], SIDE)
    lines = _lines(_placed(query_points, query_frame, query), _placed(work_points, work_frame, work))
    return Layout("beside", work.x + work.width, SIDE, query, work, lines)


def _stacked(query_frame, work_frame, query_points, work_points) -> Layout:
    heights = [SIDE * height / width for height, width in (query_frame, work_frame)]
    query, work = Box(0, 0, SIDE, heights[0]), Box(0, heights[0] + GAP, SIDE, heights[1])
    lines = _lines(_placed(query_points, query_frame, query), _placed(work_points, work_frame, work))
    return Layout("stacked", SIDE, work.y + work.height, query, work, lines)


def _placed(points: np.ndarray, frame: tuple[int, int], box: Box) -> np.ndarray:
    """(n, 2) x, y in pixels of a frame -> the same in units of the drawing."""
    return points * (box.width / frame[1], box.height / frame[0]) + (box.x, box.y)


def _lines(starts: np.ndarray, ends: np.ndarray) -> list[str]:
    """SVG paths, one per colour; neighbouring lines get different colours, so that each can be followed."""
    joined = [f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" for (x, y), (u, v) in zip(starts, ends, strict=True)]
    return ["".join(joined[number :: len(COLOURS)]) for number in range(len(COLOURS))]


def _dots(points: np.ndarray) -> str:
    """Lines of zero length: with round caps they are dots of the same size at every scale."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)


def _polygon(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


def heat_map(content: dict) -> bytes:
    """Where the network looked: a PNG in the shape of the query, from dark and transparent to bright and opaque."""
    small = cv2.imdecode(np.frombuffer(base64.b64decode(content["attention"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert small is not None  # web.asking encoded it
    height, width = content["frame"]
    scale = HEAT_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.resize(small.astype(np.float32) - small.min(), size, interpolation=cv2.INTER_CUBIC)
    grey = np.clip(grey * (255 / max(1, grey.max())), 0, 255)
    # Inferno grows evenly in lightness, so it is read without colour vision too.
    coloured = cv2.applyColorMap(grey.astype(np.uint8), cv2.COLORMAP_INFERNO)
    solid = (255 * OPAQUE * (grey / 255) ** 1.5).astype(np.uint8)  # the picture stays clear where little was looked at
    encoded, data = cv2.imencode(".png", np.dstack([coloured, solid]))
    assert encoded
    return data.tobytes()


def reason(query: Query, content: dict) -> str:
    """The reason for the verdict, for people who do not know the method."""
    if not content["after"]:
        return "The collection is still empty, so there is nothing to compare the picture with."
    best = content["candidates"][str(content["after"][0])]
    if query.verdict == "found":
        return (
            f"{best['inliers']} details of your picture are in the same places on this work, "
            f"and together they cover {best['work_area']:.0%} of it."
        )
    if query.verdict == "not found":
        return (
            "We compared the whole picture, its details, and any paintings detected in it. No work in the collection "
            "matches well enough."
        )
    if best["inliers"] >= DETAILS:
        return (
            f"{best['inliers']} details of your picture are in the same places on this work, but overall the two do "
            "not match well enough. That can happen by chance, or when both have the same stamp or frame. "
            "Please compare the two yourself."
        )
    return "The two pictures look similar overall, but too few details match. Please compare the two yourself."

"""Drawings of answers: the query joined with the answer, and with the expected work; photograph and work, small."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from config import Settings
from models.answer import Answer, Candidate, Evidence
from models.evaluation.queries import Query, load
from models.local import drawing
from utils import images

if TYPE_CHECKING:
    from models.engine import Engine


SMALL = 480  # pixels; the long side of what the report shows beside each other


def keep_pair(engine: "Engine", picture: Path, answer: Answer, folder: Path, number: int, settings: Settings) -> None:
    """Write a photograph and the first candidate, if there is one, as small JPEG files: see `pair_of`."""
    folder.mkdir(exist_ok=True)
    pair = [picture, *(engine.dataset / candidate.path for candidate in answer.after[:1])]
    for path, name in zip(pair, pair_of(number), strict=False):
        try:
            _write(folder / name, images.fit(load(path, settings, SMALL), SMALL))
        except images.ImageProblem:  # removed from the dataset since
            continue


def pair_of(number: int) -> tuple[str, str]:
    """The file names of a photograph and of the work beside it. number: of the query, from 1."""
    return f"{number:06}-photograph.jpg", f"{number:06}-work.jpg"


def drawing_of(number: int) -> str:
    """The file name of the drawing that joins a query with its answer."""
    return f"{number:06}-answered.jpg"


def draw(
    engine: "Engine",
    query: Query,
    picture: Path | np.ndarray,
    answer: Answer,
    folder: Path,
    number: int,
    settings: Settings,
) -> tuple[str | None, str | None]:
    """Draw the query beside the answer, and beside the expected work if it is another.

    picture: the query's. folder: for the JPEG files; created if missing. number: of the query, for the file names.
    Returns the Record's `answered_picture` and `expected_picture`.
    """
    folder.mkdir(exist_ok=True)
    if isinstance(picture, Path):
        picture = load(picture, settings, settings.feature_side)
    framed = _framed(picture, answer.frame, settings)
    answered_picture = expected_picture = None
    first = answer.after[0] if answer.after else None
    if first:
        answered_picture = _draw_one(engine, framed, first, folder / drawing_of(number), settings)
    if query.expected and (first is None or first.id not in query.expected):
        expected = next((candidate for candidate in answer.after if candidate.id in query.expected), None)
        if expected is None:  # not on the shortlist: only the work itself can be drawn
            image = min(query.expected)
            expected = Candidate(image, engine.images[image], 0.0, (0, 0), Evidence(), 0.0)
        expected_picture = _draw_one(engine, framed, expected, folder / f"{number:06}-expected.jpg", settings)
    return answered_picture, expected_picture


def _draw_one(engine: "Engine", query: np.ndarray, candidate: Candidate, file: Path, settings: Settings) -> str:
    try:
        work = load(engine.dataset / candidate.path, settings, settings.feature_side)
    except images.ImageProblem:  # removed from the dataset since; a grey picture stands in for it
        work = np.full((300, 300, 3), 160, np.uint8)
    work = _framed(work, candidate.frame, settings)
    evidence = candidate.evidence
    outline = drawing.outline(evidence.homography, candidate.frame)
    drawn = drawing.draw_match(query, work, evidence.query_points, evidence.work_points, outline)
    _write(file, drawn)
    return f"{file.parent.name}/{file.name}"


def _write(file: Path, pixels: np.ndarray) -> None:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])
    file.write_bytes(data.tobytes())


def _framed(image: np.ndarray, frame: tuple[int, int], settings: Settings) -> np.ndarray:
    """The picture at the scale of the frame, (height, width), or reduced as usual if the frame is empty."""
    return images.stretch(image, *frame) if min(frame) else images.fit(image, settings.feature_side)

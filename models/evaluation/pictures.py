"""Drawings of wrong answers: the query beside the work that was answered, and beside the one that was expected."""

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


def draw(
    engine: "Engine",
    query: Query,
    picture: Path | np.ndarray,
    answer: Answer,
    folder: Path,
    number: int,
    settings: Settings,
) -> tuple[str | None, str | None]:
    """Draw the query beside the work that was answered, and beside the one that was expected unless it is the same.

    picture: that was asked for. folder: where the JPEG files go; made if need be. number: of the query, for the names
    of the files.
    Returns the Record's `answered_picture` and `expected_picture`.
    """
    folder.mkdir(exist_ok=True)
    if isinstance(picture, Path):
        picture = load(picture, settings, settings.feature_side)
    asked = _framed(picture, answer.frame, settings)
    answered_picture = expected_picture = None
    first = answer.after[0] if answer.after else None
    if first:
        answered_picture = _draw_one(engine, asked, first, folder / f"{number:06}-answered.jpg", settings)
    if query.expected and (first is None or first.id not in query.expected):
        expected = next((candidate for candidate in answer.after if candidate.id in query.expected), None)
        if expected is None:  # not on the shortlist: there is nothing to draw but the work itself
            image = min(query.expected)
            expected = Candidate(image, engine.images[image], 0.0, (0, 0), Evidence(), 0.0)
        expected_picture = _draw_one(engine, asked, expected, folder / f"{number:06}-expected.jpg", settings)
    return answered_picture, expected_picture


def _draw_one(engine: "Engine", asked: np.ndarray, candidate: Candidate, file: Path, settings: Settings) -> str:
    try:
        work = load(engine.dataset / candidate.path, settings, settings.feature_side)
    except images.ImageProblem:  # it has gone from the dataset since; a grey picture takes its place
        work = np.full((300, 300, 3), 160, np.uint8)
    work = _framed(work, candidate.frame, settings)
    evidence = candidate.evidence
    outline = drawing.outline(evidence.homography, candidate.frame)
    drawn = drawing.draw_match(asked, work, evidence.query_points, evidence.work_points, outline)
    _, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
    file.write_bytes(data.tobytes())
    return f"{file.parent.name}/{file.name}"


def _framed(image: np.ndarray, frame: tuple[int, int], settings: Settings) -> np.ndarray:
    """The picture at the scale of its frame, (height, width), or of any picture where that is empty."""
    return images.stretch(image, *frame) if min(frame) else images.fit(image, settings.feature_side)

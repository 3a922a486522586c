"""Queries the engine with regions of a photograph, and stores the answers."""

import base64
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sqlalchemy.exc import IntegrityError

from database.tables import Answer, Photograph, Query, db, random_id
from models import answer as engine_answer
from utils.images import ImageProblem
from utils.text import printable
from web.intake import Region
from web.service import service
from web.uploads import is_whole, uploads

if TYPE_CHECKING:
    from models.engine import Engine

KEPT = 20  # candidates of each ranking that are stored with an answer


def ask(
    photograph: Photograph,
    regions: Sequence[Region],
    notes: Sequence[str] = (),
    turn: "AbstractContextManager[Engine] | None" = None,
) -> list[Query]:
    """Query the engine with each region of a photograph, and store the answers (committed); in the regions' order.

    notes: sentences on what is amiss with the photograph, which are stored with the answers.
    turn: what to wait for; that of a person, unless it is given.
    Raises Unavailable, in which case nothing is stored, or ImageProblem if the photograph has been deleted.
    """
    kept, exact = uploads().read(photograph.id), uploads().read_exact(photograph.id)
    views = [region.cut(_pixels(region, kept, exact)) for region in regions]
    first = len(photograph.queries)
    db.session.commit()  # releases the connection while waiting for a turn
    with turn or service().turn() as engine:
        answers = [engine.ask(view) for view in views]
    queries = [
        _query(photograph, first + place, *both) for place, both in enumerate(zip(regions, answers, strict=True))
    ]
    if notes:
        for query in queries:
            query.answer.content["notes"] = list(notes)
    try:
        for query, view in zip(queries, views, strict=True):
            if not is_whole(query):
                uploads().write(query.id, view)
        db.session.add_all(queries)
        db.session.commit()
    except Exception as problem:
        db.session.rollback()
        uploads().delete(*(query.id for query in queries))
        if isinstance(problem, IntegrityError):  # the photograph or the account was deleted in the meantime
            raise ImageProblem("it has been deleted in the meantime") from None
        raise
    return queries


def _pixels(region: Region, kept: np.ndarray, exact: np.ndarray | None) -> np.ndarray:
    """What a region is cut from: the pixels as the engine reads them, unless these are reduced and it is only a part.

    Corners are in pixels of the photograph as it is kept, which may be larger.
    """
    if exact is None or (region.corners is not None and exact.shape != kept.shape):
        return kept
    return exact


def _query(photograph: Photograph, number: int, region: Region, answer: engine_answer.Answer) -> Query:
    best = answer.after[0] if answer.after else None
    return Query(
        id=random_id(),
        photograph_id=photograph.id,
        user_id=photograph.user_id,
        number=number,
        corners=region.corners,
        turns=region.turns,
        verdict=answer.verdict.value,
        work_id=best and best.id,
        work_path=best and best.path,
        similarity=best and best.similarity,
        matches=best and best.evidence.matches,
        inliers=best and best.evidence.inliers,
        seconds=sum(answer.seconds.values()),
        answer=Answer(content=to_json(answer)),
    )


def to_json(answer: engine_answer.Answer) -> dict:
    """An answer in the form in which it is stored.

    frame: [height, width] of the query at the scale of the points. keypoints: in the query. seconds: stage -> s.
    probability: that the first candidate is right, 0..1; null without a calibration. grounds: the numbers that decided
    the verdict, with the names of models.answer.Grounds.
    attention: base64 of a small PNG (grey, 0..255), where the network looked on the whole query.
    notes: what is amiss with the photograph, where something is.
    candidates: the id as text -> path, similarity, score, matches, inliers, query_area and work_area (0..1), frame
    [height, width] of the work; where there are inliers also homography (3 x 3, query -> work), query_points and
    work_points ([[x, y], ...] in pixels of the frames). before, after: ids, best first, the best KEPT of each.
    works: all works on the query, surest first: candidate (id), verdict, probability, outline ([[x, y], ...] in pixels
    of the query's frame, or null). unknown: outlines of what looks like a work but leads to none.
    """
    before, after = answer.before[:KEPT], answer.after[:KEPT]
    kept = {candidate.id: candidate for candidate in [*before, *after, *(work.candidate for work in answer.works)]}
    return {
        "frame": list(answer.frame),
        "keypoints": answer.keypoints,
        "probability": answer.probability,
        "grounds": {name: round(number, 4) for name, number in asdict(answer.grounds).items()},
        "seconds": {stage: round(seconds, 4) for stage, seconds in answer.seconds.items()},
        "attention": _png(answer.attention),
        "before": [candidate.id for candidate in before],
        "after": [candidate.id for candidate in after],
        "candidates": {str(image): _candidate(candidate) for image, candidate in kept.items()},
        "works": [_sighting(work) for work in answer.works],
        "unknown": [_corners(outline) for outline in answer.unknown],
    }


def _sighting(work: engine_answer.Sighting) -> dict:
    return {
        "candidate": work.candidate.id,
        "verdict": work.verdict.value,
        "probability": work.probability,
        "outline": None if work.outline is None else _corners(work.outline),
    }


def _corners(outline: np.ndarray) -> list[list[float]]:
    return np.round(outline.astype(float), 1).tolist()


def _candidate(candidate: engine_answer.Candidate) -> dict:
    evidence = candidate.evidence
    content: dict[str, object] = {
        "path": printable(candidate.path),
        "similarity": round(candidate.similarity, 4),
        "score": round(candidate.score, 4),
        "matches": evidence.matches,
        "inliers": evidence.inliers,
        "query_area": round(evidence.query_area, 4),
        "work_area": round(evidence.work_area, 4),
        "frame": list(candidate.frame),
    }
    if evidence.homography is not None:
        content["homography"] = evidence.homography.tolist()
        content["query_points"] = np.round(evidence.query_points, 1).tolist()
        content["work_points"] = np.round(evidence.work_points, 1).tolist()
    return content


def _png(grey: np.ndarray) -> str:
    encoded, data = cv2.imencode(".png", grey)
    assert encoded
    return base64.b64encode(data.tobytes()).decode()

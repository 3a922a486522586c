"""From an upload to a stored answer: what the pages and the interface for programs have in common."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from flask import current_app
from sqlalchemy.exc import IntegrityError

from database.tables import Answer, Photograph, Query, User, db, random_id
from models import answer as engine_answer
from models.local.detection import straighten
from utils.images import ImageProblem
from utils.text import printable
from web.service import Service
from web.uploads import Uploads, is_whole, shown_name

KEPT = 20  # candidates of each ranking that are stored with an answer
MAX_REGIONS = 8  # works asked for on one photograph


@dataclass(frozen=True)
class Region:
    """A part of a photograph, and how it is turned."""

    corners: list[list[float]] | None = None  # four [x, y] in pixels, clockwise from the upper left; None: all of it
    turns: int = 0  # clockwise quarter turns, 0..3

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """The region of (height, width, 3) uint8 BGR, seen from the front and turned."""
        if self.corners is not None:
            pixels = straighten(pixels, np.array(self.corners, np.float32))
        return np.ascontiguousarray(np.rot90(pixels, -self.turns))


def service() -> Service:
    """The site's engine."""
    return current_app.extensions["service"]


def uploads() -> Uploads:
    """The site's folder of uploads."""
    return current_app.extensions["uploads"]


def keep_photograph(
    user: User, content: bytes, source: str, name: str | None, notes: list[str] | None = None
) -> Photograph:
    """Decode an upload, keep it, and return its row (committed). Raises ImageProblem.

    content: the bytes of a file, trusted in nothing. source: one of SOURCES. name: as the sender calls it.
    notes: takes a sentence for what is amiss with a picture that is read all the same.
    """
    pixels = uploads().decode(content, notes)
    photograph = Photograph(
        id=random_id(),
        user_id=user.id,
        source=source,
        name=shown_name(name),
        height=pixels.shape[0],
        width=pixels.shape[1],
    )
    uploads().write(photograph.id, pixels)
    db.session.add(photograph)
    db.session.commit()
    return photograph


def ask(photograph: Photograph, regions: Sequence[Region]) -> list[Query]:
    """Ask the engine for each region of a photograph; the answers, stored (committed), in their order.

    Raises Unavailable, and then nothing is stored; ImageProblem where the photograph is gone, or goes meanwhile.
    """
    pixels = uploads().read(photograph.id)
    views = [region.cut(pixels) for region in regions]
    first = len(photograph.queries)
    db.session.commit()  # gives the connection back, so that waiting for one's turn holds none
    with service().turn() as engine:
        said = [engine.ask(view) for view in views]
    queries = [_query(photograph, first + place, *both) for place, both in enumerate(zip(regions, said, strict=True))]
    for query, view in zip(queries, views, strict=True):
        if not is_whole(query):
            uploads().write(query.id, view)
    db.session.add_all(queries)
    try:
        db.session.commit()
    except IntegrityError:  # somebody deleted the photograph, or the account, while the engine computed
        db.session.rollback()
        uploads().delete(*(query.id for query in queries))
        raise ImageProblem("it was deleted meanwhile") from None
    return queries


def _query(photograph: Photograph, number: int, region: Region, said: engine_answer.Answer) -> Query:
    best = said.after[0] if said.after else None
    return Query(
        id=random_id(),
        photograph_id=photograph.id,
        user_id=photograph.user_id,
        number=number,
        corners=region.corners,
        turns=region.turns,
        verdict=said.verdict.value,
        work_id=best and best.id,
        work_path=best and best.path,
        similarity=best and best.similarity,
        matches=best and best.evidence.matches,
        inliers=best and best.evidence.inliers,
        seconds=sum(said.seconds.values()),
        answer=Answer(content=to_json(said)),
    )


def to_json(said: engine_answer.Answer) -> dict:
    """An answer as it is stored.

    frame: [height, width] of the query at the scale of the points. keypoints: in the query. seconds: stage -> s.
    probability: that the first candidate is right, 0..1; null without a calibration. grounds: the numbers that the
    verdict was decided on, as models.answer.Grounds names them.
    attention: base64 of a small PNG (grey, 0..255), where the network looked on the whole query.
    candidates: the id as text -> path, similarity, score, matches, inliers, query_area and work_area (0..1), frame
    [height, width] of the work; where there are inliers also homography (3 x 3, query -> work), query_points and
    work_points ([[x, y], ...] in pixels of the frames). before, after: ids, best first, the best KEPT of each.
    """
    before, after = said.before[:KEPT], said.after[:KEPT]
    kept = {candidate.id: candidate for candidate in [*before, *after]}
    return {
        "frame": list(said.frame),
        "keypoints": said.keypoints,
        "probability": said.probability,
        "grounds": {name: round(number, 4) for name, number in asdict(said.grounds).items()},
        "seconds": {stage: round(seconds, 4) for stage, seconds in said.seconds.items()},
        "attention": _png(said.attention),
        "before": [candidate.id for candidate in before],
        "after": [candidate.id for candidate in after],
        "candidates": {str(image): _candidate(candidate) for image, candidate in kept.items()},
    }


def _candidate(candidate: engine_answer.Candidate) -> dict:
    evidence = candidate.evidence
    content = {
        "path": printable(candidate.path),
        "similarity": round(candidate.similarity, 4),
        "score": round(candidate.score, 4),
        "matches": evidence.matches,
        "inliers": evidence.inliers,
        "query_area": round(evidence.query_area, 4),
        "work_area": round(evidence.work_area, 4),
        "frame": list(candidate.frame),
    }
    if evidence.inliers:
        content["homography"] = evidence.homography.tolist()
        content["query_points"] = np.round(evidence.query_points, 1).tolist()
        content["work_points"] = np.round(evidence.work_points, 1).tolist()
    return content


def _png(grey: np.ndarray) -> str:
    encoded, data = cv2.imencode(".png", grey)
    assert encoded
    return base64.b64encode(data.tobytes()).decode()

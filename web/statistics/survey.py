"""The survey of the collection: pictures that show the same work, and how many keypoints pictures have.

It runs in the background, and its result is kept in OUTPUT/survey.json. Of each pair an administrator can say that it
is none; the database remembers that, for as long as both files stay as they are.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from flask import abort, current_app, flash, jsonify, redirect, request, url_for
from flask_user import current_user
from werkzeug import Response

from config import Settings
from database.tables import DismissedPair, Picture, db
from models.collection.reading import Reading
from models.collection.store import Store
from models.duplicates import Pair, Progress, near_duplicates
from utils import files, work
from web.service import service
from web.statistics import blueprint
from web.statistics.background import Background

FILE = "survey.json"  # in the output folder
FORMAT = 2
MOST = 1000  # pairs that are kept
NICE = 10  # of the threads of a survey: people's questions go first

surveying: Background["Survey"] = Background()


@dataclass(frozen=True)
class Survey:
    """Statistics that take too long for a page; kept in OUTPUT/survey.json."""

    version: int  # of the store
    date: str  # UTC
    keypoints: list[int]  # of all pictures: how many have 0-49, 50-99, ... keypoints
    found: int  # pairs in all
    pairs: list[Pair]  # the surest of them

    @classmethod
    def make(cls, store: Store, settings: Settings, progress: Progress) -> "Survey":
        """Survey a collection, and write the result to OUTPUT/survey.json. Raises as `near_duplicates` does."""
        version, reading = store.version(), Reading.of(settings.dataset, settings)
        counts = np.bincount(np.array(store.keypoint_counts(), int) // 50).tolist()
        pairs = list(near_duplicates(store, reading, work.cores(settings.workers), progress))
        pairs.sort(key=lambda pair: (not pair.same_file, -pair.agreement))
        date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
        survey = cls(version, date, counts, len(pairs), pairs[:MOST])
        files.write(settings.output / FILE, json.dumps({"format": FORMAT} | asdict(survey)).encode())
        return survey

    @classmethod
    def read(cls, output: Path) -> "Survey | None":
        """The last survey; None if there is no readable one."""
        try:
            content = json.loads((output / FILE).read_text())
            if content.pop("format") != FORMAT:
                return None
            pairs = [Pair(**pair | {"checksums": tuple(pair["checksums"])}) for pair in content["pairs"]]
            return cls(**content | {"pairs": pairs})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


@blueprint.post("/statistics/collection/survey")
def survey() -> Response:
    """Look for pictures that show the same work and count keypoints, in the background."""
    surveying.start(_survey_of(service().engine.store, current_app.extensions["settings"]))
    surveying.wait(1.0)  # enough for a small collection
    return redirect(url_for("statistics.collection", _anchor="duplicates"))


@blueprint.get("/statistics/collection/survey")
def survey_progress() -> Response:
    """How far the survey is."""
    done, of = surveying.progress
    return jsonify(running=surveying.is_running, done=done, of=of)


@blueprint.post("/statistics/collection/pairs/<int(max=2147483647):first>-<int(max=2147483647):second>")
def say_of_pair(first: int, second: int) -> Response:
    """Dismiss a pair of the survey, or take that back."""
    survey = Survey.read(current_app.extensions["settings"].output)
    pair = (
        next((pair for pair in survey.pairs if (pair.first, pair.second) == (first, second)), None) if survey else None
    )
    if pair is None:
        abort(404, "The last survey has not found this pair.")
    if request.form.get("said") == "none":
        row = DismissedPair(first=first, second=second, dismissed_by=current_user.id)
        row.first_checksum, row.second_checksum = pair.checksums
        db.session.merge(row)
        flash("This pair will not be shown again. It is below, among those that are no duplicates.", "success")
    else:
        db.session.execute(db.delete(DismissedPair).filter_by(first=first, second=second))
    db.session.commit()
    return redirect(url_for("statistics.collection", _anchor="duplicates"))


def sorted_out(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Of pairs those to look at, and those that were dismissed; without those that the register lists as one work."""
    images = {image for pair in pairs for image in (pair.first, pair.second)}
    asked = db.select(Picture.id, Picture.work_id).where(Picture.id.in_(images))
    of_work = {row.id: row.work_id for row in db.session.execute(asked)}
    pairs = [pair for pair in pairs if pair.first not in of_work or of_work[pair.first] != of_work.get(pair.second)]
    rows = db.session.scalars(db.select(DismissedPair).where(DismissedPair.first.in_(images)))
    dismissed = {(row.first, row.second, (row.first_checksum, row.second_checksum)) for row in rows}
    is_dismissed = [(pair.first, pair.second, pair.checksums) in dismissed for pair in pairs]
    return (
        [pair for pair, gone in zip(pairs, is_dismissed, strict=True) if not gone],
        [pair for pair, gone in zip(pairs, is_dismissed, strict=True) if gone],
    )


def _survey_of(store: Store, settings: Settings) -> Callable[[], Survey]:
    def make() -> Survey:
        if sys.platform == "linux":  # elsewhere it would slow down the whole process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        return Survey.make(store, settings, lambda done, of: setattr(surveying, "progress", (done, of)))

    return make

"""The collection's contents, and possible problems: skipped files, near-duplicates, few keypoints."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response

from database.register.columns import LABELS
from database.tables import Work, db
from models.collection.lists import read_skipped
from models.collection.store import Store
from models.duplicates import Pair, keypoint_counts, near_duplicates
from utils import files
from utils.text import printable
from web.service import service
from web.statistics import blueprint, figures
from web.statistics.background import Background

FILE = "survey.json"  # in the output folder
FORMAT = 1
SIMILARITY = 0.8  # minimum for a pair of pictures to be examined
MOST = 500  # pairs that are examined
SHOWN = 50  # skipped files and pairs on the page
CATALOGUE = ("number", "author", "title", "date", "technique", "location", "school", "form", "type", "timeframe")

surveying: Background["Survey"] = Background()


@dataclass(frozen=True)
class Survey:
    """Statistics that take too long for a page; kept in OUTPUT/survey.json."""

    version: int  # of the store
    date: str  # UTC
    similarity: float
    keypoints: list[int]  # of all pictures: how many have 0-49, 50-99, ... keypoints
    pairs: list[Pair]

    @classmethod
    def make(cls, store: Store, similarity: float, output: Path) -> "Survey":
        """Survey a collection, and write the result to OUTPUT/survey.json."""
        version = store.version()
        counts = np.bincount(np.array(keypoint_counts(store), int) // 50).tolist()
        pairs = near_duplicates(store, similarity, MOST)
        survey = cls(version, datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"), similarity, counts, pairs)
        files.write(output / FILE, json.dumps({"format": FORMAT} | asdict(survey)).encode())
        return survey

    @classmethod
    def read(cls, output: Path) -> "Survey | None":
        """The last survey; None if there is no readable one."""
        try:
            content = json.loads((output / FILE).read_text())
            if content.pop("format") != FORMAT:
                return None
            return cls(**content | {"pairs": [Pair(**pair) for pair in content["pairs"]]})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


@blueprint.get("/statistics/collection")
def collection() -> str:
    """Pictures, skipped files, near-duplicates, keypoints, and how complete the catalogue is."""
    engine = service().engine
    settings = current_app.extensions["settings"]
    survey = Survey.read(settings.output)
    paths = {image: printable(path) for image, path in engine.images.items()}
    skipped = _skipped(engine.store, settings.lists)
    keypoints = _labelled(survey.keypoints) if survey else []
    return render_template(
        "statistics/collection.html",
        images=len(paths),
        described=engine.store.count("descriptors"),
        with_features=engine.store.count("features"),
        skipped=skipped[:SHOWN],
        skipped_count=len(skipped),
        survey=survey,
        pairs=[pair for pair in survey.pairs if {pair.first, pair.second} <= paths.keys()][:SHOWN] if survey else [],
        outdated=survey is not None and survey.version != engine.store.version(),
        running=surveying.is_running,
        problem=surveying.problem,
        similarity=SIMILARITY,
        paths=paths,
        keypoints=keypoints,
        coverage=_coverage(),
        figures={"keypoints": figures.columns(keypoints, "keypoints", "pictures")}
        if any(survey.keypoints if survey else [])
        else {},
    )


@blueprint.post("/statistics/collection/survey")
def survey() -> Response:
    """Look for near-duplicates and count keypoints, in the background."""
    similarity = request.form.get("similarity", SIMILARITY, type=float)
    if similarity is None or not 0.3 <= similarity <= 1:
        abort(400, "The similarity must be a number from 0.3 to 1.")
    store, output = service().engine.store, current_app.extensions["settings"].output
    surveying.start(_survey_of(store, similarity, output))
    surveying.wait(1.0)  # enough for a small collection
    if surveying.is_running:
        flash("The collection is being examined. Please reload this page in a while.", "info")
    return redirect(url_for("statistics.collection"))


def _survey_of(store: Store, similarity: float, output: Path) -> Callable[[], Survey]:
    return lambda: Survey.make(store, similarity, output)


def _skipped(store: Store, lists: Path) -> list[tuple[str, str, str]]:
    """(file, reason, step that skipped it), as written by the steps; of step 2 also from the store."""
    in_store = {(path, reason, "train.py") for path, (_, reason) in store.skipped().items()}
    return sorted((printable(path), reason, step) for path, reason, step in in_store | set(read_skipped(lists)))


def _labelled(counts: list[int]) -> list[tuple[str, int]]:
    return [(f"{50 * place}–{50 * place + 49}", count) for place, count in enumerate(counts)]


def _coverage() -> list[tuple[str, int, int]]:
    """(name of a column as pages show it, works with an entry in it, all works) for each column of the register."""
    every, *known = db.session.execute(
        db.select(db.func.count(), *(db.func.count(db.func.nullif(getattr(Work, name), "")) for name in CATALOGUE))
    ).one()
    return [(LABELS[name].lower(), count, every) for name, count in zip(CATALOGUE, known, strict=True)]

"""The collection's contents, and possible problems: skipped files, near-duplicates, few keypoints."""

from pathlib import Path

from flask import current_app, render_template

from database.register.columns import LABELS
from database.tables import Work, db
from models.collection.lists import read_skipped
from models.collection.store import Store
from utils.text import printable
from web.service import service
from web.statistics import blueprint, figures
from web.statistics.survey import Survey, sorted_out, surveying

SHOWN = 50  # skipped files and pairs on the page
CATALOGUE = ("number", "author", "title", "date", "technique", "location", "school", "form", "type", "timeframe")


@blueprint.get("/statistics/collection")
def collection() -> str:
    """Pictures, skipped files, near-duplicates, keypoints, and how complete the catalogue is."""
    engine = service().engine
    settings = current_app.extensions["settings"]
    survey = Survey.read(settings.output)
    there = engine.images.keys()
    pairs, dismissed = sorted_out(
        [pair for pair in survey.pairs if {pair.first, pair.second} <= there] if survey else []
    )
    skipped = _skipped(engine.store, settings.lists)
    keypoints = _labelled(survey.keypoints) if survey else []
    return render_template(
        "statistics/collection.html",
        images=len(there),
        described=engine.store.count("descriptors"),
        with_features=engine.store.count("features"),
        skipped=skipped[:SHOWN],
        skipped_count=len(skipped),
        survey=survey,
        pairs=pairs[:SHOWN],
        pair_count=len(pairs),
        dismissed=dismissed,
        outdated=survey is not None and survey.version != engine.store.version(),
        running=surveying.is_running,
        progress=surveying.progress,
        problem=surveying.problem,
        path_of=lambda image: printable(engine.images[image]),
        keypoints=keypoints,
        coverage=_coverage(),
        figures={"keypoints": figures.columns(keypoints, "keypoints", "pictures")}
        if any(survey.keypoints if survey else [])
        else {},
    )


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

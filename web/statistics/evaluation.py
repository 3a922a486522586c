"""How good the answers are: runs of test_with_statistics.py, plots, and the effect of other thresholds."""

import io
import math
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
from flask import abort, current_app, flash, redirect, render_template, request, send_file, url_for
from werkzeug import Response

from models.evaluation import summary
from models.evaluation.records import RIGHT
from models.verdict.calibration import NAME as VERDICT
from models.verdict.calibration import Calibration, Damaged
from utils import images
from utils.errors import WrongUse
from utils.text import printable
from web.service import service
from web.statistics import blueprint, figures, measures, runs
from web.statistics.measures import Judged, Slider
from web.statistics.runs import Listed, Row, Run

PAGE = 25  # queries on a page of the table
SIDE = 480  # pixels; the long side of pictures in the table
SHOWN = {"wrong": "all wrong", "all": "all", "wrong first": "wrong first", "false found": "false found",
         "missed": "missed", "right": "right"}  # fmt: skip
SORTED = {"wrong": "wrong first", "number": "order of the run", "file": "name", "similarity": "similarity",
          "inliers": "inliers", "probability": "probability", "seconds": "seconds"}  # fmt: skip
INLIER_EDGES = list(range(0, 105, 5))
SIMILARITY_EDGES = [round(step * 0.05 - 0.2, 2) for step in range(25)]


@dataclass(frozen=True)
class Panel:
    """One run, with everything that its panel on the page shows."""

    run: Run
    probability: dict[int, float] | None
    judged: Judged
    crossed: list
    recall: list
    precision_recall: list
    gap: float | None  # global average precision
    works: dict  # as models.evaluation.metrics.works
    similarities: list
    inliers: list
    stages: list
    figures: dict[str, dict]
    points: dict[str, list]


@blueprint.get("/statistics/evaluation")
def evaluation() -> str | tuple[str, int]:
    """One run, or two side by side."""
    output = _output()
    known = runs.listed(output)
    chosen = _chosen(known)
    calibration, problem = _calibration(output)
    read = [_read(name) for name in chosen]
    probability = [_probabilities(run, calibration) for run in read]
    ruling = calibration
    if None in probability:  # then the thresholds set by hand decide, in both runs
        probability, ruling = [None] * len(read), None
    sliders = measures.sliders(ruling)
    values = _values(sliders)
    panels = [_panel(run, of_run, values) for run, of_run in zip(read, probability, strict=True)]
    return render_template(
        "statistics/evaluation.html",
        runs=known,
        unfinished=runs.unfinished(output),
        chosen=chosen,
        calibration=calibration,
        ruling=ruling,
        problem=problem,
        sliders=sliders,
        values=values,
        panels=panels,
        table=_table(panels[0]) if panels else None,
        shown=SHOWN,
        sorted_by=SORTED,
        percent=measures.percent,
        percent_range=measures.percent_range,
        works=_works(),
    )


@blueprint.post("/statistics/evaluation/thresholds")
def use_thresholds() -> Response:
    """Write the sliders' thresholds to verdict.json; the engine then uses them."""
    run = _read(_listed_name(runs.listed(_output()), request.form.get("run", "")))
    calibration, problem = _calibration(_output())
    if calibration is None:
        abort(409, problem or "There is no calibration yet: run test_with_statistics.py --calibrate first.")
    if run.summary.get("fingerprint") != calibration.fingerprint:
        abort(409, "This run was made with another collection than the calibration. Run the test again.")
    probability = _probabilities(run, calibration)
    if probability is None or not run.known:
        abort(
            409,
            "This run lacks what the thresholds are decided on, because an older version made it. Run the test again.",
        )
    values = _values(measures.sliders(calibration), request.form)
    if values["maybe"] > values["found"]:
        abort(400, "“Not found below” must not be above “Found from”.")
    changed = replace(
        calibration,
        found=measures.sigmoid(values["found"]),
        maybe=measures.sigmoid(values["maybe"]),
        operating_point="thresholds chosen by an administrator",
        measured=_measured(run, probability, values),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    changed.write(_output())
    flash("Thresholds saved. The site uses them within seconds.", "success")
    return redirect(url_for("statistics.evaluation", run=run.name))


@blueprint.get("/statistics/evaluation/<name>/<int:number>/query.jpg")
def query_picture(name: str, number: int) -> Response:
    """The picture of one query; for a transformed copy, the original."""
    run, row = _row(name, number)
    file = _query_file(run, row)
    if file is None:
        abort(404, "The picture of this query is no longer where it was.")
    return picture(file)


@blueprint.get("/statistics/evaluation/<name>/<int:number>/<kind>.jpg")
def drawing(name: str, number: int, kind: str) -> Response:
    """The drawing of a wrong answer: the query beside the answer, or beside the expected work."""
    run, row = _row(name, number)
    if kind not in row.pictures or not (run.folder / row.pictures[kind]).is_file():
        abort(404)
    return send_file(run.folder.absolute() / row.pictures[kind], mimetype="image/jpeg", max_age=3600)


@blueprint.get("/statistics/works/<int:image>.jpg")
def work_picture(image: int) -> Response:
    """A work of the collection, small."""
    engine = service().engine
    if image not in engine.images:
        abort(404)
    return picture(engine.dataset / engine.images[image])


def picture(file: Path) -> Response:
    """A picture of the collection or of a run, small. The file's path must not come from outside."""
    settings = current_app.extensions["settings"]
    try:
        pixels = images.load(file, max_pixels=settings.max_pixels, min_side=1, at_least=SIDE)
    except images.ImageProblem:
        abort(404, "This picture can no longer be read.")
    _, data = cv2.imencode(".jpg", images.fit(pixels, SIDE), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return send_file(io.BytesIO(data.tobytes()), mimetype="image/jpeg", max_age=3600)


# What is chosen


def _output() -> Path:
    return current_app.extensions["settings"].output


def _chosen(known: list[Listed]) -> list[str]:
    """The names of the one or two runs to show: those in the URL, else the newest complete one."""
    names = [name for name in (request.args.get("run"), request.args.get("other")) if name]
    if names:
        return list(dict.fromkeys(_listed_name(known, name) for name in names))
    return [run.name for run in known if not run.problem][:1]


def _listed_name(known: list[Listed], name: str) -> str:
    if not any(run.name == name for run in known):
        abort(404, "There is no run with this name.")
    return name


def _read(name: str) -> Run:
    try:
        return runs.read(_output(), name)
    except KeyError:
        abort(404, "There is no run with this name.")
    except WrongUse as problem:
        abort(409, str(problem))


def _row(name: str, number: int) -> tuple[Run, Row]:
    run = _read(_listed_name(runs.listed(_output()), name))
    row = next((row for row in run.rows if row.number == number), None)
    if row is None:
        abort(404)
    return run, row


def _values(sliders: list[Slider], given=None) -> dict[str, float]:
    """The values of the sliders: those of the URL or the form, else the current thresholds."""
    given = request.args if given is None else given
    values = {}
    for slider in sliders:
        text = given.get(slider.name)
        try:
            value = slider.value if text is None else float(text)
        except ValueError:
            value = math.nan
        if not slider.low <= value <= slider.high:
            abort(400, f"“{slider.label}” must be a number from {slider.low:g} to {slider.high:g}.")
        values[slider.name] = value
    return values


def _calibration(output: Path) -> tuple[Calibration | None, str]:
    """The calibration, if there is one, and a problem with its file, if there is one."""
    if not (output / VERDICT).is_file():
        return None, ""
    try:
        return Calibration.read(output), ""
    except Damaged as damage:
        return None, f"{damage} Until then the site uses the last valid calibration, or none."


def _probabilities(run: Run, calibration: Calibration | None) -> dict[int, float] | None:
    """As measures.probabilities; None also if the calibration is for another collection."""
    if calibration is None or run.summary.get("fingerprint") != calibration.fingerprint:
        return None
    return measures.probabilities(run, calibration)


def _measured(run: Run, probability: dict[int, float], values: dict[str, float]) -> dict:
    """What the thresholds give on a run, as verdict.json keeps it."""
    judged = measures.judge(run.known, values, probability)
    return {"queries": judged.queries, "in_collection": judged.inside, **judged.counts, "run": run.name}


# What is shown


def _panel(run: Run, probability: dict[int, float] | None, values: dict[str, float]) -> Panel:
    rows, inside = run.known, run.inside
    judged = measures.judge(rows, values, probability)
    with_answer = [row for row in rows if row.first_after]
    similarities = measures.histogram(with_answer, "similarity", SIMILARITY_EDGES)
    inliers = measures.histogram(with_answer, "inliers", INLIER_EDGES)
    recall = measures.recall_curve(inside)
    confidence = measures.confidence_of(rows, probability)
    curve = measures.precision_recall(rows, confidence)
    stages = measures.stages(run.rows)
    lines = {name: figures.line_at(name, value) for name, value in values.items()}
    drawn = {"seconds": figures.seconds(stages)}
    if with_answer:
        drawn["similarity"] = figures.histogram(
            similarities, "similarity", [line for name, line in lines.items() if "similarity" in name]
        )
        drawn["inliers"] = figures.histogram(
            inliers,
            "inliers (last: 95 or more)",
            [line for name, line in lines.items() if "inliers" in name],
        )
    if inside:
        drawn["recall"] = figures.recall(recall)
        drawn["precision-recall"] = figures.precision_recall(
            curve, (judged.counts["recall"], judged.counts["precision"])
        )
    if probability is not None and rows:
        logits = {right: [measures.logit(probability[row.number]) for row in rows if row.is_first_right == right]
                  for right in (True, False)}  # fmt: skip
        drawn["logistic"] = figures.logistic(logits[True], logits[False], list(lines.values()))
    return Panel(
        run=run,
        probability=probability,
        judged=judged,
        crossed=measures.crossed(inside),
        recall=[row for row in recall if row[0] in (1, 2, 5, 10, 20, 50, 100)],
        precision_recall=_some(curve),
        gap=measures.global_average_precision(rows, confidence),
        works=summary.works(rows),
        similarities=similarities,
        inliers=inliers,
        stages=stages,
        figures=drawn,
        points=measures.points(rows, probability),
    )


def _some(rows: list, most: int = 20) -> list:
    """At most `most` rows, evenly spaced, including the first and the last."""
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.linspace(0, len(rows) - 1, most).round().astype(int)]


@dataclass(frozen=True)
class Table:
    """A page of the queries of a run."""

    rows: list[Row]
    count: int  # of all pages
    page: int
    pages: int
    show: str
    sort: str
    order: str
    text: str


def _table(panel: Panel) -> Table:
    show, sort, order = (request.args.get(name, "") for name in ("show", "sort", "order"))
    show, sort = show if show in SHOWN else "all", sort if sort in SORTED else "wrong"
    text = request.args.get("q", "")[:200]
    rows = [row for row in panel.run.rows if _is_shown(row, show) and _contains(row, text)]
    rows.sort(key=lambda row: _place(row, sort, panel.probability), reverse=order == "descending")
    pages = max(1, math.ceil(len(rows) / PAGE))
    page = min(max(1, request.args.get("page", 1, type=int)), pages)
    return Table(rows[(page - 1) * PAGE : page * PAGE], len(rows), page, pages, show, sort, order, text)


def _is_shown(row: Row, show: str) -> bool:
    if show == "wrong":
        return bool(row.result) and row.result != RIGHT
    return show == "all" or row.result == show


def _contains(row: Row, text: str) -> bool:
    texts = [row.file, row.first_after or "", *(row.expected or ()), *row.changes]
    return text.casefold() in " ".join(texts).casefold()


def _place(row: Row, sort: str, probability: dict[int, float] | None):
    """The sort key of a row; rows without a value come first."""
    if sort == "wrong":
        return {None: 2, RIGHT: 1}.get(row.result, 0), row.number
    if sort == "probability":
        value = probability[row.number] if probability else row.probability
    else:
        value = getattr(row, sort)
    return value is not None, value if value is not None else 0, row.number


def _works() -> dict[str, int]:
    """Path of a work, as in tables -> id; empty until the collection is loaded."""
    if service().state != "ready":
        return {}
    return {printable(path): image for image, path in service().engine.images.items()}


def _query_file(run: Run, row: Row) -> Path | None:
    """The file of a query's picture: in the run's folder of queries, or in the collection."""
    folder = run.queries_folder
    if folder is not None:
        names = {printable(path.name): path for path in folder.iterdir()} if folder.is_dir() else {}
        return names.get(row.file)
    of_copy = row.file.rpartition(" (")[0]
    image = _works().get(row.group or of_copy)
    engine = service().engine
    return None if image is None else engine.dataset / engine.images[image]

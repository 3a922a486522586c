"""The report of an evaluation: a single page without scripts and external resources, which opens from disk."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import jinja2
import numpy as np

from models.answer_table import Row
from models.evaluation import pictures
from models.evaluation.records import Record
from utils.text import printable

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"

# Edges of the histogram of inliers: finer near the thresholds.
INLIERS = [0, 5, 10, 15, 20, 25, 30, 40, 60, 100, 200, 400]

# The drawing's measures in its own units; the page scales it.
WIDTH, ROW, TOP, LEFT = 360, 70, 26, 4
SIDE, EDGE = 240, 34  # of the reliability diagram's square, and the room for its labels


def write_report(file: Path, name: str, summary: dict, records: Sequence[Record], rows: Sequence[Row] = ()) -> None:
    """Render `templates/report.html`.

    summary: as in summary.json. records: of every query. rows: of the table of answers, one a record, if there is one.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"printable": printable, "figure": _figure, "percent": _percent, "interval": _interval}
    page = environment.get_template("report.html").render(
        name=name,
        summary=summary,
        histograms=_histograms(records),
        diagram=_diagram(summary["verdict"]["reliability"]),
        wrong={kind: [record for record in records if record.result == kind] for kind in summary["wrong_answers"]},
        photographs=[
            _shown(file.parent, *both, number) for number, both in enumerate(zip(records, rows, strict=False), 1)
        ],
        about=json.dumps({key: summary[key] for key in ("fingerprint", "versions")}, indent=2, ensure_ascii=False),
    )
    file.write_text(page, encoding="utf-8")


def _shown(folder: Path, record: Record, row: Row, number: int) -> dict:
    """A photograph as the page shows it; the addresses of its pictures are empty where there are none."""
    names = [*pictures.pair_of(number), pictures.drawing_of(number)]
    files = [f"pictures/{name}" if (folder / "pictures" / name).is_file() else "" for name in names]
    return {"record": record, "row": row, "number": number} | dict(
        zip(("photograph", "work", "drawing"), files, strict=True)
    )


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def _interval(value: list[float] | None) -> str:
    return "–" if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def _diagram(reliable: list[dict]) -> dict | None:
    """The reliability diagram in the drawing's units; None if there are no probabilities.

    reliable: of metrics.reliability. x: predicted probability; y: share of right answers, with an interval.
    """
    if not reliable:
        return None
    points = [
        {
            "x": round(EDGE + SIDE * row["probability"], 1),
            "y": _height(row["right"]),
            "low": _height(row["interval"][0]),
            "high": _height(row["interval"][1]),
            "title": f"{row['count']} queries: predicted {row['probability']:.3f}, right {row['right']:.3f}",
        }
        for row in reliable
    ]
    ticks = [
        {"across": round(EDGE + SIDE * share, 1), "up": _height(share), "text": f"{share:g}"} for share in (0, 0.5, 1)
    ]
    return {"points": points, "ticks": ticks, "left": EDGE, "right": EDGE + SIDE, "top": 8, "base": 8 + SIDE}


def _height(share: float) -> float:
    return round(8 + SIDE * (1 - share), 1)


def _histograms(records: Sequence[Record]) -> list[dict]:
    """Similarity and inliers of the first candidate, separately for right and wrong ones."""
    known = [record for record in records if record.in_collection is not None and record.similarity is not None]
    if not known:
        return []
    similarities = [record.similarity for record in known if record.similarity is not None]
    edges = np.histogram_bin_edges(similarities, bins=16)
    return [
        _histogram("Similarity", "similarity", known, list(edges), [f"{edge:.2f}" for edge in edges[:-1]], every=4),
        _histogram("Inliers", "inliers", known, [*INLIERS, np.inf], [str(edge) for edge in INLIERS], every=1),
    ]


def _histogram(
    title: str, measure: str, records: Sequence[Record], edges: list, labels: list[str], *, every: int
) -> dict:
    """Bars and labels of one histogram, in the drawing's units; each row is scaled to its highest bar.

    edges: of the bins, ascending, one more than bins. labels: of the bins' left edges.
    every: only every so many-th label is drawn.
    """
    step = (WIDTH - 2 * LEFT) / len(labels)
    rows: list[dict] = []
    for name, right in (("first is right", True), ("first is wrong, or work not in the collection", False)):
        values = [getattr(record, measure) for record in records if record.is_first_right == right]
        counts = np.histogram(values, bins=edges)[0]
        base = (len(rows) + 1) * (ROW + TOP)
        bars = [
            {
                "x": round(LEFT + index * step + 1, 1),
                "y": round(base - ROW * count / counts.max(), 1),
                "width": round(step - 2, 1),
                "height": round(ROW * count / counts.max(), 1),
                "title": f"{_span(low, high)}: {count} queries",
            }
            for index, (count, (low, high)) in enumerate(zip(counts.tolist(), pairwise(edges), strict=True))
            if count
        ]
        rows.append(
            {"name": name, "count": len(values), "right": right, "base": base, "label": base - ROW - 6, "bars": bars}
        )
    ticks = [{"x": round(LEFT + index * step, 1), "text": labels[index]} for index in range(0, len(labels), every)]
    return {"title": title, "rows": rows, "ticks": ticks, "width": WIDTH, "height": 2 * (ROW + TOP) + 16}


def _span(low: float, high: float) -> str:
    if high == np.inf:
        return f"{low:g} and more"
    return f"{low:.3g} to {high:.3g}"

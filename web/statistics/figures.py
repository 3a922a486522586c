"""The plots, as Plotly figures in JSON; the page sets the colours (see static/js/statistics-plots.js).

`meta.role` of a trace names the colour: "right", "wrong", "maybe", "plain". `name` of a shape is the slider that moves
it.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from web.statistics.measures import sigmoid

HATCHED = {"shape": "/", "fillmode": "overlay", "solidity": 0.35}  # so that bars differ not only by colour


def figure(traces: Sequence, x: str, y: str, shapes: Sequence[dict] = (), **layout) -> dict:
    """A figure with axis titles, as plain JSON data."""
    drawn = go.Figure(
        data=list(traces),
        layout={
            "xaxis": {"title": {"text": x}, "automargin": True} | layout.pop("xaxis", {}),
            "yaxis": {"title": {"text": y}, "automargin": True, "rangemode": "tozero"} | layout.pop("yaxis", {}),
            "shapes": list(shapes),
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "height": 320,
            **layout,
        },
    )
    plain = drawn.to_plotly_json()
    plain["layout"].pop("template", None)
    return plain


def line_at(name: str, value: float) -> dict:
    """A vertical line at a threshold."""
    return {"type": "line", "name": name, "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"width": 2, "dash": "solid" if name.startswith("found") else "dot"}}  # fmt: skip


def histogram(rows: Sequence[tuple[float, int, int]], what: str, shapes: Sequence[dict] = ()) -> dict:
    """(left edge, right, wrong) of bins that are all equally wide."""
    width = rows[1][0] - rows[0][0]
    centres = [low + width / 2 for low, _, _ in rows]
    bars = [
        go.Bar(x=centres, y=[row[1] for row in rows], width=width, name="first answer right", meta={"role": "right"}),
        go.Bar(
            x=centres,
            y=[row[2] for row in rows],
            width=width,
            name="wrong, or not in the collection",
            meta={"role": "wrong"},
            marker={"pattern": HATCHED},
        ),
    ]
    return figure(bars, what, "queries", shapes, barmode="stack", bargap=0.05)


def logistic(right: Sequence[float], wrong: Sequence[float], shapes: Sequence[dict]) -> dict:
    """The curve from log-odds to probability, with the answers on it: right ones above, wrong ones below."""
    steps = [step / 4 for step in range(-80, 81)]

    mark = {"symbol": "line-ns", "size": 12, "line": {"width": 1}}
    traces = [
        go.Scatter(
            x=steps, y=[sigmoid(step) for step in steps], mode="lines", name="probability", meta={"role": "plain"}
        ),
        go.Scatter(x=right, y=[1.06] * len(right), mode="markers", name="right", meta={"role": "right"}, marker=mark),
        go.Scatter(x=wrong, y=[-0.06] * len(wrong), mode="markers", name="wrong", meta={"role": "wrong"}, marker=mark),
    ]
    return figure(
        traces, "log-odds that the first answer is right", "probability", shapes, yaxis={"rangemode": "normal"}
    )


def recall(curve: Sequence[tuple[int, float, float]]) -> dict:
    """recall@k before and after re-ranking."""
    places = [row[0] for row in curve]
    traces = [
        go.Scatter(x=places, y=[row[1] for row in curve], mode="lines", name="before re-ranking",
                   line={"dash": "dot", "width": 3}, meta={"role": "wrong"}),
        go.Scatter(x=places, y=[row[2] for row in curve], mode="lines", name="after re-ranking",
                   line={"width": 3}, meta={"role": "right"}),
    ]  # fmt: skip
    axis = {"type": "log", "tickvals": [1, 2, 5, 10, 20, 50, 100]}
    return figure(traces, "k", "recall@k", xaxis=axis, yaxis={"range": [0, 1.02], "tickformat": ".0%"})


def precision_recall(curve: Sequence[tuple[float, float, float]], point: tuple[float | None, float | None]) -> dict:
    """Precision over recall, with the operating point."""
    traces = [
        go.Scatter(x=[row[0] for row in curve], y=[row[1] for row in curve], mode="lines+markers",
                   marker={"size": 4}, name="every threshold", meta={"role": "right"}),
        go.Scatter(x=[point[0]], y=[point[1]], mode="markers", name="operating point",
                   marker={"size": 14, "symbol": "x"}, meta={"role": "wrong"}),
    ]  # fmt: skip
    axis = {"range": [0, 1.04], "tickformat": ".0%"}
    return figure(traces, "recall of “found”", "precision of “found”", xaxis=axis, yaxis=axis)


def seconds(stages: Sequence[tuple[str, dict]]) -> dict:
    """Median and 95th percentile of each stage."""
    names = [stage for stage, _ in stages]
    bars = [
        go.Bar(y=names, x=[spread["p50"] for _, spread in stages], orientation="h", name="median (p50)",
               meta={"role": "right"}),
        go.Bar(y=names, x=[spread["p95"] for _, spread in stages], orientation="h", name="95th percentile (p95)",
               meta={"role": "maybe"}, marker={"pattern": HATCHED}),
    ]  # fmt: skip
    return figure(bars, "seconds", "", yaxis={"autorange": "reversed"}, barmode="group")


def days(rows: Sequence[tuple]) -> dict:
    """(day, found, maybe, not found): stacked columns."""
    labels = [row[0].isoformat() for row in rows]
    parts = [("found", "right", {}), ("not sure", "maybe", HATCHED), ("not found", "plain", HATCHED | {"shape": "x"})]
    bars = [
        go.Bar(x=labels, y=[row[place] for row in rows], name=name, meta={"role": role}, marker={"pattern": pattern})
        for place, (name, role, pattern) in enumerate(parts, start=1)
    ]
    return figure(bars, "", "queries", barmode="stack", xaxis={"type": "date"})


def bars(rows: Sequence[tuple[str, int]], what: str) -> dict:
    """Horizontal bars, labelled."""
    bar = go.Bar(y=[row[0] for row in rows], x=[row[1] for row in rows], orientation="h", meta={"role": "right"})
    return figure([bar], what, "", yaxis={"autorange": "reversed"}, showlegend=False)


def columns(rows: Sequence[tuple[str, int]], x: str, y: str) -> dict:
    """Vertical bars in the given order."""
    bar = go.Bar(x=[row[0] for row in rows], y=[row[1] for row in rows], meta={"role": "right"})
    return figure([bar], x, y, xaxis={"type": "category"}, bargap=0.05, showlegend=False)

"""The statistics pages, for administrators: how good answers are, how the site is used, what the collection holds."""

import functools
import re
from pathlib import Path

from flask import Blueprint, Flask, redirect, send_file, url_for
from flask_user import roles_required
from werkzeug import Response

blueprint = Blueprint("statistics", __name__)

PAGES = (
    ("statistics.evaluation", "Evaluation"),
    ("statistics.usage", "Usage"),
    ("statistics.collection", "Collection"),
)


def init_app(app: Flask) -> None:
    from web.statistics import collection, evaluation, refusals, survey, usage  # noqa: F401  (they add their pages)

    app.register_blueprint(blueprint)
    refusals.init_app(app)


@blueprint.before_request
@roles_required("admin")
def _administrators_only() -> None:
    """Everybody else: to the sign-in page, or 403."""


@blueprint.context_processor
def _of_all_pages() -> dict:
    return {"pages": PAGES, "plotly_marks": plotly_marks()}


@blueprint.get("/statistics")
def home() -> Response:
    """The first of the pages."""
    return redirect(url_for("statistics.evaluation"))


@blueprint.get("/statistics/plotly.js")
def plotly() -> Response:
    """Plotly's script from the Python package, so that nothing is loaded from another site."""
    response = send_file(plotly_script(), mimetype="text/javascript", max_age=30 * 86400)
    response.headers["Cache-Control"] = "private, max-age=2592000"
    return response


@functools.cache
def plotly_script() -> Path:
    """The script's file in the package."""
    import plotly

    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@functools.cache
def plotly_marks() -> list[str]:
    """Ids by which the script recognises that its map styles are already on a page.

    The pages have no maps, and their Content-Security-Policy allows no styles but those of the site's own files. An
    element with such an id keeps the script from trying.
    """
    return re.findall(r'if\(!document\.getElementById\("([0-9a-f]{64})"\)\)', plotly_script().read_text("utf-8"))

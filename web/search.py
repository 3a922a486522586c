"""The start page: uploading a photograph, detecting paintings in it, and identifying works."""

import threading
from collections.abc import Callable
from functools import wraps

import numpy as np
import werkzeug
from flask import Blueprint, Flask, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask_limiter.util import get_remote_address
from flask_user import current_user, login_required

from database.tables import ID, Photograph, db
from models.local import detection, outlines
from web import asking, intake
from web.errors import wants_json
from web.intake import MAX_REGIONS, NO_CORNERS, BadCorners, Region
from web.security import limiter
from web.service import service
from web.uploads import SOURCES, uploads

blueprint = Blueprint("search", __name__)

_detecting = threading.BoundedSemaphore(2)  # photographs in detection at the same time


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


def person() -> str:
    """The key by which uploads are rate-limited: the account, else the IP address."""
    return f"user {current_user.id}" if current_user.is_authenticated else get_remote_address()


uploads_limit = limiter.shared_limit("30 per minute; 600 per hour", scope="uploads", key_func=person)
addresses_limit = limiter.shared_limit(
    "10 per minute; 100 per hour",
    scope="addresses",
    key_func=person,
    exempt_when=lambda: not request.form.get("address"),
)


def for_members(view: Callable) -> Callable:
    """A view for people with an account: others are redirected to sign in, and scripts get 401."""
    signed_in = login_required(view)

    @wraps(view)
    def checked(*args, **kwargs):
        if wants_json() and not current_user.is_authenticated:
            abort(401)
        return signed_in(*args, **kwargs)

    return checked


@blueprint.get("/")
def start() -> str:
    """A welcome page; for people with an account, the upload form.

    ?photograph=ID: opens an earlier photograph, ready to be cropped and identified again.
    """
    state, again = service().state, request.args.get("photograph")
    if not current_user.is_authenticated:
        return render_template("search/start.html", state=state)
    photograph = _described(_photograph(again, also_admin=False)) if again else None
    return render_template("search/ask.html", state=state, photograph=photograph)


@blueprint.get("/state")
def state() -> Response:
    """The engine's state, for the page that waits for it."""
    return jsonify(state=service().state)


@blueprint.post("/photographs")
@uploads_limit
@addresses_limit
@for_members
def upload() -> tuple[Response, int, dict]:
    """Keep a picture from a file or a web address; returns the URLs of what can be done with it."""
    described = _described(_keep())
    return jsonify(described), 201, {"Location": described["picture"]}


def _described(photograph: Photograph) -> dict:
    """A photograph in the form the start page's scripts use."""
    links = {
        "picture": url_for(".picture", photograph_id=photograph.id),
        "paintings": url_for(".paintings", photograph_id=photograph.id),
        "ask": url_for(".ask", photograph_id=photograph.id),
    }
    return {"id": photograph.id, "width": photograph.width, "height": photograph.height} | links


@blueprint.post("/ask")
@uploads_limit
@addresses_limit
@for_members
def ask_plainly() -> werkzeug.Response:
    """The form without scripts: keep the picture, identify it uncropped, and redirect to the answer."""
    photograph = _keep()
    with intake.deleted_on_failure(photograph):  # a retry sends the picture again
        query, *_ = asking.ask(photograph, [Region()])
    return redirect(url_for("history.answer", query_id=query.id), 303)


@blueprint.get("/photographs/<photograph_id>/picture.jpg")
@for_members
def picture(photograph_id: str) -> Response:
    """A photograph, as kept."""
    file = uploads().path(_photograph(photograph_id).id)
    if not file.is_file():
        abort(404)
    response = Response(file.read_bytes(), mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@blueprint.get("/photographs/<photograph_id>/paintings")
@for_members
def paintings(photograph_id: str) -> Response:
    """The paintings detected in a photograph: each [[x, y], ...] in pixels, clockwise; largest first.

    Needs no engine, so it also works while that is loading.
    """
    photograph = _photograph(photograph_id)
    db.session.commit()  # releases the connection while waiting for a turn
    size = photograph.width, photograph.height
    with _detecting:
        detected = detection.paintings(uploads().read(photograph_id))
    return jsonify(paintings=[np.round(outlines.clip(corners, *size), 1).tolist() for corners in detected])


@blueprint.post("/photographs/<photograph_id>/ask")
@limiter.limit("60 per minute", key_func=person)
@for_members
def ask(photograph_id: str) -> tuple[Response, int]:
    """Identify each region of a photograph; returns the URL of the first answer."""
    photograph = _photograph(photograph_id, also_admin=False)
    query, *_ = asking.ask(photograph, _regions(request.get_json(), photograph))
    return jsonify(id=query.id, answer=url_for("history.answer", query_id=query.id)), 201


def _keep() -> Photograph:
    """Keep the photograph that a form sends as `picture` or names as `address`."""
    file, address = request.files.get("picture"), request.form.get("address", "").strip()
    source = "address" if address else request.form.get("source", "file")
    if source not in SOURCES:
        abort(400, "The source of the picture is not known.")
    if not file and not address:
        abort(400, "Please choose a picture first.")
    notes: list[str] = []
    if file:
        photograph = intake.keep_file(current_user, file, source, notes)
    else:
        photograph = intake.keep_address(current_user, address, notes)
    for note in notes:  # the next page shows them
        flash(f"The picture was read, but {note}.", "warning")
    return photograph


def _photograph(photograph_id: str, also_admin: bool = True) -> Photograph:
    """One's own photograph, or anybody's for an administrator; else aborts with 404."""
    photograph = db.session.get(Photograph, photograph_id) if ID.fullmatch(photograph_id) else None
    if photograph is None:
        abort(404)
    if photograph.user_id != current_user.id and not (also_admin and current_user.is_admin):
        abort(404)
    return photograph


def _regions(sent: object, photograph: Photograph) -> list[Region]:
    """Regions from untrusted JSON: {"regions": [{"corners": [[x, y], ...] or null, "turns": 0..3}, ...]}."""
    regions = sent.get("regions") if isinstance(sent, dict) else None
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        abort(400, "Please send a list of regions.")
    if not 1 <= len(regions) <= MAX_REGIONS:
        abort(400, f"Please select 1 to {MAX_REGIONS} works.")
    return [_region(region, photograph) for region in regions]


def _turns(turns: object) -> int:
    if isinstance(turns, bool) or turns not in (0, 1, 2, 3):
        abort(400, "The turns of a region must be 0, 1, 2 or 3.")
    return int(turns)


def _region(sent: dict, photograph: Photograph) -> Region:
    corners, turns = sent.get("corners"), _turns(sent.get("turns", 0))
    if corners is None:
        return Region(turns=turns)
    if not isinstance(corners, list) or len(corners) != 4 or not all(_is_point(point) for point in corners):
        abort(400, NO_CORNERS)
    try:
        return Region.of(photograph, np.round(np.array(corners), 1), turns)
    except BadCorners as problem:
        abort(400, str(problem))


def _is_point(point: object) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))


def _is_number(value: object) -> bool:
    """Finite and within any photograph; Python's JSON parser also accepts NaN and Infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6

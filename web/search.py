"""Asking: the start page, uploads, and the works that can be made out on a photograph."""

import threading
from collections.abc import Callable
from functools import wraps

import cv2
import numpy as np
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_limiter.util import get_remote_address
from flask_user import current_user, login_required

from database.tables import ID, Photograph, db
from models.local.detection import quadrilaterals
from utils.images import ImageProblem
from web import addresses, asking
from web.asking import MAX_REGIONS, Region, uploads
from web.errors import wants_json
from web.security import limiter
from web.service import Unavailable
from web.uploads import SOURCES

blueprint = Blueprint("search", __name__)

PAINTINGS = 6  # that are offered on one photograph, at most; no more than MAX_REGIONS
WALL = 0.5  # of the photograph; what covers more may be the wall that works hang on
WITHIN = 0.9  # of an outline that lies in another one
# What a photograph that shows a work at all well makes of its four right angles and its parallel sides.
SKEWED = 0.42  # cosine of the angle between two sides, at most: 65 to 115 degrees
FORESHORTENED = 0.5  # the shorter of two opposite sides for the longer, at least
BEYOND = 0.05  # of a side by which a corner may lie outside of the photograph; it is moved to the border
NO_CORNERS = "The corners of a region are four pairs of numbers, clockwise, in pixels of the photograph."

_detecting = threading.BoundedSemaphore(2)  # photographs that are looked through at the same time


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


def person() -> str:
    """Whose uploads are counted together: an account's, else those from one address."""
    return f"user {current_user.id}" if current_user.is_authenticated else get_remote_address()


uploads_limit = limiter.shared_limit("30 per minute; 600 per hour", scope="uploads", key_func=person)
addresses_limit = limiter.shared_limit(
    "10 per minute; 100 per hour",
    scope="addresses",
    key_func=person,
    exempt_when=lambda: not request.form.get("address"),
)


def for_members(view: Callable) -> Callable:
    """A view for people with an account: others are sent to sign in, and scripts are told 401."""
    signed_in = login_required(view)

    @wraps(view)
    def checked(*args, **kwargs):
        if wants_json() and not current_user.is_authenticated:
            abort(401)
        return signed_in(*args, **kwargs)

    return checked


@blueprint.get("/")
def start() -> str:
    """What the site does; for people with an account, the control that asks.

    ?photograph=ID: with a photograph that was asked about before, ready to be changed and asked for again.
    """
    state, again = asking.service().state, request.args.get("photograph")
    if not current_user.is_authenticated:
        return render_template("search/start.html", state=state)
    photograph = _described(_photograph(again, also_admin=False)) if again else None
    return render_template("search/ask.html", state=state, photograph=photograph)


@blueprint.get("/state")
def state() -> Response:
    """Whether the engine is ready; for the page that waits for it."""
    return jsonify(state=asking.service().state)


@blueprint.post("/photographs")
@uploads_limit
@addresses_limit
@for_members
def upload() -> tuple[Response, int, dict]:
    """Keep a picture, from a file or an address; where it can be seen, looked through and asked for."""
    described = _described(_keep())
    return jsonify(described), 201, {"Location": described["picture"]}


def _described(photograph: Photograph) -> dict:
    """A photograph as the scripts of the start page know it."""
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
def ask_plainly() -> Response:
    """The form without scripts: keep the picture, ask for it as it is, and go to the answer."""
    photograph = _keep()
    try:
        query, *_ = asking.ask(photograph, [Region()])
    except Unavailable:
        uploads().delete(photograph.id)  # the form is sent again with the picture
        db.session.delete(photograph)
        db.session.commit()
        raise
    return redirect(url_for("history.answer", query_id=query.id), 303)


@blueprint.get("/photographs/<photograph_id>/picture.jpg")
@for_members
def picture(photograph_id: str) -> Response:
    """A photograph as it was kept."""
    file = uploads().path(_photograph(photograph_id).id)
    if not file.is_file():
        abort(404)
    response = Response(file.read_bytes(), mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@blueprint.get("/photographs/<photograph_id>/paintings")
@for_members
def paintings(photograph_id: str) -> Response:
    """Where works could be on a photograph: [[x, y], ...] each, clockwise, in its pixels, largest first.

    Needs no engine, so it also answers while that warms up.
    """
    photograph = _photograph(photograph_id)
    db.session.commit()  # gives the connection back, so that waiting for one's turn holds none
    with _detecting:
        found = quadrilaterals(uploads().read(photograph_id), 4 * PAINTINGS)
    size = photograph.width, photograph.height
    return jsonify(paintings=[_clip(corners, *size) for corners in _works(found, *size)])


@blueprint.post("/photographs/<photograph_id>/ask")
@limiter.limit("60 per minute", key_func=person)
@for_members
def ask(photograph_id: str) -> tuple[Response, int]:
    """Ask for each region of a photograph; the address of the answer to the first."""
    photograph = _photograph(photograph_id, also_admin=False)
    try:
        regions = _regions(request.get_json(), photograph)
    except RecursionError:  # of JSON's parser, on brackets without end
        abort(400, "A list of regions is wanted.")
    query, *_ = asking.ask(photograph, regions)
    return jsonify(id=query.id, answer=url_for("history.answer", query_id=query.id)), 201


def _keep() -> Photograph:
    """The photograph that a form sends as `picture` or names as `address`."""
    file, address = request.files.get("picture"), request.form.get("address", "").strip()
    source = "address" if address else request.form.get("source", "file")
    if source not in SOURCES:
        abort(400, "It is not known where this picture comes from.")
    if file:
        content = file.read()
        if len(content) > current_app.extensions["settings"].upload_megabytes << 20:
            abort(413)
        return _kept(content, source, file.filename)
    if not address:
        abort(400, "Please choose a picture first.")
    try:
        content, name = addresses.fetch_for_site(address)
    except addresses.Refused as problem:
        abort(422, str(problem))
    return _kept(content, "address", name)


def _kept(content: bytes, source: str, name: str | None) -> Photograph:
    """The photograph, kept; the next page says what is amiss with it, where it was read all the same."""
    notes: list[str] = []
    photograph = asking.keep_photograph(current_user, content, source, name, notes)
    for note in notes:
        flash(f"The picture was read, but {note}.", "warning")
    return photograph


def _photograph(photograph_id: str, also_admin: bool = True) -> Photograph:
    """One's own photograph, and for an administrator anybody's; for all others there is none."""
    photograph = db.session.get(Photograph, photograph_id) if ID.fullmatch(photograph_id) else None
    mine = photograph and photograph.user_id == current_user.id
    if not mine and not (photograph and also_admin and current_user.is_admin):
        abort(404)
    return photograph


def _works(found: list[np.ndarray], width: int, height: int) -> list[np.ndarray]:
    """Of outlines, largest first, those to offer: the engine looks at all, people would wonder at some of them."""
    works: list[np.ndarray] = []
    for corners in filter(_like_a_work, found):
        # Within a large outline, which may be the wall, hang works; what is within a smaller one is painted there.
        frames = [work for work in works if cv2.contourArea(work) < WALL * width * height]
        if not any(_is_within(corners, frame) for frame in frames):
            works.append(corners)
    return works[:PAINTINGS]


def _is_within(inner: np.ndarray, outer: np.ndarray) -> bool:
    common, _ = cv2.intersectConvexConvex(inner, outer)
    return common > WITHIN * cv2.contourArea(inner)


def _like_a_work(corners: np.ndarray) -> bool:
    """Whether a rectangle could look so."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    cosines = (sides * np.roll(sides, -1, axis=0)).sum(1) / (lengths * np.roll(lengths, -1))
    shorter, longer = np.minimum(lengths[:2], lengths[2:]), np.maximum(lengths[:2], lengths[2:])
    return bool((np.abs(cosines) <= SKEWED).all() and (shorter >= FORESHORTENED * longer).all())


def _regions(sent: object, photograph: Photograph) -> list[Region]:
    """{"regions": [{"corners": [[x, y], ...] or null, "turns": 0..3}, ...]} as it came from outside."""
    regions = sent.get("regions") if isinstance(sent, dict) else None
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        abort(400, "A list of regions is wanted.")
    if not 1 <= len(regions) <= MAX_REGIONS:
        abort(400, f"Please ask for one work at least, and for {MAX_REGIONS} at most.")
    return [Region(_corners(region.get("corners"), photograph), _turns(region.get("turns", 0))) for region in regions]


def _turns(turns: object) -> int:
    if isinstance(turns, bool) or turns not in (0, 1, 2, 3):
        abort(400, "The turns of a region are 0, 1, 2 or 3 quarters.")
    return int(turns)


def _corners(corners: object, photograph: Photograph) -> list[list[float]] | None:
    """Four corners within the photograph, convex and clockwise, around something large enough to show a work."""
    if corners is None:
        return None
    if not isinstance(corners, list) or len(corners) != 4 or not all(_is_point(point) for point in corners):
        abort(400, NO_CORNERS)
    size = np.array([photograph.width, photograph.height])
    if np.any(corners < -BEYOND * size) or np.any(corners > (1 + BEYOND) * size):
        abort(400, "A corner lies outside of the photograph.")
    corners = _clip(np.array(corners), *size)
    outline = np.array(corners, np.float32)
    sides = np.roll(outline, -1, axis=0) - outline
    turned = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if not cv2.isContourConvex(outline) or (turned <= 0).any():
        abort(400, NO_CORNERS)
    lengths, least = np.linalg.norm(sides, axis=1), current_app.extensions["settings"].min_side
    # The second holds for slivers, whose sides are long though there is nothing between them.
    if lengths.min() < least or cv2.contourArea(outline) < least * lengths.max() / 2:
        raise ImageProblem("too small a part of the picture")
    return corners


def _is_point(point: object) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))


def _is_number(value: object) -> bool:
    """Finite, and no larger than any place on a photograph; JSON as Python reads it also has NaN and Infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _clip(corners: np.ndarray, width: int, height: int) -> list[list[float]]:
    """Corners (4, 2) x, y moved into a picture, as JSON can hold them."""
    return np.round(np.clip(corners, 0, (width, height)), 1).tolist()

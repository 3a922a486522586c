"""The review of a batch: one photograph and its works side by side, and what a person says of the answer."""

import werkzeug
from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask_user import current_user
from werkzeug.exceptions import Conflict

from database import works
from database.tables import Batch, BatchPhotograph, Picture, Query, db
from web.batches.entries import SHOWN, chosen, counts, entries, read_shown, visible, with_answers
from web.batches.tables import review_of
from web.evidence import reason
from web.history import Candidate, candidates_of, pictures_of, ranked
from web.judging import judge, mark
from web.search import for_members

OTHERS = 9  # candidates that have a key
FOUND = 12  # works that a search shows
LONGEST = 200  # characters of a search

blueprint = Blueprint("review", __name__, url_prefix="/batches")


@blueprint.get("/<batch_id>/review")
@for_members
def first(batch_id: str) -> werkzeug.Response:
    """Leads to the most doubtful photograph that nobody has reviewed; else to the first."""
    batch = visible(batch_id)
    shown = read_shown(request.args.get("show", ""))
    order = _order(batch, shown)
    if not order:
        flash("There is no answer to review yet.", "info")
        return redirect(url_for("batches.batch", batch_id=batch.id), 303)
    return redirect(_address(batch, _next_open(order, None) or order[0][0], shown), 303)


def _order(batch: Batch, shown: str) -> list[tuple[int, bool]]:
    """(photograph, whether it has been reviewed) of all that have an answer, in the order of the review."""
    asked = chosen(batch, shown).where(BatchPhotograph.state == "answered")
    return [
        (id, said is not None)
        for id, said in db.session.execute(asked.with_only_columns(BatchPhotograph.id, Query.feedback))
    ]


def _next_open(order: list[tuple[int, bool]], after: int | None) -> int | None:
    """The next photograph that nobody has reviewed, after one in the order, or from the beginning."""
    ids = [id for id, _ in order]
    place = ids.index(after) + 1 if after in ids else 0
    return next((id for id, done in order[place:] + order[:place] if not done and id != after), None)


def _address(batch: Batch, id: int, shown: str) -> str:
    return url_for("review.review", batch_id=batch.id, id=id, show=shown or None)


@blueprint.get("/<batch_id>/review/<int(max=2147483647):id>")
@for_members
def review(batch_id: str, id: int) -> str:
    """One photograph beside its work; ?candidate= shows another work beside it, ?q= searches the catalogue."""
    return _page(visible(batch_id), id, read_shown(request.args.get("show", "")))


def _page(batch: Batch, id: int, shown: str, problem: str = "") -> str:
    (entry,) = entries([_row(batch, id)])
    query = entry.query
    assert query is not None
    content = query.answer.content
    candidates = ranked(candidates_of(content, pictures_of(content)), "after")
    best = candidates[0] if candidates else None
    beside = _beside(candidates) or (entry.picture and _of_picture(entry.picture)) or best
    text = request.args.get("q", "").strip()[:LONGEST]
    found = works.find_works(works.Wanted(text), "relevance", limit=FOUND) if text else []
    ids = [each for each, _ in _order(batch, shown)]
    place = ids.index(id) if id in ids else None
    return render_template(
        "batches/review.html",
        batch=batch,
        entry=entry,
        query=query,
        reason=reason(query, query.answer.content),
        best=best,
        beside=beside,
        others=[each for each in candidates if each.work and each is not best][:OTHERS],
        text=text,
        found=found,
        mark=mark(query),
        said=review_of(entry),
        place=place,
        count=len(ids),
        previous=_address(batch, ids[place - 1], shown) if place else None,
        following=_address(batch, ids[place + 1], shown) if place is not None and place + 1 < len(ids) else None,
        shown=shown,
        kinds=SHOWN,
        counts=counts(batch),
        undo=session.get("undo") if session.get("undo", {}).get("batch") == batch.id else None,
        problem=problem,
    )


def _row(batch: Batch, id: int) -> BatchPhotograph:
    """A photograph of the batch that has an answer; else aborts with 404."""
    asked = with_answers(db.select(BatchPhotograph))
    row = db.session.scalar(asked.where(BatchPhotograph.id == id, BatchPhotograph.batch_id == batch.id))
    if row is None or row.query_ is None:
        abort(404)
    return row


def _beside(candidates: list[Candidate]) -> Candidate | None:
    """The candidate that the address names, if it does."""
    asked = request.args.get("candidate")
    return next((each for each in candidates if str(each.id) == asked), None)


def _of_picture(picture: Picture) -> Candidate:
    """A work that is shown because a person said so."""
    return Candidate(picture.id, {"path": "", "inliers": 0}, picture.work, None, None)


@blueprint.post("/<batch_id>/review/<int(max=2147483647):id>")
@for_members
def say(batch_id: str, id: int) -> werkzeug.Response | tuple[str, int]:
    """Store what this person says of an answer, and go on with the next that nobody has reviewed."""
    batch = visible(batch_id)
    shown = read_shown(request.form.get("show", ""))
    row = _row(batch, id)
    query = row.query_
    assert query is not None
    order = _order(batch, shown)
    before = {"said": "work" if query.confirmed_id else query.feedback or "", "picture": str(query.confirmed_id or "")}
    try:
        judge(query, current_user, request.form.get("feedback", ""), request.form.get("picture", ""), _seen())
    except Conflict as problem:
        return _page(batch, id, shown, str(problem.description)), 409
    session["undo"] = {"batch": batch.id, "id": id, "name": row.name, "seen": mark(query), **before}
    following = _next_open(order, id)
    if following is None:
        if not counts(batch)["open"]:
            flash("Every answer of this batch has been reviewed.", "success")
        return redirect(url_for("batches.batch", batch_id=batch.id, show=shown or None), 303)
    return redirect(_address(batch, following, shown), 303)


def _seen() -> str:
    seen = request.form.get("seen")
    if seen is None:
        abort(400, "The form is incomplete: it does not tell what you saw.")
    return seen


@blueprint.post("/<batch_id>/undo")
@for_members
def undo(batch_id: str) -> werkzeug.Response | tuple[str, int]:
    """Take back what this person has said last."""
    batch = visible(batch_id)
    last = session.pop("undo", {})
    if last.get("batch") != batch.id:
        abort(400, "There is nothing to undo.")
    query = _row(batch, last["id"]).query_
    assert query is not None
    try:
        judge(query, current_user, last["said"], last["picture"], last["seen"])
    except Conflict as problem:
        return _page(batch, last["id"], "", str(problem.description)), 409
    return redirect(_address(batch, last["id"], read_shown(request.form.get("show", ""))), 303)

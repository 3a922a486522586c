"""The pages of batches: the list with the form for a new one, and one batch with its photographs and their answers."""

import re

import werkzeug
from flask import Blueprint, Response, abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask_user import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from database.tables import Batch, BatchPhotograph, Query, db, random_id
from web.account_forms import one_line
from web.batches import answering, files
from web.batches.entries import SHOWN, chosen, counts, entries, read_shown, visible, with_answers
from web.batches.tables import review_of
from web.errors import wants_json
from web.expiry import delete_batch
from web.search import for_members, person
from web.security import limiter
from web.service import service

BATCHES, PHOTOGRAPHS = 30, 48  # on a page
UNNAMED = "Photographs"
FORM = 1 << 20  # bytes of a form besides its files

blueprint = Blueprint("batches", __name__, url_prefix="/batches")
batches_limit = limiter.shared_limit("30 per hour", scope="batches", key_func=person)
files_limit = limiter.shared_limit("600 per minute; 20000 per day", scope="batch files", key_func=person)


@blueprint.get("")
@for_members
def batches() -> str:
    """One's own batches and those that are shared, newest first; an administrator sees everybody's."""
    asked = select(Batch).options(joinedload(Batch.user)).order_by(Batch.created_at.desc(), Batch.id)
    if not current_user.is_admin:
        asked = asked.where(Batch.shared | (Batch.user_id == current_user.id))
    page = db.paginate(asked, per_page=BATCHES)
    return render_template("batches/batches.html", page=page, counts=_counts([batch.id for batch in page.items]))


def _counts(ids: list[str]) -> dict[str, dict[str, int]]:
    """Id of a batch -> how many photographs it has, how many wait, and how many have been reviewed."""
    waiting = func.count().filter(BatchPhotograph.state == "waiting")
    asked = (
        select(BatchPhotograph.batch_id, func.count(), waiting, func.count(Query.feedback))
        .outerjoin(Query, Query.id == BatchPhotograph.query_id)
        .where(BatchPhotograph.batch_id.in_(ids))
        .group_by(BatchPhotograph.batch_id)
    )
    rows = db.session.execute(asked)
    return {id: {"photographs": all_, "waiting": waits, "reviewed": done} for id, all_, waits, done in rows}


@blueprint.url_value_preprocessor
def _before_the_form_is_read(_endpoint: str | None, _values: dict | None) -> None:
    """The check of its secret reads it."""
    if request.method == "POST":
        accept_large_files()


def accept_large_files() -> None:
    """Let this request be as large as a ZIP may be, which is more than a photograph."""
    request.max_content_length = (current_app.extensions["settings"].batch_megabytes << 20) + FORM


@blueprint.post("")
@batches_limit
@for_members
def create() -> tuple[Response, int] | werkzeug.Response:
    """A new batch; a form without scripts sends its files with it, a script sends them one by one to `add`."""
    batch = made(one_line(request.form.get("name")))
    sent = [file for file in request.files.getlist("files") if file.filename]
    if wants_json() and not sent:
        return jsonify(described(batch)), 201
    try:
        if not sent:
            abort(400, "Please choose photographs, a folder or a ZIP first.")
        for file in sent:
            files.add(batch, current_user, file)
    except Exception:
        delete_batch(batch.id)
        raise
    answering.start(batch)
    return redirect(url_for(".batch", batch_id=batch.id), 303)


def made(name: str, user=current_user) -> Batch:
    """A new batch of a person, without photographs. Commits."""
    batch = Batch(id=random_id(), user_id=user.id, name=name[:200] or UNNAMED)
    db.session.add(batch)
    db.session.commit()
    return batch


def described(batch: Batch) -> dict:
    """A batch in the form the page's scripts use."""
    links = {name: url_for(f".{name}", batch_id=batch.id) for name in ("add", "batch", "start")}
    return {"id": batch.id, "name": batch.name} | links


@blueprint.post("/<batch_id>/files")
@files_limit
@for_members
def add(batch_id: str) -> tuple[Response, int]:
    """Add a photograph or a ZIP; returns how many photographs that made, and which of them cannot be used."""
    batch = _own(batch_id)
    file = request.files.get("file")
    if not file:
        abort(400, "Please choose a photograph or a ZIP first.")
    added = files.add(batch, current_user, file, request.form.get("name"))
    failed = [{"name": each.name, "problem": each.problem} for each in added if each.state == "failed"]
    return jsonify(added=len(added), failed=failed[:PHOTOGRAPHS]), 201


def _own(batch_id: str) -> Batch:
    batch = visible(batch_id)
    if batch.user_id != current_user.id:
        abort(403, "Only the person whose batch it is can add photographs.")
    return batch


def _to_change(batch_id: str) -> Batch:
    """The batch, for its owner and for administrators; a colleague may review it, but not delete or share it."""
    batch = visible(batch_id)
    if batch.user_id != current_user.id and not current_user.is_admin:
        abort(403, "Only the person whose batch it is can do this.")
    return batch


@blueprint.post("/<batch_id>/share")
@for_members
def share(batch_id: str) -> werkzeug.Response:
    """Let everybody with an account review the batch, or no longer."""
    batch = _to_change(batch_id)
    batch.shared = request.form.get("shared") == "on"
    db.session.commit()
    return redirect(url_for(".batch", batch_id=batch.id), 303)


@blueprint.post("/<batch_id>/start")
@for_members
def start(batch_id: str) -> Response | werkzeug.Response:
    """Have the photographs answered that wait; also after the job has failed."""
    batch = visible(batch_id)
    answering.start(batch)
    return jsonify(described(batch)) if wants_json() else redirect(url_for(".batch", batch_id=batch.id), 303)


@blueprint.get("/<batch_id>")
@for_members
def batch(batch_id: str) -> str:
    """A batch; ?show= narrows it, by verdict or by what became of the photographs."""
    found = visible(batch_id)
    shown = read_shown(request.args.get("show", ""))
    number = request.args.get("page", "1")
    if not re.fullmatch("[1-9][0-9]{0,6}", number):
        abort(404)
    page = db.paginate(with_answers(chosen(found, shown)), page=int(number), per_page=PHOTOGRAPHS)
    return render_template(
        "batches/batch.html",
        batch=found,
        progress=answering.progress(found),
        engine=service().state,
        page=page,
        entries=entries(page.items),
        counts=counts(found),
        shown=shown,
        kinds=SHOWN,
        review_of=review_of,
        is_mine=found.user_id == current_user.id or current_user.is_admin,
    )


@blueprint.get("/<batch_id>/progress")
@for_members
def progress(batch_id: str) -> Response:
    """How far a batch is, for the page that waits for it."""
    return jsonify(answering.progress(visible(batch_id)))


@blueprint.get("/<batch_id>/delete")
@for_members
def confirm_deletion(batch_id: str) -> str:
    """Ask for confirmation before deleting a batch."""
    found = _to_change(batch_id)
    return render_template("batches/delete.html", batch=found, progress=answering.progress(found))


@blueprint.post("/<batch_id>/delete")
@for_members
def delete(batch_id: str) -> werkzeug.Response:
    """Delete a batch with its photographs and their answers."""
    found = _to_change(batch_id)
    name = found.name
    delete_batch(found.id)
    flash(f"The batch {name} and its photographs have been deleted.", "success")
    return redirect(url_for(".batches"), 303)

"""Batches in the API: giving many photographs at once, how far they are, and their answers."""

import math

from flask import abort, request, url_for
from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from database.tables import Batch, db
from models.answer import VERDICTS
from utils.text import printable
from web.account_forms import one_line
from web.api.schemas import Moment, WorkSchema, described
from web.api.views import owner_of_token, program, refusal, v1, work_json
from web.batches import answering, files
from web.batches.entries import Entry, chosen, counts, entries, visible, with_answers
from web.batches.pages import accept_large_files, made
from web.batches.tables import review_of
from web.expiry import delete_batch
from web.security import limiter

PAGE, LARGEST_PAGE = 50, 200  # photographs on a page
LONGEST = 200  # characters of a batch's name
OF_THE_BATCH = [{"name": "id", "in": "path", "description": "Id of the batch."}]
STATES = ("waiting", "answered", "failed")


class BatchLinks(Schema):
    page = described(fields.Url, "The batch on the site, to be reviewed; requires signing in.")
    answers = described(fields.Url, "Its answers, from this API.")


class BatchSchema(Schema):
    """Many photographs that are answered in the background."""

    id = described(fields.String, "22 characters.", "Xq3oSy4QdRr0bQkWmJt5aA")
    name = described(fields.String, "As it was given.", "Store room 3")
    created_at = described(Moment, "In UTC.", "2026-11-24T09:30:00Z")
    photographs = described(fields.Integer, "How many it has.", 500)
    waiting = described(fields.Integer, "Of these, how many wait for their answer; 0: it is done.", 120)
    answered = described(fields.Integer, "How many have one.", 378)
    failed = described(fields.Integer, "How many cannot be used; the answers say why.", 2)
    reviewed = described(fields.Integer, "How many answers a person has judged.", 40)
    problem = described(fields.String, "Why it is held up; empty: it is not.", "")
    links = fields.Nested(BatchLinks)


class BatchForm(Schema):
    name = described(fields.String, "A name for people.", "Store room 3", validate=validate.Length(max=LONGEST))
    files = fields.List(
        Upload(),
        required=True,
        metadata={"description": "Photographs, or ZIPs of them; the field may be sent several times."},
    )


class BatchAnswer(Schema):
    """A photograph of a batch with its answer, and what a person says of it."""

    photograph = described(fields.String, "The file's name, with its folders.", "shelf 2/IMG_0001.jpg")
    state = described(fields.String, "waiting, answered or failed.", "answered", validate=validate.OneOf(STATES))
    problem = described(fields.String, "Why it failed; else empty.", "")
    verdict = described(
        fields.String,
        "As of a query; null without an answer.",
        "found",
        validate=validate.OneOf(VERDICTS),
        allow_none=True,
    )
    probability = described(
        fields.Float, "That the first candidate is right; null without a calibration.", 0.998, allow_none=True
    )
    work = described(
        fields.Nested,
        "What a person says that it is, or else what was found; null: none, or it has left the collection.",
        None,
        WorkSchema,
        allow_none=True,
    )
    review = described(
        fields.String, "right, wrong, corrected, not in the collection, or empty: nobody has looked.", "corrected"
    )
    reviewed_by = described(fields.String, "Who says so.", "ada")
    query = described(fields.String, "Id of the whole answer; null without one.", allow_none=True)


class BatchAnswers(Schema):
    total = described(fields.Integer, "Number of photographs.", 500)
    page = described(fields.Integer, "This page, from 1.", 1)
    pages = described(fields.Integer, "Number of pages.", 10)
    answers = fields.List(fields.Nested(BatchAnswer))


BODY = {"required": True, "content": {"multipart/form-data": {"schema": BatchForm}}}


@v1.route("/batches", methods=["POST"])
@v1.doc(operationId="new_batch", requestBody=BODY)
@v1.response(201, BatchSchema, headers={"Location": {"schema": {"type": "string"}}}, description="The batch.")
@refusal(400, "A ZIP cannot be read, or these are more photographs than a batch may have.")
@refusal(413, "A file or the whole form is too large.")
@refusal(422, "There is no file, or the name is too long.")
@refusal(429, "Too many requests; Retry-After says when to try again.")
@limiter.limit("30 per hour", key_func=program)
def new_batch():
    """Give many photographs at once

    They are answered in the background, after single queries. A photograph that cannot be used does not hold up the
    others: its answer says why. The limits are those that the site's page of batches tells.
    """
    user = owner_of_token()
    accept_large_files()
    name = request.form.get("name") or ""
    if len(name) > LONGEST:
        abort(422, f"The name of a batch has at most {LONGEST} characters.")
    batch = made(one_line(name), user)
    try:
        _take(batch, user)
    except Exception:
        delete_batch(batch.id)
        raise
    return _described(batch), 201, {"Location": url_for("v1.get_batch", id=batch.id)}


@v1.route("/batches/<id>/photographs", methods=["POST"], parameters=OF_THE_BATCH)
@v1.doc(operationId="more_photographs", requestBody=BODY)
@v1.response(201, BatchSchema, description="The batch.")
@refusal(400, "A ZIP cannot be read, or the batch has no room for so many photographs.")
@refusal(404, "There is no such batch, or it is somebody else's.")
@refusal(413, "A file or the whole form is too large.")
@refusal(422, "There is no file.")
@refusal(429, "Too many requests; Retry-After says when to try again.")
@limiter.limit("600 per minute", key_func=program)
def more_photographs(id):
    """Add photographs to a batch

    So that many of them need not be sent in one request.
    """
    user = owner_of_token()
    batch = visible(id, user)
    if batch.user_id != user.id:
        abort(404)
    accept_large_files()
    _take(batch, user)
    return _described(batch), 201


def _take(batch: Batch, user) -> None:
    sent = [file for file in request.files.getlist("files") if file.filename]
    if not sent:
        abort(422, "Please send photographs, or a ZIP of them, as files.")
    for file in sent:
        files.add(batch, user, file)
    answering.start(batch)


@v1.route("/batches")
@v1.doc(operationId="batches")
@v1.response(200, BatchSchema(many=True), description="The newest first, at most 100.")
def list_batches():
    """List one's own batches"""
    asked = select(Batch).where(Batch.user_id == owner_of_token().id).order_by(Batch.created_at.desc(), Batch.id)
    return [_described(batch) for batch in db.session.scalars(asked.limit(100)).all()]


@v1.route("/batches/<id>", parameters=OF_THE_BATCH)
@v1.doc(operationId="batch")
@v1.response(200, BatchSchema, description="The batch.")
@refusal(404, "There is no such batch, or it is somebody else's.")
def get_batch(id):
    """Say how far a batch is"""
    return _described(visible(id, owner_of_token()))


@v1.route("/batches/<id>/answers", parameters=OF_THE_BATCH)
@v1.doc(operationId="batch_answers")
@v1.response(200, BatchAnswers, description="A page of answers, the most doubtful first.")
@v1.paginate(page_size=PAGE, max_page_size=LARGEST_PAGE)
@refusal(404, "There is no such batch, or it is somebody else's.")
def batch_answers(id, pagination_parameters):
    """Get the answers of a batch

    Also while it is under way; the photographs that wait come last.
    """
    batch, here = visible(id, owner_of_token()), pagination_parameters
    here.item_count = counts(batch)[""]
    pages = math.ceil(here.item_count / here.page_size)
    on_page = []
    if here.page <= pages:
        page = with_answers(chosen(batch)).offset(here.first_item).limit(here.page_size)
        on_page = [_answer(entry) for entry in entries(list(db.session.scalars(page)))]
    return {"total": here.item_count, "page": here.page, "pages": pages, "answers": on_page}


def _described(batch: Batch) -> dict:
    progress = answering.progress(batch)
    links = {
        "page": url_for("batches.batch", batch_id=batch.id, _external=True),
        "answers": url_for("v1.batch_answers", id=batch.id, _external=True),
    }
    own = {name: getattr(batch, name) for name in ("id", "name", "created_at")}
    return {**own, **progress, "reviewed": counts(batch)["reviewed"], "links": links}


def _answer(entry: Entry) -> dict:
    query = entry.query
    return {
        "photograph": printable(entry.row.name),
        "state": entry.row.state,
        "problem": entry.row.problem,
        "verdict": query.verdict if query else None,
        "probability": entry.row.probability,
        "work": work_json(entry.work) if entry.work else None,
        "review": review_of(entry),
        "reviewed_by": query.judge.username if query and query.judge else "",
        "query": query.id if query else None,
    }

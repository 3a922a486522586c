"""The views of the API: queries, earlier answers, and the collection."""

import hashlib
import math
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from flask import Response, abort, current_app, jsonify, request, url_for
from flask_smorest import Api, Blueprint
from flask_smorest.pagination import PaginationMetadataSchema
from marshmallow import ValidationError
from sqlalchemy.orm import joinedload
from webargs import flaskparser
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import UnprocessableEntity

from database import works
from database.tables import ID, Photograph, Query, User, Work, db
from models.local.drawing import outline
from utils.images import ImageProblem
from utils.text import printable
from web import intake
from web.api.schemas import (
    LARGEST_PAGE,
    PAGE,
    AnswerSchema,
    Question,
    QuestionForm,
    SimilarOptions,
    SimilarWork,
    WorkFilters,
    WorkPage,
    WorkSchema,
)
from web.asking import ask
from web.collection import similar_works, work_with
from web.intake import BadCorners, Region
from web.security import csrf, limiter
from web.service import service
from web.sightings import Sighting, sightings, unknown
from web.tokens import refuse, user_of_request

OPEN = ("v1.list_works", "v1.get_work", "v1.similar")  # without a token if the collection is not private
WORK = "/works/<int(max=2147483647):id>"  # the largest number of PostgreSQL
OF_THE_WORK = [{"name": "id", "in": "path", "description": "Id of the work."}]


class Described(Blueprint):
    """flask-smorest's, which describes X-Pagination as an object; it is text, which holds one."""

    def _document_pagination_metadata(self, spec, resp_doc):  # noqa: ARG002  (as flask-smorest calls it)
        content = {"application/json": {"schema": PaginationMetadataSchema}}
        resp_doc.setdefault("headers", {})["X-Pagination"] = {
            "description": "Where this page lies among all, as JSON.",
            "content": content,
        }


v1 = Described("v1", __name__, url_prefix="/api/v1", description="The only version there is.")
csrf.exempt(v1)  # requests that are not authenticated by a cookie cannot be forged by another site


# Authentication


@v1.before_request
def _ask_for_a_token() -> None:
    open_to_all = request.endpoint in OPEN and not current_app.extensions["settings"].private
    if user_of_request() is None and not open_to_all:  # a wrong token is refused in any case
        owner_of_token()


def owner_of_token() -> User:
    """Whose token was sent. Raises Unauthorized where there is none."""
    user = user_of_request()
    if user is None:
        refuse("Please send an API token (Authorization: Bearer TOKEN). You can create one on your profile page.")
    return user


@v1.errorhandler(UnprocessableEntity)
def _not_valid(problem: UnprocessableEntity) -> tuple[Response, int]:
    """Which part of a request is invalid, and why."""
    errors = getattr(problem, "data", {}).get("messages", {})
    own = problem.description != UnprocessableEntity.description
    message = problem.description if own else "Part of the request is not valid."
    return jsonify(code=422, status=problem.name, message=message, **({"errors": errors} if errors else {})), 422


# Queries

BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": QuestionForm},
        "application/json": {"schema": Question},
    },
}


def refusal(code: int, description: str) -> Callable:
    """A decorator that documents an error response of a view."""
    return v1.alt_response(code, description=description, schema=Api.ERROR_SCHEMA)


def program() -> str:
    return f"program {hashlib.sha256(request.headers.get('Authorization', '').encode()).hexdigest()}"


@v1.route("/search", methods=["POST"])
@v1.doc(operationId="search", requestBody=BODY)
@v1.response(201, AnswerSchema, headers={"Location": {"schema": {"type": "string"}}}, description="The answer.")
@refusal(400, "The picture cannot be used.")
@refusal(413, "The file is too large.")
@refusal(415, "Neither a form nor JSON.")
@refusal(422, "Something is missing or not valid.")
@refusal(429, "Too many requests; Retry-After says when to try again.")
@refusal(503, "Busy; Retry-After says when to try again.")
@limiter.limit("60 per minute", key_func=program)
def search():
    """Identify the work in a picture

    Send the picture as a file in a form, or send its address. The answer and the picture are kept, as if they had been
    submitted on the site, and can be deleted there.
    """
    question, file = _question()
    service().engine  # noqa: B018  (raises Unavailable before a picture is decoded in vain)
    user = owner_of_token()
    notes: list[str] = []
    if file:
        photograph = intake.keep_file(user, file, "api", notes)
    else:
        photograph = intake.keep_address(user, question["address"], notes)
    with intake.deleted_on_failure(photograph):
        query, *_ = ask(photograph, [_region(question, photograph)], notes)
    return answer_json(query), 201, {"Location": url_for("v1.get_query", id=query.id)}


def _question() -> tuple[dict, FileStorage | None]:
    """The validated query of a request, and its file if it has one."""
    sent: dict[str, object]
    if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
        form, file = request.form.to_dict(), request.files.get("picture")
        sent = form | ({"corners": _parsed(form["corners"])} if "corners" in form else {})
    elif request.mimetype == "application/json":
        sent, file = request.get_json(), None
    else:
        abort(415, "Please send a form with a picture (multipart/form-data), or JSON with an address.")
    try:
        question = Question().load(sent)
    except ValidationError as problem:
        _invalid(problem.messages)
    if bool(file) == bool(question.get("address")):
        _invalid({"picture": ["Exactly one of picture (a file) and address is required."]})
    return question, file


def _parsed(text: str) -> object:
    try:
        return current_app.json.loads(text)
    except ValueError:
        return text  # the schema refuses it, because it is not a list


def _invalid(messages: dict | list) -> NoReturn:
    flaskparser.abort(422, messages=messages)


def _region(question: dict, photograph: Photograph) -> Region:
    """The part of the photograph to identify, in pixels."""
    if "corners" not in question:
        return Region(None, question["turns"])
    corners = np.array(question["corners"]) * (photograph.width, photograph.height)
    try:
        return Region.of(photograph, corners, question["turns"])
    except (BadCorners, ImageProblem):
        _invalid(
            {
                "corners": [
                    "The corners must be four points, clockwise from the upper left and not too close to each other."
                ]
            }
        )


@v1.route("/queries/<id>", parameters=[{"name": "id", "in": "path", "description": "Id of the answer."}])
@v1.doc(operationId="query")
@v1.response(200, AnswerSchema, description="The answer.")
@refusal(404, "There is no such answer, or it is somebody else's.")
def get_query(id):
    """Get an earlier answer

    Whether the query came through the API or the site. Administrators can read everybody's answers.
    """
    query = db.session.get(Query, id, options=[joinedload(Query.answer)]) if ID.fullmatch(id) else None
    user = owner_of_token()
    if query is None or (query.user_id != user.id and not user.is_admin):
        abort(404)
    return answer_json(query)


def answer_json(query: Query) -> dict:
    """An answer as the API returns it."""
    content = query.answer.content
    has_work = query.verdict != "not found"
    pictures = works.pictures_of(map(int, content["candidates"]))
    return {
        "id": query.id,
        "created_at": query.created_at,
        "verdict": query.verdict,
        "work": work_json(query.work) if has_work and query.work else None,
        "evidence": _evidence(content) if has_work else None,
        "works": [_sighting(sighting) for sighting in sightings(content, pictures)],
        "unidentified": unknown(content),
        "ranking": {
            order: [
                {
                    "work": pictures[id].work_id if id in pictures else id,
                    "picture": id,
                    **_place(content["candidates"][str(id)]),
                }
                for id in works.once_a_work(content[order], pictures)
            ]
            for order in ("before", "after")
        },
        "seconds": content["seconds"],
        "notes": content.get("notes", []),
        "links": {
            "page": url_for("history.answer", query_id=query.id, _external=True),
            "picture": url_for("history.picture", query_id=query.id, _external=True),
        },
    }


def _place(candidate: dict) -> dict:
    return {"file": candidate["path"], **candidate}


def _sighting(sighting: Sighting) -> dict:
    return {
        **_place(sighting.content),
        "work": work_json(sighting.work) if sighting.work else None,
        "picture": sighting.image,
        "verdict": sighting.verdict,
        "probability": sighting.probability,
        "outline": sighting.outline,
    }


def _evidence(content: dict) -> dict:
    best = content["candidates"][str(content["after"][0])]
    corners = outline(np.array(best["homography"]), best["frame"]) if "homography" in best else None
    height, width = content["frame"]
    shares = None if corners is None else np.round(corners / (width, height), 4).tolist()
    return _place(best) | {"outline": shares}


# The collection


@v1.route("/works")
@v1.doc(operationId="works", security=[{"token": []}, {}])
@v1.arguments(WorkFilters, location="query")
@v1.response(200, WorkPage, description="A page of works.")
@v1.paginate(page_size=PAGE, max_page_size=LARGEST_PAGE)
def list_works(filters, pagination_parameters):
    """List or search the works of the collection"""
    sort, text = filters.pop("sort"), filters.pop("q")
    years = filters.pop("first_year", None), filters.pop("last_year", None)
    wanted = works.Wanted.typed(text, filters, *years)
    here = pagination_parameters
    here.item_count = works.count_works(wanted)
    pages = math.ceil(here.item_count / here.page_size)
    on_page = []
    if here.page <= pages:
        on_page = [work_json(work) for work in works.find_works(wanted, sort, here.first_item, here.page_size)]
    return {"total": here.item_count, "page": here.page, "pages": pages, "works": on_page}


@v1.route(WORK, parameters=OF_THE_WORK)
@v1.doc(operationId="work", security=[{"token": []}, {}])
@v1.response(200, WorkSchema, description="The work.")
@refusal(404, "There is no such work.")
def get_work(id):
    """Get a work with its catalogue entry"""
    return work_json(work_with(id))


@v1.route(WORK + "/similar", parameters=OF_THE_WORK)
@v1.doc(operationId="similar", security=[{"token": []}, {}])
@v1.arguments(SimilarOptions, location="query")
@v1.response(200, SimilarWork(many=True), description="The most similar first.")
@refusal(404, "There is no such work.")
@refusal(503, "The search is starting up.")
def similar(options, id):
    """List the works most similar to a work"""
    return [
        {"similarity": round(similarity, 4), "work": work_json(work)}
        for work, similarity in similar_works(id, options["count"])
    ]


def work_json(work: Work) -> dict:
    """A work as the API returns it."""
    texts = {name: getattr(work, name) for name in works.TEXTS}

    def link(endpoint: str) -> str:
        return url_for(endpoint, id=work.id, _external=True)

    links = {name: link(f"collection.{name}") for name in ("picture", "thumbnail", "manifest")}
    links |= {"page": link("collection.work"), "similar": link("v1.similar")}
    pictures = [{"id": each.id, "file": printable(each.path), "role": each.role} for each in work.pictures]
    own = {name: getattr(work, name) for name in ("id", "caption", "artists", "first_year", "last_year", "more")}
    return {
        **own,
        "number": work.number or "",
        "file": printable(work.path),
        **texts,
        "pictures": pictures,
        "links": links,
    }

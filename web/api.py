"""The interface for programs: its addresses under /api/v1, their description as OpenAPI, and a page that shows it."""

import hashlib
import math
from collections.abc import Callable

import cv2
import numpy as np
from flask import Blueprint, Flask, Response, abort, current_app, jsonify, render_template, request, url_for
from flask_smorest import Api
from flask_smorest import Blueprint as ApiBlueprint
from flask_smorest.fields import Upload
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import UnprocessableEntity

from database import works
from database.tables import ID, Photograph, Query, Work, db
from models.local.drawing import outline
from utils.text import printable
from web import addresses
from web.asking import Region, ask, keep_photograph, service, uploads
from web.collection import similar_works, work_with
from web.security import csrf, limiter
from web.tokens import refuse, user_of_request

SIMILAR = 24  # works, where the program does not say how many
PAGE, LARGEST_PAGE = 24, 100  # works on a page
OPEN = ("v1.list_works", "v1.get_work", "v1.similar")  # without a token, where the collection is not private
WORK = "/works/<int(max=2147483647):id>"  # the largest number of PostgreSQL
OF_THE_WORK = [{"name": "id", "in": "path", "description": "Of the work."}]
ABOUT = """Ask which work of the collection a picture shows, and read the collection, from a program of your own.

Programs sign in with a personal token: make one on your profile page, and send it with each request as
"Authorization: Bearer TOKEN". Times are in UTC. Every error is JSON with a code, a status and a message."""

blueprint = Blueprint("api", __name__)
v1 = ApiBlueprint("v1", __name__, url_prefix="/api/v1", description="The only version there is.")
csrf.exempt(v1)  # what is signed in by no cookie cannot be forged by another site


class Description(Api):
    """The description of the interface; its errors are told by web/errors.py like all others."""

    def _register_error_handlers(self) -> None:
        pass


def init_app(app: Flask) -> None:
    app.config.setdefault("OPENAPI_URL_PREFIX", "/api")
    title = app.extensions["settings"].title
    options = {"info": {"description": ABOUT}, "security": [{"token": []}]}
    api = Description(app, spec_kwargs={"title": title, "version": "1", "openapi_version": "3.0.3", **options})
    api.spec.components.security_scheme(
        "token", {"type": "http", "scheme": "bearer", "description": "A personal token, from the profile page."}
    )
    api.register_blueprint(v1)
    app.register_blueprint(blueprint)


# Who asks


@v1.before_request
def _ask_for_a_token() -> None:
    open_to_all = request.endpoint in OPEN and not current_app.extensions["settings"].private
    if user_of_request() is None and not open_to_all:
        refuse("Please send a personal token: Authorization: Bearer TOKEN. Your profile page makes one.")


@v1.errorhandler(UnprocessableEntity)
def _not_valid(problem: UnprocessableEntity) -> tuple[Response, int]:
    """What is wrong with which part of a request."""
    errors = getattr(problem, "data", {}).get("messages", {})
    own = problem.description != UnprocessableEntity.description
    message = problem.description if own else "A part of the request is not as it should be."
    return jsonify(code=422, status=problem.name, message=message, **({"errors": errors} if errors else {})), 422


# What is sent and received


def described(kind: type[fields.Field], description: str, example=None, *args, **options) -> fields.Field:
    """A field with its description and, where there is one, an example."""
    metadata = {"description": description} | ({} if example is None else {"example": example})
    return kind(*args, metadata=metadata, **options)


class WorkLinks(Schema):
    page = described(fields.Url, "Of the site.")
    picture = described(fields.Url, "JPEG, 1600 pixels at most.")
    thumbnail = described(fields.Url, "JPEG, 320 pixels at most.")
    similar = described(fields.Url, "The works most similar to it, from this interface.")
    manifest = described(fields.Url, "IIIF Presentation 3.")


class PictureSchema(Schema):
    """One of a work's pictures."""

    id = described(fields.Integer, "Leads to the work, too, at the addresses of works.", 17)
    file = described(fields.String, "Relative to the dataset.", "landscape/landscape_001.jpg")
    role = described(fields.String, "front, back, detail, frame or empty.", "front")


class WorkSchema(Schema):
    """A work of the collection; what the catalogue does not say is an empty text."""

    id = described(fields.Integer, "That of its first picture; the id of any of its pictures leads to it.", 17)
    caption = described(fields.String, "The title, inventory number or file's name.", "Peaks above Rochebrune")
    number = described(fields.String, "Of the inventory.", "1921.2")
    artists = described(fields.List, "The author's names, one by one.", ["MARVEEN, Joost van"], fields.String())
    author = described(fields.String, "As the catalogue writes it.", "MARVEEN, Joost van")
    born_died = described(fields.String, "Of the author.", "(b. 1609, Osterhaven, d. 1671, Velgorod)")
    title = described(fields.String, "Of the work.", "Peaks above Rochebrune")
    date = described(fields.String, "In words.", "1659")
    first_year = described(fields.Integer, "What the date means; null: no year.", 1659, allow_none=True)
    last_year = described(fields.Integer, "The same; both are included.", 1659, allow_none=True)
    technique = described(fields.String, "Technique, often with the size.", "Oil on canvas")
    dimensions = described(fields.String, "Size.", "72 x 100 cm")
    credit = described(fields.String, "Credit line.", "Gift of the artist")
    rights = described(fields.String, "Who holds which rights.", "Public domain")
    more = described(fields.Dict, "The register's other columns, by name.", {"Room": "12"})
    location = described(fields.String, "Where the work is.", "Museum of the Harbour, Osterhaven")
    school = described(fields.String, "Of the author.", "Dutch")
    form = described(fields.String, "Kind of object.", "painting")
    type = described(fields.String, "Kind of subject.", "landscape")
    timeframe = described(fields.String, "Period.", "1651-1700")
    url = described(fields.String, "The catalogue's page about the work.", "")
    file = described(fields.String, "The first picture, relative to the dataset.", "landscape/landscape_001.jpg")
    pictures = fields.List(fields.Nested(PictureSchema))
    links = fields.Nested(WorkLinks)


class WorkPage(Schema):
    total = described(fields.Integer, "Works that fit.", 240)
    page = described(fields.Integer, "This page, from 1.", 1)
    pages = described(fields.Integer, "How many pages there are.", 10)
    works = fields.List(fields.Nested(WorkSchema))


class SimilarWork(Schema):
    similarity = described(fields.Float, "Cosine of the two descriptors, -1 to 1.", 0.83)
    work = fields.Nested(WorkSchema)


class Place(Schema):
    """A candidate."""

    work = described(fields.Integer, "Id of the work; in a ranking once, however many pictures it has.", 17)
    picture = described(fields.Integer, "Id of its picture that matched.", 17)
    file = described(fields.String, "This picture's file when the question was asked.", "landscape/landscape_001.jpg")
    similarity = described(fields.Float, "Cosine of the descriptors, -1 to 1.", 0.83)
    score = described(fields.Float, "What the ranking after re-ranking is sorted by.", 112.83)
    matches = described(fields.Integer, "Pairs of local features that look alike.", 143)
    inliers = described(fields.Integer, "Matches that agree on where the work is.", 112)
    query_area = described(fields.Float, "Share of the picture that the inliers cover, 0 to 1.", 0.41)
    work_area = described(fields.Float, "Share of the work that they cover, 0 to 1.", 0.87)


class Evidence(Place):
    """Why the first candidate is the answer."""

    outline = described(
        fields.List,
        "Where the work's corners lie in the picture that was asked with: four [x, y] as shares of its width and "
        "height, clockwise from the work's upper left; they may lie outside. null where that cannot be told.",
        [[0.12, 0.08], [0.91, 0.1], [0.9, 0.88], [0.11, 0.9]],
        fields.List(fields.Float()),
        allow_none=True,
    )

    class Meta:
        exclude = ("work", "picture", "file", "score")


class Ranking(Schema):
    before = described(fields.List, "By similarity, best first.", None, fields.Nested(Place))
    after = described(fields.List, "By score, best first.", None, fields.Nested(Place))


class AnswerLinks(Schema):
    page = described(fields.Url, "The answer with its evidence, for people who are signed in.")
    picture = described(fields.Url, "The picture that was asked with, for people who are signed in.")


class AnswerSchema(Schema):
    """What the site says of a picture."""

    id = described(fields.String, "22 characters.", "Xq3oSy4QdRr0bQkWmJt5aA")
    created_at = described(fields.DateTime, "In UTC.", "2026-11-24T09:30:00Z", format="%Y-%m-%dT%H:%M:%SZ")
    verdict = described(
        fields.String,
        "Whether the picture shows a work of the collection.",
        "found",
        validate=validate.OneOf(("found", "maybe", "not found")),
    )
    work = described(
        fields.Nested,
        "The work; null where none was found, or where it has left the collection.",
        None,
        WorkSchema,
        allow_none=True,
    )
    evidence = described(fields.Nested, "null where no work was found.", None, Evidence, allow_none=True)
    ranking = fields.Nested(Ranking)
    seconds = described(
        fields.Dict, "Seconds of each stage.", {"network": 0.21, "search": 0.001}, fields.String(), fields.Float()
    )
    links = fields.Nested(AnswerLinks)


class WorksWanted(Schema):
    q = described(
        fields.String,
        "Words that must all occur, each as the beginning of one, accents aside; in double quotes, a phrase.",
        "marveen",
        load_default="",
        validate=validate.Length(max=200),
    )
    author = described(fields.String, "Exactly as the works have it; the same holds for the others.")
    school = described(fields.String, "Of the author.", "Dutch")
    form = described(fields.String, "Kind of object.", "painting")
    type = described(fields.String, "Kind of subject.", "landscape")
    timeframe = described(fields.String, "Period.", "1651-1700")
    folder = described(fields.String, "Of the picture's file.")
    first_year = described(fields.Integer, "Works of this year or later.", 1600)
    last_year = described(fields.Integer, "Works of this year or earlier.", 1650)
    sort = described(
        fields.String, "What they are sorted by.", load_default="file", validate=validate.OneOf(tuple(works.SORTS))
    )


class SimilarWanted(Schema):
    count = described(
        fields.Integer, "How many.", 24, load_default=SIMILAR, validate=validate.Range(min=1, max=LARGEST_PAGE)
    )


SHARE = fields.Float(validate=validate.Range(min=0, max=1))


class Question(Schema):
    """What a program asks: a picture or its address, and which part of it."""

    address = described(
        fields.String,
        "Of a picture on the web, where this site fetches pictures. One of picture and address is wanted.",
        "https://www.example.org/photograph.jpg",
    )
    corners = described(
        fields.List,
        "The part that is asked for, instead of all of the picture: four [x, y] as shares of its width and height, "
        "clockwise from the upper left. In a form: as JSON.",
        [[0.1, 0.1], [0.9, 0.1], [0.9, 0.8], [0.1, 0.8]],
        fields.List(SHARE, validate=validate.Length(equal=2)),
        validate=validate.Length(equal=4),
    )
    turns = described(
        fields.Integer, "Quarter turns, clockwise.", 0, load_default=0, validate=validate.Range(min=0, max=3)
    )


class QuestionForm(Question):
    picture = described(Upload, "A JPEG, PNG, WebP, TIFF, BMP or GIF. One of picture and address is wanted.")


# Asking

BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": QuestionForm},
        "application/json": {"schema": Question},
    },
}


def refusal(code: int, description: str) -> Callable:
    """A decorator that describes when a view refuses."""
    return v1.alt_response(code, description=description, schema=Api.ERROR_SCHEMA)


def _whose() -> str:
    return f"program {hashlib.sha256(request.headers.get('Authorization', '').encode()).hexdigest()}"


@v1.route("/search", methods=["POST"])
@v1.doc(operationId="search", requestBody=BODY)
@v1.response(201, AnswerSchema, headers={"Location": {"schema": {"type": "string"}}}, description="The answer.")
@refusal(400, "The picture cannot be used.")
@refusal(413, "The file is too large.")
@refusal(415, "Neither a form nor JSON.")
@refusal(422, "Something is missing or not as it should be.")
@refusal(429, "Too often; Retry-After says when to try again.")
@refusal(503, "Busy; Retry-After says when to try again.")
@limiter.limit("60 per minute", key_func=_whose)
def search():
    """Ask which work a picture shows

    The picture is a file in a form, or the address of one. Answer and picture are kept, as if they had been asked for
    on the site, and can be deleted there.
    """
    question, file = _question()
    service().engine  # noqa: B018  (raises Unavailable before a picture is decoded in vain)
    photograph = _photograph(file, question.get("address"))
    try:
        query, *_ = ask(photograph, [_region(question, photograph)])
    except Exception:  # nothing is kept of a question without an answer
        db.session.rollback()
        uploads().delete(photograph.id)
        db.session.delete(photograph)
        db.session.commit()
        raise
    return answer_json(query), 201, {"Location": url_for("v1.get_query", id=query.id)}


def _question() -> tuple[dict, object]:
    """The question and the file of a request, where it has one."""
    if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
        sent, file = request.form.to_dict(), request.files.get("picture")
        if "corners" in sent:
            sent["corners"] = _parsed(sent["corners"])
    elif request.mimetype == "application/json":
        sent, file = request.get_json(), None
    else:
        abort(415, "Please send a form with a picture (multipart/form-data), or JSON with an address.")
    try:
        question = Question().load(sent)
    except ValidationError as problem:
        _invalid(problem.messages)
    if bool(file) == bool(question.get("address")):
        _invalid({"picture": ["Exactly one of picture (a file) and address is wanted."]})
    return question, file


def _parsed(text: str) -> object:
    try:
        return current_app.json.loads(text)
    except (ValueError, RecursionError):
        return text  # which is no list, and refused as such


def _invalid(messages: dict) -> None:
    problem = UnprocessableEntity()
    problem.data = {"messages": messages}
    raise problem


def _photograph(file, address: str | None) -> Photograph:
    if not address:
        content = file.read()
        if len(content) > current_app.extensions["settings"].upload_megabytes << 20:
            abort(413)
        return keep_photograph(user_of_request(), content, "api", file.filename)
    try:
        content, name = addresses.fetch_for_site(address)
    except addresses.Refused as problem:
        abort(422, str(problem))
    return keep_photograph(user_of_request(), content, "address", name)


def _region(question: dict, photograph: Photograph) -> Region:
    """The part of the photograph that is asked for, in its pixels."""
    if "corners" not in question:
        return Region(None, question["turns"])
    corners = np.array(question["corners"], np.float32) * (photograph.width, photograph.height)
    corners = corners.astype(np.float32)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    least = current_app.extensions["settings"].min_side
    area = cv2.contourArea(corners, oriented=True)  # positive where they go round clockwise, as y points down
    if not cv2.isContourConvex(corners) or area < least * sides.max() / 2 or sides.min() < least:
        _invalid({"corners": ["Four corners clockwise from the upper left are wanted, not too close to each other."]})
    return Region(corners.tolist(), question["turns"])


@v1.route("/queries/<id>", parameters=[{"name": "id", "in": "path", "description": "Of the answer."}])
@v1.doc(operationId="query")
@v1.response(200, AnswerSchema, description="The answer.")
@refusal(404, "There is none, or it is somebody else's.")
def get_query(id):
    """An answer that was given before

    To questions from programs and on the site alike. Administrators can read everybody's.
    """
    query = db.session.get(Query, id, options=[joinedload(Query.answer)]) if ID.fullmatch(id) else None
    if query is None or (query.user_id != user_of_request().id and not user_of_request().is_admin):
        abort(404)
    return answer_json(query)


def answer_json(query: Query) -> dict:
    """An answer as programs get it."""
    content = query.answer.content
    found = query.verdict != "not found"
    pictures = works.pictures_of(map(int, content["candidates"]))
    return {
        "id": query.id,
        "created_at": query.created_at,
        "verdict": query.verdict,
        "work": work_json(query.work) if found and query.work else None,
        "evidence": _evidence(content) if found else None,
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
        "links": {
            "page": url_for("history.answer", query_id=query.id, _external=True),
            "picture": url_for("history.picture", query_id=query.id, _external=True),
        },
    }


def _place(candidate: dict) -> dict:
    return {"file": candidate["path"], **candidate}


def _evidence(content: dict) -> dict:
    best = content["candidates"][str(content["after"][0])]
    corners = outline(np.array(best["homography"]), best["frame"]) if "homography" in best else None
    height, width = content["frame"]
    shares = None if corners is None else np.round(corners / (width, height), 4).tolist()
    return _place(best) | {"outline": shares}


# The collection


@v1.route("/works")
@v1.doc(operationId="works", security=[{"token": []}, {}])
@v1.arguments(WorksWanted, location="query")
@v1.response(200, WorkPage, description="A page of works.")
@v1.paginate(page_size=PAGE, max_page_size=LARGEST_PAGE)
def list_works(wanted, pagination_parameters):
    """The works of the collection, or those that a search fits"""
    sort, text = wanted.pop("sort"), wanted.pop("q")
    years = wanted.pop("first_year", None), wanted.pop("last_year", None)
    wanted = works.Wanted(text, wanted, *years)
    here = pagination_parameters
    here.item_count = works.count_works(wanted)
    pages = math.ceil(here.item_count / here.page_size)
    found = []
    if here.page <= pages:
        page = works.select_works(wanted, sort).offset(here.first_item).limit(here.page_size)
        found = [work_json(work) for work in db.session.scalars(page)]
    return {"total": here.item_count, "page": here.page, "pages": pages, "works": found}


@v1.route(WORK, parameters=OF_THE_WORK)
@v1.doc(operationId="work", security=[{"token": []}, {}])
@v1.response(200, WorkSchema, description="The work.")
@refusal(404, "There is no such work.")
def get_work(id):
    """A work with its entry of the catalogue"""
    return work_json(work_with(id))


@v1.route(WORK + "/similar", parameters=OF_THE_WORK)
@v1.doc(operationId="similar", security=[{"token": []}, {}])
@v1.arguments(SimilarWanted, location="query")
@v1.response(200, SimilarWork(many=True), description="The most similar first.")
@refusal(404, "There is no such work.")
@refusal(503, "The search is warming up.")
def similar(wanted, id):
    """The works most similar to a work"""
    return [
        {"similarity": round(similarity, 4), "work": work_json(work)}
        for work, similarity in similar_works(id, wanted["count"])
    ]


def work_json(work: Work) -> dict:
    """A work as programs get it."""
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


# The page that shows the description

EXAMPLES = {
    "search": "-F picture=@photograph.jpg {site}/api/v1/search",
    "query": "{site}/api/v1/queries/Xq3oSy4QdRr0bQkWmJt5aA",
    "works": "'{site}/api/v1/works?q=portrait&page_size=10'",
    "work": "{site}/api/v1/works/17",
    "similar": "'{site}/api/v1/works/17/similar?count=5'",
}


@blueprint.get("/api")
def description() -> str:
    """The interface for people who write programs."""
    spec = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    site = request.url_root.rstrip("/")
    examples = {
        name: f'curl -H "Authorization: Bearer $TOKEN" {rest}'.format(site=site) for name, rest in EXAMPLES.items()
    }
    return render_template("api/description.html", spec=spec, operations=_operations(spec), examples=examples)


def _operations(spec: dict) -> list[dict]:
    """Every operation of a description with its method and path, and with the parameters of its path."""
    return [
        {
            "method": method.upper(),
            "path": path,
            **operation,
            "parameters": [*item.get("parameters", []), *operation.get("parameters", [])],
        }
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]

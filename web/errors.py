"""Error pages: what happened, in one sentence, and how to go on."""

import contextlib
import logging
import time

from flask import Flask, Response, current_app, g, jsonify, render_template, request
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError
from werkzeug.http import HTTP_STATUS_CODES

from database.tables import db
from utils import files
from utils.errors import Failed
from utils.images import ImageProblem
from web.security import limiter
from web.service import Unavailable

SENTENCES = {
    400: "This request could not be understood.",
    401: "Please sign in first.",
    403: "You are not allowed to see this.",
    404: "There is nothing at this address. It may have been deleted, or it may belong to somebody else.",
    405: "This address does not accept such requests.",
    413: "This request has too many fields, or one of them is too long.",
    500: "Something went wrong on our side. The error has been logged.",
}
HEADINGS = {
    403: "Not allowed",
    404: "Page not found",
    413: "Too large",
    429: "Too many requests",
    503: "Not available just now",
}
TOO_LARGE = "The file is too large for this site."
DATABASE = "The site's database cannot be used just now, and nothing has been kept. Please try again in a while."
DISK = "The site's disk is full, and nothing has been kept. Please tell an administrator, and try again later."
RETRY_SECONDS = 30  # after such a failure
KEPT_HEADERS = ("Retry-After", "Allow", "WWW-Authenticate")

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(SecurityError, _unknown_host)
    app.register_error_handler(RateLimitExceeded, _too_often)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(ImageProblem, _image)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(DataError, _no_value)
    app.register_error_handler(OSError, _system)
    app.register_error_handler(Failed, _failed)
    app.register_error_handler(500, _broken)


def wants_json() -> bool:
    """Whether the request came from a script of a page rather than from a person's browser."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def error_response(code: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """An error in one sentence, as a page, or as JSON if the request accepts that."""
    if request.path.startswith("/api/v1/"):
        response = jsonify(code=code, status=HTTP_STATUS_CODES.get(code, ""), message=sentence)
    elif wants_json():
        response = jsonify(error=sentence)
    else:
        response = Response(_page(code, sentence))
    response.status_code = code
    response.headers.extend(headers or {})
    return response


def _page(code: int, sentence: str) -> str:
    """An error page; without the frame of the others where the database, which that needs, is what failed."""
    values = {"code": code, "sentence": sentence, "heading": HEADINGS.get(code, "Something went wrong")}
    try:
        return render_template("error.html", **values)
    except SQLAlchemyError:
        title = current_app.extensions["settings"].title
        return current_app.jinja_env.get_template("bare.html").render(values, title=title)


def _csrf(problem: CSRFError) -> Response:
    return error_response(
        400,
        "The form was not accepted, because it was open for too long or your browser did not send the site's cookie. "
        f"Please reload the page and try again. ({problem.description})",
    )


def _unknown_host(_problem: SecurityError) -> Response:
    """The Host header is not one of TRUSTED_HOSTS, so no page can be rendered: its links would lead there."""
    return Response(
        "This site does not answer to that host name (see RETRIEVAL_HOSTS in config.py).\n", 400, mimetype="text/plain"
    )


def _too_often(_problem: RateLimitExceeded) -> Response:
    assert limiter.current_limit is not None  # it has just been exceeded
    seconds = max(1, round(limiter.current_limit.reset_at - time.time()))
    when = f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
    sentence = f"Too many requests in a short time. Please try again in {when}."
    return error_response(429, sentence, {"Retry-After": str(seconds)})


def _http(problem: HTTPException) -> Response | HTTPException:
    if problem.code is None or problem.response is not None or problem.code < 400:
        return problem  # a redirect, or an error with a response of its own
    sentence = TOO_LARGE if _is_too_large(problem) else problem.description
    headers = {name: value for name, value in problem.get_headers() if name in KEPT_HEADERS}
    if not sentence or sentence == type(problem).description:
        sentence = SENTENCES.get(problem.code, problem.name)
    return error_response(problem.code, sentence, headers)


def _is_too_large(problem: HTTPException) -> bool:
    """Whether a whole request is too large, which only a file can make it; a form may be refused for its fields."""
    whole = problem.description == RequestEntityTooLarge.description and not request.is_json
    return whole and (request.content_length or 0) > current_app.config["MAX_CONTENT_LENGTH"]


def _unavailable(problem: Unavailable) -> Response:
    return error_response(503, str(problem), {"Retry-After": str(problem.seconds)})


def _image(problem: ImageProblem) -> Response:
    return error_response(400, f"The picture cannot be used: {problem}.")


def _database(problem: SQLAlchemyError) -> Response:
    """The database is locked for too long, or gone, or its disk is full."""
    log.error("The database cannot be used: %s", problem)
    g.database_failed = True
    with contextlib.suppress(SQLAlchemyError):
        db.session.rollback()
    full = "disk is full" in str(problem) or files.is_full(current_app.extensions["settings"].database)
    return error_response(503, DISK if full else DATABASE, {"Retry-After": str(RETRY_SECONDS)})


def _no_value(problem: DataError) -> Response:
    """PostgreSQL compares with no zero byte, and with no number beyond its columns."""
    log.info("A request was refused: %s", problem)
    db.session.rollback()
    return error_response(400, SENTENCES[400])


def _system(problem: OSError) -> Response:
    if problem.errno not in files.FULL:
        raise problem
    log.error("The disk is full: %s", problem)
    return error_response(503, DISK, {"Retry-After": str(RETRY_SECONDS)})


def _failed(problem: Failed) -> Response:
    """The collection is damaged, or its disk; the sentence is for who runs the site, and names folders."""
    log.error("%s", problem)
    sentence = "The collection cannot be used just now. Please tell an administrator of this site; its log says why."
    return error_response(503, sentence, {"Retry-After": str(RETRY_SECONDS)})


def _broken(_problem: Exception) -> Response:
    return error_response(500, SENTENCES[500])

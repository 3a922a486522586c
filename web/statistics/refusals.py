"""Counts refused and failed queries of people and programs; the usage page shows them."""

import logging

from flask import Flask, Response, g, request
from flask_user import current_user
from sqlalchemy.exc import SQLAlchemyError

from database import usage
from database.tables import db, now

WATCHED = ("search", "v1")  # blueprints: the start page, and the API
UNREMARKABLE = (401, 404)  # of requests to guessed URLs; not queries that were refused

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.after_request(_note)


def _note(response: Response) -> Response:
    refused = response.status_code >= 400 and response.status_code not in UNREMARKABLE
    refused = refused and "database_failed" not in g  # nothing could be noted there
    if refused and request.endpoint and request.blueprint in WATCHED:
        try:
            db.session.rollback()  # ends the failed request's transaction, or SQLite would wait for it
            user = current_user.id if current_user.is_authenticated else None
            usage.note_refusal(response.status_code, request.endpoint, user, now())
        except SQLAlchemyError:  # the refusal must reach the person all the same
            log.exception("A refused request could not be counted.")
    return response

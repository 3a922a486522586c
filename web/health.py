"""Health checks for monitoring: is the process alive, and can it answer queries?"""

import logging

from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from database.tables import db
from utils import files
from utils.version import VERSION
from web.service import service

LOCKED_MS = 1000  # for longer no page should have to wait for its turn to write

blueprint = Blueprint("health", __name__)
log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process is alive; with the version it runs."""
    return jsonify(status="alive", version=VERSION)


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The engine is loaded, and collection, database and disk can be used: 200; else 503 with the reason."""
    state = service().state
    if state == "ready":
        state = _storage()
    if state != "ready":
        return jsonify(status=state), 503
    engine = service().engine
    return jsonify(status="ready", images=engine.store.count("descriptors")), 200


def _storage() -> str:
    """ "ready", or a sentence that says why nothing can be kept."""
    if files.is_full(current_app.extensions["settings"].database):
        return "The disk of the database is full."
    try:
        with db.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
                connection.exec_driver_sql(f"PRAGMA busy_timeout={LOCKED_MS}")
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    connection.exec_driver_sql("ROLLBACK")
                finally:
                    connection.exec_driver_sql(f"PRAGMA busy_timeout={before}")
            else:
                connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as problem:
        log.warning("The database cannot be used: %s", problem)
        return "The database cannot be used: it is locked by another process, or its server does not answer."
    return "ready"

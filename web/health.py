"""Health checks for monitoring: is the process alive, and can it answer queries?"""

from flask import Blueprint, Flask, Response, jsonify

from utils.version import VERSION
from web.service import service

blueprint = Blueprint("health", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process is alive; with the version it runs."""
    return jsonify(status="alive", version=VERSION)


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The engine is loaded and its store can be read: 200; else 503 with the reason."""
    state = service().state
    if state != "ready":
        return jsonify(status=state), 503
    engine = service().engine
    return jsonify(status="ready", images=engine.store.count("descriptors")), 200

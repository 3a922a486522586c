"""The collection: browsing, the pictures of works, similar works, and manifests for other viewers."""

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("collection", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/collection")
def browse() -> str:
    """To come."""
    return render_template("collection/browse.html")


def add_commands(manager) -> None:
    """What app.py can do about it on the command line."""

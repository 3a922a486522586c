"""Asking: the start page, uploads, and the works that can be made out on a photograph."""

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("search", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/")
def start() -> str:
    """To come."""
    return render_template("search/start.html")

"""The interface for programs."""

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("api", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


def user_of_request():
    return None


@blueprint.get("/api")
def description() -> str:
    """To come."""
    return render_template("api/description.html")

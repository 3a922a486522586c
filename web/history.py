"""Answers at addresses of their own, what people say of them, and each person's history."""

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("history", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/history")
def history() -> str:
    """To come."""
    return render_template("history/history.html")

"""What administrators see and do: users, invitations, everybody's activity."""

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("admin", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/admin/users")
def users() -> str:
    """To come."""
    return render_template("admin/users.html")

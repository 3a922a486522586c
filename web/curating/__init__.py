"""The collection kept on the site, by administrators: its index, its pictures and its register."""

from flask import Blueprint, Flask
from flask_user import roles_required

blueprint = Blueprint("curating", __name__, url_prefix="/admin/collection")


def init_app(app: Flask) -> None:
    from web.curating import pages, pictures, registers, removing  # noqa: F401  (they add their pages)

    app.register_blueprint(blueprint)


@blueprint.before_request
@roles_required("admin")
def _administrators_only() -> None:
    """Everybody else: to the sign-in page, or 403."""

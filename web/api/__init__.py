"""The API under /api/v1, its OpenAPI description, and a page that shows it."""

from flask import Flask
from flask_smorest import Api

from web.api import batches  # noqa: F401  (adds its addresses to v1)
from web.api.description import blueprint
from web.api.views import v1

ABOUT = """Identify the work of the collection that a picture shows, and read the collection, from your own programs.

Programs authenticate with an API token: create one on your profile page, and send it with each request as
"Authorization: Bearer TOKEN". Times are in UTC. Every error is JSON with a code, a status and a message."""


class Description(Api):
    """flask-smorest without its own error handlers: web/errors.py handles all errors."""

    def _register_error_handlers(self) -> None:
        pass


def init_app(app: Flask) -> None:
    app.config.setdefault("OPENAPI_URL_PREFIX", "/api")
    title = app.extensions["settings"].title
    options = {"info": {"description": ABOUT}, "security": [{"token": []}]}
    api = Description(app, spec_kwargs={"title": title, "version": "1", "openapi_version": "3.0.3", **options})
    api.spec.components.security_scheme(
        "token", {"type": "http", "scheme": "bearer", "description": "An API token, from the profile page."}
    )
    api.register_blueprint(v1)
    app.register_blueprint(blueprint)

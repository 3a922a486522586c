"""Batches: many photographs at once, answered in the background, reviewed, and taken back as a table."""

from flask import Flask

from web.batches import pages, review, tables


def init_app(app: Flask) -> None:
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(review.blueprint)
    app.register_blueprint(tables.blueprint)

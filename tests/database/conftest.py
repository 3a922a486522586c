"""A database without an engine, on SQLite, or on the PostgreSQL that DATABASE_URL names."""

import os
from dataclasses import replace

import pytest

from app import create_app
from config import Settings
from database.tables import db
from web.service import Service


@pytest.fixture
def context(tmp_path):
    """The context of a site with empty tables."""
    settings = replace(
        Settings(),
        database=tmp_path / "database",
        output=tmp_path / "output",
        dataset=tmp_path / "images",
        database_url=os.environ.get("DATABASE_URL", ""),
    )
    for folder in (settings.database, settings.output, settings.dataset):
        folder.mkdir()
    app = create_app(settings, Service(lambda: None, 1, 1), TESTING=True)
    with app.app_context():
        for table in reversed(db.metadata.sorted_tables):
            db.session.execute(table.delete())
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()

"""Migrations: what they must not lose."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from flask_migrate import upgrade

from app import create_app
from config import Settings
from database.migrate import MIGRATIONS
from database.tables import Answer, Photograph, Query, User, db

DROPS_A_COLUMN = """
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    with op.batch_alter_table("queries") as table:
        table.drop_column("feedback_at")
"""


@pytest.fixture
def site(tmp_path):
    """A site of its own on SQLite, whose engine is never opened."""
    settings = replace(Settings(), database=tmp_path / "database", output=tmp_path / "output")
    app = create_app(settings, TESTING=True)
    with app.app_context():
        yield app
        db.engine.dispose()


def test_a_table_that_is_made_anew_keeps_the_rows_that_belong_to_it(site, tmp_path: Path):
    user = User(username="ada", email="ada@example.com")
    photograph = Photograph(user=user, source="file", height=10, width=10)
    query = Query(photograph=photograph, user=user, verdict="found", seconds=1.0, answer=Answer(content={"a": 1}))
    db.session.add(query)
    db.session.commit()
    db.session.remove()

    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    head = max(path.name[:4] for path in (folder / "versions").glob("0*.py"))
    (folder / "versions" / "9999_drops_a_column.py").write_text(DROPS_A_COLUMN.format(head=head))
    upgrade(directory=str(folder))

    assert "feedback_at" not in {column["name"] for column in db.inspect(db.engine).get_columns("queries")}
    assert db.session.scalar(db.select(db.func.count(Answer.query_id))) == 1
    assert db.session.scalar(db.text("PRAGMA foreign_keys")) == 1

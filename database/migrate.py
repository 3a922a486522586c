"""Migrates the site's database to the current tables, at the first start and after an update."""

import fcntl
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from database.tables import db
from utils.errors import Failed

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(app: Flask, folder: Path) -> None:
    """Apply the missing migrations; several processes may call it at once, and one does the work.

    folder: of the lock file. Raises Failed if the database cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "migrations.lock").open("a") as lock, app.app_context():
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with db.engine.connect() as connection:
                at = MigrationContext.configure(connection).get_current_heads()
        except OperationalError as problem:
            shown = db.engine.url.render_as_string(hide_password=True)
            raise Failed(f"The database {shown} cannot be used: {str(problem.orig).splitlines()[0]}") from None
        if set(at) != set(ScriptDirectory(str(MIGRATIONS)).get_heads()):
            upgrade(directory=str(MIGRATIONS))

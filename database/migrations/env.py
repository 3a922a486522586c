"""Runs the migrations: Alembic calls this file, Flask-Migrate calls Alembic (`python app.py db ...`)."""

from alembic import context
from flask import current_app

from database.tables import db


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # SQLite changes a table by making it anew and dropping the old one: with foreign keys kept, that would
            # delete every row that belongs to it. It heeds this only outside of a transaction.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.commit()
        try:
            context.configure(
                connection=connection,
                target_metadata=db.metadata,
                render_as_batch=sqlite,
                user_module_prefix="tables.",
                compare_type=True,
                # Tables that SQLAlchemy does not know: see fulltext.py, and the queue of jobs on PostgreSQL.
                include_name=lambda name, kind, _: (
                    kind != "table" or not (name or "").startswith(("work_texts", "huey_"))
                ),
            )
            with context.begin_transaction():
                context.run_migrations()
        finally:
            if sqlite:
                connection.invalidate()  # the next one keeps foreign keys again


run()

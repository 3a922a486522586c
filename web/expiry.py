"""Deletes what people no longer want, and what has expired."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from flask import Flask, current_app

from database.tables import Batch, BatchPhotograph, Event, Photograph, Query, db, now
from utils.files import PART
from web.command_line import Command
from web.uploads import uploads
from web.worker import Worker

BATCH = 500  # ids per statement; databases limit them
LEFTOVER = timedelta(days=1)  # how long a photograph without a query, a file without a row, or an exact copy is kept
A_LONG_TIME = 365_000  # days; further back there are no dates
FIRST_SECONDS = 60.0  # from the start of the site to its first sweep
PAUSE_SECONDS = 24 * 3600.0  # from one sweep to the next

log = logging.getLogger(__name__)


class Sweeper(Worker):
    """Sweeps once a day in the background, in every process that serves the site; several sweepers do no harm."""

    def __init__(self, app: Flask):
        super().__init__("sweeper")
        self._app = app

    def _run(self) -> None:
        pause = FIRST_SECONDS
        while not self._stopped.wait(pause):
            pause = PAUSE_SECONDS
            try:
                with self._app.app_context():
                    sweep()
            except Exception:  # this thread must survive, or nothing would ever be deleted
                log.exception("Old pictures could not be deleted; the next attempt is tomorrow.")


def init_app(app: Flask) -> None:
    app.extensions["sweeper"] = Sweeper(app)
    if not app.testing:
        app.before_request(app.extensions["sweeper"].start)  # in the process that answers, also where it was forked


def add_commands(manager) -> None:
    """Adds the commands of this room to app.py."""

    manager.add_command("sweep", Command(_sweep_and_tell))


def _sweep_and_tell() -> None:
    """Delete the uploads and answers that have expired (see RETRIEVAL_KEEP_DAYS)."""
    photographs, files = sweep()
    print(f"Deleted photographs, with their answers: {photographs}. Deleted leftover files: {files}.")


def sweep(moment: datetime | None = None) -> tuple[int, int]:
    """Delete expired photographs and leftover files; returns the number of each.

    moment: the current time, in UTC without a zone.
    """
    moment = moment or now()
    keep_days = current_app.extensions["settings"].keep_days
    in_a_batch = db.select(BatchPhotograph.photograph_id).where(BatchPhotograph.state == "waiting")
    unasked = ~Photograph.queries.any() & Photograph.id.not_in(in_a_batch.where(BatchPhotograph.photograph_id != ""))
    old = [(Photograph.created_at < moment - LEFTOVER) & unasked]
    if keep_days:
        limit = moment - timedelta(days=min(keep_days, A_LONG_TIME))
        _delete_events(limit)
        for batch in db.session.scalars(db.select(Batch.id).where(Batch.created_at < limit)).all():
            delete_batch(batch)
        old.append(Photograph.created_at < limit)
    chosen = db.session.scalars(db.select(Photograph.id).where(db.or_(*old))).all()
    delete_photographs(chosen)
    files = _delete_leftovers(moment - LEFTOVER)
    _delete_exact(moment - LEFTOVER)
    if chosen or files:
        log.info("Deleted %d expired photographs and %d leftover files.", len(chosen), files)
    return len(chosen), files


def _delete_events(before: datetime) -> None:
    """Delete the records of refused and failed requests before a time."""
    db.session.execute(db.delete(Event).where(Event.created_at < before))
    db.session.commit()


def delete_queries(ids: Sequence[str]) -> None:
    """Delete queries with their answers and pictures; a photograph goes with its last query. Commits."""
    files: list[str] = []
    for some in _batches(ids):
        photographs = db.session.scalars(db.select(Query.photograph_id).where(Query.id.in_(some))).all()
        _delete_rows(Query, some)
        left = db.select(Photograph.id).where(Photograph.id.in_(photographs), ~Photograph.queries.any())
        empty = db.session.scalars(left).all()
        _delete_rows(Photograph, empty)
        files += [*some, *empty]
    db.session.commit()
    # Files come last: a leftover file is swept later, but an answer without a picture would be visible.
    uploads().delete(*files)


def delete_photographs(ids: Sequence[str]) -> None:
    """Delete photographs with their queries and answers. Commits."""
    files: list[str] = []
    for some in _batches(ids):
        files += db.session.scalars(db.select(Query.id).where(Query.photograph_id.in_(some))).all()
        _delete_rows(Photograph, some)  # the database deletes their queries and answers
        files += some
    db.session.commit()
    uploads().delete(*files)


def delete_batch(id: str) -> None:
    """Delete a batch with its photographs, their answers, and the ZIPs they came in. Commits."""
    here = BatchPhotograph.batch_id == id
    archives = db.session.scalars(db.select(BatchPhotograph.archive).where(here).distinct()).all()
    photographs = db.session.scalars(db.select(BatchPhotograph.photograph_id).where(here)).all()
    _delete_rows(Batch, [id])
    delete_photographs([photograph for photograph in photographs if photograph])
    for archive in filter(None, archives):
        uploads().archive(archive).unlink(missing_ok=True)


def _delete_rows(table: type[Photograph] | type[Query] | type[Batch], ids: Sequence[str]) -> None:
    db.session.execute(db.delete(table).where(table.id.in_(ids)), execution_options={"synchronize_session": False})


def _delete_leftovers(before: datetime) -> int:
    """Delete files in the uploads folder that have no row and were written before a time (UTC); returns how many."""
    limit = before.replace(tzinfo=timezone.utc).timestamp()
    old: dict[str, list] = {}
    for path in _files(uploads().folder):
        with contextlib.suppress(FileNotFoundError):  # another process may be sweeping too
            if path.suffix in (".jpg", ".zip", PART) and path.stat().st_mtime < limit:
                old.setdefault(path.name.split(".")[0], []).append(path)
    known: set[str] = set()
    for some in _batches(list(old)):
        for table in (Photograph, Query):
            known.update(db.session.scalars(db.select(table.id).where(table.id.in_(some))))
        known.update(db.session.scalars(db.select(BatchPhotograph.archive).where(BatchPhotograph.archive.in_(some))))
    db.session.commit()
    # A PART is a picture whose writing was interrupted: it is left over even if its row exists.
    unknown = [path for name in old for path in old[name] if name not in known or path.suffix == PART]
    for path in unknown:
        path.unlink(missing_ok=True)
    return len(unknown)


def _delete_exact(before: datetime) -> None:
    """Delete the exact copies that were written before a time (UTC): later questions are asked with what is kept."""
    limit = before.replace(tzinfo=timezone.utc).timestamp()
    for path in _files(uploads().exact):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))

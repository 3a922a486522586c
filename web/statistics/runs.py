"""The runs of test_with_statistics.py in OUTPUT/statistics."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from models.evaluation import records
from models.evaluation.records import SUMMARY, TABLE, Record
from utils.errors import WrongUse

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")  # as test_with_statistics.py accepts names
PICTURE = re.compile(r"pictures/[0-9]{6}-(answered|expected)\.jpg")
MAX_BYTES = 200_000_000  # of a table of queries


@dataclass(frozen=True)
class Listed:
    """An entry of the list of runs."""

    name: str
    made: datetime  # UTC, without a zone
    problem: str = ""  # why it cannot be shown


@dataclass(frozen=True)
class Row(Record):
    """One query of a run, with its row number."""

    number: int = 0  # from 1

    @property
    def pictures(self) -> dict[str, str]:
        """ "answered" and "expected" -> file in the run's folder, for the drawings that exist."""
        files = {"answered": self.answered_picture or "", "expected": self.expected_picture or ""}
        return {kind: file for kind, file in files.items() if PICTURE.fullmatch(file)}


@dataclass(frozen=True)
class Run:
    """A complete run."""

    name: str
    folder: Path
    made: datetime
    summary: dict
    rows: list[Row] = field(repr=False)
    skipped: list[tuple[str, str]] = field(repr=False)  # (file, reason)

    @property
    def known(self) -> list[Row]:
        """The queries with a ground truth."""
        return [row for row in self.rows if row.in_collection is not None]

    @property
    def inside(self) -> list[Row]:
        """The queries that show something in the collection."""
        return [row for row in self.rows if row.in_collection]

    @property
    def queries_folder(self) -> Path | None:
        """Where the query pictures were; None for transformed copies, and for older runs."""
        folder = self.summary.get("queries_folder")
        return Path(folder) if isinstance(folder, str) and folder else None


def listed(output: Path) -> list[Listed]:
    """All runs, the newest first."""
    folder = output / "statistics"
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    runs = [_listed(folder / name) for name in names if NAME.fullmatch(name)]
    return sorted((run for run in runs if run), key=lambda run: run.made, reverse=True)


def unfinished(output: Path) -> list[str]:
    """The names of runs that are in progress, or were interrupted and can be continued."""
    folder = output / "statistics"
    names = [path.name for path in folder.glob(".*.partial")] if folder.is_dir() else []
    return sorted(name[1 : -len(".partial")] for name in names if NAME.fullmatch(name[1 : -len(".partial")]))


def read(output: Path, name: str) -> Run:
    """A run by name. The name may come from outside: it is only looked up among the existing runs.

    Runs of earlier versions are read as well, without what they did not record.
    Raises KeyError if there is no such run; WrongUse, with a sentence, if it cannot be shown.
    """
    run = next((run for run in listed(output) if run.name == name), None)
    if run is None:
        raise KeyError(name)
    if run.problem:
        raise WrongUse(run.problem)
    folder = output / "statistics" / run.name
    return _read(folder, (folder / TABLE).stat().st_mtime_ns, (folder / SUMMARY).stat().st_mtime_ns)


def _listed(folder: Path) -> Listed | None:
    there = [path for path in (folder / TABLE, folder / SUMMARY) if path.is_file()]
    if not there:
        return None
    made = max(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).replace(tzinfo=None) for path in there)
    return Listed(folder.name, made, records.incomplete(folder))


@lru_cache(maxsize=8)
def _read(folder: Path, _changed_table: int, _changed_summary: int) -> Run:
    """The modification times are cache keys: a run that was repeated is read again."""
    if (folder / TABLE).stat().st_size > MAX_BYTES:
        raise WrongUse(f"The run “{folder.name}” is too large to show: {TABLE} is larger than 200 MB.")
    summary, answered = records.read(folder, earlier=True)
    rows = [Row(**vars(record), number=number) for number, record in enumerate(answered, start=1)]
    made = datetime.fromtimestamp(_changed_summary / 1e9, timezone.utc).replace(tzinfo=None)
    answered_rows = [row for row in rows if not row.skipped]
    skipped = [(row.file, row.skipped) for row in rows if row.skipped]
    return Run(folder.name, folder, made, summary, answered_rows, skipped)

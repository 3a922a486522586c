"""The runs of test_with_statistics.py, as they lie in OUTPUT/statistics."""

import csv
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from models.answer import STAGES
from models.evaluation.run import FORMAT

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")  # as test_with_statistics.py accepts names
PICTURE = re.compile(r"pictures/[0-9]{6}-(answered|expected)\.jpg")
MAX_BYTES = 200_000_000  # of a table of queries
ESSENTIAL = {"in_collection", "file", "verdict", "first_after", "similarity", "inliers", "work_area", "rank_before",
             "rank_after", "seconds"}  # fmt: skip


class RunProblem(Exception):
    """Why a run cannot be shown, in one sentence."""


@dataclass(frozen=True)
class Listed:
    """A run as the list of runs has it."""

    name: str
    made: datetime  # UTC, without a zone
    problem: str = ""  # why it cannot be shown


@dataclass(frozen=True)
class Row:
    """One query of a run."""

    number: int  # from 1, in the order of the table
    file: str
    in_collection: bool | None  # None: no ground truth
    result: str  # right, wrong first, false found or missed; empty: no ground truth
    verdict: str
    expected: str
    changes: str
    first_after: str
    similarity: float | None
    matches: int | None
    inliers: int | None
    work_area: float | None
    agreement: float | None
    score: float | None
    probability: float | None
    rank_before: int | None
    rank_after: int | None
    seconds: float | None
    stages: dict[str, float]
    group: str  # the picture that a transformed copy was made of
    pictures: dict[str, str]  # "answered", "expected" -> file in the run's folder

    @property
    def is_first_right(self) -> bool:
        return self.rank_after == 1


@dataclass(frozen=True)
class Run:
    """A run that is whole."""

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
    def is_calibrated(self) -> bool:
        """Whether its answers come with probabilities."""
        return bool(self.known) and all(row.probability is not None for row in self.known if row.first_after)

    @property
    def queries_folder(self) -> Path | None:
        """Where its pictures were; None for copies of the collection's own, and for older runs."""
        folder = self.summary.get("queries_folder")
        return Path(folder) if isinstance(folder, str) and folder else None


def listed(output: Path) -> list[Listed]:
    """All runs, the newest first."""
    folder = output / "statistics"
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    found = [_listed(folder / name) for name in names if NAME.fullmatch(name)]
    return sorted((run for run in found if run), key=lambda run: run.made, reverse=True)


def unfinished(output: Path) -> list[str]:
    """The names of runs that are under way, or were cut short and can go on."""
    folder = output / "statistics"
    names = [path.name for path in folder.glob(".*.partial")] if folder.is_dir() else []
    return sorted(name[1 : -len(".partial")] for name in names if NAME.fullmatch(name[1 : -len(".partial")]))


def read(output: Path, name: str) -> Run:
    """A run by its name, which may come from outside: it is only looked up among the runs that are there.

    Raises KeyError where there is no such run, RunProblem where it is not whole.
    """
    run = next((run for run in listed(output) if run.name == name), None)
    if run is None:
        raise KeyError(name)
    if run.problem:
        raise RunProblem(run.problem)
    folder = output / "statistics" / run.name
    return _read(folder, (folder / "queries.csv").stat().st_mtime_ns, (folder / "summary.json").stat().st_mtime_ns)


def _listed(folder: Path) -> Listed | None:
    table, summary = folder / "queries.csv", folder / "summary.json"
    there = [path for path in (table, summary) if path.is_file()]
    if not there:
        return None
    made = max(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).replace(tzinfo=None) for path in there)
    if len(there) < 2:
        missing = "summary.json" if there == [table] else "queries.csv"
        return Listed(folder.name, made, f"The run “{folder.name}” was cut short: {missing} is missing. Run it again.")
    return Listed(folder.name, made)


@lru_cache(maxsize=8)
def _read(folder: Path, _changed_table: int, _changed_summary: int) -> Run:
    """The times of change are there for the cache: a run that was made anew is read anew."""
    name = folder.name
    again = f"Run test_with_statistics.py --name {name} again."
    summary = _summary(folder / "summary.json", name, again)
    if (folder / "queries.csv").stat().st_size > MAX_BYTES:
        raise RunProblem(f"The run “{name}” is too large to be shown: queries.csv has more than 200 MB.")
    try:
        with (folder / "queries.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = ESSENTIAL - set(reader.fieldnames or ())
            if missing:
                raise RunProblem(
                    f"The run “{name}” was made by another version: queries.csv has no column {min(missing)}. {again}"
                )
            rows, skipped = [], []
            for number, cells in enumerate(reader, start=1):
                if cells.get("skipped"):
                    skipped.append((cells["file"], cells["skipped"]))
                else:
                    rows.append(_row(number, cells))
    except (ValueError, TypeError, KeyError, csv.Error, OSError):  # UnicodeDecodeError is a ValueError
        raise RunProblem(f"The run “{name}” is damaged: queries.csv cannot be read. {again}") from None
    made = datetime.fromtimestamp(_changed_summary / 1e9, timezone.utc).replace(tzinfo=None)
    return Run(name, folder, made, summary, rows, skipped)


def _summary(file: Path, name: str, again: str) -> dict:
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        summary = None
    if not isinstance(summary, dict):
        raise RunProblem(f"The run “{name}” is damaged: summary.json cannot be read. {again}")
    version = summary.get("format", 0)  # the first runs had none
    if not isinstance(version, int) or version > FORMAT:
        raise RunProblem(f"The run “{name}” was made by a later version of this software. Update it, or {again}")
    return summary


def _row(number: int, cells: dict[str, str]) -> Row:
    """A row of queries.csv; columns that older versions did not write stay empty. Raises ValueError, KeyError."""
    pictures = {kind: cells.get(f"{kind}_picture") or "" for kind in ("answered", "expected")}
    stages = {stage: _number(cells, f"seconds_{stage}") for stage in STAGES}
    return Row(
        number=number,
        file=cells["file"],
        in_collection={"yes": True, "no": False, "": None}[cells["in_collection"]],
        result=cells.get("result") or "",
        verdict=cells["verdict"],
        expected=cells.get("expected") or "",
        changes=cells.get("changes") or "",
        first_after=cells["first_after"],
        similarity=_number(cells, "similarity"),
        matches=_whole(cells, "matches"),
        inliers=_whole(cells, "inliers"),
        work_area=_number(cells, "work_area"),
        agreement=_number(cells, "agreement"),
        score=_number(cells, "first_after_score"),
        probability=_number(cells, "probability"),
        rank_before=_whole(cells, "rank_before"),
        rank_after=_whole(cells, "rank_after"),
        seconds=_number(cells, "seconds"),
        stages={stage: seconds for stage, seconds in stages.items() if seconds is not None},
        group=cells.get("group") or "",
        pictures={kind: file for kind, file in pictures.items() if PICTURE.fullmatch(file)},
    )


def _number(cells: dict[str, str], name: str) -> float | None:
    text = cells.get(name)
    return float(text) if text else None


def _whole(cells: dict[str, str], name: str) -> int | None:
    text = cells.get(name)
    return int(float(text)) if text else None

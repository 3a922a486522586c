"""The records of a run, and the only code that reads and writes a run's files.

A run is a folder in OUTPUT/statistics with summary.json, whose first entry is the version, `format`, and queries.csv,
with one row per query. While the run is in progress, each answer is appended to a log in a hidden folder beside it.
"""

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from models.answer import STAGES, Grounds
from models.evaluation import ground_truth
from utils.errors import WrongUse
from utils.text import printable

FORMAT = 3  # "format" in summary.json; increased when a column or field is added, removed or changes its meaning
TABLE, SUMMARY, LOG = "queries.csv", "summary.json", "answers.jsonl"

RIGHT, WRONG_FIRST, FALSE_FOUND, MISSED = "right", "wrong first", "false found", "missed"

# Columns without which a run cannot be evaluated, whatever version wrote it.
ESSENTIAL = {"in_collection", "file", "skipped", "expected", "verdict", "first_after", "similarity", "inliers",
             "work_area", "rank_before", "rank_after", "seconds"}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """The record of one query: a line of the log, a row of queries.csv, an entry of the report."""

    file: str
    group: str = ""  # the same for all queries of one work
    skipped: str | None = None  # why there is no answer; then all further fields are empty
    expected: list[str] | None = None  # paths relative to the dataset; None: no ground truth
    result: str | None = None  # RIGHT, WRONG_FIRST, FALSE_FOUND or MISSED; None: no ground truth
    verdict: str | None = None
    works: list[str] = field(default_factory=list)  # paths of those told as found, surest first
    works_expected: int | None = None  # how many works the query shows; None: no ground truth
    works_right: int | None = None  # how many of these are among `works`
    changes: list[str] = field(default_factory=list)  # of a transformed copy
    first_before: str | None = None
    first_before_similarity: float | None = None
    first_after: str | None = None
    first_after_score: float | None = None
    probability: float | None = None  # that first_after is right; None without a calibration
    similarity: float | None = None  # this and all up to `keypoints`: see models.answer.Grounds
    normalised: float | None = None
    margin: float | None = None
    matches: int | None = None
    inliers: int | None = None
    inlier_ratio: float | None = None
    lead: int | None = None
    query_area: float | None = None
    work_area: float | None = None
    scale: float | None = None
    stretch: float | None = None
    tilt: float | None = None
    agreement: float | None = None
    keypoints: int | None = None
    rank_before: int | None = None  # of the first relevant image, from 1
    rank_after: int | None = None
    precision_before: float | None = None  # average precision
    precision_after: float | None = None
    seconds: float | None = None  # from the question to the answer
    stages: dict[str, float] = field(default_factory=dict)  # seconds
    answered_picture: str | None = None  # of a wrong answer; relative to the folder
    expected_picture: str | None = None

    @property
    def in_collection(self) -> bool | None:
        """Whether the query shows something in the collection; None: no ground truth."""
        return None if self.expected is None else bool(self.expected)

    @property
    def is_first_right(self) -> bool:
        """Whether the first candidate after re-ranking is relevant."""
        return self.rank_after == 1

    @property
    def grounds(self) -> Grounds | None:
        """What the verdict was decided on; None without a candidate, or if an earlier version recorded only a part."""
        values = {item.name: getattr(self, item.name) for item in fields(Grounds)}
        return None if self.first_after is None or None in values.values() else Grounds(**values)


PLAIN = [item for item in fields(Record) if item.name != "stages"]
COLUMNS = ["in_collection", *(item.name for item in PLAIN), *(f"seconds_{stage}" for stage in STAGES)]


# The finished run


def write(folder: Path, summary: dict, records: Sequence[Record]) -> None:
    """Write queries.csv and summary.json into the folder.

    summary: of models.evaluation.summary.summarise, with the version.
    """
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(COLUMNS)
        writer.writerows(_row(record) for record in records)
    text = json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")


def incomplete(folder: Path) -> str:
    """Why the folder does not contain a complete run, in a sentence; empty if both files are there."""
    name = printable(folder.name)
    missing = [file for file in (TABLE, SUMMARY) if not (folder / file).is_file()]
    if len(missing) == 2:
        return f"There is no run {name}: {printable(str(folder / TABLE))} is missing."
    return f"The run “{name}” was interrupted: {missing[0]} is missing. Run it again." if missing else ""


def read(folder: Path, *, earlier: bool = False) -> tuple[dict, list[Record]]:
    """The summary of a run and its records, skipped queries among them, in the order of the table.

    Names are as `printable` gives them.
    earlier: also read runs of earlier versions; what they did not record is None.
    Raises WrongUse, with one sentence, for a run that is missing, incomplete, damaged, or of another version.
    """
    if problem := incomplete(folder):
        raise WrongUse(problem)
    name = printable(folder.name)
    again = f"un test_with_statistics.py --name {name} again."
    summary = _summary(folder / SUMMARY)
    if summary is None:
        raise WrongUse(f"The run “{name}” is damaged: {SUMMARY} cannot be read. R{again}")
    version = summary.get("format", 0)  # the first runs had none
    if not isinstance(version, int) or version > FORMAT:
        raise WrongUse(
            f"The run “{name}” was made by a later version of this software. Update the software, or r{again}"
        )
    if version < FORMAT and not earlier:
        raise WrongUse(f"The run “{name}” was made by another version of this software. R{again}")
    try:
        lacking, records = _table(folder / TABLE, earlier)
    except (ValueError, KeyError, csv.Error, OSError):  # UnicodeDecodeError is a ValueError
        raise WrongUse(f"The run “{name}” is damaged: {TABLE} cannot be read. R{again}") from None
    if lacking:
        raise WrongUse(f"The run “{name}” was made by another version: {TABLE} has no column {min(lacking)}. R{again}")
    return summary, records


def _summary(file: Path) -> dict | None:
    """The content of summary.json; None if it is not a summary."""
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return None
    whole = isinstance(summary, dict) and (
        summary.get("format") != FORMAT or isinstance(summary.get("fingerprint"), dict)
    )
    return summary if whole else None


def _table(file: Path, earlier: bool) -> tuple[set[str], list[Record]]:
    """The missing columns of queries.csv, and the records if none is missing."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = csv.DictReader(opened)
        lacking = (ESSENTIAL if earlier else set(COLUMNS)) - set(rows.fieldnames or ())
        return lacking, [] if lacking else [_record(cells, earlier) for cells in rows]


def _row(record: Record) -> list:
    """The cells of a record in the order of COLUMNS."""
    cells = {item.name: getattr(record, item.name) for item in PLAIN}
    for name in ("file", "group", "first_before", "first_after"):
        cells[name] = printable(cells[name]) if cells[name] else None
    for name in ("expected", "works"):
        cells[name] = printable(ground_truth.join(cells[name] or []))
    cells["changes"] = "; ".join(record.changes)
    inside = {None: "", True: "yes", False: "no"}[record.in_collection]
    return [inside, *cells.values(), *(record.stages.get(stage) for stage in STAGES)]


def _record(cells: dict[str, str], earlier: bool) -> Record:
    """The record of a row; missing columns stay empty. Raises ValueError or KeyError for a damaged row."""
    if None in cells or None in cells.values():
        raise ValueError(f"{TABLE}: a row of another length")
    # A parser returns what its field takes, which types cannot say of a table of parsers.
    values: dict[str, Any] = {item.name: PARSERS[item.type](cells[item.name]) for item in PLAIN if item.name in cells}
    has_truth = {"yes": True, "no": True, "": False}[cells["in_collection"]]
    values["expected"] = ground_truth.split(cells["expected"]) if has_truth else None
    values["works"] = ground_truth.split(cells.get("works", ""))
    values["changes"] = cells["changes"].split("; ") if cells.get("changes") else []
    seconds = {stage: _number(cells.get(f"seconds_{stage}", "")) for stage in STAGES}
    values["stages"] = {stage: number for stage, number in seconds.items() if number is not None}
    record = Record(**values)
    if (cells["in_collection"] == "yes") != bool(record.in_collection):
        raise ValueError(f"{TABLE}: in_collection and expected do not agree")
    if record.first_after and record.grounds is None and not earlier:
        raise ValueError(f"{TABLE}: a candidate without its grounds")
    return record


def _text(cell: str) -> str | None:
    return cell or None


def _number(cell: str) -> float | None:
    """Raises ValueError for anything but a finite number."""
    if not cell:
        return None
    if not math.isfinite(number := float(cell)):
        raise ValueError(cell)
    return number


def _whole(cell: str) -> int | None:
    return None if (number := _number(cell)) is None else int(number)


# The type of a record's field -> how its cell is read; the lists are read by `_record`.
PARSERS: dict[object, Callable[[str], object]] = {
    str: str,
    str | None: _text,
    float | None: _number,
    int | None: _whole,
    list[str]: str,
    list[str] | None: str,
}


# The log of a run under way


def start(log: BinaryIO, identity: str) -> None:
    """Empty the log of a run, and begin it with the run's identity."""
    log.truncate(0)
    log.write(identity.encode() + b"\n")
    log.flush()


def append(log: BinaryIO, record: Record) -> None:
    """Add a record to the log."""
    log.write(json.dumps(asdict(record)).encode() + b"\n")
    log.flush()


def resume(log: BinaryIO, identity: str) -> list[Record]:
    """The records in the log of an interrupted run of the same identity, none of another.

    log: open for reading and appending. An incomplete last line is removed.
    """
    log.seek(0)
    if log.readline() != identity.encode() + b"\n":
        return []
    records = []
    end = log.tell()
    for line in log:
        if not line.endswith(b"\n"):
            break
        records.append(Record(**json.loads(line)))
        end += len(line)
    log.truncate(end)
    return records

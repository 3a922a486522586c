"""Evaluates an engine: runs every query, compares with the ground truth, writes a folder of statistics.

While it runs, each answer is appended to a log in the hidden folder `.NAME.partial` beside the result. An interrupted
run resumes there if engine, queries and the settings that shape answers are the same; the earlier result stays until
the new one is complete.
"""

import contextlib
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from config import Settings
from models import answer_table
from models.answer import STAGES, Answer, Verdict
from models.answer_table import Described, Row
from models.evaluation import metrics, pictures, records
from models.evaluation.queries import Query, folder_of, picture_of
from models.evaluation.records import FALSE_FOUND, FORMAT, LOG, MISSED, RIGHT, WRONG_FIRST, Record
from models.evaluation.report import write_report
from models.evaluation.summary import summarise
from utils import files, images
from utils.script import progress
from utils.text import printable

if TYPE_CHECKING:
    from models.engine import Engine

ANSWERS_CSV, ANSWERS_XLSX = "answers.csv", "answers.xlsx"  # of photographs: the table that people take away


def evaluate(
    engine: "Engine",
    queries: Sequence[Query],
    place: Path,
    settings: Settings,
    register: Mapping[str, Described] | None = None,
) -> dict:
    """Run all queries, one after the other, and write the folder `place`; returns the content of summary.json.

    register: path of an image -> what the register says of its work; for the table of answers and the report. Only of
    photographs there is a table, and a report that shows each.

    A picture that cannot be read is skipped, counted and listed.
    `place` is replaced atomically at the end.
    Raises WrongUse while another run is writing to the same place.
    """
    _restore(place)
    partial = _partial(place)
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial / LOG) as log:
        answered = _answered(log, _identity(engine, queries, settings), partial)
        if 0 < len(answered) < len(queries):
            print(f"{len(answered)} of {len(queries)} queries are already answered; continuing from there.")
        with progress(total=len(queries), what="Queries", unit=" queries") as bar:
            bar.n = bar.initial = len(answered)
            for number, query in enumerate(queries[len(answered) :], start=len(answered) + 1):
                answered.append(_ask(engine, query, partial / "pictures", number, settings))
                records.append(log, answered[-1])
                bar.update()
        summary = summarise(answered, engine) | {"queries_folder": folder_of(queries)}
        records.write(partial, summary, answered)
        are_photographs = bool(queries) and queries[0].seed is None
        rows = (
            [_row(record, number, register or {}) for number, record in enumerate(answered, 1)]
            if are_photographs
            else []
        )
        if rows:
            with (partial / ANSWERS_CSV).open("w", encoding="utf-8", newline="") as file:
                file.writelines(answer_table.csv_lines(rows))
            answer_table.write_xlsx(partial / ANSWERS_XLSX, rows)
        write_report(partial / "report.html", place.name, summary, answered, rows)
        _swap_in(partial, place)
        (place / LOG).unlink(missing_ok=True)
    return summary


def _answered(log: BinaryIO, identity: str, partial: Path) -> list[Record]:
    """The answers of an interrupted run of the same identity; if there are none, begins a new run."""
    answered = records.resume(log, identity)
    if not answered:
        shutil.rmtree(partial / "pictures", ignore_errors=True)
        records.start(log, identity)
    return answered


def _ask(engine: "Engine", query: Query, folder: Path, number: int, settings: Settings) -> Record:
    """Run one query. folder: for the drawings of a wrong answer. number: of the query, from 1."""
    try:
        picture, changes = picture_of(query, settings)
        started = time.perf_counter()
        answer = engine.ask(picture, exclude=query.exclude)
        seconds = time.perf_counter() - started
    except images.ImageProblem as problem:
        return Record(query.name, query.group, skipped=printable(str(problem)))
    record = replace(_record(query, answer, engine.images), changes=changes, seconds=seconds)
    is_wrong = record.result in (WRONG_FIRST, FALSE_FOUND, MISSED)
    if is_wrong or query.seed is None:
        answered, expected = pictures.draw(engine, query, picture, answer, folder, number, settings)
        if is_wrong:
            record = replace(record, answered_picture=answered, expected_picture=expected)
    if query.seed is None:
        pictures.keep_pair(engine, query.path, answer, folder, number, settings)
    return record


def _row(record: Record, number: int, register: Mapping[str, Described]) -> Row:
    """The query's row in the table of answers; where nothing was found, it names no work."""
    if record.verdict is None:
        return Row(printable(record.file), note=record.skipped or "")
    path = record.first_after if record.verdict != Verdict.NOT_FOUND.value else None
    work = register.get(path, Described()) if path else Described()
    return Row(
        printable(record.file),
        work.number,
        work.title,
        work.artist,
        printable(path or ""),
        answer_table.WORDS[record.verdict],
        record.probability,
        link=f"report.html#photograph-{number}",
    )


def _record(query: Query, answer: Answer, collection: dict[int, str]) -> Record:
    """The query's record, as far as it follows from the answer."""
    expected = query.expected
    record = Record(
        file=query.name,
        group=query.group,
        result=_result(expected, answer),
        verdict=answer.verdict.value,
        works=[work.candidate.path for work in answer.works if work.verdict is Verdict.FOUND],
        keypoints=answer.keypoints,
        stages={stage: float(answer.seconds.get(stage, 0.0)) for stage in STAGES},
    )
    if answer.before:
        first = answer.before[0]
        record = replace(record, first_before=first.path, first_before_similarity=_finite(first.similarity))
    if answer.after:
        first = answer.after[0]
        record = replace(
            record,
            first_after=first.path,
            first_after_score=_finite(first.score),
            probability=answer.probability,
            **asdict(answer.grounds),
        )
    if expected is not None:
        told = {work.candidate.id for work in answer.works if work.verdict is Verdict.FOUND}
        before = [candidate.id for candidate in answer.before]
        after = [candidate.id for candidate in answer.after]
        record = replace(
            record,
            expected=sorted(collection[image] for image in expected),
            works_expected=len(query.works),
            works_right=sum(not told.isdisjoint(images) for images in query.works),
            rank_before=metrics.first_rank(before, expected),
            rank_after=metrics.first_rank(after, expected),
            precision_before=metrics.average_precision(before, expected),
            precision_after=metrics.average_precision(after, expected),
        )
    return record


def _result(expected: frozenset[int] | None, answer: Answer) -> str | None:
    """Right, or the kind of error; "maybe" is right if the first candidate is, or if the work is not to be found."""
    if expected is None:
        return None
    if not expected:
        return FALSE_FOUND if answer.verdict is Verdict.FOUND else RIGHT
    if not answer.after or answer.after[0].id not in expected:
        return WRONG_FIRST
    return MISSED if answer.verdict is Verdict.NOT_FOUND else RIGHT


def _finite(value: float) -> float | None:
    """A plain float that JSON can represent, else None."""
    return float(value) if math.isfinite(value) else None


def _identity(engine: "Engine", queries: Sequence[Query], settings: Settings) -> str:
    """A checksum of everything that the answers depend on, so that only a run with the same answers is resumed."""
    rows: list[list[object]] = []
    for query in queries:
        with contextlib.suppress(OSError):
            status = query.path.stat()
            rows.append([status.st_size, status.st_mtime_ns])
        expected = None if query.expected is None else sorted(query.expected)
        works = [sorted(images) for images in query.works]
        rows.append([query.name, str(query.path), expected, works, sorted(query.exclude), query.seed, query.on_wall])
    collection = [str(engine.dataset.absolute()), sorted(engine.images.items())]
    judge = [engine.thresholds, engine.calibration]
    reading = [settings.max_pixels, settings.min_side, settings.max_side]  # decide which pictures are answered at all
    shaping = [engine.fingerprint, settings.shaping_answers(), judge, engine.versions, reading]
    everything = [FORMAT, shaping, collection, rows]
    return hashlib.sha256(json.dumps(everything, sort_keys=True, default=str).encode()).hexdigest()


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[BinaryIO]:
    """The log, open for reading and appending, and locked until the block ends."""
    with file.open("a+b") as opened:
        files.hold(opened, f"Another run is writing to {file.parent}: wait for it to finish, or choose another --name.")
        yield opened


def _swap_in(new: Path, place: Path) -> None:
    """Replace an earlier folder by `new`; whoever looks, or whenever this is killed, one of the two is there."""
    old = _old(place)
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        if not files.exchange(new, place):
            place.rename(old)
            new.rename(place)
            new = old
        shutil.rmtree(new, ignore_errors=True)
    else:
        new.rename(place)


def _restore(place: Path) -> None:
    """Finish what a run that was killed in the middle of `_swap_in`, or right after it, has left."""
    partial, old = _partial(place), _old(place)
    if old.exists() and not place.exists():  # only where folders could not be exchanged
        old.rename(place)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        (place / LOG).unlink(missing_ok=True)
    if partial.exists() and not (partial / LOG).exists():  # an earlier result that was to be deleted
        shutil.rmtree(partial, ignore_errors=True)


def _partial(place: Path) -> Path:
    return place.parent / f".{place.name}.partial"


def _old(place: Path) -> Path:
    return place.parent / f".{place.name}.old"

"""Measures an engine: asks every query, compares with the ground truth, writes a folder of statistics.

While it runs, answers go one by one into the hidden folder `.NAME.partial` beside the result. A run
that was cut short goes on from there if engine, queries and settings are the same; the earlier
result stays until the new one is whole.
"""

import contextlib
import csv
import fcntl
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import cv2
import numpy as np

from models.answer import STAGES, Answer, Candidate, Evidence, Verdict
from models.evaluation import ground_truth, metrics
from models.evaluation.report import write_report
from models.local import drawing
from utils import images, transforms
from utils.errors import WrongUse
from utils.script import progress
from utils.statistics import share, spread, wilson
from utils.text import printable

CUTS = (1, 10, 100)  # the k of recall@k
COPY_SIDE = 1600  # pixels; a picture is reduced to this before it is transformed, as a visitor's photograph would be
LOG = "answers.jsonl"
FORMAT = 2  # of summary.json and queries.csv; counted up when the meaning of a field changes

RIGHT, WRONG_FIRST, FALSE_FOUND, MISSED = "right", "wrong first", "false found", "missed"


@dataclass(frozen=True)
class Query:
    """One picture to ask for, and what should come out."""

    name: str  # in tables
    path: Path
    expected: frozenset[int] | None = None  # ids; empty: not in the collection; None: no ground truth
    exclude: frozenset[int] = frozenset()  # ids held out of the collection for this query
    seed: tuple[int, ...] | None = None  # ask for a copy transformed with this seed instead
    on_wall: bool = False  # that copy is a photograph of the picture, framed on a wall
    group: str = ""  # the same for all queries of one work (see models.evaluation.fit_calibration)


@dataclass(frozen=True)
class Record:
    """What is kept of one query: a line of the log, a row of queries.csv, a piece of the report."""

    file: str
    group: str = ""
    skipped: str | None = None  # why it was not asked; all else is empty then
    expected: list[str] | None = None  # paths relative to the dataset; None: no ground truth
    result: str | None = None  # right, wrong first, false found or missed; None: no ground truth
    verdict: str | None = None
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


def folder_queries(
    folder: Path,
    truth: Path | None,
    collection: dict[int, str],
    works: Collection[tuple[str, frozenset[int]]] = (),
) -> list[Query]:
    """A query for every file directly in the folder, sorted by name; sub-folders and hidden files are left alone.

    truth: the ground truth; by default `ground_truth.csv` in the folder, if there is one.
    works: (inventory number or "", ids of its images) of each work of the register.
    Raises WrongUse for a folder that is not there or empty, and for a ground truth that does not fit.
    """
    if not folder.is_dir():
        raise WrongUse(f"{printable(str(folder))} is not a folder: name one with pictures to ask for.")
    beside = folder / "ground_truth.csv"
    if truth is None and beside.is_file():
        truth = beside
    tables = {path.resolve() for path in (beside, truth) if path}
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.resolve() not in tables and not path.name.startswith(".")
    )
    if not files:
        raise WrongUse(f"{printable(str(folder))} holds no files: name a folder with pictures to ask for.")
    expected = ground_truth.read(truth, [path.name for path in files], collection, works) if truth else {}
    queries = []
    for path in files:
        wanted = expected.get(path.name)
        group = collection[min(wanted)] if wanted else path.name  # two photographs of a work belong together
        queries.append(Query(path.name, path, wanted, group=group))
    return queries


def transformed_queries(
    dataset: Path,
    collection: dict[int, str],
    twins: Callable[[int], set[int]],
    *,
    sample: int,
    copies: int,
    absent: int,
    seed: int,
    walls: bool = False,
) -> list[Query]:
    """Queries made from the collection itself: the images are drawn by the seed, and so are the changes.

    sample: images of which `copies` transformed copies each should find their original; fewer in a small collection.
    absent: further images, of which one copy each is asked while the image is held out, so that it is not in the
    collection. twins: gives the other images that show the same work; they are as right as the image itself, and held
    out with it. walls: the copies are as visitors photograph the images, framed on a wall.
    Raises WrongUse where the held-out images leave nothing to sample.
    """
    drawn = [int(image) for image in np.random.default_rng(seed).permutation(sorted(collection))]
    held_out, rest = drawn[:absent], drawn[absent:][-sample:]
    if not rest:
        raise WrongUse(f"The collection has {len(drawn)} images, of which {absent} are to be held out: lower --absent.")
    alike = {image: _alike(image, twins) for image in progress(held_out + rest, what="Looking for twins")}
    queries = []
    for image in rest:
        path = collection[image]
        for copy in range(copies):
            its = {"seed": (seed, image, copy), "on_wall": walls, "group": path}
            queries.append(Query(f"{path} (copy {copy + 1})", dataset / path, alike[image], **its))
    for image in held_out:
        path = collection[image]
        its = {"seed": (seed, image, copies), "on_wall": walls, "group": path}
        queries.append(Query(f"{path} (held out)", dataset / path, frozenset(), alike[image], **its))
    return queries


def _alike(image: int, twins: Callable[[int], set[int]]) -> frozenset[int]:
    try:
        return frozenset({image, *twins(image)})
    except images.ImageProblem:  # the query will be skipped, and say why
        return frozenset({image})


def groups(place: Path) -> set[str]:
    """The works that an earlier run in the folder `place` asked for, as queries.csv names them.

    Raises WrongUse for a run that is not there.
    """
    try:
        with (place / "queries.csv").open(encoding="utf-8", newline="") as file:
            return {row["group"] for row in csv.DictReader(file)}
    except (FileNotFoundError, KeyError):
        raise WrongUse(f"There is no run {printable(place.name)}, or another version wrote it.") from None


def evaluate(engine, queries: list[Query], place: Path, settings) -> dict:
    """Ask every query, one after the other, and write the folder `place`; returns what summary.json holds.

    engine: a models.engine.Engine. settings: a config.Settings.
    A picture that cannot be read is skipped, counted and listed. `place` is replaced as a whole at the end.
    Raises WrongUse while another run writes the same place.
    """
    _restore(place)
    partial = place.parent / f".{place.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial / LOG) as log:
        identity = _identity(engine, queries, settings)
        records = _kept(log, identity)
        if not records:
            _start(partial, log, identity)
        elif len(records) < len(queries):
            print(f"{len(records)} of {len(queries)} queries are answered already; going on from there.")
        with progress(total=len(queries), what="Queries", unit=" queries") as bar:
            bar.n = bar.initial = len(records)
            for number, query in enumerate(queries[len(records) :], start=len(records) + 1):
                records.append(_ask(engine, query, partial / "pictures", number, settings))
                log.write(json.dumps(asdict(records[-1])).encode() + b"\n")
                log.flush()
                bar.update()
        summary = summarise(records, engine) | {"queries_folder": _folder(queries)}
        _write_table(partial / "queries.csv", records)
        _write_summary(partial / "summary.json", summary)
        write_report(partial / "report.html", place.name, summary, records)
        _swap_in(partial, place)
        (place / LOG).unlink()
    return summary


def summarise(records: list[Record], engine) -> dict:
    """What summary.json holds: plain values only, None for a measure of nothing."""
    asked = [record for record in records if record.skipped is None]
    known = [record for record in asked if record.expected is not None]
    inside = [record for record in known if record.expected]
    shortlisted = [record for record in inside if record.rank_after is not None]
    return {
        "format": FORMAT,
        "queries": len(asked),
        "in_collection": len(inside),
        "not_in_collection": len(known) - len(inside),
        "without_ground_truth": len(asked) - len(known),
        "skipped": [{"file": printable(record.file), "reason": record.skipped} for record in records if record.skipped],
        "collection_size": len(engine.images),
        "before": _ranking(inside, "before"),
        "after": _ranking(inside, "after")
        | {
            "shortlisted": len(shortlisted),
            "first_of_shortlisted": metrics.recall_at(1, [record.rank_after for record in shortlisted]),
        },
        "before_and_after": _crossed(inside),
        "verdict": metrics.verdicts(
            [record.verdict for record in known],
            [bool(record.expected) for record in known],
            [record.rank_after == 1 for record in known],
        )
        | {"thresholds": engine.thresholds, "calibration": engine.calibration}
        | _calibrated(known),
        "wrong_answers": {
            result: sum(record.result == result for record in known) for result in (WRONG_FIRST, FALSE_FOUND, MISSED)
        },
        "seconds": spread([record.seconds for record in asked]) | {"stages": _stages(asked)},
        "fingerprint": engine.fingerprint,
        "versions": engine.versions,
    }


def table(summary: dict) -> str:
    """The summary as a few lines for a terminal."""
    lines = []
    if summary["in_collection"]:
        names = [f"recall@{k}" for k in CUTS] + ["mAP"]
        lines.append(" " * 18 + "".join(f"{name:>12}" for name in names))
        for row, label in (("before", "before re-ranking"), ("after", "after re-ranking")):
            lines.append(f"{label:18}" + "".join(f"{figure(summary[row][name]):>12}" for name in names))
    verdict = summary["verdict"]
    if not summary["queries"]:
        lines.append("None of the pictures could be read.")
    elif summary["without_ground_truth"] == summary["queries"]:
        lines.append("No ground truth: nothing to compare the answers with.")
    else:
        lines.append(
            f"verdict: {verdict_line(verdict)} "
            f"({summary['in_collection']} queries in the collection, {summary['not_in_collection']} not)"
        )
        lines.append(verdict["calibration"]["sentence"])
        if summary["without_ground_truth"]:
            lines.append(f"without ground truth, not measured: {summary['without_ground_truth']} queries")
    seconds = summary["seconds"]
    shares = [
        f"{stage} {times['share']:.0%}" for stage, times in seconds["stages"].items() if times["share"] is not None
    ]
    lines.append(f"seconds a query: p50 {figure(seconds['p50'])}, p95 {figure(seconds['p95'])}; {', '.join(shares)}")
    for skipped in summary["skipped"][:10]:
        lines.append(f"skipped: {skipped['file']}: {skipped['reason']}")
    if len(summary["skipped"]) > 10:
        lines.append(f"skipped: {len(summary['skipped']) - 10} more, listed in summary.json")
    return "\n".join(lines)


def verdict_line(verdict: dict) -> str:
    """The verdict's figures, as metrics.verdicts gives them, with their 95 % intervals."""
    shares = [
        f"{name} {figure(verdict[name])}{_interval(verdict[name + '_interval'])}" for name in ("precision", "recall")
    ]
    return (
        f"{', '.join(shares)}, false found {verdict['false_found']}, wrong found {verdict['wrong_found']}, "
        f"maybe {verdict['maybe']}"
    )


def _interval(interval: list[float] | None) -> str:
    return f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""


def figure(value: float | None, digits: int = 3) -> str:
    """A measure with three decimals, or as many as asked for; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


# One query


def _ask(engine, query: Query, pictures: Path, number: int, settings) -> Record:
    try:
        picture, changes = shown(query, settings)
        started = time.perf_counter()
        answer = engine.ask(picture, exclude=query.exclude)
        seconds = time.perf_counter() - started
    except images.ImageProblem as problem:
        return Record(query.name, query.group, skipped=printable(str(problem)))
    record = _record(query, answer, engine.images) | {"changes": changes, "seconds": seconds}
    if record["result"] in (WRONG_FIRST, FALSE_FOUND, MISSED):
        record |= _draw(engine, query, picture, answer, pictures, number, settings)
    return Record(**record)


def shown(query: Query, settings) -> tuple[Path | np.ndarray, list[str]]:
    """What to ask the engine for, and how it was changed."""
    if query.seed is None:
        return query.path, []
    image = images.fit(_load(query.path, settings, COPY_SIDE), COPY_SIDE)
    generator = np.random.default_rng(query.seed)
    if query.on_wall:
        return transforms.photograph(image, generator), ["on a wall"]
    image, changes = transforms.disturb(image, generator)
    return image, [str(change) for change in changes]


def _record(query: Query, answer: Answer, collection: dict[int, str]) -> dict:
    expected = query.expected
    record = {
        "file": query.name,
        "group": query.group,
        "verdict": answer.verdict.value,
        "keypoints": answer.keypoints,
        "stages": {stage: float(answer.seconds.get(stage, 0.0)) for stage in STAGES},
    }
    if answer.before:
        record["first_before"] = answer.before[0].path
        record["first_before_similarity"] = _finite(answer.before[0].similarity)
    if answer.after:
        first = answer.after[0]
        record |= {
            "first_after": first.path,
            "first_after_score": _finite(first.score),
            "probability": answer.probability,
            **asdict(answer.grounds),
        }
    if expected is not None:
        before = [candidate.id for candidate in answer.before]
        after = [candidate.id for candidate in answer.after]
        record |= {
            "expected": sorted(collection[image] for image in expected),
            "rank_before": metrics.first_rank(before, expected),
            "rank_after": metrics.first_rank(after, expected),
            "precision_before": metrics.average_precision(before, expected),
            "precision_after": metrics.average_precision(after, expected),
        }
    return record | {"result": _result(expected, answer)}


def _result(expected: frozenset[int] | None, answer: Answer) -> str | None:
    """Right, or in which way wrong; "maybe" is right where the first candidate is, or where there is none to find."""
    if expected is None:
        return None
    if not expected:
        return FALSE_FOUND if answer.verdict is Verdict.FOUND else RIGHT
    if not answer.after or answer.after[0].id not in expected:
        return WRONG_FIRST
    return MISSED if answer.verdict is Verdict.NOT_FOUND else RIGHT


def _finite(value: float) -> float | None:
    """A plain float that JSON can hold."""
    return float(value) if math.isfinite(value) else None


# Pictures of wrong answers


def _draw(engine, query: Query, picture, answer: Answer, pictures: Path, number: int, settings) -> dict:
    """Draw the query beside what was answered, and beside what was expected unless that is the same."""
    pictures.mkdir(exist_ok=True)
    if isinstance(picture, Path):
        picture = _load(picture, settings, settings.feature_side)
    asked = _framed(picture, answer.frame, settings)
    drawn = {}
    first = answer.after[0] if answer.after else None
    if first:
        drawn["answered_picture"] = _draw_one(engine, asked, first, pictures / f"{number:06}-answered.jpg", settings)
    if query.expected and (first is None or first.id not in query.expected):
        wanted = next((candidate for candidate in answer.after if candidate.id in query.expected), None)
        if wanted is None:  # It is not on the shortlist, so there is nothing to draw but the work itself.
            image = min(query.expected)
            wanted = Candidate(image, engine.images[image], 0.0, (0, 0), Evidence(), 0.0)
        drawn["expected_picture"] = _draw_one(engine, asked, wanted, pictures / f"{number:06}-expected.jpg", settings)
    return drawn


def _draw_one(engine, asked: np.ndarray, candidate: Candidate, file: Path, settings) -> str:
    try:
        work = _load(engine.dataset / candidate.path, settings, settings.feature_side)
    except images.ImageProblem:  # It has gone from the dataset since; a grey picture takes its place.
        work = np.full((300, 300, 3), 160, np.uint8)
    work = _framed(work, candidate.frame, settings)
    evidence = candidate.evidence
    outline = drawing.outline(evidence.homography, candidate.frame)
    drawn = drawing.draw_match(asked, work, evidence.query_points, evidence.work_points, outline)
    _, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
    file.write_bytes(data.tobytes())
    return f"{file.parent.name}/{file.name}"


def _load(path: Path, settings, side: int) -> np.ndarray:
    return images.load(path, max_pixels=settings.max_pixels, min_side=settings.min_side, at_least=side)


def _framed(image: np.ndarray, frame: tuple[int, int], settings) -> np.ndarray:
    """The picture at the scale of its frame, (height, width), or of any picture where that is empty."""
    return images.stretch(image, *frame) if min(frame) else images.fit(image, settings.feature_side)


def _folder(queries: list[Query]) -> str | None:
    """Where the pictures of a folder's queries are, so that they can be shown later; None for transformed copies."""
    if not queries or queries[0].seed is not None:
        return None
    return printable(str(queries[0].path.parent.absolute()))


# Measures


def _ranking(inside: list[Record], when: str) -> dict:
    """recall@k and mAP before or after re-ranking, with the 95 % interval of recall@1."""
    ranks = [getattr(record, f"rank_{when}") for record in inside]
    precisions = [getattr(record, f"precision_{when}") for record in inside]
    measures = {f"recall@{k}": metrics.recall_at(k, ranks) for k in CUTS}
    measures["mAP"] = share(sum(precisions), len(precisions))
    interval = wilson(sum(rank == 1 for rank in ranks), len(ranks))
    return measures | {"recall@1_interval": list(interval) if interval else None}


def _calibrated(known: list[Record]) -> dict:
    """How far the probabilities can be taken at their word; nothing where there are none."""
    said = [record for record in known if record.probability is not None]
    reliable = metrics.reliability([record.probability for record in said], [record.rank_after == 1 for record in said])
    return {"reliability": reliable, "calibration_error": metrics.calibration_error(reliable)}


def _crossed(inside: list[Record]) -> dict[str, int]:
    """How re-ranking changed the first candidate: "wrong_right" is wrong before and right after."""
    words = {True: "right", False: "wrong"}
    counts = {f"{before}_{after}": 0 for before in words.values() for after in words.values()}
    for record in inside:
        counts[f"{words[record.rank_before == 1]}_{words[record.rank_after == 1]}"] += 1
    return counts


def _stages(asked: list[Record]) -> dict[str, dict]:
    """mean, p50 and p95 of the seconds in each stage, and its share of all seconds."""
    total = sum(record.seconds for record in asked)
    return {
        stage: spread([record.stages[stage] for record in asked])
        | {"share": share(sum(record.stages[stage] for record in asked), total)}
        for stage in STAGES
    }


# Files


def _write_table(file: Path, records: list[Record]) -> None:
    """queries.csv: the record's fields, with the stages as columns of their own."""
    plain = [item.name for item in fields(Record) if item.name != "stages"]
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["in_collection", *plain, *(f"seconds_{stage}" for stage in STAGES)])
        for record in records:
            row = asdict(record)
            row["file"] = printable(record.file)
            for name in ("group", "first_before", "first_after"):
                row[name] = printable(row[name]) if row[name] else None
            row["expected"] = printable(ground_truth.join(record.expected or []))
            row["changes"] = "; ".join(record.changes)
            inside = "" if record.expected is None else "yes" if record.expected else "no"
            writer.writerow([inside, *(row[name] for name in plain), *(record.stages.get(stage) for stage in STAGES)])


def _write_summary(file: Path, summary: dict) -> None:
    file.write_text(json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _identity(engine, queries: list[Query], settings) -> str:
    """A checksum of everything that decides the answers, so that only a run of the same kind is continued."""
    asked = []
    for query in queries:
        with contextlib.suppress(OSError):
            status = query.path.stat()
            asked.append([status.st_size, status.st_mtime_ns])
        expected = None if query.expected is None else sorted(query.expected)
        asked.append([query.name, str(query.path), expected, sorted(query.exclude), query.seed, query.on_wall])
    collection = sorted(engine.images.items())
    judge = [engine.thresholds, engine.calibration]
    all_of_it = [FORMAT, engine.fingerprint, judge, engine.versions, collection, asked, asdict(settings)]
    return hashlib.sha256(json.dumps(all_of_it, sort_keys=True, default=str).encode()).hexdigest()


@contextlib.contextmanager
def _locked(file: Path) -> Iterator:
    """The log, opened for reading and appending, and locked for as long as this process lives."""
    with file.open("a+b") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WrongUse(f"Another run writes {file.parent} at this moment: wait for it, or give --name.") from None
        yield opened


def _kept(log, identity: str) -> list[Record]:
    """The answers of an interrupted run of the same identity; what follows the last whole line is cut off."""
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


def _start(partial: Path, log, identity: str) -> None:
    """Begin anew: an empty log, no pictures."""
    shutil.rmtree(partial / "pictures", ignore_errors=True)
    log.truncate(0)
    log.write(identity.encode() + b"\n")
    log.flush()


def _swap_in(new: Path, place: Path) -> None:
    """Put the folder `new` in the place of an earlier one."""
    old = _old(place)
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _restore(place: Path) -> None:
    """Bring back the earlier result where a run was killed in the middle of `_swap_in`."""
    if _old(place).exists() and not place.exists():
        _old(place).rename(place)


def _old(place: Path) -> Path:
    return place.parent / f".{place.name}.old"

"""How the site is used, over a span of days that the viewer chooses."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Response, abort, copy_current_request_context, current_app, g, render_template, request

from database import usage as counts
from database.tables import Work
from database.usage import Span
from models.collection.store import FILE as STORE
from utils import spreadsheet
from utils.text import counted, printable
from web.statistics import blueprint, figures
from web.statistics.background import Background
from web.statistics.measures import percent, percent_range
from web.uploads import SOURCES
from web.words import VERDICT_WORDS

PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "all": "all"}
SHOWN = 20  # rows of the long tables; the download has all
AT_ONCE = 4  # groups of tables that are counted at the same time
STORAGE_SECONDS = 600.0  # minimum between two measurements of the folders
PATIENCE = 0.3  # seconds that a page waits for the measurement of small folders
FIRST_YEAR, LAST_YEAR = 1970, 2100
VERDICT_NAMES = {verdict: word.lower() for verdict, word in VERDICT_WORDS.items()}
CAME = {"file": "chosen file", "drop": "dropped", "paste": "pasted", "camera": "camera", "address": "web address",
        "api": "program (API)", "batch": "in a batch"}  # fmt: skip

storage: Background[list[tuple[str, int]]] = Background()


@dataclass(frozen=True)
class Table:
    """A table of the page, and of the download of that name."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple]
    note: str = ""
    names_people: bool = False
    figure: dict | None = None


@blueprint.get("/statistics/usage")
def usage() -> str:
    """All tables and plots of one span of days."""
    span = _span()
    return render_template(
        "statistics/usage.html",
        span=span,
        presets=PRESETS,
        preset=request.args.get("days", ""),
        tables=_all_tables(span),
        asked=counts.first_moment() is not None,
    )


@blueprint.get("/statistics/usage/<name>.csv")
def usage_table(name: str) -> Response:
    """One table as CSV; ?names=no leaves out people's names."""
    if name not in TABLES:
        abort(404, "There is no table with this name.")
    span = _span()
    table = TABLES[name](span, None)
    hidden = 0 if table.names_people and request.args.get("names") == "no" else None
    rows = [table.columns, *table.rows]
    lines = [spreadsheet.line(cell for place, cell in enumerate(row) if place != hidden) for row in rows]
    response = Response("\ufeff" + "".join(lines), mimetype="text/csv")  # the mark tells Excel that it is UTF-8
    response.headers["Content-Disposition"] = f'attachment; filename="{name} {span.first} to {span.last}.csv"'
    return response


# The span


def _span() -> Span:
    """The days given in the URL: ?from= and ?to=, or ?days= up to today; by default the last 30."""
    zone = _zone(request.args.get("tz") or "UTC")
    today = datetime.now(zone).date()
    last = _day("to") or today
    first = _day("from") or _first_of_preset(request.args.get("days") or "30", last, zone)
    if first > last:
        abort(400, f"The first day, {first}, comes after the last day, {last}.")
    return Span(first, last, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        abort(400, "Unknown time zone. Examples: UTC, Europe/Vienna.")


def _day(name: str) -> date | None:
    text = request.args.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        abort(400, "Dates must be written like 2026-11-24, from 1970 to 2100.")
    return day


def _first_of_preset(preset: str, last: date, zone: ZoneInfo) -> date:
    if preset not in PRESETS:
        abort(400, f"The days must be one of {', '.join(PRESETS)}.")
    if preset != "all":
        return last - timedelta(days=int(preset) - 1)
    first = counts.first_moment()
    return min(last, first.replace(tzinfo=timezone.utc).astimezone(zone).date()) if first else last


# The tables


def _by_day(span: Span) -> list[tuple[date, int, int, int]]:
    """As database.usage.a_day; counted once per page, because two tables need it."""
    if "by_day" not in g:
        g.by_day = counts.a_day(span)
    return g.by_day


def _days(span: Span, _most: int | None) -> Table:
    rows = _by_day(span)
    total = sum(sum(row[1:]) for row in rows)
    what = "month" if span.by_months else "day"
    return Table(
        "days",
        f"Queries per {what}",
        (what, "found", "not sure", "not found", "all"),
        [(*row, sum(row[1:])) for row in rows] if total else [],
        f"{total:,} queries." if total else "No queries in this period.",
        figure=figures.days(rows) if total else None,
    )


def _verdicts(span: Span, _most: int | None) -> Table:
    rows = _by_day(span)
    sums = [sum(row[1:][place] for row in rows) for place in range(len(counts.VERDICTS))]
    total = sum(sums)
    named = [(VERDICT_NAMES[verdict], count) for verdict, count in zip(counts.VERDICTS, sums, strict=True)]
    return Table(
        "verdicts",
        "Verdicts",
        ("verdict", "queries", "share"),
        [(name, count, percent(count / total if total else None)) for name, count in named],
    )


def _people(span: Span, most: int | None) -> Table:
    rows = counts.people(span)
    local = [(name, count, _local(last, span.zone)) for name, count, last in rows[:most]]
    return Table(
        "people",
        "People",
        ("name", "queries", "last query"),
        local,
        f"{counted(len(rows), 'person', 'people')} sent queries."
        + (f" The {most} with the most queries:" if most and len(rows) > most else ""),
        names_people=True,
    )


def _sources(span: Span, _most: int | None) -> Table:
    rows = [(CAME.get(source, source), count) for source, count in counts.sources(span, SOURCES)]
    total = sum(count for _, count in rows)
    return Table(
        "sources",
        "How pictures were submitted",
        ("source", "pictures"),
        rows,
        "One picture can be the subject of several queries.",
        figure=figures.bars(rows, "pictures") if total else None,
    )


def _seconds(span: Span, _most: int | None) -> Table:
    rows = counts.seconds(span)
    p50, p95 = (counts.percentile(span, rows, share) for share in (0.5, 0.95))
    used = [place for place, row in enumerate(rows) if row[2]]
    rows = rows[used[0] : used[-1] + 1] if used else []
    note = f"Half of the answers took at most {p50:.2f} s (p50), and 95 % at most {p95:.2f} s (p95)." if used else ""
    bars = [(f"{low:.2g}" + (f"–{high:.2g}" if high else "+"), count) for low, high, count in rows]
    return Table(
        "seconds",
        "Seconds per answer",
        ("from", "below", "queries"),
        [(low, high if high else "", count) for low, high, count in rows],
        note,
        figure=figures.columns(bars, "seconds", "queries") if used else None,
    )


def _feedback(span: Span, _most: int | None) -> Table:
    rows = counts.feedback(span)
    accuracy = counts.accuracy(rows)
    note = "No answer was rated in this period."
    if accuracy.interval is not None:
        note = (
            f"{accuracy.right:,} of {accuracy.judged:,} rated answers were right: {percent(accuracy.share)} "
            f"(95 % interval {percent_range(accuracy.interval)}, if the rated answers are typical)."
        )
    return Table(
        "feedback",
        "Feedback",
        ("verdict", "right", "wrong", "not in the collection"),
        [(VERDICT_NAMES[verdict], *numbers) for verdict, *numbers in rows],
        note,
    )


def _most_found(span: Span, most: int | None) -> Table:
    rows = counts.most_found(span, most)
    return Table(
        "most-found",
        "Most frequently found works",
        ("inventory number", "work", "author", "file", "found"),
        [(*_work(work), found) for work, found in rows],
        "" if rows else "No work was found in this period.",
    )


def _never_found(span: Span, most: int | None) -> Table:
    never, every = counts.count_never_found(span)
    works = counts.never_found(span, most) if never else []
    return Table(
        "never-found",
        "Works never found",
        ("inventory number", "work", "author", "file"),
        [_work(work) for work in works],
        f"{never:,} of {every:,} works." + (f" The first {most}:" if most and never > most else ""),
    )


def _refusals(span: Span, _most: int | None) -> Table:
    rows = counts.refusals(span)
    return Table(
        "refusals",
        "Refused and failed requests",
        ("status", "meaning", "request", "requests"),
        [(status, _meaning(status), endpoint, count) for status, endpoint, count in rows],
        "" if rows else "None in this period.",
    )


def _storage(_span: Span, _most: int | None) -> Table:
    settings = current_app.extensions["settings"]
    folders = {
        "uploads": current_app.extensions["uploads"].folder,
        "exact copies of the last day": current_app.extensions["uploads"].exact,
        "thumbnails": settings.output.absolute() / "thumbnails",
        "collection store": settings.output.absolute() / STORE,
    }
    storage.start(lambda: [(name, _size(path)) for name, path in folders.items()], STORAGE_SECONDS)
    storage.wait(PATIENCE)
    rows = [("database", counts.database_bytes()), *(storage.result or [])]
    note = storage.problem or (
        "The folders are being measured. Please reload the page in a moment." if not storage.result else ""
    )
    return Table(
        "storage", "Storage", ("what", "megabytes"), [(name, round(size / 1e6, 1)) for name, size in rows], note
    )


TABLES: dict[str, Callable[[Span, int | None], Table]] = {
    "days": _days,
    "verdicts": _verdicts,
    "feedback": _feedback,
    "seconds": _seconds,
    "sources": _sources,
    "people": _people,
    "most-found": _most_found,
    "never-found": _never_found,
    "refusals": _refusals,
    "storage": _storage,
}


# Tables that are counted one after the other; the groups are counted in parallel, each with its own connection.
GROUPS = (
    ("days", "verdicts"),
    ("people",),
    ("most-found",),
    ("seconds", "feedback", "refusals"),
    ("sources", "storage"),
    ("never-found",),
)


def _all_tables(span: Span) -> list[Table]:
    """All tables in the order of TABLES, the long ones shortened."""

    def make(names: tuple[str, ...]) -> dict[str, Table]:
        return {name: TABLES[name](span, SHOWN) for name in names}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(copy_current_request_context(make), names) for names in GROUPS]
        made = {name: table for each in waiting for name, table in each.result().items()}
    return [made[name] for name in TABLES]


def _work(work: Work) -> tuple[str, str, str, str]:
    return work.number or "", work.caption, work.author, printable(work.path)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=timezone.utc).astimezone(zone).replace(tzinfo=None, microsecond=0)


def _meaning(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _size(path: Path) -> int:
    """Bytes on disk of a file, or of all files below a folder; files that vanish meanwhile count as 0."""
    try:
        if not path.is_dir():
            return path.stat().st_blocks * 512  # the store is a sparse file
        with os.scandir(path) as entries:
            return sum(_size(Path(entry.path)) for entry in entries if not entry.is_symlink())
    except OSError:
        return 0

"""How the site was used in a span of time: counts that stay fast with millions of queries.

Every count is read from a covering index (see the tables), one index range for each thing counted, which databases do
far faster than grouping rows. Times are in UTC, without a zone, as everywhere in the database; days are those of a time
zone that the caller chooses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from sqlalchemy import CTE, ColumnElement, Date, DateTime, Float, Integer, Select, String, column, func, select, values

from database.tables import Event, Photograph, Picture, Query, User, Work, db
from utils.statistics import wilson

VERDICTS = ("found", "maybe", "not found")  # as models.answer.VERDICTS, which may not be imported here
FEEDBACK = ("right", "wrong", "absent")
MOST_DAYS = 400  # a longer span is counted by months
# Edges of the histogram of seconds: each is a quarter more than the one before.
SECONDS = [0.0, *(round(0.05 * 1.25**step, 3) for step in range(32))]


@dataclass(frozen=True)
class Span:
    """Days from `first` to `last`, both included, in a time zone."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        return self._midnight(self.first)

    @property
    def end(self) -> datetime:
        """The end of the last day, exclusive."""
        return self._midnight(self.last + timedelta(days=1))

    @property
    def by_months(self) -> bool:
        return (self.last - self.first).days >= MOST_DAYS

    def parts(self) -> list[tuple[date, datetime, datetime]]:
        """(first day, start, end) of each day, or of each month if the span is long."""
        firsts = [self.first]
        while (following := self._following(firsts[-1])) <= self.last:
            firsts.append(following)
        starts = [self._midnight(day) for day in firsts]
        return list(zip(firsts, starts, [*starts[1:], self.end], strict=True))

    def holds(self, moment: ColumnElement) -> ColumnElement:
        """The condition that a column's time lies in the span."""
        return (moment >= self.start) & (moment < self.end)

    def _following(self, day: date) -> date:
        if self.by_months:
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return day + timedelta(days=1)

    def _midnight(self, day: date) -> datetime:
        local = datetime.combine(day, time(), self.zone)
        return local.astimezone(timezone.utc).replace(tzinfo=None)


def first_moment() -> datetime | None:
    """The time of the earliest query that has not been deleted."""
    return db.session.scalar(select(func.min(Query.created_at)))


def a_day(span: Span) -> list[tuple[date, int, int, int]]:
    """(day, found, maybe, not found): the queries of each day, or month, of the span."""
    parts = _listed("parts", {"day": Date, "start": DateTime, "end": DateTime}, span.parts())
    counts = [
        _count(Query, Query.verdict == verdict, Query.created_at >= parts.c.start, Query.created_at < parts.c.end)
        for verdict in VERDICTS
    ]
    return [tuple(row) for row in db.session.execute(select(parts.c.day, *counts).order_by(parts.c.day))]


def people(span: Span) -> list[tuple[str, int, datetime]]:
    """(name, queries, time of the last one) of each person with queries, most queries first."""
    count = _count(Query, Query.user_id == User.id, span.holds(Query.created_at)).label("queries")
    last = (
        select(func.max(Query.created_at))
        .where(Query.user_id == User.id, span.holds(Query.created_at))
        .correlate(User)
        .scalar_subquery()
        .label("last")
    )
    each = _once(select(User.username, count, last), "each")
    rows = db.session.execute(select(each).where(each.c.queries > 0).order_by(each.c.queries.desc(), each.c.username))
    return [tuple(row) for row in rows]


def sources(span: Span, known: Sequence[str]) -> list[tuple[str, int]]:
    """(source, pictures) for each of the known sources."""
    listed = _listed("sources", {"source": String}, [(source,) for source in known])
    count = _count(Photograph, Photograph.source == listed.c.source, span.holds(Photograph.created_at))
    counts = dict(db.session.execute(select(listed.c.source, count)).all())
    return [(source, counts[source]) for source in known]


def seconds(span: Span) -> list[tuple[float, float | None, int]]:
    """(from, up to, queries): a histogram of the seconds that answers took; the last bin has no upper edge."""
    edges = list(zip(SECONDS, [*SECONDS[1:], None], strict=True))
    bins = _listed("bins", {"low": Float, "high": Float}, [(low, high or 1e9) for low, high in edges])
    count = _count(Query, Query.seconds >= bins.c.low, Query.seconds < bins.c.high, span.holds(Query.created_at))
    counts = dict(db.session.execute(select(bins.c.low, count)).all())
    return [(low, high, counts[low]) for low, high in edges]


def percentile(span: Span, histogram: Sequence[tuple[float, float | None, int]], share: float) -> float | None:
    """The seconds within which this share of the queries was answered (nearest rank).

    histogram: as `seconds` returns it; used to find the right bin. None if there are no queries.
    """
    total = sum(count for _, _, count in histogram)
    place = max(0, math.ceil(share * total) - 1)  # from 0, in the order of seconds
    for low, high, count in histogram:
        if place < count:
            inside = [Query.seconds >= low, Query.seconds < (high or 1e9), span.holds(Query.created_at)]
            return db.session.scalar(
                select(Query.seconds).where(*inside).order_by(Query.seconds).offset(place).limit(1)
            )
        place -= count
    return None


def feedback(span: Span) -> list[tuple[str, int, int, int]]:
    """(verdict, rated right, rated wrong, rated not in the collection) of each verdict."""
    listed = _listed("verdicts", {"verdict": String}, [(verdict,) for verdict in VERDICTS])
    counts = [
        _count(Query, Query.feedback == rating, Query.verdict == listed.c.verdict, span.holds(Query.created_at))
        for rating in FEEDBACK
    ]
    rows = {verdict: numbers for verdict, *numbers in db.session.execute(select(listed.c.verdict, *counts))}
    return [(verdict, *rows[verdict]) for verdict in VERDICTS]


@dataclass(frozen=True)
class Accuracy:
    """The share of right answers according to people's feedback."""

    right: int
    judged: int

    @property
    def share(self) -> float | None:
        return self.right / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The Wilson interval, 95 %."""
        return wilson(self.right, self.judged)


def accuracy(rows: Sequence[tuple[str, int, int, int]]) -> Accuracy:
    """The share of right answers among the rated ones; rows: as `feedback` returns them.

    An answer about a work that is not in the collection is right unless it was "found", as in the evaluation.
    """
    right = sum(row[1] for row in rows) + sum(row[3] for row in rows if row[0] != "found")
    return Accuracy(right, sum(sum(row[1:]) for row in rows))


def most_found(span: Span, most: int | None) -> list[tuple[Work, int]]:
    """The most frequently found works, with how often each was found; all if `most` is None."""
    each = _once(select(Work.id, _found(span).label("found")), "each")
    rows = db.session.execute(
        select(Work, each.c.found)
        .join(each, each.c.id == Work.id)
        .where(each.c.found > 0)
        .order_by(each.c.found.desc(), Work.id)
        .limit(most)
    )
    return [tuple(row) for row in rows]


def never_found(span: Span, most: int | None = None) -> list[Work]:
    """The works that no query in the span found, by inventory number; those without one last."""
    return list(
        db.session.scalars(select(Work).where(~_was_found(span)).order_by(Work.number_key, Work.id).limit(most))
    )


def count_never_found(span: Span) -> tuple[int, int]:
    """The number of works that were never found, and of all works."""
    never = db.session.scalars(select(func.count(Work.id)).where(~_was_found(span))).one()
    return never, db.session.scalars(select(func.count(Work.id))).one()


def refusals(span: Span) -> list[tuple[int, str, int]]:
    """(HTTP status, endpoint, requests) of refused and failed requests, most frequent first."""
    total = func.sum(Event.count)
    rows = db.session.execute(
        select(Event.status, Event.endpoint, total)
        .where(span.holds(Event.created_at))
        .group_by(Event.status, Event.endpoint)
        .order_by(total.desc(), Event.status, Event.endpoint)
    )
    return [(status, endpoint, int(count)) for status, endpoint, count in rows]


def note_refusal(status: int, endpoint: str, user_id: int | None, moment: datetime) -> None:
    """Count a refused or failed request, in a transaction of its own.

    Requests of one kind share a row per minute, so that a flood of them does not fill the database.
    """
    minute = moment.replace(second=0, microsecond=0)
    same = {"created_at": minute, "endpoint": endpoint[:100], "status": status, "user_id": user_id}
    conditions = [getattr(Event, name).is_not_distinct_from(value) for name, value in same.items()]
    with db.engine.begin() as connection:
        event = connection.scalar(select(Event.id).where(*conditions).limit(1))
        if event is None:
            connection.execute(Event.__table__.insert().values(**same, count=1))
        else:
            again = Event.__table__.update().where(Event.id == event).values(count=Event.count + 1)
            connection.execute(again)


def database_bytes() -> int:
    """Bytes that the database takes on disk."""
    if db.engine.dialect.name == "postgresql":
        return int(db.session.scalars(select(func.pg_database_size(func.current_database()))).one())
    pages = db.session.scalars(select(column("page_count", Integer)).select_from(func.pragma_page_count())).one()
    size = db.session.scalars(select(column("page_size", Integer)).select_from(func.pragma_page_size())).one()
    return pages * size


def _found(span: Span) -> ColumnElement:
    """How often the pictures of the outer query's work were found."""
    each = _count(Query, *_found_by(span))
    total = func.coalesce(func.sum(each), 0)
    return select(total).where(Picture.work_id == Work.id).correlate(Work).scalar_subquery()


def _was_found(span: Span) -> ColumnElement:
    by_a_query = select(Query.work_id).where(*_found_by(span)).correlate(Picture).exists()
    return select(Picture.id).where(Picture.work_id == Work.id, by_a_query).correlate(Work).exists()


def _found_by(span: Span) -> list[ColumnElement]:
    """The conditions that a query in the span found the outer query's picture."""
    return [Query.work_id == Picture.id, Query.verdict == "found", span.holds(Query.created_at)]


def _count(table: type, *conditions: ColumnElement) -> ColumnElement:
    """The number of rows that meet the conditions, for each row of the outer select."""
    return select(func.count()).select_from(table).where(*conditions).correlate_except(table).scalar_subquery()


def _once(statement: Select, name: str) -> CTE:
    """The statement's rows, computed once: otherwise databases count again wherever a count is used."""
    return statement.cte(name).prefix_with("MATERIALIZED")


def _listed(name: str, columns: dict[str, type], rows: Sequence[tuple]) -> CTE:
    """A table that exists in one statement only."""
    return values(*(column(title, kind) for title, kind in columns.items()), name=name).data(rows).cte(name)

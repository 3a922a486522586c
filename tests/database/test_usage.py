"""The counts of the usage page against values worked out by hand, on SQLite, or on the PostgreSQL of DATABASE_URL."""

import os
import random
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

import app_statistics
from config import Settings
from database import usage
from database.folding import sort_key
from database.tables import Event, Photograph, Picture, Query, User, Work, db, random_id
from database.usage import Span
from models.answer import VERDICTS
from utils.statistics import wilson
from web.uploads import SOURCES

UTC = ZoneInfo("UTC")
NOVEMBER = Span(date(2026, 11, 1), date(2026, 11, 30), UTC)


@pytest.fixture
def database(tmp_path):
    """An empty database, in use."""
    settings = replace(
        Settings(), database=tmp_path, output=tmp_path / "output", database_url=os.environ.get("DATABASE_URL", "")
    )
    app = app_statistics.create_app(settings, TESTING=True)
    with app.app_context():
        for table in reversed(db.metadata.sorted_tables):
            db.session.execute(table.delete())
        db.session.commit()
        yield
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def people(database) -> dict[str, int]:
    """The ids of Ada and Bob."""
    users = [User(username=name, email=f"{name}@example.com") for name in ("ada", "bob")]
    db.session.add_all(users)
    db.session.commit()
    return {user.username: user.id for user in users}


def ask(user: int, when: str, verdict: str = "found", source: str = "file", **columns) -> None:
    """A photograph with one query, asked at a time in UTC."""
    moment = datetime.fromisoformat(when)
    photograph = Photograph(
        id=random_id(), user_id=user, created_at=moment, source=source, height=10, width=10, name=""
    )
    columns = {"seconds": 0.5} | columns
    photograph.queries.append(Query(id=random_id(), user_id=user, created_at=moment, verdict=verdict, **columns))
    db.session.add(photograph)
    db.session.commit()


def test_days_are_those_of_the_time_zone(people):
    ask(people["ada"], "2026-11-03 23:30", "found")  # the 4th in Vienna, the 3rd in New York
    ask(people["ada"], "2026-11-04 12:00", "maybe")
    ask(people["ada"], "2026-11-04 22:59:59.9", "not found")
    ask(people["ada"], "2026-11-04 23:00", "not found")  # the 5th in Vienna

    def days(zone):
        return usage.a_day(Span(date(2026, 11, 3), date(2026, 11, 5), ZoneInfo(zone)))

    third, fourth, fifth = (date(2026, 11, day) for day in (3, 4, 5))
    assert days("UTC") == [(third, 1, 0, 0), (fourth, 0, 1, 2), (fifth, 0, 0, 0)]
    assert days("Europe/Vienna") == [(third, 0, 0, 0), (fourth, 1, 1, 1), (fifth, 0, 0, 1)]
    assert days("Asia/Kathmandu") == [(third, 0, 0, 0), (fourth, 1, 1, 0), (fifth, 0, 0, 2)]  # 5:45 ahead of UTC


def test_a_day_of_25_hours_has_them_all():
    autumn = Span(date(2026, 10, 25), date(2026, 10, 25), ZoneInfo("Europe/Vienna"))
    assert autumn.start == datetime(2026, 10, 24, 22)
    assert autumn.end == datetime(2026, 10, 25, 23)


def test_a_long_span_is_counted_by_months(people):
    ask(people["ada"], "2025-01-15 10:00")
    ask(people["ada"], "2025-01-31 23:59")
    ask(people["ada"], "2026-11-01 00:00", "maybe")
    rows = usage.a_day(Span(date(2025, 1, 10), date(2026, 11, 20), UTC))
    assert [row[0] for row in rows][:3] == [date(2025, 1, 10), date(2025, 2, 1), date(2025, 3, 1)]
    assert len(rows) == 23
    assert rows[0] == (date(2025, 1, 10), 2, 0, 0)
    assert rows[-1] == (date(2026, 11, 1), 0, 1, 0)


def test_people_by_how_much_they_asked(people):
    ask(people["bob"], "2026-11-02 10:00")
    ask(people["bob"], "2026-11-03 10:00")
    ask(people["ada"], "2026-11-02 10:00")
    ask(people["ada"], "2026-12-02 10:00")  # outside of the span
    assert usage.people(NOVEMBER) == [("bob", 2, datetime(2026, 11, 3, 10)), ("ada", 1, datetime(2026, 11, 2, 10))]


def test_every_source_is_listed(people):
    for source in ("file", "camera", "camera", "api"):
        ask(people["ada"], "2026-11-02 10:00", source=source)
    ask(people["ada"], "2026-10-02 10:00", source="paste")
    expected = [("file", 1), ("drop", 0), ("paste", 0), ("camera", 2), ("address", 0), ("api", 1), ("batch", 0)]
    assert usage.sources(NOVEMBER, SOURCES) == expected


def test_percentiles_are_exact(people):
    values = [round(0.037 * number, 3) for number in range(1, 41)]  # 0.037 ... 1.48
    for value in random.Random(0).sample(values, 40):
        ask(people["ada"], "2026-11-02 10:00", seconds=value)
    ask(people["ada"], "2026-12-02 10:00", seconds=500.0)
    histogram = usage.seconds(NOVEMBER)
    assert sum(count for _, _, count in histogram) == 40
    assert histogram[0] == (0.0, 0.05, 1)  # 0.037 alone
    assert usage.percentile(NOVEMBER, histogram, 0.5) == pytest.approx(0.037 * 20)
    assert usage.percentile(NOVEMBER, histogram, 0.95) == pytest.approx(0.037 * 38)
    assert usage.percentile(NOVEMBER, histogram, 1.0) == pytest.approx(0.037 * 40)


def test_very_long_answers_are_counted_too(people):
    ask(people["ada"], "2026-11-02 10:00", seconds=3600.0)
    histogram = usage.seconds(NOVEMBER)
    assert histogram[-1][1:] == (None, 1)
    assert usage.percentile(NOVEMBER, histogram, 0.5) == 3600.0


def test_nothing_asked_nothing_to_tell(database):
    histogram = usage.seconds(NOVEMBER)
    assert usage.percentile(NOVEMBER, histogram, 0.5) is None
    assert usage.people(NOVEMBER) == usage.refusals(NOVEMBER) == []
    assert usage.first_moment() is None
    assert usage.accuracy(usage.feedback(NOVEMBER)).share is None
    assert usage.accuracy(usage.feedback(NOVEMBER)).interval is None


def test_feedback_and_the_accuracy_it_implies(people):
    said = [("found", "right")] * 5 + [("found", "wrong"), ("found", "absent"), ("maybe", "right"), ("maybe", "absent")]
    said += [("not found", "absent")] * 2 + [("not found", "wrong"), ("found", None)]
    for verdict, feedback in said:
        ask(people["ada"], "2026-11-02 10:00", verdict, feedback=feedback)
    ask(people["ada"], "2026-10-02 10:00", "found", feedback="wrong")
    rows = usage.feedback(NOVEMBER)
    assert rows == [("found", 5, 1, 1), ("maybe", 1, 0, 1), ("not found", 0, 1, 2)]
    accuracy = usage.accuracy(rows)
    assert (accuracy.right, accuracy.judged) == (9, 12)  # all "right", and "absent" unless it was found
    assert accuracy.interval == wilson(9, 12)


def test_works_found_most_often_and_never(people):
    db.session.add_all(
        Work(id=n, path=f"{n}.jpg", title=f"Work {n}", pictures=[Picture(id=n, path=f"{n}.jpg")]) for n in range(1, 6)
    )
    db.session.add(Picture(id=9, work_id=4, path="another of 4.jpg"))
    db.session.commit()
    for work, verdict in [(2, "found"), (2, "found"), (4, "found"), (5, "maybe"), (9, "found")]:
        ask(people["ada"], "2026-11-02 10:00", verdict, work_id=work)
    ask(people["ada"], "2026-10-02 10:00", "found", work_id=1)
    assert [(work.id, count) for work, count in usage.most_found(NOVEMBER, 10)] == [(2, 2), (4, 2)]
    assert [(work.id, count) for work, count in usage.most_found(NOVEMBER, 1)] == [(2, 2)]
    assert [work.id for work in usage.never_found(NOVEMBER)] == [1, 3, 5]
    assert [work.id for work in usage.never_found(NOVEMBER, 2)] == [1, 3]
    assert usage.count_never_found(NOVEMBER) == (3, 5)
    for work, number in ((1, "1921.10"), (5, "1921.2")):
        db.session.get(Work, work).number_key = sort_key(number)
    db.session.commit()
    assert [work.id for work in usage.never_found(NOVEMBER)] == [5, 1, 3]  # by inventory number


def test_refusals_of_a_minute_share_a_row(people):
    for second in range(50):
        usage.note_refusal(429, "search.ask", None, datetime(2026, 11, 2, 10, 0, second))
    usage.note_refusal(429, "search.ask", people["ada"], datetime(2026, 11, 2, 10, 0, 5))
    usage.note_refusal(429, "search.ask", None, datetime(2026, 11, 2, 10, 1, 5))
    usage.note_refusal(503, "api.search", None, datetime(2026, 11, 2, 10, 1, 5))
    usage.note_refusal(503, "api.search", None, datetime(2026, 12, 2, 10, 1, 5))
    assert db.session.scalar(db.select(db.func.count(Event.id))) == 5
    assert usage.refusals(NOVEMBER) == [(429, "search.ask", 52), (503, "api.search", 1)]


def test_the_database_takes_room(database):
    assert usage.database_bytes() > 10_000


@pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="PostgreSQL scans small tables, whatever the indexes")
def test_every_count_reads_indexes_only(people):
    """What makes a million queries quick: no statement of the page reads the table of queries itself."""
    statements = []

    def note(_connection, cursor, statement, parameters, _context, _many):
        statements.append((statement, parameters))

    db.event.listen(db.engine, "before_cursor_execute", note)
    histogram = usage.seconds(NOVEMBER)
    usage.a_day(NOVEMBER), usage.people(NOVEMBER), usage.sources(NOVEMBER, SOURCES), usage.feedback(NOVEMBER)
    usage.most_found(NOVEMBER, 20), usage.never_found(NOVEMBER, 20), usage.count_never_found(NOVEMBER)
    ask(people["ada"], "2026-11-02 10:00")
    statements_of_counts = [both for both in statements if both[0].lstrip().startswith(("SELECT", "WITH"))]
    usage.percentile(NOVEMBER, [(0.0, 1.0, 1)], 0.5)
    statements_of_counts.append(statements[-1])
    db.event.remove(db.engine, "before_cursor_execute", note)
    assert histogram
    for statement, parameters in statements_of_counts:
        plan = db.session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
        for row in plan:
            if "queries" in row[3] or "photographs" in row[3]:
                assert "COVERING INDEX" in row[3], (statement, row[3])


def test_the_verdicts_counted_are_those_that_the_engine_gives():
    assert usage.VERDICTS == VERDICTS

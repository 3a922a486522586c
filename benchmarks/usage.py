"""How long the usage page takes over a million logged queries.

  python benchmarks/usage.py                                 on SQLite, in a temporary folder
  DATABASE_URL=postgresql://... python benchmarks/usage.py   on that PostgreSQL too; its tables are emptied before

The queries of a year are made up: 2,000 people, 20,000 works, a tenth of the answers with feedback.
"""

import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from sqlalchemy import insert

sys.path.insert(0, str(Path(__file__).parent.parent))

from app_statistics import create_app
from benchmarks.measure import databases
from config import Settings
from database.tables import Event, Photograph, Picture, Query, Role, User, Work, db, now
from utils.script import plain_parser, positive

YEAR = timedelta(days=365)
PEOPLE, WORKS = 2_000, 20_000
AT_ONCE = 20_000  # rows in one statement
RUNS = 5  # of which the median is told


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--queries", type=positive, default=1_000_000, metavar="N", help="(%(default)s)")
    count = parser.parse_args().queries
    print(f"{'database':12}{'queries':>12}{'span':>10}{'seconds':>10}{'first':>10}{'of CPU':>10}")
    for name, settings in databases():
        measure(name, settings, count)


def measure(name: str, settings: Settings, count: int) -> None:
    """Fill the database of the settings, and print how long its page takes for a year and for a week."""
    app = create_app(settings, TESTING=True)  # so that nothing sweeps old queries away meanwhile
    with app.app_context():
        fill(count)
        admin = db.session.scalar(db.select(User).where(User.username == "root"))
        token = admin.get_id()
        db.session.remove()
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = token, True
    today = date.today()
    for days in (365, 7):
        address = f"/statistics/usage?from={today - timedelta(days=days - 1)}&to={today}&tz=Europe/Vienna"
        times, cpu = zip(*(_timed(client, address) for _ in range(RUNS)), strict=True)
        row = f"{name:12}{count:12,}{f'{days} days':>10}{median(times):10.2f}{times[0]:10.2f}{median(cpu):10.2f}"
        print(row, flush=True)
    with app.app_context():
        db.engine.dispose()


def _timed(client, address: str) -> tuple[float, float]:
    """(seconds, seconds of CPU in this process) that a page took; a server's own are not among the latter."""
    started, used = time.perf_counter(), time.process_time()
    response = client.get(address)
    seconds = time.perf_counter() - started, time.process_time() - used
    assert response.status_code == 200, response.get_data(as_text=True)
    return seconds


def fill(count: int) -> None:
    """An emptied database with `count` queries over the year up to now."""
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(table.delete())
    db.session.add(
        User(username="root", email="root@example.com", email_confirmed_at=now(), roles=[Role(name="admin")])
    )
    db.session.execute(insert(User), [{"username": f"person {n}", "email": f"{n}@example.com"} for n in range(PEOPLE)])
    db.session.execute(
        insert(Work), [{"id": n, "path": f"work {n}.jpg", "title": f"Work {n}"} for n in range(1, WORKS + 1)]
    )
    db.session.execute(insert(Picture), [{"id": n, "work_id": n, "path": f"work {n}.jpg"} for n in range(1, WORKS + 1)])
    db.session.commit()
    people = db.session.scalars(db.select(User.id)).all()
    rng = np.random.default_rng(0)
    for start in range(0, count, AT_ONCE):
        photographs, queries = zip(*_asked(rng, start, min(AT_ONCE, count - start), count, people), strict=True)
        db.session.execute(insert(Photograph), photographs)
        db.session.execute(insert(Query), queries)
        db.session.commit()
    minute = now().replace(second=0, microsecond=0)
    refused = [
        {"created_at": minute - YEAR * n / 10_000, "endpoint": "search.ask", "status": (400, 413, 429, 503)[n % 4]}
        for n in range(10_000)
    ]
    db.session.execute(insert(Event), refused)
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE")


def _asked(
    rng: np.random.Generator, start: int, count: int, total: int, people: list[int]
) -> Iterator[tuple[dict, dict]]:
    """(photograph, query) of so many questions; works and people are popular to different degrees."""
    begin = now() - YEAR
    ages = (start + np.arange(count)) / total  # of the year, one after the other
    seconds = rng.lognormal(-1, 0.5, count)
    works = 1 + (WORKS * rng.random(count) ** 3).astype(int)
    askers = (len(people) * rng.random(count) ** 2).astype(int)
    for place in range(count):
        number = start + place
        moment: datetime = begin + YEAR * float(ages[place])
        user = people[askers[place]]
        name = f"{number:022}"
        photograph = {
            "id": name,
            "user_id": user,
            "created_at": moment,
            "source": ("file", "drop", "paste", "camera", "address", "api")[number % 6],
            "height": 800,
            "width": 600,
        }
        query = {
            "id": name,
            "photograph_id": name,
            "user_id": user,
            "created_at": moment,
            "verdict": ("found", "found", "found", "maybe", "not found")[number % 5],
            "work_id": int(works[place]),
            "seconds": float(seconds[place]),
            "feedback": (("right", "right", "wrong", "absent")[number // 10 % 4]) if number % 10 == 0 else None,
        }
        yield photograph, query


if __name__ == "__main__":
    main()

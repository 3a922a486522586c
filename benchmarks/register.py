"""How long a register of many works takes to load, and what people search for in it.

  python benchmarks/register.py                                 on SQLite, in a temporary folder
  DATABASE_URL=postgresql://... python benchmarks/register.py   on that PostgreSQL too; its tables are emptied before

The works are made up: 60 painters, 2,000 words in titles, a picture and an inventory number each.
"""

import contextlib
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parent.parent))

from app_statistics import create_app
from benchmarks.measure import databases
from config import Settings
from database import catalog, works
from database.tables import db
from utils.script import plain_parser, positive

RUNS = 7  # of which the mean is told
PAGE, TOP = 48, 15  # works, and values of a facet, on a page
SEARCHES = {
    "one artist": works.Wanted("duerer"),
    "two words": works.Wanted("ladislas harbour"),
    "inventory number": works.Wanted("1921.77"),
    "phrase": works.Wanted('"vincent ladislas"'),
    "first letter": works.Wanted("h"),
    "in every work": works.Wanted("oil canvas"),
    "in every work, and a facet": works.Wanted("oil canvas", {"school": "Dutch"}),
    "in every work, and years": works.Wanted("oil", {}, 1500, 1899),
    "nothing": works.Wanted("nowhere"),
    "a facet": works.Wanted("", {"school": "Dutch"}),
    "years": works.Wanted("", {}, 1600, 1620),
    "many years": works.Wanted("", {}, 1500, 1899),
    "everything": works.Wanted(),
}
SURNAMES = ["Dürer", "Ladislas", "Moreau", "Šíma", "Ørsted", "Bosch", "Émile", "Zurbarán", "Toulouse-Lautrec", "d’Arcy"]
NAMES = ["Albrecht", "Vincent", "Jeanne", "Hans", "Maria", "Pieter"]


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--works", type=positive, default=200_000, metavar="N", help="(%(default)s)")
    count = parser.parse_args().works
    for name, settings in databases():
        measure(name, settings, count)


def measure(name: str, settings: Settings, count: int) -> None:
    """Load a register into the database of the settings and search it; print what it takes."""
    path = settings.database / "register.csv"
    write(path, count)
    app = create_app(settings, TESTING=True)
    with app.app_context():
        for table in reversed(db.metadata.sorted_tables):
            db.session.execute(table.delete())
        db.session.commit()
        print(f"\n{name}, {count:,} works, a register of {path.stat().st_size / 1e6:.0f} MB")
        print(f"{'':34}{'seconds':>10}{'of CPU':>10}")
        images = {number: f"{number // 1000}/{number}.jpg" for number in range(1, count + 1)}
        tell("the images, without a register", lambda: works.follow(images))
        tell("reading the register", lambda: sum(1 for _ in catalog.Register(path)))
        tell("loading it", lambda: load(path))
        tell("loading it again, nothing changes", lambda: load(path))
        print(f"{'memory, at most':34}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:9.2f} GB")
        if name != "sqlite":
            db.session.execute(text("ANALYZE"))
            db.session.commit()
        print(f"{'seconds of processor time':28}{'found':>10}{'count':>10}{'page':>10}{'facets':>10}")
        processor = Processor()
        for what, wanted in SEARCHES.items():
            search(what, wanted, "relevance", processor)
        for sort in works.SORTS:
            search(f"everything by {sort}", works.Wanted(), sort, processor)
        for sort in works.SORTS:
            search(f"a word and a facet by {sort}", SEARCHES["in every work, and a facet"], sort, processor)
        db.engine.dispose()


def load(path: Path) -> None:
    with works.Plan(catalog.Register(path)) as plan:
        plan.loaded()
        plan.apply()


def tell(what: str, call) -> None:
    started, used = time.perf_counter(), time.process_time()
    call()
    print(f"{what:34}{time.perf_counter() - started:10.1f}{time.process_time() - used:10.1f}", flush=True)


class Processor:
    """Processor time of this process and, where it is on this machine, of a PostgreSQL's."""

    def __init__(self) -> None:
        self._postmaster = None
        if db.engine.dialect.name == "postgresql":
            backend = db.session.scalar(text("SELECT pg_backend_pid()"))
            with contextlib.suppress(OSError):
                self._postmaster = int(_stat(Path(f"/proc/{backend}"))[1])
            if not self._postmaster:
                print("The database's server is on another machine: its processor time is not counted.")

    def seconds(self, call: Callable[[], object]) -> float:
        """Of one call: the mean of RUNS, after one that is not counted."""
        before = 0.0
        for number in range(RUNS + 1):
            if number == 1:
                before = self._used()
            call()
            db.session.rollback()
            db.session.expunge_all()
        return (self._used() - before) / RUNS

    def _used(self) -> float:
        ticks = 0
        for folder in Path("/proc").iterdir() if self._postmaster else []:
            with contextlib.suppress(OSError, IndexError):
                if folder.name == str(
                    self._postmaster
                ):  # with its children that have ended: those that help in a query
                    ticks += sum(map(int, _stat(folder)[11:15]))
                elif folder.name.isdigit() and int(_stat(folder)[1]) == self._postmaster:
                    ticks += sum(map(int, _stat(folder)[11:13]))
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def search(what: str, wanted: works.Wanted, sort: str, processor: Processor) -> None:
    """Count, first page and facets of a search, as the page of the collection asks for them."""
    total = works.count_works(wanted)
    parts = [
        lambda: works.count_works(wanted),
        lambda: works.find_works(wanted, sort, 0, PAGE),
        lambda: works.count_facets(wanted, works.FACETS, TOP + 1, total),
    ]
    seconds = [processor.seconds(part) for part in parts]
    print(f"{what:28}{total:10,}" + "".join(f"{each:10.3f}" for each in seconds), flush=True)


def _stat(process: Path) -> list[str]:
    """What Linux says of a process, from its state on: proc(5)."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def write(path: Path, count: int) -> None:
    """A register of made up works."""
    catalog.write(path, rows(count))


def rows(count: int) -> Iterator[catalog.Work]:
    chance = random.Random(0)
    words = ["".join(chance.choices("aeioulmnrst", k=chance.randint(4, 9))) for _ in range(2000)] + ["harbour"] * 5
    for number in range(1, count + 1):
        year = chance.randint(1400, 1990)
        yield catalog.Work(
            number=f"{1850 + number % 170}.{number // 170}",
            author=f"{chance.choice(SURNAMES)}, {chance.choice(NAMES)}",
            title=" ".join(chance.choices(words, k=chance.randint(2, 5))).capitalize(),
            date=f"c. {year}",
            technique="Oil on canvas",
            dimensions=f"{chance.randint(20, 200)} x {chance.randint(20, 200)} cm",
            location=f"Room {chance.randint(1, 60)}",
            school=chance.choice(["Dutch", "French", "German", "Italian"]),
            form="painting",
            file=f"{number // 1000}/{number}.jpg",
            more={"Restored": f"{chance.randint(1900, 2020)}, {' '.join(chance.choices(words, k=6))}"},
        )


if __name__ == "__main__":
    main()

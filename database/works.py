"""The works of the collection in the site's database: kept in step with the collection store, and with a catalogue.

The catalogue is kept beside the database, so that works which come later find their rows too.
"""

import fcntl
import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flask import current_app
from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, literal, select, union_all

from database import catalog
from database.tables import Work, db
from utils.errors import WrongUse
from utils.text import printable

log = logging.getLogger(__name__)

CATALOG = "catalog.csv"  # in the folder of the database
TEXTS = [name for name in catalog.FIELDS if name != "file"]  # what a work has of its row
LONGEST = 2000  # characters of a cell that are kept where the table sets no limit
FACETS = ("author", "school", "form", "type", "timeframe")
FOLDER = "folder"  # the facet of a collection without a catalogue
SORTS = {
    "author": (Work.author == "", Work.author, Work.title, Work.id),
    "title": (Work.title == "", Work.title, Work.id),
    "file": (Work.path, Work.id),
}
WORDS = 10  # of a search, at most
# Letters that Unicode does not take apart into a base letter and a mark; and the one that PostgreSQL refuses.
PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "\0": " "})
MARKS = re.compile("[\u0300-\u036f]+")
LIMITS = {column.name: getattr(column.type, "length", None) or LONGEST for column in Work.__table__.columns}


# Following the store and the catalogue


@dataclass(frozen=True)
class Loaded:
    """What became of a catalogue."""

    rows: int
    matched: int  # works of the collection that have a row now
    without_row: int  # works of the collection that have none
    unmatched: list[tuple[catalog.Work, str]]  # rows that belong to no work, each with the reason


def follow(images: dict[int, str]) -> None:
    """Make the table of works say what the collection holds, with the kept catalogue's rows.

    images: id -> path, relative to the dataset. Several processes may call it at once. Needs an application context.
    """
    with _only_one():
        known = dict(db.session.execute(select(Work.id, Work.path)).all())
        db.session.rollback()  # ends the reading; what follows may take long
        if known != images:
            _agree(images, match(_kept(), images)[0])


def load_catalog(works: list[catalog.Work]) -> Loaded:
    """Give the works of the collection their rows of a catalogue, and keep it for works that come later.

    It takes the place of the one before. Needs an application context.
    """
    with _only_one():
        images = dict(db.session.execute(select(Work.id, Work.path)).all())
        db.session.rollback()
        matched, unmatched = match(works, images)
        catalog.write(_folder() / CATALOG, works)
        _agree(images, matched)
    return Loaded(len(works), len(matched), len(images) - len(matched), unmatched)


def _folder() -> Path:
    return current_app.extensions["settings"].database


def _kept() -> list[catalog.Work]:
    """The catalogue that was loaded last; none where it was spoilt since, for the search must work all the same."""
    path = _folder() / CATALOG
    try:
        return catalog.read(path) if path.exists() else []
    except WrongUse as problem:
        log.warning("%s The works are shown without it.", problem)
        return []


@contextmanager
def _only_one() -> Iterator[None]:
    """One process and thread at a time: two that add the same work would break each other's transaction."""
    with (_folder() / "works.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _agree(images: dict[int, str], matched: dict[int, catalog.Work]) -> None:
    """Make the table hold these images with these rows; what is as it should be stays untouched. Commits."""
    wanted = {image: _row(image, path, matched.get(image, catalog.Work())) for image, path in images.items()}
    stored = {row.id: row._asdict() for row in db.session.execute(select(*Work.__table__.columns))}
    stale = [image for image, row in stored.items() if row != wanted.get(image)]
    fresh = [row for image, row in wanted.items() if row != stored.get(image)]
    connection = db.session.connection()
    if stale:
        gone = delete(Work.__table__).where(Work.__table__.c.id == bindparam("gone"))
        connection.execute(gone, [{"gone": image} for image in stale])
    if fresh:
        connection.execute(insert(Work.__table__), fresh)
    db.session.commit()


def _row(image: int, path: str, work: catalog.Work) -> dict:
    """A row of the table of works: column -> value."""
    texts = {name: _clipped(name, getattr(work, name)) for name in TEXTS}
    shown = printable(path)
    words = [texts["author"], texts["title"], *(value for name, value in texts.items() if name != "url"), shown]
    folder = _clipped("folder", shown.rpartition("/")[0])
    return {"id": image, "path": path, **texts, "folder": folder, "words": fold(" ".join(dict.fromkeys(words)))}


def _clipped(name: str, text: str) -> str:
    """A text as the table takes it: no longer than its column, without what PostgreSQL refuses."""
    return text.replace("\0", "")[: LIMITS[name]]


# Matching rows and images


def match(
    works: list[catalog.Work], images: dict[int, str]
) -> tuple[dict[int, catalog.Work], list[tuple[catalog.Work, str]]]:
    """Which row of a catalogue belongs to which image: id -> row, and the other rows, each with the reason.

    A row's FILE decides: a path relative to the dataset, or a file name where that is unique. Else its URL does: the
    image whose path has the longest end in common with it, folder by folder, without /html/ and .html. Where two
    images, or the rows of two pages, have the same claim, none gets it: a wrong entry is worse than none.
    """
    names, ends = _by_name(images), _by_end(images)
    pages = [_page(work.url) for work in works]
    claimed = defaultdict(set)  # end -> the pages that end so
    for page in pages:
        for end in _ends(page):
            claimed[end].add(page)
    found: dict[int, catalog.Work] = {}
    reasons: dict[int, str] = {}
    by_file = [_named(work.file, names) for work in works]
    # Rows that name a file go first: they are sure.
    for place in sorted(range(len(works)), key=lambda place: not isinstance(by_file[place], int)):
        work, image = works[place], by_file[place]
        if not isinstance(image, int) and work.url:
            image = _addressed(pages[place], ends, claimed)
        if not isinstance(image, int):
            reasons[place] = image
        elif image in found:
            reasons[place] = f"another row has the picture {printable(images[image])} already"
        else:
            found[image] = work
    return found, [(works[place], reasons[place]) for place in sorted(reasons)]


def _by_name(images: dict[int, str]) -> dict[str, list[int]]:
    """Path -> [its id], and bare file name -> the ids of all images of that name."""
    names = defaultdict(list)
    for image, path in images.items():
        names[path.rpartition("/")[2]].append(image)
    return names | {path: [image] for image, path in images.items()}


def _by_end(images: dict[int, str]) -> dict[str, list[int]]:
    """Each end of a path, without the file name's extension -> the ids of the images whose path ends so."""
    ends = defaultdict(list)
    for image, path in images.items():
        for end in _ends(path.rpartition(".")[0] or path):
            ends[end].append(image)
    return ends


def _ends(path: str) -> list[str]:
    """a/aachen/allegory -> itself, aachen/allegory, allegory; in small letters."""
    parts = path.casefold().split("/")
    return ["/".join(parts[place:]) for place in range(len(parts))] if path else []


def _page(url: str) -> str:
    """What of an address names the picture: https://www.wga.hu/html/a/aachen/allegory.html -> a/aachen/allegory."""
    try:
        path = unquote(urlsplit(url).path).strip("/").removeprefix("html/")
    except ValueError:
        return ""
    return re.sub(r"\.\w{1,5}$", "", path)


def _named(file: str, names: dict[str, list[int]]) -> int | str:
    """The image that a row's FILE means, or the reason why there is none."""
    if not file:
        return "it has neither FILE nor URL"
    return _only(names.get(file.replace("\\", "/").removeprefix("./"), []), file)


def _addressed(page: str, ends: dict[str, list[int]], claimed: dict[str, set[str]]) -> int | str:
    """The image that a row's URL means, or the reason why there is none."""
    # dataset/download_wga.py writes the whole path into the file's name.
    in_one = re.sub(r"[^a-z0-9-]+", "_", page.casefold()).strip("_-")[-120:].strip("_-")
    for end in [*_ends(page)[:1], in_one, *_ends(page)[1:]]:
        if end in ends:
            if len(claimed.get(end, ())) > 1:
                return f"the addresses of several works end in {end}"
            return _only(ends[end], end)
    return f"there is no picture of the name {page}"


def _only(found: list[int], name: str) -> int | str:
    if len(found) == 1:
        return found[0]
    return f"{len(found)} pictures have the name {name}" if found else f"there is no picture of the name {name}"


# Searching


@dataclass(frozen=True)
class Wanted:
    """Which works somebody wants to see."""

    text: str = ""  # words that must all occur
    facets: dict[str, str] = field(default_factory=dict)  # facet -> its value

    def conditions(self) -> list[ColumnElement[bool]]:
        """What SQL asks of a work."""
        words = fold(self.text).split()[:WORDS]
        return [
            *(Work.words.contains(word, autoescape=True) for word in words),
            *(getattr(Work, facet) == value.replace("\0", "") for facet, value in self.facets.items()),
        ]


def select_works(wanted: Wanted, sort: str = "file") -> Select:
    """The wanted works; sort: one of SORTS."""
    return select(Work).where(*wanted.conditions()).order_by(*SORTS[sort])


def count_works(wanted: Wanted) -> int:
    """How many works are wanted."""
    return db.session.scalar(select(func.count(Work.id)).where(*wanted.conditions()))


def count_facets(wanted: Wanted, facets: Sequence[str], most: int | None = None) -> dict[str, list[tuple[str, int]]]:
    """Of each facet its values and how many of the wanted works have each, most frequent first; no empty values.

    most: values of a facet that are returned; None: all.
    """
    # The wanted works are looked for once, not once a facet; all works are counted by each facet's index.
    conditions = wanted.conditions()
    columns = [getattr(Work, facet) for facet in facets]
    source = select(*columns).where(*conditions).cte("wanted").c if conditions else Work.__table__.c
    parts = []
    for facet in facets:
        column, count = source[facet].label("value"), func.count().label("works")
        values = select(literal(facet).label("facet"), column, count).where(column != "").group_by(column)
        parts.append(select(values.order_by(count.desc(), column).limit(most).subquery()))
    found = {facet: [] for facet in facets}
    for facet, value, count in db.session.execute(union_all(*parts)):
        found[facet].append((value, count))
    return found


def fold(text: str) -> str:
    """Text as the search compares it: small letters without accents."""
    return MARKS.sub("", unicodedata.normalize("NFKD", text.casefold().translate(PLAIN)))

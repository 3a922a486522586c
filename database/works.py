"""The works of the collection in the site's database: kept in step with the collection store, and with a register.

The register is kept beside the database, so that pictures which come later find their rows too.
"""

import fcntl
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from flask import current_app
from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import joinedload

from database import catalog, fulltext, kept
from database.folding import fold, sort_key
from database.register.files import Matcher, Shown
from database.register.years import years
from database.tables import Picture, Work, db
from utils.errors import WrongUse
from utils.text import printable

log = logging.getLogger(__name__)

FORMAT = b"1"  # of what is made of a row; another number makes every row anew
TEXTS = [name for name in catalog.FIELDS if name not in ("number", "file")]  # what a work has of its row as it stands
LONGEST = 2000  # characters of a cell that are kept where the table sets no limit
FACETS = ("author", "school", "form", "type", "timeframe")
FOLDER = "folder"  # the facet of a collection without a register
SORTS = {
    "author": (Work.author_key, Work.title_key, Work.id),
    "title": (Work.title_key, Work.id),
    "number": (Work.number_key, Work.id),
    "date": (Work.first_year.asc().nulls_last(), Work.last_year, Work.id),
    "file": (Work.path, Work.id),
    "relevance": (Work.id,),  # after what the index of words says: see find_works
}
LIMITS = {column.name: getattr(column.type, "length", None) or LONGEST for column in Work.__table__.columns}
BATCH = 2000  # rows that are written at once
SPAN = re.compile(r"(?<![\w./-])([12]\d{3})\s*[-\u2010-\u2015\u2212]\s*([12]\d{3})(?![\w./-])")  # of years
COUNTED = 50_000  # works whose facets are counted, at most: all 200,000 of a large museum take half a second


# Following the store and the register


@dataclass(frozen=True)
class Loaded:
    """What became of a register, or would become of it."""

    rows: int
    matched: int  # works of the collection that have a row
    pictures: int  # of these works
    new: int  # of these works, those that had no row before
    changed: int  # those that had another one
    lost: int  # works that had a row and, for one of their pictures at least, have none any more
    without_row: int  # works of the collection that have none
    repeated: int  # rows that only add pictures to the work of an earlier row
    cut: int  # cells that are longer than pages show; the kept register has them whole
    unmatched: list[tuple[catalog.Work, str]] = field(default_factory=list)  # rows without a work, with the reason


def follow(images: dict[int, str]) -> None:
    """Make the tables say what the collection holds, with the kept register's rows.

    images: id -> path, relative to the dataset. Several processes may call it at once. Needs an application context.
    """
    with _only_one():
        known = _images()
        if known != images:
            path = _folder() / kept.NAME
            _agree(_target(_matcher(path, images), images))


def load_catalog(works: Iterable[catalog.Work]) -> Loaded:
    """Give the works of the collection their rows of a register, and keep it for pictures that come later.

    It takes the place of the one before, which is kept among the last ones. Needs an application context.
    """
    with Plan(works) as plan:
        plan.apply()
        return plan.loaded(with_rows=True)


class Plan:
    """A register that is about to take the place of the one before; `apply` makes it so, and nothing else does.

    works: its rows, read once and written beside the database. Needs an application context.
    Raises what reading the rows raises, and then leaves nothing behind.
    """

    def __init__(self, works: Iterable[catalog.Work]):
        self._part = self._file = _folder() / f"{kept.NAME}.new"
        self._lock = _only_one(".load")  # only one register is loaded at a time
        self._lock.__enter__()
        try:
            self.rows = kept.write(self._part, works)
            self._images = _images()
            self._matcher = Matcher(lambda: kept.read(self._file), self._images)
            self._wanted = _target(self._matcher, self._images)
            self._before = _entries()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Plan":
        return self

    def __exit__(self, *_problem) -> None:
        self._part.unlink(missing_ok=True)
        self._lock.__exit__(None, None, None)

    def loaded(self, with_rows: bool = False) -> Loaded:
        """What changes; with_rows: also the rows without a work, all in memory."""
        before = {image: entry for image, (_, entry) in self._before.items()}
        with_entry = {id: work for id, work in self._wanted.works.items() if work.entry}
        now = {shown.image: work.entry for work in self._wanted.works.values() for shown in work.pictures}
        return Loaded(
            rows=self.rows,
            matched=len(with_entry),
            pictures=sum(len(work.pictures) for work in with_entry.values()),
            new=sum(not before.get(id) for id in with_entry),
            changed=sum(before.get(id, "") not in ("", work.entry) for id, work in with_entry.items()),
            lost=len({work for image, (work, entry) in self._before.items() if entry and not now.get(image)}),
            without_row=len(self._wanted.works) - len(with_entry),
            repeated=self._matcher.repeated,
            cut=self._wanted.cut,
            unmatched=list(self.unmatched()) if with_rows else [],
        )

    def unmatched(self) -> Iterator[tuple[catalog.Work, str]]:
        """Rows that have no work, or of whose files some are not there, each with the reason."""
        yield from ((row, reason) for row, _, reason in self._matcher if reason)

    def files_without_row(self) -> Iterator[str]:
        """Pictures of the collection that no row has."""
        for work in self._wanted.works.values():
            if not work.entry:
                yield from (self._images[shown.image] for shown in work.pictures)

    def apply(self) -> None:
        """Keep the register and bring the tables in step with it."""
        with _only_one():
            images = _images()
            if images != self._images:  # pictures came while somebody was asked
                self._matcher = Matcher(lambda: kept.read(self._file), images)
                self._images, self._wanted = images, _target(self._matcher, images)
            _agree(self._wanted)
            kept.take(_folder(), self._part)
            self._file = _folder() / kept.NAME


def _folder() -> Path:
    return current_app.extensions["settings"].database


def _images() -> dict[int, str]:
    """Image -> path, as the tables have them."""
    known: dict[int, str] = dict(db.session.execute(select(Picture.id, Picture.path)).all())
    db.session.rollback()  # ends the reading; what follows may take long
    return known


def _entries() -> dict[int, tuple[int, str]]:
    """Image -> its work, and the digest of the row that the work has."""
    asked = select(Picture.id, Work.id, Work.entry).join(Work, Work.id == Picture.work_id)
    found = {image: (work, entry) for image, work, entry in db.session.execute(asked)}
    db.session.rollback()
    return found


def _matcher(path: Path, images: dict[int, str]) -> Matcher:
    """The kept register's rows; none where it was spoilt since, for the search must work all the same."""
    try:
        return Matcher((lambda: kept.read(path)) if path.exists() else (lambda: iter(())), images)
    except WrongUse as problem:
        log.warning("%s The works are shown without it.", problem)
        return Matcher(lambda: iter(()), images)


@contextmanager
def _only_one(what: str = "") -> Iterator[None]:
    """One process and thread at a time: two that add the same work would break each other's transaction."""
    with (_folder() / f"works{what}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def export_rows() -> Iterator[catalog.Work]:
    """The kept register with the files that were matched, and after it the pictures that no row has.

    Loading what it gives changes nothing. Needs an application context.
    """
    images = _images()
    matcher = _matcher(_folder() / kept.NAME, images)
    named: set[int] = set()
    for row, shown, reason in matcher:
        named.update(picture.image for picture in shown)
        found = " | ".join(printable(images[picture.image]) for picture in shown)
        yield row if reason or not shown else replace(row, file=found)
    yield from (catalog.Work(file=printable(path)) for image, path in images.items() if image not in named)


# What the tables should hold


@dataclass(frozen=True)
class State:
    """A work as it should be; only what tells whether it has changed."""

    entry: str
    pictures: tuple[Shown, ...]


@dataclass
class Target:
    """What the tables should hold: works by id, and `rows`, which gives (id, row of the register) of each again."""

    works: dict[int, State]
    rows: Callable[[], Iterator[tuple[int, catalog.Work]]]
    images: dict[int, str]
    cut: int = 0


def _target(matcher: Matcher, images: dict[int, str]) -> Target:
    works: dict[int, State] = {}
    named: set[int] = set()
    cut = 0
    for row, shown, _ in matcher:
        if shown:
            works[shown[0].image] = State(digest(row), tuple(shown))
            named.update(picture.image for picture in shown)
            cut += sum(len(getattr(row, name)) > LIMITS[name] for name in TEXTS)
    alone = [image for image in images if image not in named]
    works |= {image: State("", (Shown(image),)) for image in alone}

    def rows() -> Iterator[tuple[int, catalog.Work]]:
        yield from ((shown[0].image, row) for row, shown, _ in matcher if shown)
        yield from ((image, catalog.Work()) for image in alone)

    return Target(works, rows, images, cut)


def digest(row: catalog.Work) -> str:
    """What tells one row of a register from another, its files aside; 32 characters, or empty where it says nothing."""
    said = [getattr(row, name) for name in catalog.FIELDS if name != "file"]
    if not (row.more or any(said)):
        return ""
    content = json.dumps([*said, row.more], sort_keys=True).encode()
    return hashlib.blake2b(FORMAT + content, digest_size=16).hexdigest()


def _agree(target: Target) -> None:
    """Make the tables hold what is wanted; what is as it should be stays untouched. Commits."""
    stored = _stored(target.images)
    stale = [id for id, work in stored.items() if work is None or work != target.works.get(id)]
    fresh = {id for id, work in target.works.items() if work != stored.get(id)}
    connection = db.session.connection()
    for ids in _batches(stale):
        gone = [{"gone": id} for id in ids]
        fulltext.remove(connection, ids)
        connection.execute(delete(Picture.__table__).where(Picture.__table__.c.work_id == bindparam("gone")), gone)
        connection.execute(delete(Work.__table__).where(Work.__table__.c.id == bindparam("gone")), gone)
    for rows in _batches((id, row) for id, row in target.rows() if id in fresh):
        works, pictures, texts = [], [], []
        for id, row in rows:
            wanted = target.works[id]
            paths = [target.images[shown.image] for shown in wanted.pictures]
            works.append(work_row(id, paths[0], row, wanted.entry))
            texts.append(indexed_texts(id, paths, row))
            pictures += [
                {"id": shown.image, "work_id": id, "path": path, "position": place, "role": shown.role}
                for place, (shown, path) in enumerate(zip(wanted.pictures, paths, strict=True))
            ]
        connection.execute(insert(Work.__table__), works)
        connection.execute(insert(Picture.__table__), pictures)
        fulltext.add(connection, texts)
    db.session.commit()


def _batches(things: Iterable) -> Iterator[list]:
    things = iter(things)
    while batch := list(islice(things, BATCH)):
        yield batch


def _stored(images: dict[int, str]) -> dict[int, State | None]:
    """The works as the tables have them; None for one with a picture that has another path now."""
    pictures: dict[int, list[Shown]] = {}
    moved = set()
    asked = select(Picture.id, Picture.work_id, Picture.role, Picture.path).order_by(Picture.work_id, Picture.position)
    for image, work, role, path in db.session.execute(asked):
        pictures.setdefault(work, []).append(Shown(image, role))
        if images.get(image) != path:
            moved.add(work)
    entries = db.session.execute(select(Work.id, Work.entry))
    return {id: None if id in moved else State(entry, tuple(pictures.get(id, ()))) for id, entry in entries}


def work_row(id: int, path: str, row: catalog.Work, entry: str) -> dict:
    """A row of the table of works: column -> value."""
    texts = {name: _clipped(name, getattr(row, name)) for name in TEXTS}
    number = _clipped("number", row.number)
    if len(row.number) > LIMITS["number"]:  # two that differ only beyond it are not the same
        number = number[:160] + digest(row)
    span = years(row.date) or years(row.timeframe) or (None, None)
    shown = printable(path)
    return {
        "id": id,
        "path": path,
        **texts,
        "number": number or None,
        "first_year": span[0],
        "last_year": span[1],
        "more": {_clean(name): _clean(text) for name, text in row.more.items()},
        "folder": _clipped("folder", shown.rpartition("/")[0]),
        "number_key": sort_key(row.number),
        "author_key": sort_key(row.author),
        "title_key": sort_key(row.title),
        "entry": entry,
    }


def indexed_texts(id: int, paths: Sequence[str], row: catalog.Work) -> tuple[int, str, str, str, str]:
    """What the index of words has of a work: see fulltext.add."""
    rest = [getattr(row, name) for name in TEXTS if name not in ("title", "author", "url")]
    rest += [*row.more.values(), *map(printable, paths)]
    texts = fulltext.indexed(row.title), fulltext.indexed(row.author)
    return (
        id,
        fulltext.indexed_number(row.number),
        *texts,
        fulltext.indexed(" ".join(dict.fromkeys(filter(None, rest)))),
    )


def _clean(text: str) -> str:
    """A text without what PostgreSQL refuses."""
    return text.replace("\0", "")


def _clipped(name: str, text: str) -> str:
    """A text as the table takes it: no longer than its column."""
    return _clean(text)[: LIMITS[name]]


# Looking up


def pictures_of(images: Iterable[int]) -> dict[int, Picture]:
    """Image -> its picture with its work, of those that are in the collection."""
    asked = select(Picture).options(joinedload(Picture.work)).where(Picture.id.in_(list(images)))
    return {picture.id: picture for picture in db.session.scalars(asked)}


def once_a_work(images: Sequence[int], pictures: dict[int, Picture]) -> list[int]:
    """Of images in their order, the first of each work; those that have left the collection stand for themselves."""
    seen: dict[tuple, int] = {}
    for image in images:
        picture = pictures.get(image)
        seen.setdefault(("work", picture.work_id) if picture else ("image", image), image)
    return list(seen.values())


# Searching


@dataclass(frozen=True)
class Wanted:
    """Which works somebody wants to see."""

    text: str = ""  # words that must all occur, each as the beginning of one; in quotes, phrases
    facets: dict[str, str] = field(default_factory=dict)  # facet -> its value
    first_year: int | None = None  # works whose date reaches into these years, both included
    last_year: int | None = None

    @classmethod
    def typed(cls, text: str, facets: dict[str, str], first_year: int | None = None, last_year: int | None = None):
        """What somebody types: 1500-1899 among the words are years, unless years are given apart.

        Not in quotes, and not where it is an inventory number. Needs an application context.
        """
        span = SPAN.search(text)
        if not span or not fulltext.QUOTES.isdisjoint(text) or (first_year, last_year) != (None, None):
            return cls(text, facets, first_year, last_year)
        first, last = int(span[1]), int(span[2])
        if first > last or fulltext.Asked(span[0]).count(db.session.connection(), ("number",), 1):
            return cls(text, facets)
        return cls(" ".join(f"{text[: span.start()]} {text[span.end() :]}".split()), facets, first, last)

    @property
    def is_everything(self) -> bool:
        """Whether all works are wanted."""
        return not self.conditions()

    def conditions(self, with_words: bool = True) -> list[ColumnElement[bool]]:
        """What SQL asks of a work; with_words: also what the index of words is asked."""
        conditions = [getattr(Work, facet) == _clean(value) for facet, value in self.facets.items()]
        if self.first_year is not None:
            conditions.append(Work.last_year >= self.first_year)
        if self.last_year is not None:
            conditions.append(Work.first_year <= self.last_year)
        asked = fulltext.Asked(self.text)
        if asked.has_words:
            if with_words:
                conditions.append(asked.condition(db.engine.dialect.name, Work.id))
        elif not asked.is_blank:  # signs alone are in no index of words
            sign = fold(self.text.strip())
            texts = (Work.title, Work.author, Work.technique, Work.dimensions)
            conditions.append(or_(*(column.contains(sign, autoescape=True) for column in texts)))
        return conditions


def find_works(wanted: Wanted, sort: str = "file", offset: int = 0, limit: int | None = None) -> list[Work]:
    """The wanted works, or a page of them; sort: one of SORTS.

    By relevance: number, title, artist, all else; then by their ids. Of very many, those that match in their names come
    first, and the rest as the index has it.
    """
    asked = fulltext.Asked(wanted.text)
    if sort != "relevance" or not asked.has_words:
        chosen = select(Work).where(*wanted.conditions()).order_by(*SORTS[sort])
        return list(db.session.scalars(chosen.offset(offset).limit(limit)))
    ranked, is_all = asked.ranked(db.session.connection())
    others = wanted.conditions(with_words=False)
    first = select(Work).join(ranked, ranked.c.id == Work.id).where(*others)
    works = list(db.session.scalars(first.order_by(ranked.c.rank, Work.id).offset(offset).limit(limit)))
    if is_all or len(works) == limit:
        return works
    before = db.session.scalar(select(func.count()).select_from(first.with_only_columns(Work.id).subquery())) or 0
    found = asked.found(db.engine.dialect.name)
    rest = select(Work).join(found, found.c.id == Work.id).where(*others, found.c.id.not_in(select(ranked.c.id)))
    rest = rest.order_by(found.c.place).offset(max(0, offset - before))
    return works + list(db.session.scalars(rest.limit(None if limit is None else limit - len(works))))


def count_works(wanted: Wanted) -> int:
    """How many works are wanted."""
    asked = fulltext.Asked(wanted.text)
    if asked.has_words and not wanted.conditions(with_words=False):
        return asked.count(db.session.connection())
    return db.session.scalars(select(func.count(Work.id)).where(*wanted.conditions())).one()


def count_facets(
    wanted: Wanted, facets: Sequence[str], most: int | None = None, total: int | None = None
) -> dict[str, list[tuple[str, int]]]:
    """Of each facet its values and how many of the wanted works have each, most frequent first; no empty values.

    most: values of a facet that are returned; None: all.
    total: how many works are wanted. Where it is given and above COUNTED, only as many are looked at: there are at
    least as many works of each value as is said.
    """
    # The wanted works are looked for once, not once a facet; all works are counted by each facet's index.
    columns = [getattr(Work, facet) for facet in facets]
    chosen = select(*columns).where(*wanted.conditions())
    if total is not None and total > COUNTED:
        asked = fulltext.Asked(wanted.text)
        if asked.has_words:  # the works with these words are not even found beyond it
            found = asked.found(db.engine.dialect.name, COUNTED)
            chosen = select(*columns).join(found, found.c.id == Work.id).where(*wanted.conditions(with_words=False))
        chosen = chosen.limit(COUNTED)
    source = Work.__table__.c if wanted.is_everything else chosen.cte("wanted").c
    parts = []
    for facet in facets:
        column, count = source[facet].label("value"), func.count().label("works")
        values = select(literal(facet).label("facet"), column, count).where(column > "").group_by(column)
        parts.append(select(values.order_by(count.desc(), column).limit(most).subquery()))
    found_values: dict[str, list[tuple[str, int]]] = {facet: [] for facet in facets}
    for facet, value, count in db.session.execute(union_all(*parts)):
        found_values[facet].append((value, count))
    return found_values

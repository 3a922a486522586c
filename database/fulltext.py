"""The index of words that the search of works asks: FTS5 on SQLite, a tsvector on PostgreSQL.

Both hold what `folding.words` makes of a work's texts, in four parts by what they weigh: inventory number, title,
artist, all else. A word of several parts (d'Arc, Toulouse-Lautrec) is also there in one piece.
"""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Float, Integer, Subquery, bindparam, column, text

from database.folding import words

PARTS = ("number", "title", "author", "rest")
NAMES = PARTS[:-1]  # what people mean most often
WEIGHTS = (20.0, 10.0, 5.0, 1.0)  # of the parts, for the order of what is found
WORDS = 10  # of a search, at most
QUOTES = frozenset('"“”„«»')
CREATE = {
    "sqlite": [
        "CREATE VIRTUAL TABLE work_texts USING fts5(number, title, author, rest, "
        "tokenize = 'unicode61 remove_diacritics 0', prefix = '1 2 3')"
    ],
    "postgresql": [
        "CREATE TABLE work_texts (rowid integer PRIMARY KEY REFERENCES works (id) ON DELETE CASCADE, "
        "document tsvector NOT NULL)",
        "CREATE INDEX ix_work_texts_document ON work_texts USING gin (document)",
        "CREATE INDEX ix_work_texts_names ON work_texts USING gin (ts_filter(document, '{a,b,c}'))",
    ],
}
MANY = 5000  # works found, from which on ranking them all takes too long
# An id to join works by. The sign keeps SQLite from asking the index of words once for each of many works, which takes
# minutes; it shall rather look up the works of what it finds.
ID = {"sqlite": "+rowid", "postgresql": "rowid"}
RANK = {
    "sqlite": f"bm25(work_texts, {', '.join(map(str, WEIGHTS))})",
    "postgresql": "-ts_rank('{0.05, 0.25, 0.5, 1}', document, CAST(:asked AS tsquery))",
}
LONGEST = 100_000  # characters of a part that are indexed; a tsvector takes 1 MB


def create(connection: Connection) -> None:
    """Make the index, empty."""
    for statement in CREATE[connection.dialect.name]:
        connection.execute(text(statement))


def drop(connection: Connection) -> None:
    connection.execute(text("DROP TABLE work_texts"))


def indexed(content: str) -> str:
    """A text as the index takes it: its words with blanks between them, then the words in one piece."""
    found = words(content[:LONGEST])
    plain = " ".join(part for word in found for part in word)
    return " ".join([plain, *("".join(word) for word in found if len(word) > 1)])


def indexed_number(number: str) -> str:
    """An inventory number as the index takes it: as it is written, and in one piece, for some type G12 for G 12."""
    return indexed(f"{number} {''.join(filter(str.isalnum, number))}")


def add(connection: Connection, rows: Sequence[tuple[int, str, str, str, str]]) -> None:
    """Index works: (id, number, title, author, rest) of each, as `indexed` makes them."""
    values = [dict(zip(("rowid", *PARTS), row, strict=True)) for row in rows]
    if not values:
        return
    if connection.dialect.name == "sqlite":
        statement = f"INSERT INTO work_texts (rowid, {', '.join(PARTS)}) VALUES (:rowid, :{', :'.join(PARTS)})"
    else:
        parts = " || ".join(
            f"setweight(to_tsvector('simple', :{part}), '{weight}')" for part, weight in zip(PARTS, "ABCD", strict=True)
        )
        statement = f"INSERT INTO work_texts (rowid, document) VALUES (:rowid, {parts})"
    connection.execute(text(statement), values)


def index_numbers(connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Index the inventory numbers of works anew: (id, number) of each. What else the index has of them stays."""
    values = [{"id": id, "number": indexed_number(number)} for id, number in rows]
    if not values:
        return
    if connection.dialect.name == "sqlite":
        statement = "UPDATE work_texts SET number = :number WHERE rowid = :id"
    else:
        statement = (
            "UPDATE work_texts SET document = setweight(to_tsvector('simple', :number), 'A') || "
            "ts_filter(document, '{b,c,d}') WHERE rowid = :id"
        )
    connection.execute(text(statement), values)


def remove(connection: Connection, ids: Iterable[int]) -> None:
    """Take works out of the index."""
    values = [{"gone": id} for id in ids]
    if values:
        connection.execute(text("DELETE FROM work_texts WHERE rowid = :gone"), values)


class Asked:
    """What somebody types: words that must all occur, each as the beginning of one; in quotes, whole phrases.

    is_blank: nothing was typed. has_words: there is something that the index can be asked.
    """

    def __init__(self, typed: str):
        self.is_blank = not typed.replace("\0", " ").strip()
        quoted: list[str] = []
        rest: list[str] = []
        for place, piece in enumerate(re.split(f"[{''.join(QUOTES)}]", typed)):
            (quoted if place % 2 else rest).append(piece)
        if len(quoted) == len(rest):  # a quotation mark that is not closed is none
            rest.append(quoted.pop())
        phrases = [[part for word in words(phrase) for part in word] for phrase in quoted]
        self._phrases = [phrase for phrase in phrases if phrase][:WORDS]
        self._words = [word for piece in rest for word in words(piece)][:WORDS]

    @property
    def has_words(self) -> bool:
        return bool(self._phrases or self._words)

    def condition(self, dialect: str, id: ColumnElement) -> ColumnElement[bool]:
        """The condition on a work's id."""
        where, asked = self._where(dialect, PARTS)
        found = text(f"SELECT rowid FROM work_texts WHERE {where}")
        return id.in_(found.bindparams(bindparam("asked", asked, unique=True)))

    def found(self, dialect: str, most: int | None = None) -> Subquery:
        """(id, place) of the works that are found; most: how many at most. By their places they need no sorting."""
        where, asked = self._where(dialect, PARTS)
        limit = f" LIMIT {most}" if most else ""
        found = text(f"SELECT {ID[dialect]} AS id, rowid AS place FROM work_texts WHERE {where}{limit}")
        found = found.bindparams(bindparam("asked", asked, unique=True))
        return found.columns(column("id", Integer), column("place", Integer)).subquery()

    def count(self, connection: Connection, parts: Sequence[str] = PARTS, most: int | None = None) -> int:
        """How many works are found, by words in these parts; most: where it is enough to know that they are so many."""
        where, asked = self._where(connection.dialect.name, parts)
        some = f"SELECT 1 FROM work_texts WHERE {where}" + (f" LIMIT {most}" if most else "")
        return connection.scalar(text(f"SELECT count(*) FROM ({some}) AS found"), {"asked": asked})

    def ranked(self, connection: Connection) -> tuple[Subquery, bool]:
        """(id, rank) of works, and whether these are all: the lower the rank, the better the place where they match.

        Of more than MANY works, which nobody looks through, only those are ranked that match in their names; of more
        than MANY of these, none.
        """
        dialect = connection.dialect.name
        is_all = self.count(connection, PARTS, MANY) < MANY
        parts = PARTS if is_all else NAMES
        where, asked = self._where(dialect, parts)
        if not is_all and self.count(connection, parts, MANY) == MANY:
            where += " AND false"
        found = text(f"SELECT {ID[dialect]} AS id, {RANK[dialect]} AS rank FROM work_texts WHERE {where}")
        found = found.bindparams(bindparam("asked", asked, unique=True))
        return found.columns(column("id", Integer), column("rank", Float)).subquery(), is_all

    def _where(self, dialect: str, parts: Sequence[str]) -> tuple[str, str]:
        """A condition with the parameter :asked, and its value; parts: where words may occur."""
        if dialect == "sqlite":
            return "work_texts MATCH :asked", f"{{{' '.join(parts)}}} : ({self._fts5()})"
        if parts == NAMES:  # has an index of its own: the other one would have to look at each work with these words
            return "ts_filter(document, '{a,b,c}') @@ CAST(:asked AS tsquery)", self._tsquery("")
        weights = "" if parts == PARTS else "ABCD"[: len(parts)]
        return "document @@ CAST(:asked AS tsquery)", self._tsquery(weights)

    def _fts5(self) -> str:
        def phrase(parts: list[str], end: str) -> str:
            return f'"{" ".join(parts)}"{end}'

        terms = [phrase(parts, "") for parts in self._phrases]
        for word in self._words:
            pieces = [word, ["".join(word)]] if len(word) > 1 else [word]
            terms.append("(" + " OR ".join(phrase(piece, " *") for piece in pieces) + ")")
        return " AND ".join(terms)

    def _tsquery(self, weights: str) -> str:
        def phrase(parts: list[str], begins: str) -> str:
            """begins: "*" where the last one may go on."""
            ends = [weights] * (len(parts) - 1) + [begins + weights]
            return " <-> ".join(f"'{part}'" + (end and f":{end}") for part, end in zip(parts, ends, strict=True))

        terms = [f"({phrase(parts, '')})" for parts in self._phrases]
        for word in self._words:
            pieces = [word, ["".join(word)]] if len(word) > 1 else [word]
            terms.append("(" + " | ".join(f"({phrase(piece, '*')})" for piece in pieces) + ")")
        return " & ".join(terms)

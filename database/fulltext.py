"""The index of words that the search of works asks: FTS5 on SQLite, a tsvector on PostgreSQL.

Both hold what `folding.words` makes of a work's texts, in four parts by what they weigh: inventory number, title,
artist, all else. A word of several parts (d'Arc, Toulouse-Lautrec) is also there in one piece.
"""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Float, Integer, Subquery, bindparam, column, text

from database.folding import words

PARTS = ("number", "title", "author", "rest")
WEIGHTS = (20.0, 10.0, 5.0, 1.0)  # of the parts, for the order of what is found
WORDS = 10  # of a search, at most
CREATE = {
    "sqlite": [
        "CREATE VIRTUAL TABLE work_texts USING fts5(number, title, author, rest, "
        "tokenize = 'unicode61 remove_diacritics 0', prefix = '1 2 3')"
    ],
    "postgresql": [
        "CREATE TABLE work_texts (rowid integer PRIMARY KEY REFERENCES works (id) ON DELETE CASCADE, "
        "document tsvector NOT NULL)",
        "CREATE INDEX ix_work_texts_document ON work_texts USING gin (document)",
    ],
}
MANY = 5000  # works found, from which on ranking them all takes too long
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
        for place, piece in enumerate(re.split(r'["“”„«»]', typed)):
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

    def found(self, dialect: str) -> Subquery:
        """The ids of all works that are found."""
        where, asked = self._where(dialect, PARTS)
        found = text(f"SELECT rowid AS id FROM work_texts WHERE {where}")
        return found.bindparams(bindparam("asked", asked, unique=True)).columns(column("id", Integer)).subquery()

    def count(self, connection: Connection, parts: Sequence[str] = PARTS, most: int | None = None) -> int:
        """How many works are found, by words in these parts; most: where it is enough to know that they are so many."""
        where, asked = self._where(connection.dialect.name, parts)
        some = f"SELECT 1 FROM work_texts WHERE {where}" + (f" LIMIT {most}" if most else "")
        return connection.scalar(text(f"SELECT count(*) FROM ({some}) AS found"), {"asked": asked})

    def ranked(self, connection: Connection) -> Subquery | None:
        """(id, rank) of works: the lower the rank, which is below 0, the better the place where they match.

        Of more than MANY, which nobody looks through, only those are ranked that match in better places than the
        rest; None where there are none of these, or too many, too.
        """
        dialect = connection.dialect.name
        for parts in (PARTS, PARTS[:-1]):
            if 0 < self.count(connection, parts, MANY) < MANY:
                where, asked = self._where(dialect, parts)
                found = text(f"SELECT rowid AS id, {RANK[dialect]} AS rank FROM work_texts WHERE {where}")
                found = found.bindparams(bindparam("asked", asked, unique=True))
                return found.columns(column("id", Integer), column("rank", Float)).subquery()
        return None

    def _where(self, dialect: str, parts: Sequence[str]) -> tuple[str, str]:
        """A condition with the parameter :asked, and its value; parts: where words may occur."""
        if dialect == "sqlite":
            return "work_texts MATCH :asked", f"{{{' '.join(parts)}}} : ({self._fts5()})"
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

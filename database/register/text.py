"""Rows of a CSV file, as RFC 4180 and as the programs that people have write them."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from pathlib import Path

from database.register import encoding
from utils.errors import WrongUse

USUAL = (";", ",", "\t", "|")
LOOKED_AT = 40  # rows in which the header is looked for
LONGEST_CELL = 1 << 24  # characters
END = "\x1a\x1a\x1a"  # given after the last line: a row of its own, unless a quotation mark is open

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what makes a spreadsheet compute a cell, and what looks guarded already

csv.field_size_limit(LONGEST_CELL)


class Text:
    """A CSV file; `delimiter` and `encoding` are what was made out, `rows()` reads it from the start each time.

    known: how many cells of a row are names of columns; what tells the header, and the delimiter by it.
    Raises WrongUse for a file that is no text.
    """

    def __init__(self, path: Path, known: Callable[[list[str]], int]):
        self.path = path
        self.encoding = encoding.find(path)
        self.warnings = [self.encoding.warning] if self.encoding.warning else []
        with self._open() as file:
            lines = list(islice((line[:100_000] for line in file), LOOKED_AT))
        said = re.fullmatch(r"\s*\"?sep=(.)\"?[\r\n]*", lines[0].lstrip("\ufeff"), re.IGNORECASE) if lines else None
        self._skip = 1 if said else 0
        self.delimiter = said[1] if said else _delimiter(lines, known)
        # Some write a blank after the delimiter, and the quotation mark after the blank.
        self._blanks = any(f'{self.delimiter} "' in line for line in lines)

    def rows(self) -> Generator[tuple[int, list[str]], None, None]:
        """(line where it ends, cells, stripped) of each row; rows without content are left out."""
        with self._open() as file:
            for _ in range(self._skip):
                next(file)
            yield from self._rows(file)

    def _open(self) -> io.TextIOWrapper:
        return self.path.open(encoding=self.encoding.name, errors=self.encoding.errors, newline="")

    def _rows(self, file: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
        taken: list[str] = []  # the lines of the row that is being read
        begins = self._skip

        def lines() -> Iterator[str]:
            for line in file:
                taken.append(line)
                yield line.replace("\0", "") if "\0" in line else line
            yield END

        reader = csv.reader(lines(), delimiter=self.delimiter, skipinitialspace=self._blanks)
        try:
            for row in reader:
                if row == [END]:
                    return
                line = reader.line_num + self._skip
                if row and END in row[-1]:
                    raise self._open_quote(begins + 1, line - 1)
                if len(taken) > 1 and not self._is_strict("".join(taken)):
                    raise self._open_quote(begins + 1, line)
                taken.clear()
                begins = line
                cells = [_cell(text) for text in row]
                if any(cells):
                    yield line, cells
        except csv.Error as problem:
            where = reader.line_num + self._skip
            raise WrongUse(
                f"{self.path} is not a catalogue: line {where} is no row of a CSV file ({problem})."
            ) from None
        except UnicodeDecodeError as problem:
            raise WrongUse(f"{self.path} is not {self.encoding.name} throughout ({problem.reason}).") from None

    def _is_strict(self, record: str) -> bool:
        """Whether a row of several lines quotes as RFC 4180 has it; where not, a quotation mark was left open."""
        lines = io.StringIO(record, newline="")
        try:
            rows = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=self._blanks, strict=True)
            return len(list(rows)) == 1
        except csv.Error:
            return False

    def _open_quote(self, first: int, last: int) -> WrongUse:
        return WrongUse(
            f"{self.path} has a quotation mark that is not closed in the row that begins at line {first} "
            f"and ends at line {last}."
        )


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe in front, which reading takes away again."""
    return f"'{text}" if FORMULA.match(text) else text


def _cell(text: str) -> str:
    text = text.strip()
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def _delimiter(lines: list[str], known: Callable[[list[str]], int]) -> str:
    """The character that makes most names of columns of a row; else the one that makes rows of the same length."""
    others = Counter(c for line in lines for c in line if not (c.isalnum() or c in " \r\n\"'.-_()/&"))
    candidates = [*USUAL, *(c for c, _ in others.most_common(6) if c not in USUAL)]
    return max(candidates, key=lambda candidate: _fits(lines, candidate, known))  # the first of those that are equal


def _fits(lines: list[str], delimiter: str, known: Callable[[list[str]], int]) -> tuple[int, int]:
    try:
        rows = [row for row in csv.reader(iter(lines), delimiter=delimiter) if any(row)]
    except csv.Error:
        return 0, 0
    lengths = Counter(len(row) for row in rows if len(row) > 1)
    return max(map(known, rows), default=0), max(lengths.values(), default=0)

"""Reads and writes registers of works: CSV and workbooks, one row a work, or a row for each of its pictures.

Columns are recognised by name, in any order and case, in six languages (database/register/columns.py); others are
kept under their own names. The Web Gallery of Art's columns are among those that are known:

    AUTHOR;BORN-DIED;TITLE;DATE;TECHNIQUE;LOCATION;URL;FORM;TYPE;SCHOOL;TIMEFRAME;FILE

FILE names the pictures, several with `|` or `;` between them.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TextIO

from database.register import columns, sheets
from database.register.text import LOOKED_AT, Text
from utils.errors import WrongUse
from utils.text import counted

MAX_COLUMNS = sheets.COLUMNS


@dataclass(frozen=True)
class Work:
    """One row of a register; a cell that is not there is an empty string."""

    number: str = ""  # of the inventory, "1921.2"
    author: str = ""  # "AACHEN, Hans von"; several with ; or | between them
    born_died: str = ""
    title: str = ""
    date: str = ""  # as it is written
    technique: str = ""
    dimensions: str = ""
    location: str = ""
    credit: str = ""
    rights: str = ""
    url: str = ""  # of the page about the work
    form: str = ""  # painting, sculpture, ...
    type: str = ""  # portrait, landscape, ...
    school: str = ""
    timeframe: str = ""
    file: str = ""  # the pictures, each relative to the dataset
    more: dict[str, str] = field(default_factory=dict)  # other columns by name


FIELDS = [field.name for field in fields(Work) if field.name != "more"]
# The columns that catalogues of the Web Gallery of Art have, in its order, and ours: the picture.
GALLERY = [
    "author",
    "born_died",
    "title",
    "date",
    "technique",
    "location",
    "url",
    "form",
    "type",
    "school",
    "timeframe",
    "file",
]


class Unclear(WrongUse):
    """A register whose columns are not understood; `columns` are their names, of which a mapping can say more."""

    def __init__(self, sentence: str, columns: list[str]):
        super().__init__(sentence)
        self.columns = columns


class Register:
    """A register whose header is read: `columns`, and `notes`, sentences for people; iterating gives a Work a row.

    path: CSV (any delimiter, any encoding), .xlsx, .xlsb, .xls or .ods; what it is shows in the content. sheet: of a
    workbook, by name. mapping: plain name of a column -> field, as columns.parse_mapping gives it.

    Rows are read anew each time, one by one, and cells come stripped; rows without content are left out. What only
    shows on the way (blanks, cells beyond the header) is told by `last_notes` after a whole reading.

    Raises WrongUse where the file cannot be read or is no register, here and while rows are read; Unclear where a
    mapping may help.
    """

    def __init__(self, path: str | os.PathLike, sheet: str | None = None, mapping: Mapping[str, str] | None = None):
        self.path = Path(path)
        self._mapping = mapping or {}
        self.notes: list[str] = []
        self.last_notes: list[str] = []
        self._rows: Callable[[], Iterator[tuple[int, list[str]] | dict]]  # (where it stands, cells); notes of a sheet
        try:
            with self.path.open("rb") as file:
                start = file.read(64)
            if sheets.is_workbook(start):
                self._open_workbook(sheet)
            elif sheet:
                raise WrongUse(f"{self.path} is no workbook, so it has no sheet {sheet!r}.")
            elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                raise WrongUse(
                    f"{self.path} is not a catalogue of works but a web page or XML: open it in a spreadsheet program "
                    "and save it as .xlsx or CSV."
                )
            else:
                self._open_text()
        except OSError as problem:
            raise WrongUse(f"The catalogue {self.path} cannot be read: {problem.strerror or problem}.") from None

    def _known(self, cells: list[str]) -> int:
        return columns.count_known(cells, self._mapping)

    def _open_text(self) -> None:
        text = Text(self.path, self._known)
        self.notes += text.warnings
        self._rows = text.rows
        self._take_header(self._first(text.rows()))

    def _open_workbook(self, sheet: str | None) -> None:
        book = sheets.Sheets(self.path)
        if sheet and sheet not in [*book.visible, *book.hidden]:
            names = ", ".join([*book.visible, *book.hidden])
            raise WrongUse(f"{self.path} has no sheet {sheet!r}: it has {names}.")
        candidates = [sheet] if sheet else book.visible
        if not candidates:
            raise WrongUse(f"{self.path} has no visible sheet: name one with --sheet.")
        heads = {name: self._first(book.rows(name, LOOKED_AT)) for name in candidates}
        chosen = next(
            (name for name in candidates if max(map(self._known, heads[name]), default=0) >= 2), candidates[0]
        )
        others = [name for name in book.visible if name != chosen]
        if others and not sheet:
            self.notes.append(f"Sheet {chosen!r} is read; use --sheet for another: {', '.join(others)}.")
        self._rows = lambda: book.rows(chosen)
        self._take_header(heads[chosen])

    def _first(self, rows: Generator[tuple[int, list[str]] | dict, None, None]) -> list[list[str]]:
        found = []
        for row in rows:
            if isinstance(row, tuple):
                found.append(row[1])
            if len(found) >= LOOKED_AT:
                break
        rows.close()
        return found

    def _take_header(self, rows: list[list[str]]) -> None:
        """Find the header among the first rows: titles may stand above it."""
        if not rows:
            raise WrongUse(f"{self.path} is empty: give a file with a header and a row for each work.")
        place = max(range(len(rows)), key=lambda place: self._known(rows[place]))  # the first of those that are equal
        self._above = place
        header = rows[place]
        if len(header) > MAX_COLUMNS:
            raise WrongUse(f"{self.path} has {len(header):,} columns; a register has {MAX_COLUMNS:,} at most.")
        try:
            self.columns, notes = columns.assign(header, self._mapping)
        except WrongUse as problem:
            raise Unclear(f"{self.path}: {problem}", list(filter(None, header))) from None
        known = {column.field for column in self.columns if column.field}
        missing = []
        if not known.intersection(columns.NAMES):
            missing.append("TITLE (or INVENTORY NUMBER)")
        if not known.intersection(columns.FINDS):
            missing.append("URL (or FILE, or INVENTORY NUMBER)")
        if missing or len(known) < 2:
            found = ", ".join(cell[:30] for cell in rows[0][:15])
            lacks = f"no column {', '.join(missing)}" if missing else "only one column is known"
            raise Unclear(
                f"{self.path} is not a catalogue of works: {lacks}; its first row is {found!r}. If its columns have "
                'other names, say which is which: --map "Title=..." --map "Image file=...".',
                [column.name for column in self.columns],
            )
        if place:
            self.notes.append(f"{counted(place, 'row')} above the header left out.")
        self.notes += notes

    def __iter__(self) -> Iterator[Work]:
        width = max(column.place for column in self.columns) + 1
        known = [(column.place, column.field) for column in self.columns if column.field]
        others = [(column.place, column.name) for column in self.columns if not column.field]
        filled: Counter[str] = Counter()
        rows, beyond, skip = 0, 0, self._above + 1
        notes: list[str] = []
        for row in self._rows():
            if isinstance(row, dict):
                notes += self._notes_of_sheet(row)
                continue
            if skip:  # titles, and the header itself
                skip -= 1
                continue
            cells = row[1]
            texts = {name: cells[place] for place, name in known if place < len(cells)}
            more = {name: cells[place] for place, name in others if place < len(cells) and cells[place]}
            for place in range(width, len(cells)):
                if cells[place]:
                    more[f"Column {place + 1}"] = cells[place]
                    beyond += 1
            if not (more or any(texts.values())):
                continue
            rows += 1
            filled.update(name for name, text in texts.items() if text)
            yield Work(**texts, more=more)
        blanks = [
            f"{rows - filled[name]:,} {'has' if rows - filled[name] == 1 else 'have'} no {columns.LABELS[name].lower()}"
            for _, name in known
            if name in ("number", "title", "author", "file") and filled[name] < rows
        ]
        if blanks:
            notes.append(f"Of {counted(rows, 'row')}, {', '.join(blanks)}.")
        if beyond:
            notes.append(f"{counted(beyond, 'cell')} beyond the header, kept as 'Column' and its number.")
        self.last_notes = notes

    def _notes_of_sheet(self, said: dict) -> list[str]:
        notes = []
        if said["formulas"]:
            notes.append(
                f"{counted(said['formulas'], 'formula')} without a stored value, read as blank: open the workbook "
                "in Excel or LibreOffice and save it."
            )
        if said["lost_days"]:
            notes.append(
                f"{counted(said['lost_days'], 'date')} before 1900, or the time 0:00, read as blank: an Excel file "
                "cannot hold such a day. Format the column as text and type it again, or save the list as CSV."
            )
        if said["filled"]:
            notes.append(f"{counted(said['filled'], 'cell')} in merged ranges filled with the value of the range.")
        numbers = [column for column in self.columns if column.field == "number" and column.place in said["fractions"]]
        if numbers:
            notes.append(
                f"Column {numbers[0].name!r} holds numbers, not text: what was typed as 1921.10 has become 1921.1. "
                "Format the column as text."
            )
        return notes


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[TextIO]:
    """A text file (UTF-8) that is there once the context has ended well, and else as it was before."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | os.PathLike, sheet: str | None = None, mapping: Mapping[str, str] | None = None) -> list[Work]:
    """The works of a register, in its order. Arguments and errors as of Register."""
    return list(Register(path, sheet, mapping))


def write(path: str | os.PathLike, works: Iterable[Work]) -> None:
    """Write a register that `read` gives back, in the Web Gallery of Art's columns where those suffice.

    UTF-8, `;`. The file is whole or not there.
    """
    works = list(works)
    used = [name for name in FIELDS if name not in GALLERY and any(getattr(work, name) for work in works)]
    others = list(dict.fromkeys(name for work in works for name in work.more))
    with whole_file(path) as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow([*(name.upper().replace("_", "-") for name in [*GALLERY, *used]), *others])
        writer.writerows(
            [*(getattr(work, name) for name in [*GALLERY, *used]), *(work.more.get(name, "") for name in others)]
            for work in works
        )

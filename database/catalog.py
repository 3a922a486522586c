"""Reads and writes a catalogue of works in the Web Gallery of Art's columns.

A catalogue is a CSV or Excel (.xlsx) file with one row a work. Columns are recognised by name, in any
order and case; unknown ones are ignored:

    AUTHOR;BORN-DIED;TITLE;DATE;TECHNIQUE;LOCATION;URL;FORM;TYPE;SCHOOL;TIMEFRAME;FILE

FILE, the picture's path relative to the dataset, is ours; the gallery's own catalogue has the page's URL only.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import openpyxl

from utils.errors import WrongUse

MAX_BYTES = 200_000_000  # of a catalogue file; the Web Gallery of Art's has some 10 MB
SEPARATORS = ";,\t"


@dataclass(frozen=True)
class Work:
    """One row of a catalogue; a cell that is not there is an empty string."""

    author: str = ""  # "AACHEN, Hans von"
    born_died: str = ""
    title: str = ""
    date: str = ""
    technique: str = ""
    location: str = ""
    url: str = ""  # of the page about the work
    form: str = ""  # painting, sculpture, ...
    type: str = ""  # portrait, landscape, ...
    school: str = ""
    timeframe: str = ""
    file: str = ""  # the picture, relative to the dataset


FIELDS = [field.name for field in fields(Work)]


def read(path: str | os.PathLike) -> list[Work]:
    """The works of a catalogue, in its order; cells are stripped, rows without content left out.

    path: a CSV file (`;`, `,` or tab; UTF-8, with or without byte order mark, or Latin-1) or an Excel .xlsx
    workbook, of which the first sheet is read. What it is shows in the content, not in the name.

    Raises WrongUse where the file cannot be read or is not a catalogue: AUTHOR, TITLE and one of URL and
    FILE are essential.
    """
    path = Path(path)
    data = _bytes(path)
    rows = _excel_rows(path, data) if data.startswith(b"PK\x03\x04") else _csv_rows(path, data)
    rows = (cells for cells in rows if any(cells))
    header = next(rows, None)
    if header is None:
        raise WrongUse(f"{path} is empty: a catalogue of works is wanted.")
    columns = _columns(path, header)
    works = (Work(**{name: cells[i] for name, i in columns.items() if i < len(cells)}) for cells in rows)
    return [work for work in works if work != Work()]


def write(path: str | os.PathLike, works: Iterable[Work]) -> None:
    """Write a catalogue that `read` gives back: UTF-8, `;`, every column. The file is whole or not there."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";", lineterminator="\n")
            writer.writerow(name.upper().replace("_", "-") for name in FIELDS)
            writer.writerows([getattr(work, name) for name in FIELDS] for work in works)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise WrongUse(f"{path} is too large for a catalogue: more than {MAX_BYTES // 1_000_000} MB.")
        return path.read_bytes()
    except OSError as problem:
        raise WrongUse(f"The catalogue {path} cannot be read: {problem.strerror or problem}.") from None


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Field name -> position of its column. Raises WrongUse for a header that is not a catalogue's."""
    # "Born/Died", "BORN-DIED" and "born died" all mean born_died.
    names = [re.sub(r"[^a-z]+", "_", cell.casefold()).strip("_") for cell in header]
    twice = [name for name in FIELDS if names.count(name) > 1]
    if twice:
        raise WrongUse(f"{path} has the column {twice[0].upper()} more than once: which one is meant?")
    missing = [name.upper() for name in ("author", "title") if name not in names]
    if "url" not in names and "file" not in names:
        missing.append("URL (or FILE)")
    if missing:
        found = ", ".join(cell[:30] for cell in header[:15])
        raise WrongUse(
            f"{path} is not a catalogue of works: no column {', '.join(missing)}; its first row is {found!r}."
        )
    return {name: names.index(name) for name in FIELDS if name in names}


def _text(path: Path, data: bytes) -> str:
    if b"\0" in data[:4096]:
        raise WrongUse(
            f"{path} is not a catalogue: it is neither text (CSV, in UTF-8 or Latin-1) nor an Excel .xlsx file."
        )
    # Programs that say Latin-1 mostly write Windows-1252, which differs only where Latin-1 has control characters.
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _csv_rows(path: Path, data: bytes) -> Iterator[list[str]]:
    text = _text(path, data).lstrip("\r\n")
    header = text[:2000].split("\n", 1)[0]
    separator = max(SEPARATORS, key=header.count)
    separators = header.count(separator)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in reader:
            # A quotation mark that is never closed swallows whole rows into one cell: works would be lost silently.
            if separators and any("\n" in cell and cell.count(separator) >= separators for cell in row):
                raise WrongUse(
                    f"{path} has a quotation mark that is not closed in the row that ends at line {reader.line_num}."
                )
            yield [cell.strip() for cell in row]
    except csv.Error as problem:
        raise WrongUse(
            f"{path} is not a catalogue: line {reader.line_num} is no row of a CSV file ({problem})."
        ) from None


def _excel_rows(path: Path, data: bytes) -> Iterator[list[str]]:
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some programs write a wrong size, which would cut rows off
        for row in sheet.iter_rows(values_only=True):
            yield [_cell(value) for value in row]
    except Exception as problem:  # a damaged workbook raises whatever zip, XML and openpyxl happen to raise
        raise WrongUse(
            f"{path} looks like an Excel file but cannot be read as one ({type(problem).__name__})."
        ) from None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # Excel keeps the year 1598 as 1598.0
    return str(value).strip()

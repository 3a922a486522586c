"""The table of answers that people take back into their own system: one row a photograph, as CSV or a workbook."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from utils import spreadsheet

SHEET = "Answers"
WORDS = {"found": "found", "maybe": "not sure", "not found": "not found"}  # what people read for a verdict


@dataclass(frozen=True)
class Described:
    """What a register says of a work."""

    number: str = ""  # of the inventory
    title: str = ""
    artist: str = ""


@dataclass(frozen=True)
class Row:
    """What is known of one photograph; the work is what a person says it is, or else what the engine found."""

    photograph: str
    number: str = ""  # of the inventory
    title: str = ""
    artist: str = ""
    image: str = ""  # file of the collection
    verdict: str = ""  # of the engine, in WORDS; empty: there is no answer
    probability: float | None = None  # that the engine's first candidate is right; None without a calibration
    review: str = ""  # what a person says of the answer; empty: nobody has looked
    reviewed_by: str = ""
    note: str = ""  # why there is no answer
    link: str = ""  # to the answer


COLUMNS = {
    "photograph": "photograph",
    "number": "inventory number",
    "title": "title",
    "artist": "artist",
    "image": "image",
    "verdict": "verdict",
    "probability": "probability",
    "review": "review",
    "reviewed_by": "reviewed by",
    "note": "note",
    "link": "link",
}


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of the CSV file, one at a time."""
    yield spreadsheet.MARK
    yield spreadsheet.line(COLUMNS.values())
    yield from (spreadsheet.line(_cells(row)) for row in rows)


def write_xlsx(file: Path | IO[bytes], rows: Iterable[Row]) -> None:
    """Write the Excel workbook."""
    spreadsheet.write_xlsx(file, SHEET, list(COLUMNS.values()), map(_cells, rows))


def _cells(row: Row) -> list[str | float]:
    cells = [getattr(row, field.name) for field in fields(row)]
    return ["" if cell is None else round(cell, 4) if isinstance(cell, float) else cell for cell in cells]

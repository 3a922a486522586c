"""Writes a register as CSV or an Excel workbook, whole or not at all; and an empty one that explains itself."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from database.catalog import FIELDS, Work, whole_file
from database.register.columns import LABELS, field_of
from database.register.text import guarded
from utils.errors import WrongUse

ROWS, CHARACTERS = 1_048_576, 32_767  # of an Excel sheet; of one of its cells
EXPLAINED = {
    "number": ("The object's number, unique in the list. Also found in the names of picture files.", "1921.2"),
    "author": ("Who made it; several with ; between them.", "Dürer, Albrecht"),
    "born_died": ("The artist's life dates.", "1471-1528"),
    "title": ("What the work is called.", "Young Hare"),
    "date": ("As you write it; years, centuries and 'c.' are understood.", "c. 1502"),
    "technique": ("Technique and material.", "Watercolour on paper"),
    "dimensions": ("Size.", "25 x 22.5 cm"),
    "location": ("Where it is.", "Albertina, Vienna"),
    "credit": ("How it came to you.", "Gift of the artist, 1921"),
    "rights": ("Who holds which rights.", "Public domain"),
    "url": ("Address of a page about the work.", "https://museum.example/1921.2"),
    "form": ("Kind of object.", "painting"),
    "type": ("Kind of subject.", "animal"),
    "school": ("School or country.", "German"),
    "timeframe": ("Period.", "1501-1550"),
    "file": ("The pictures, with | between; may be empty where names hold the number.", "hare.jpg | hare_back.jpg"),
}  # fmt: skip


def _check(path: Path) -> None:
    """Raise WrongUse for what cannot be written to."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise WrongUse(f"{path} cannot be written: there is no such folder, or it is one itself.")
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise WrongUse(f"{path} should end in .csv or .xlsx.")


def write(path: Path, rows: Callable[[], Iterable[Work]]) -> int:
    """Write a register as .csv or .xlsx, by the name of the file; how many rows. `rows` is called twice.

    Raises WrongUse for another name, and where an Excel sheet cannot hold it.
    """
    _check(path)
    fields, others = _used(rows())
    header = [*(LABELS[name] for name in fields), *(_own(name, fields) for name in others)]

    def cells(row: Work) -> list[str]:
        return [*(getattr(row, name) for name in fields), *(row.more.get(name, "") for name in others)]

    written = _write_csv if path.suffix.lower() == ".csv" else _write_xlsx
    return written(path, header, map(cells, rows()))


def template(path: Path) -> None:
    """Write an empty register with an explanation of each column. Raises WrongUse as `write` does."""
    _check(path)
    header = [LABELS[name] for name in EXPLAINED]
    if path.suffix.lower() == ".csv":
        _write_csv(path, header, [])
    else:
        explained = [["Column", "What it holds", "Example"]]
        explained += [[LABELS[name], *texts] for name, texts in EXPLAINED.items()]
        explained.append(["Any other", "Is kept and shown under its own name.", ""])
        _write_xlsx(path, header, [], {"Explanation": explained})


def _used(rows: Iterable[Work]) -> tuple[list[str], list[str]]:
    """The fields that some row has, in their order, and the other columns."""
    used = {"number", "title", "file"}
    others: dict[str, None] = {}  # a set that keeps its order
    for row in rows:
        used.update(name for name in FIELDS if name not in used and getattr(row, name))
        others |= dict.fromkeys(row.more)
    return [name for name in FIELDS if name in used], list(others)


def _own(name: str, fields: list[str]) -> str:
    """The name of a column that is no field of ours, so that reading does not take it for one."""
    found = field_of(name)
    return f"Other {name}" if found and (found[1] <= 1 or found[0] not in fields) else name


def _write_csv(path: Path, header: list[str], rows: Iterable[list[str]]) -> int:
    count = 0
    with whole_file(path) as file:
        file.write("\ufeff")  # without it Excel takes the file for Windows-1252
        writer = csv.writer(file, delimiter=";")
        writer.writerow(map(guarded, header))
        for count, cells in enumerate(rows, 1):  # noqa: B007
            writer.writerow(map(guarded, cells))
    return count


def _write_xlsx(path: Path, header: list[str], rows: Iterable[list[str]], others: dict[str, list] | None = None) -> int:
    import xlsxwriter  # only here: other commands need not wait for it

    part = path.with_name(path.name + ".part")
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    count = 0
    book = xlsxwriter.Workbook(str(part), options)
    try:
        bold = book.add_format({"bold": True, "text_wrap": True})
        sheet = book.add_worksheet("Register")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(header), 24, book.add_format({"num_format": "@"}))  # text, or 1921.10 becomes 1921.1
        _write_row(path, sheet, 0, header, bold)
        for count, cells in enumerate(rows, 1):
            _write_row(path, sheet, count, cells)
        for name, table in (others or {}).items():
            page = book.add_worksheet(name)
            page.set_column(0, 2, 40)
            for place, cells in enumerate(table):
                _write_row(path, page, place, cells, None if place else bold)
        book.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_row(path: Path, sheet, place: int, cells: list[str], style=None) -> None:
    if place >= ROWS:
        raise WrongUse(f"An Excel sheet has {ROWS:,} rows at most: write {path.with_suffix('.csv')} instead.")
    for column, text in enumerate(cells):
        if len(text) > CHARACTERS:
            raise WrongUse(
                f"A cell of row {place + 1:,} has {len(text):,} characters, and Excel's hold {CHARACTERS:,} at most: "
                f"write {path.with_suffix('.csv')} instead."
            )
        if text:
            sheet.write_string(place, column, text, style)

"""Tables as CSV and as Excel workbooks, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of what spreadsheets take for a formula
MARK = "\ufeff"  # begins a CSV file; without it Excel takes the file for Latin-1
CHARACTERS = 32_767  # of a cell of an Excel sheet
WIDTHS = (10, 60)  # characters of a column, least and most


def line(cells: Iterable) -> str:
    """A line of CSV; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO()
    csv.writer(text).writerow(_cell(cell) for cell in cells)
    return text.getvalue()


def _cell(cell: object) -> object:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def write_xlsx(
    file: Path | IO[bytes], sheet: str, header: Sequence[str], rows: Iterable[Sequence[str | float]]
) -> None:
    """Write an Excel workbook with one sheet. Text stays text, whatever it begins with; numbers are numbers."""
    import xlsxwriter  # only here: most of what imports this module writes no workbook

    table = list(rows)
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file if not isinstance(file, Path) else str(file), options) as book:
        page = book.add_worksheet(sheet)
        bold = book.add_format({"bold": True})
        page.freeze_panes(1, 0)
        for column, name in enumerate(header):
            longest = max((len(str(row[column])) for row in table), default=0)
            page.set_column(column, column, min(max(longest + 2, len(name) + 2, WIDTHS[0]), WIDTHS[1]))
            page.write_string(0, column, name, bold)
        for place, row in enumerate(table, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    if cell:
                        page.write_string(place, column, cell[:CHARACTERS])
                else:
                    page.write_number(place, column, cell)

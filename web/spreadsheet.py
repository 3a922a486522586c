"""Tables as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of what spreadsheets take for a formula


def line(cells: Iterable) -> str:
    """A line of CSV; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO()
    csv.writer(text).writerow(_cell(cell) for cell in cells)
    return text.getvalue()


def _cell(cell: object) -> object:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell

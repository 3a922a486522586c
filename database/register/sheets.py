"""Rows of an Excel or OpenDocument workbook, read by a process of its own.

The reader keeps a whole sheet in memory, and a damaged or hostile file can make it ask for any amount or end its
process; so it runs in one that may be killed. That one prints JSON, a line each: what there is, then the rows.
"""

import datetime
import json
import re
import resource
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from utils.errors import WrongUse

MEMORY = 6 << 30  # bytes of address space that reading a workbook may take
UNPACKED = 4 << 30  # bytes that a workbook may have without its compression
RATIO, SMALL = 300, 100 << 20  # so much smaller no compression makes a register, beyond the first so many bytes
CELLS = 200_000_000  # that the used part of a sheet may span, empty ones included
COLUMNS = 2000
STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # of .xlsx, .xlsb, .ods; of .xls
HEAD = 40  # rows that are looked at for the header
LOST_DAY = datetime.time()  # what the reader makes of a day before 1900, for which Excel has no number


def is_workbook(start: bytes) -> bool:
    """Whether a file begins as workbooks do."""
    return start.startswith(STARTS)


class Sheets:
    """A workbook: its `visible` and `hidden` sheets by name, `rows(sheet)` and what reading them has to tell.

    Raises WrongUse for what cannot be read as one.
    """

    def __init__(self, path: Path):
        self.path = path
        said: dict[str, list[str]] = next(self._ask(), {})
        self.visible: list[str] = said.get("visible", [])
        self.hidden: list[str] = said.get("hidden", [])

    def rows(self, sheet: str, most: int | None = None) -> Generator[tuple[int, list[str]] | dict, None, None]:
        """(number of the row, cells as text), rows without content left out; last, a dictionary with notes."""
        for said in self._ask(sheet, *([str(most)] if most else [])):
            yield (said[0], said[1]) if isinstance(said, list) else said

    def _ask(self, *arguments: str) -> Iterator:
        command = [sys.executable, "-m", "database.register.sheets", str(self.path), *arguments]
        root = Path(__file__).parents[2]
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=root)
            assert child.stdout is not None  # it is a pipe
            try:
                for line in child.stdout:
                    said = json.loads(line)
                    if isinstance(said, dict) and "problem" in said:
                        raise WrongUse(f"{self.path} {said['problem']}")
                    yield said
                if child.wait():
                    raise WrongUse(
                        f"{self.path} looks like an Excel or OpenDocument file but cannot be read as one: "
                        "it is damaged, or too large for the memory that reading may take. Save it as CSV instead."
                    )
            finally:
                child.stdout.close()
                if child.poll() is None:
                    child.kill()
                    child.wait()


# In the process of its own


class Refused(Exception):
    """What is wrong with the workbook; the end of a sentence that begins with its name."""


def _check_unpacked(path: Path) -> None:
    """Unpack everything once, to nowhere: what a compressed file says of its size need not be true."""
    if path.open("rb").read(4) != STARTS[0]:
        return
    total, size = 0, path.stat().st_size
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset)
            header = file.read(30)
            file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
            left, unpack = info.compress_size, zlib.decompressobj(-15)
            if info.compress_type == zipfile.ZIP_STORED:
                total += left
                continue
            while left > 0 and not unpack.eof:
                block = file.read(min(left, 1 << 16))
                left -= len(block) or left
                while block:
                    total += len(unpack.decompress(block, 1 << 22))
                    block = unpack.unconsumed_tail
                    if total > UNPACKED or total > max(SMALL, RATIO * size):
                        raise Refused(f"unpacks to more than {total >> 20} MB: that is no register.")


def _check_span(path: Path) -> None:
    """A cell in the last corner of a sheet makes the reader lay out all cells before it: look at the places first."""
    if path.open("rb").read(4) != STARTS[0]:
        return
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not re.fullmatch(r"xl/worksheets/[^/]+\.xml", info.filename):
                continue
            rows = columns = 1
            tail = b""
            with archive.open(info) as sheet:
                while block := sheet.read(1 << 20):
                    block = tail + block
                    for place in re.finditer(rb'<(?:\w+:)?c\s[^>]*?r="([A-Z]{1,3})(\d{1,7})"', block):
                        columns = max(columns, _number(place[1]))
                        rows = max(rows, int(place[2]))
                    tail = block[-200:]
            if columns > COLUMNS:
                raise Refused(f"has {columns:,} columns; a register has {COLUMNS:,} at most.")
            if rows * columns > CELLS:
                raise Refused(f"has a cell in row {rows:,}, column {columns:,}: far more than a register has.")


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _formulas_without_value(path: Path, index: int) -> int:
    """How many formulas of an .xlsx sheet have no stored value, as programs write them that do not compute."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"xl/worksheets/sheet{index + 1}.xml")
            if info.file_size > 200 << 20:
                return 0
            return len(re.findall(rb"</f>\s*(?:<v\s*/>|<v></v>)?\s*</c>", archive.read(info)))
    except (KeyError, zipfile.BadZipFile):
        return 0


def text_of(value: object) -> str:
    """A cell as people read it: whole numbers without a point, days without an hour.

    A day before 1900 comes as the hour 0:00 and is read as blank.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        whole = not (value.hour or value.minute or value.second)
        return value.date().isoformat() if whole else value.isoformat(" ", "minutes")
    if value == LOST_DAY:
        return ""
    return str(value).strip()


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=True) + "\n")


def _list(book) -> None:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    pages = [page for page in book.sheets_metadata if page.typ == SheetTypeEnum.WorkSheet]
    visible = [page.name for page in pages if page.visible == SheetVisibleEnum.Visible]
    _say({"visible": visible, "hidden": [page.name for page in pages if page.name not in visible]})


def _print_rows(path: Path, book, name: str, most: int | None) -> None:
    sheet = book.get_sheet_by_name(name)
    if sheet.width > COLUMNS:
        raise Refused(f"has {sheet.width:,} columns; a register has {COLUMNS:,} at most.")
    first, left = sheet.start or (0, 0)
    # Row -> [(first column, last column, the value's row and column)].
    merged: dict[int, list[tuple[int, int, tuple[int, int]]]] = {}
    for (top, from_, *_), (bottom, to, *_) in sheet.merged_cell_ranges or []:
        for row in range(top, min(bottom, top + 100_000) + 1):
            merged.setdefault(row, []).append((from_, to, (top, from_)))
    values: dict[tuple[int, int], str] = {}
    fractions: set[int] = set()
    filled, lost_days = 0, 0
    for number, row in enumerate(sheet.iter_rows(), first):
        if most and number - first >= most:
            return
        cells = [""] * left + [text_of(value) for value in row]
        lost_days += row.count(LOST_DAY)
        fractions.update(place for place, value in enumerate(row, left) if type(value) is float and value % 1)
        for from_, to, source in merged.get(number, ()):
            if source[0] == number:
                values[source] = cells[from_] if from_ < len(cells) else ""
            for place in range(from_, min(to + 1, len(cells))):
                if (number, place) != source and values.get(source):
                    cells[place] = values[source]
                    filled += 1
        if any(cells):
            _say([number + 1, cells])
    index = book.sheet_names.index(name)
    formulas = _formulas_without_value(path, index)
    _say({"fractions": sorted(fractions), "filled": filled, "formulas": formulas, "lost_days": lost_days})


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    path, arguments = Path(sys.argv[1]), sys.argv[2:]
    try:
        from python_calamine import CalamineWorkbook, PasswordError

        try:
            if not arguments:
                _check_unpacked(path)
                _check_span(path)
            with CalamineWorkbook.from_path(path) as book:
                if arguments:
                    _print_rows(path, book, arguments[0], int(arguments[1]) if arguments[1:] else None)
                else:
                    _list(book)
        except PasswordError:
            raise Refused("is protected by a password: save it without one.") from None
    except Refused as problem:
        _say({"problem": str(problem)})
    except BaseException as problem:  # a damaged workbook raises what it likes, panics of the reader among them
        kind = type(problem).__name__
        _say({"problem": f"looks like an Excel or OpenDocument file but cannot be read as one ({kind})."})


if __name__ == "__main__":
    main()

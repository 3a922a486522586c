"""Ground truth: which images of the collection each query of a folder shows.

A CSV file with the columns `query,relevant`:

    query,relevant
    0001.jpg,aachen/allegory.jpg
    0002.jpg,allegory.jpg pair.jpg
    0003.jpg,
    0004.jpg,pair.jpg "the kiss.jpg"

Several relevant images are separated by spaces; none means that the query shows nothing in the
collection. An image is given by the path relative to the dataset, or by the bare file name if that is
unique. A cell with a single name may contain spaces; among several names, one with spaces must be in
double quotes. (A cell that begins with a double quote is quoted as a whole, with each quote in it
doubled; spreadsheets do this automatically.) Where a register is loaded, an inventory number
names all images of its work, and a file the other images of its work, too.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from utils.errors import WrongUse
from utils.text import printable

COLUMNS = ["query", "relevant"]

# A name in double quotes, with inner quotes doubled; or anything without spaces.
_NAME = re.compile(r'"((?:[^"]|"")+)"(?!\S)|(\S+)')


def read(
    path: Path,
    queries: Collection[str],
    images: Mapping[int, str],
    works: Collection[tuple[str, frozenset[int]]] = (),
) -> dict[str, frozenset[int]]:
    """The ids of the relevant images of each query in the file; an empty set: not in the collection.

    path: the CSV file, UTF-8.
    queries: the file names in the folder of queries.
    images: of the collection, id -> path relative to the dataset.
    works: (inventory number or "", ids of its images) of each work of the register.

    Raises WrongUse, with file, line and name, for wrong columns, a query that is not in the folder or
    is listed twice, and a relevant image that is unknown or ambiguous.
    """
    names = _by_name(images)
    numbers = {number: ids for number, ids in works if number and number not in names}
    siblings = {image: ids for _, ids in works for image in ids}
    queries = set(queries)
    truth = {}
    for line, (query, cell) in _rows(path):
        if query not in queries:
            raise WrongUse(f"{path}, line {line}: {printable(query)!r} is not in the folder of queries.")
        if query in truth:
            raise WrongUse(
                f"{path}, line {line}: {printable(query)!r} is listed twice; put all relevant images on one line."
            )
        try:
            found = _ids(cell, names, numbers)
            truth[query] = frozenset().union(*(siblings.get(image, {image}) for image in found))
        except WrongUse as problem:
            raise WrongUse(f"{path}, line {line}: {problem}") from None
    return truth


def split(cell: str) -> list[str]:
    """The names in a cell, separated by spaces unless in double quotes."""
    return [quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(cell)]


def join(names: Collection[str]) -> str:
    """The inverse of `split`."""
    return " ".join(_quoted(name) if re.search(r'\s|^"', name) else name for name in names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, [query, relevant]) of each row; file names keep bytes that are not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if [cell.strip() for cell in header] != COLUMNS:
                columns = printable(",".join(header)[:100])
                raise WrongUse(f"{path}, line 1: the columns must be {','.join(COLUMNS)}, not {columns!r}.")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(COLUMNS):
                    raise WrongUse(
                        f"{path}, line {reader.line_num}: {len(row)} cells instead of 2 at {printable(row[0])!r}; "
                        "separate several relevant images by spaces."
                    )
                yield reader.line_num, row
    except FileNotFoundError:
        raise WrongUse(f"{path} does not exist: give a CSV file with the columns {','.join(COLUMNS)}.") from None
    except IsADirectoryError:
        raise WrongUse(f"{path} is a folder: give a CSV file with the columns {','.join(COLUMNS)}.") from None
    except csv.Error as problem:
        raise WrongUse(f"{path}, line {reader.line_num}: not readable as CSV ({problem}).") from None


def _by_name(images: Mapping[int, str]) -> dict[str, list[int]]:
    """Path -> [its id], and bare file name -> the ids of all images of that name."""
    names: dict[str, list[int]] = {}
    for image, path in images.items():
        names.setdefault(path.rpartition("/")[2], []).append(image)
    return names | {path: [image] for image, path in images.items()}


def _ids(cell: str, names: dict[str, list[int]], numbers: dict[str, frozenset[int]]) -> list[int]:
    whole = [name for name in (cell, cell.strip()) if name in names or name in numbers][:1]
    return [image for name in whole or split(cell) for image in numbers.get(name) or [_id(name, names)]]


def _id(name: str, names: dict[str, list[int]]) -> int:
    images = names.get(name, [])
    if not images:
        raise WrongUse(
            f"{printable(name)!r} is neither an image of the collection nor an inventory number of the register."
        )
    if len(images) > 1:
        raise WrongUse(f"{printable(name)!r} is the name of {len(images)} images; give the path in the dataset.")
    return images[0]

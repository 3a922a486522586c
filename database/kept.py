"""The register as it was loaded, and those before it: files beside the database, a row a line.

catalog.csv is the one that counts; registers/ has the last ones, each named by the time when another took its place.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from database import catalog
from database.register import text
from utils.errors import WrongUse

NAME = "catalog.csv"
FOLDER = "registers"
MAPPING = "columns.json"  # what --map said: plain name of a column -> field
OTHERS = "MORE"  # the column with all that has no field of ours, as JSON
MOST = 10  # earlier registers


def write(path: Path, works: Iterable[catalog.Work]) -> int:
    """Write rows so that `read` gives them back whole; how many. The file is whole or not there."""
    count = 0
    with catalog.whole_file(path) as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow([*(name.upper().replace("_", "-") for name in catalog.FIELDS), OTHERS])
        for count, work in enumerate(works, 1):  # noqa: B007
            more = json.dumps(work.more, ensure_ascii=False) if work.more else ""
            writer.writerow([*(getattr(work, name) for name in catalog.FIELDS), more])
    return count


def read(path: Path) -> Iterator[catalog.Work]:
    """The rows of a kept register, one by one. Raises WrongUse where it was spoilt."""
    assert text.LONGEST_CELL  # importing it lets cells be as long as they were read
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter=";")
            header = [name.lower().replace("-", "_") for name in next(rows, [])]
            fields = {name: place for place, name in enumerate(header) if name in catalog.FIELDS}
            if "title" not in fields:
                raise WrongUse(f"{path} is not a catalogue any more: load it again.")
            more = header.index(OTHERS.lower()) if OTHERS.lower() in header else None
            for row in rows:
                others = json.loads(row[more]) if more is not None and row[more] else {}
                yield catalog.Work(**{name: row[place] for name, place in fields.items()}, more=others)
    except (OSError, ValueError, IndexError, csv.Error) as problem:
        raise WrongUse(f"{path} cannot be read as a catalogue any more ({problem}): load it again.") from None


def take(folder: Path, part: Path) -> None:
    """Make a written register the one that counts; the one before goes to the earlier ones, of which the last stay."""
    now = folder / NAME
    if now.exists():
        earlier = folder / FOLDER
        earlier.mkdir(exist_ok=True)
        moment = datetime.now(timezone.utc)
        while (target := earlier / f"{moment:%Y-%m-%d %H-%M-%S.%f}.csv").exists():
            moment = datetime.now(timezone.utc)
        target.hardlink_to(now)  # the register that counts is there at every moment
    part.replace(now)
    for old in list_earlier(folder)[MOST:]:
        old.unlink(missing_ok=True)


def list_earlier(folder: Path) -> list[Path]:
    """The earlier registers, the last one first."""
    return sorted((folder / FOLDER).glob("*.csv"), reverse=True)


def count_rows(path: Path) -> int:
    """How many works a kept register names."""
    return sum(1 for _ in read(path))


def when(path: Path) -> str:
    """When an earlier register was replaced, in UTC, from its name."""
    return re.sub(r"^(\S+) (\d\d)-(\d\d)-.*", r"\1 \2:\3 UTC", path.name)


def read_mapping(folder: Path) -> dict[str, str]:
    """The columns that were mapped by hand before: plain name -> field."""
    try:
        said = json.loads((folder / MAPPING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: field for name, field in said.items() if field in catalog.FIELDS} if isinstance(said, dict) else {}


def write_mapping(folder: Path, mapping: dict[str, str]) -> None:
    """Remember the columns that were mapped by hand."""
    with catalog.whole_file(folder / MAPPING) as file:
        json.dump(mapping, file, ensure_ascii=False, indent=1)

"""The image lists on disk, and the walk through a dataset that finds candidates for them.

A path in a list is relative to the dataset. Names that are not UTF-8 are represented as os.fsdecode does.
"""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from utils import files
from utils.errors import WrongUse

HORIZONTAL = "horizontal.txt"
VERTICAL = "vertical.txt"
SKIPPED = "skipped.csv"
LISTING = "create_list.py"  # the step that writes the lists


@dataclass(frozen=True)
class Lists:
    """The images of a dataset: paths relative to it, sorted by their bytes. Square ones are horizontal."""

    horizontal: list[str]
    vertical: list[str]


def walk(dataset: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """All files of a folder and its sub-folders: (paths, problems), both sorted by the bytes of the path.

    paths: relative to `dataset`, of everything but folders; hidden files and folders (leading dot) are ignored.
    problems: (path, reason) of what cannot be listed. Links to folders are followed, but a folder is walked only once,
    under the real name rather than a link's: so cycles end, and no picture is listed twice.
    """
    paths: list[str] = []
    problems: list[tuple[str, str]] = []
    seen: dict[tuple[int, int], str] = {}  # (device, inode) -> the name it was walked under
    folders = [""]
    links: list[str] = []  # to folders; walked after all real folders
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            status = (dataset / folder).stat()
            first = seen.setdefault((status.st_dev, status.st_ino), folder)
            if first != folder:
                problems.append((folder, f"the same folder as {first or 'the dataset'}, which is listed once"))
                continue
            with os.scandir(dataset / folder) as scanned:
                entries = sorted(scanned, key=lambda entry: os.fsencode(entry.name), reverse=True)
        except OSError as problem:
            problems.append((folder or ".", f"folder cannot be read ({problem.strerror})"))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(path)
            elif "\n" in path or "\r" in path:
                problems.append((path, "a line break in its name or folder, and lists have one path a line; rename it"))
            else:
                paths.append(path)
    return sorted(paths, key=os.fsencode), sorted(problems, key=lambda problem: os.fsencode(problem[0]))


def read(lists: Path) -> Lists:
    """The lists that create_list.py wrote to the folder `lists`.

    Raises WrongUse if they are missing, or contain a path that leaves the dataset.
    """
    return Lists(_read(lists / HORIZONTAL), _read(lists / VERTICAL))


def write(lists: Path, images: Lists, skipped: list[tuple[str, str]]) -> None:
    """Write the three files to the folder `lists`, which is created if it is missing.

    skipped: (file, reason). Each file is replaced atomically, so a reader sees the old or the new one. Files skipped by
    later steps stay in skipped.csv as long as they are listed.
    """
    write_skipped(lists, skipped, LISTING, {*images.horizontal, *images.vertical})
    for name, paths in ((HORIZONTAL, images.horizontal), (VERTICAL, images.vertical)):
        _write(lists / name, "".join(f"{path}\n" for path in sorted(paths, key=os.fsencode)))


def write_skipped(
    lists: Path, skipped: Iterable[tuple[str, str]], step: str = LISTING, listed: set[str] | None = None
) -> None:
    """Write only skipped.csv, with the columns file, reason and step, replacing the rows of `step`.

    skipped: (file, reason). listed: the files whose rows of other steps are kept; None: all.
    """
    try:
        lists.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise WrongUse(f"{lists} is not a folder: choose another one with --lists.") from None
    others = [row for row in read_skipped(lists) if row[2] != step and (listed is None or row[0] in listed)]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "reason", "step"])
    every = others + [(path, reason, step) for path, reason in skipped]
    every.sort(key=lambda row: (os.fsencode(row[0]), row[2]))
    rows.writerows(every)
    _write(lists / SKIPPED, text.getvalue())


def read_skipped(lists: Path) -> list[tuple[str, str, str]]:
    """The rows of skipped.csv, (file, reason, step); none if it is missing or damaged."""
    try:
        with (lists / SKIPPED).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [(row["file"], row["reason"], row.get("step") or LISTING) for row in csv.DictReader(file)]
    except (OSError, KeyError, csv.Error):
        return []  # each step rewrites its own rows


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a broken link: reading the file will report it
        return False


def _read(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        raise WrongUse(f"No lists in {path.parent}: run create_list.py first.") from None
    paths = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")  # of editors with other line ends; no listed name ends like this
        if not line:
            continue
        if PurePath(line).is_absolute() or ".." in PurePath(line).parts or "\0" in line:
            raise WrongUse(
                f"{path}, line {number}: {line!r} is not a path inside the dataset; run create_list.py again."
            )
        paths.append(line)
    return paths


def _write(path: Path, text: str) -> None:
    files.write(path, text.encode("utf-8", "surrogateescape"))

"""What a batch is made of: picture files, and ZIPs of them.

Nothing of a ZIP is ever written under a name that it gives. The ZIP is kept under a random name until its last
photograph has been read, one photograph at a time, and no further than a photograph may be large.
"""

import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import abort, current_app
from werkzeug.datastructures import FileStorage

from database.tables import Batch, BatchPhotograph, User, db, random_id
from utils import files
from utils.images import ImageProblem
from utils.text import counted
from web.intake import kept
from web.uploads import NAME, uploads

RATIO = 200  # of the bytes of a file to those it takes in the ZIP; no photograph can be compressed like that
SMALL = 1 << 20  # bytes; below, a file may be compressed as much as it likes
DIRECTORY = 16 << 20  # bytes of a ZIP's list of files, at most: it is read into memory
PASSED_OVER = re.compile(r"(^|/)(\.(?!\.?/)|__MACOSX(/|$)|Thumbs\.db$|desktop\.ini$)|/$", re.IGNORECASE)
MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


class _Bounded(io.FileIO):
    """A file of which not much is read at once, whatever a ZIP says of its own list."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > DIRECTORY:
            raise zipfile.BadZipFile("the list of files is too long")
        return super().read(size)


def add(batch: Batch, user: User, file: FileStorage, name: str | None = None) -> list[BatchPhotograph]:
    """Add a picture file, or all photographs of a ZIP, to a batch. Commits; files to be passed over make none.

    name: the file's with its folders, where it is known. A picture that cannot be used becomes a photograph that has
    failed and says why; aborts with 400 or 413 where a ZIP cannot be read, or where the batch has no room.
    """
    shown = display_path(name or file.filename)
    if PASSED_OVER.search((name or file.filename or "").replace("\\", "/")):
        return []
    if file.stream.read(4) in MAGIC:
        file.stream.seek(0)
        return _add_zip(batch, file, shown)
    file.stream.seek(0)
    _check_room(batch, 1, shown)
    return [_add_picture(batch, user, file, shown)]


def _add_picture(batch: Batch, user: User, file: FileStorage, name: str) -> BatchPhotograph:
    made = BatchPhotograph(batch_id=batch.id, name=name)
    megabytes = current_app.extensions["settings"].upload_megabytes
    content = file.read((megabytes << 20) + 1)
    try:
        if len(content) > megabytes << 20:
            raise ImageProblem(f"it is larger than {megabytes} MB")
        with kept(user.id, content, "batch", name) as photograph:
            made.photograph_id = photograph.id
            db.session.add(made)
            db.session.commit()
    except ImageProblem as problem:
        made.state, made.problem = "failed", sentence(problem)
        db.session.add(made)
        db.session.commit()
    return made


def _add_zip(batch: Batch, file: FileStorage, name: str) -> list[BatchPhotograph]:
    archive = random_id()
    path = uploads().archive(archive)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.temporary(path) as part:
            with part.open("wb") as copy:
                shutil.copyfileobj(file.stream, copy, 1 << 20)
            part.rename(path)
        made = _listed(batch, archive, name)
        _check_room(batch, len(made), name)
        db.session.add_all(made)
        db.session.commit()
    except BaseException:
        db.session.rollback()
        path.unlink(missing_ok=True)
        raise
    return made


def _listed(batch: Batch, archive: str, name: str) -> list[BatchPhotograph]:
    """The photographs of a ZIP, as its list says. Aborts with 400 or 413."""
    return [
        BatchPhotograph(
            batch_id=batch.id,
            name=member.name,
            archive=archive,
            member=member.place,
            state="failed" if member.problem else "waiting",
            problem=sentence(member.problem) if member.problem else "",
        )
        for member in members(uploads().archive(archive), name)
    ]


@dataclass(frozen=True)
class Member:
    """A file of a ZIP."""

    place: int  # in its list
    name: str  # with its folders, safe to display
    problem: str  # why it is not looked at, the end of a sentence; empty if it is


def members(path: Path, name: str) -> list[Member]:
    """The files of a ZIP that are not to be passed over, as its list says. Aborts with 400 or 413.

    name: of the ZIP, for people.
    """
    settings = current_app.extensions["settings"]
    if path.stat().st_size > settings.batch_megabytes << 20:
        abort(413, f"{name} is too large: a ZIP may have {settings.batch_megabytes:,} MB here.")
    try:
        with _opened(path) as opened:
            listed = list(enumerate(opened.infolist()))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        abort(400, f"{name} is a ZIP that cannot be read: it is damaged, or its end is missing.")
    listed = [(place, info) for place, info in listed if not PASSED_OVER.search(info.filename.replace("\\", "/"))]
    if sum(info.file_size for _, info in listed) > max(SMALL, RATIO * path.stat().st_size):
        abort(400, f"{name} would be more than {RATIO} times as large when unpacked, so it holds no photographs.")
    if not listed:
        abort(400, f"There is no file in {name}.")
    limit = settings.upload_megabytes
    return [Member(place, display_path(info.filename), _problem(info, limit)) for place, info in listed]


def _problem(info: zipfile.ZipInfo, megabytes: int) -> str:
    """Why a file of a ZIP is not looked at; empty if it is."""
    parts = info.filename.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or re.match("[A-Za-z]:", parts[0]):
        return "its name leads out of the ZIP"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link to another file"
    if info.flag_bits & 1:
        return "it is protected by a password"
    if info.file_size > megabytes << 20:
        return f"it is larger than {megabytes} MB"
    if info.file_size > SMALL and info.file_size > RATIO * info.compress_size:
        return f"it is compressed more than {RATIO} times, which no photograph can be"
    return ""


def read_member(photograph: BatchPhotograph) -> bytes:
    """The bytes of a photograph that lies in a ZIP. Raises ImageProblem."""
    return read(uploads().archive(photograph.archive), photograph.member)


def read(path: Path, place: int) -> bytes:
    """The bytes of a file of a ZIP, by its place in the list. Raises ImageProblem."""
    limit = current_app.extensions["settings"].upload_megabytes << 20
    try:
        with _opened(path) as opened, opened.open(opened.infolist()[place]) as member:
            content = member.read(limit + 1)  # however much its list says that there is
    except FileNotFoundError:
        raise ImageProblem("the ZIP it was in has been deleted") from None
    except NotImplementedError:
        raise ImageProblem("it is compressed in a way that is not known here") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, IndexError):
        raise ImageProblem("its part of the ZIP is damaged") from None
    if len(content) > limit:
        raise ImageProblem(f"it is larger than {limit >> 20} MB")
    return content


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Bounded(path) as file, zipfile.ZipFile(file) as opened:
        yield opened


def delete_read_archives(batch: Batch) -> None:
    """Delete the ZIPs of a batch whose photographs have all been read."""
    here = BatchPhotograph.batch_id == batch.id
    archives = db.session.scalars(db.select(BatchPhotograph.archive).where(here).distinct()).all()
    unread = here & (BatchPhotograph.state == "waiting") & BatchPhotograph.photograph_id.is_(None)
    needed = set(db.session.scalars(db.select(BatchPhotograph.archive).where(unread).distinct()))
    for archive in archives:
        if archive and archive not in needed:
            uploads().archive(archive).unlink(missing_ok=True)


def _check_room(batch: Batch, more: int, name: str) -> None:
    most = current_app.extensions["settings"].batch_photographs
    here = db.select(db.func.count(BatchPhotograph.id)).where(BatchPhotograph.batch_id == batch.id)
    room = most - (db.session.scalar(here) or 0)
    if more > room:
        has = f"{name} has {counted(more, 'file')}, and there" if more > 1 else "There"
        abort(400, f"{has} is room for {room:,} more: a batch holds {most:,} photographs. Please make another batch.")


def display_path(name: str | None) -> str:
    """A file's name with its folders, safe to display: printable, without a way up, the last NAME characters."""
    parts = [part for part in (name or "").replace("\\", "/").split("/") if part not in ("", ".", "..")]
    shown = "".join(letter for letter in "/".join(parts) if letter.isprintable())
    return shown[-NAME:] or "a file without a name"


def sentence(problem: object) -> str:
    """A reason as a sentence."""
    text = str(problem)
    return f"{text[:1].upper()}{text[1:]}."

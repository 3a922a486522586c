"""Atomic writing of files: first under a temporary name in the same folder, then moved into place."""

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from utils.errors import WrongUse

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a write says where there is no room for it
SPARE = 1 << 20  # bytes; a disk with less than this is full
PART = ".part"  # suffix of temporary names, by which leftovers of a killed process can be recognised


def write(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file atomically; see `whole`."""
    with whole(path, mode) as part:
        part.write_bytes(content)


@contextmanager
def whole(path: Path, mode: int | None = None, ending: str = PART) -> Iterator[Path]:
    """A temporary file to write, which replaces `path` when the block ends without an exception.

    Until then, and also if the block fails or the process is killed, readers see the old file, or none.
    mode: permissions such as 0o600; None keeps those of the old file, or applies the umask to a new one.
    ending: suffix of the temporary name, for libraries that insist on one. Raises OSError; then the old file stays.
    """
    with temporary(path, mode, ending) as part:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # otherwise a power failure may leave an empty file under the new name
        if mode is None and path.exists():
            shutil.copymode(path, part)
        part.replace(path)


@contextmanager
def temporary(path: Path, mode: int | None = None, ending: str = PART) -> Iterator[Path]:
    """A new, empty file beside `path`, under a unique name; removed at the end."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{ending}")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _permissions(path) if mode is None else mode))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _permissions(path: Path) -> int:
    """At most those of the old file, so that the temporary file is not readable by more people."""
    try:
        return path.stat().st_mode & 0o777 | 0o200
    except OSError:
        return 0o666


def exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders at once; False where the system or the file system cannot, and nothing is done."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    here, exchanging = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchanging) == 0


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room left."""
    return shutil.disk_usage(folder).free < SPARE


def hold(file: IO | int, refusal: str) -> None:
    """Lock an open file, or a folder's descriptor, for this process alone until it is closed.

    Raises WrongUse with the sentence `refusal` if another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WrongUse(refusal) from None

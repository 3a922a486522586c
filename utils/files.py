"""Files that are written whole or not at all: first under a temporary name beside them, then moved into place."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"  # how temporary names end; what a killed process leaves behind can be told by it


def write(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file whole or not at all; see `whole`."""
    with whole(path, mode) as part:
        part.write_bytes(content)


@contextmanager
def whole(path: Path, mode: int | None = None, ending: str = PART) -> Iterator[Path]:
    """The temporary file to write, which takes the place of `path` once the block ends without an exception.

    Until then, and for good where the block fails or the process is killed, readers see the old file, or none.
    mode: permissions such as 0o600; None keeps those of the old file, or leaves a new one to the process's umask.
    ending: of the temporary name, for libraries that insist on one. Raises OSError, and then the old file stays.
    """
    with temporary(path, mode, ending) as part:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # otherwise a power cut may leave the new name on an empty file
        if mode is None and path.exists():
            shutil.copymode(path, part)
        part.replace(path)


@contextmanager
def temporary(path: Path, mode: int | None = None, ending: str = PART) -> Iterator[Path]:
    """A new, empty file beside `path`, under a name that no other thread or process takes; removed at the end."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{ending}")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _permissions(path) if mode is None else mode))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _permissions(path: Path) -> int:
    """No more than those of the old file, so that nobody reads in the temporary one what they may not read there."""
    try:
        return path.stat().st_mode & 0o777 | 0o200
    except OSError:
        return 0o666

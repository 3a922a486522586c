"""The collection store: what is known about every image, in one crash-safe LMDB file.

Tables (keys and numbers big-endian, arrays little-endian):
  images       id -> JSON: path, size in bytes, mtime in ns, checksum
  ids          digest of a path -> id
  vectors      id -> (vectors, channels) float16, only until the whitening is fitted
  descriptors  id -> (dimensions,) float16
  features     id -> local features, packed (see models/collection/features.py)
  skipped      digest of a path -> JSON: stamp of the file, reason
  meta         name -> JSON, or the bytes of a .npy file

An id never changes and is never reused. Every write is a transaction: it happens completely or not at all.
"""

import copy
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb
import numpy as np

from models.collection.features import Features, pack_features, unpack_features
from utils import files
from utils.errors import Failed, WrongUse

FILE = "collection.lmdb"
TABLES = ("images", "ids", "vectors", "descriptors", "features", "skipped", "meta")
SPARE = 1 << 20  # bytes; a disk with less than this is full
READERS = 512  # transactions that may read at the same time, of all processes together
# LMDB lets a process open a file only once: file -> the store that has it open.
_open_for_reading: WeakValueDictionary[tuple[int, int], "Store"] = WeakValueDictionary()
_opening = threading.RLock()
READ_ALL = """
import lmdb, sys
environment = lmdb.open(sys.argv[1], subdir=False, readonly=True, lock=False, max_dbs=16)
with environment.begin() as read:
    for name in list(read.cursor().iternext(values=False)):
        for row in read.cursor(environment.open_db(name, read, create=False)):
            pass
"""


@dataclass(frozen=True)
class Stamp:
    """The data that show whether a file has changed."""

    path: str  # relative to the dataset, as os.fsdecode gives it
    size: int  # bytes
    mtime: int  # nanoseconds
    checksum: str = ""  # BLAKE2b of the content, hexadecimal

    @classmethod
    def of(cls, dataset: Path, path: str) -> "Stamp":
        """The stamp of a file, without a checksum. Raises OSError."""
        status = (dataset / path).stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def same_time(self, other: "Stamp") -> bool:
        """Whether size and time are equal: then the content is assumed to be equal too."""
        return (self.size, self.mtime) == (other.size, other.mtime)


def checksum(content: bytes | Iterable[bytes]) -> str:
    """A checksum of content, given whole or in parts."""
    parts = [content] if isinstance(content, bytes) else content
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


class Store:
    """A collection store, opened for reading, or for writing by one process at a time."""

    def __init__(self, environment: lmdb.Environment, path: Path):
        self.environment, self.path = environment, path
        self.tables = {name: environment.open_db(name.encode(), create=False) for name in TABLES}
        self.file, self.lock_file = _identity(path), _identity(_lock_file(path))
        self.transaction: lmdb.Transaction[bytes] | None = None  # of a snapshot

    @classmethod
    @contextmanager
    def writing(cls, output: Path, gigabytes: int) -> Iterator["Store"]:
        """The store in the folder `output`, made if missing, for the only writer.

        gigabytes: the size it may grow to. Raises WrongUse while another process writes, Failed where the disk or the
        limit is full; what was committed before stays.
        """
        output.mkdir(parents=True, exist_ok=True)
        if _is_full(output):
            raise Failed(
                f"The disk of {output} is full: free some space and repeat the command; it continues from here."
            )
        with (output / "collection.lock").open("a") as lock:
            files.hold(lock, f"{output / FILE} is being written by another process: wait until it has finished.")
            if not (output / FILE).exists():
                # Whoever holds the lock file of a store that was deleted would share its readers and its count of
                # transactions with the new store.
                _lock_file(output / FILE).unlink(missing_ok=True)
            with _errors_in_words(output / FILE):
                environment = _opened(output / FILE, map_size=gigabytes << 30)
                try:
                    _check_whole(environment, output / FILE)
                    for name in TABLES:
                        environment.open_db(name.encode())
                    yield cls(environment, output / FILE)
                    _lengthen(environment, output / FILE)
                finally:
                    environment.close()

    @classmethod
    def reading(cls, output: Path) -> "Store":
        """The store in the folder `output`; while it is open, every call returns the same object.

        Raises WrongUse if there is none.
        """
        path = output / FILE
        with _opening:
            file = _identity(path)
            if file is None or not path.is_file() or not path.stat().st_size:
                raise WrongUse(f"There is no collection in {output}: run train.py first.")
            store = _open_for_reading.get(file) or cls._open(path)
            if store.file != file:  # replaced in this very moment: which of the two was opened?
                store.close()
                return cls.reading(output)
            _open_for_reading[file] = store
            return store

    @classmethod
    def _open(cls, path: Path) -> "Store":
        with _errors_in_words(path):
            # As much address space as the writer may fill: the store grows while it is read.
            environment = _opened(path, readonly=True, map_size=0)
            try:
                _check_whole(environment, path)
                return cls(environment, path)
            except BaseException:
                environment.close()  # or this process could not open it again
                raise

    def reread(self) -> "Store":
        """The store that is at this path now: this one, or a newly opened one if the file was replaced.

        A store whose file was replaced can still be read. Raises WrongUse as `reading` does.
        """
        if self.is_in_place():
            return self
        with _opening:
            if self.path.exists() and _identity(_lock_file(self.path)) == self.lock_file:
                self._leave_lock()
            return Store.reading(self.path.parent)

    def _leave_lock(self) -> None:
        """Remove this store's lock file after another store was moved to the path, which needs its own."""
        with (self.path.parent / "collection.lock").open("a") as lock:
            files.hold(lock, f"{self.path} is being written by another process: wait until it has finished.")
            _lock_file(self.path).unlink(missing_ok=True)

    def is_in_place(self) -> bool:
        """Whether the file at the store's path is still the one that was opened. Takes microseconds."""
        return _identity(self.path) == self.file

    def close(self) -> None:
        """Close the store for everybody who shares it; without this, it closes when the last reference goes."""
        if self.file:
            _open_for_reading.pop(self.file, None)
        self.environment.close()

    def version(self) -> int:
        """A number that grows with every write. Takes microseconds."""
        with self._read() as read:
            return read.id()

    @contextmanager
    def snapshot(self) -> Iterator["Store"]:
        """The store as it is now, unaffected by writes: for reading, by this thread, and briefly.

        The file cannot reuse the space of what a snapshot can still read until the snapshot ends.
        """
        with self.environment.begin() as read:
            frozen = copy.copy(self)
            frozen.transaction = read
            yield frozen

    # Meta

    def get_meta(self, name: str) -> Any:  # as json.loads: what was stored under the name says which type
        """A JSON value, or None."""
        raw = self._get("meta", name.encode())
        return None if raw is None else json.loads(raw)

    def set_meta(self, **values: object) -> None:
        """JSON values by name, all in one transaction."""
        with self._write() as write:
            self._put_meta(write, values)

    def get_arrays(self, *names: str) -> list[np.ndarray] | None:
        """Arrays kept under these names, or None if one is missing."""
        raw = [array for name in names if (array := self._get("meta", name.encode())) is not None]
        return [np.load(io.BytesIO(array), allow_pickle=False) for array in raw] if len(raw) == len(names) else None

    # Images

    def count(self, table: str) -> int:
        """The number of rows of a table."""
        with self._read() as read:
            return read.stat(self.tables[table])["entries"]

    def images(self) -> dict[int, Stamp]:
        """Every image by its id, in the order of the ids."""
        with self._read() as read:
            return {_number(key): Stamp(**json.loads(value)) for key, value in read.cursor(self.tables["images"])}

    def skipped(self) -> dict[str, tuple[Stamp, str]]:
        """Files that could not be read: path -> (stamp, reason)."""
        with self._read() as read:
            rows = [json.loads(value) for _, value in read.cursor(self.tables["skipped"])]
        return {row["stamp"]["path"]: (Stamp(**row["stamp"]), row["reason"]) for row in rows}

    def put_images(
        self, table: str, described: Iterable[tuple[Stamp, np.ndarray]], skipped: Iterable[tuple[Stamp, str]] = ()
    ) -> None:
        """Add or replace images with their class vectors (table "vectors") or their descriptors ("descriptors").

        A replaced image keeps its id and loses its local features; a skipped file that was an image is deleted.
        One transaction.
        """
        with self._write() as write:
            for stamp, reason in skipped:
                self._forget(write, stamp.path)
                row = json.dumps({"stamp": asdict(stamp), "reason": reason})
                write.put(_digest(stamp.path), row.encode(), db=self.tables["skipped"])
            for stamp, array in described:
                key = write.get(_digest(stamp.path), db=self.tables["ids"]) or self._next_id(write)
                write.put(_digest(stamp.path), key, db=self.tables["ids"])
                write.put(key, json.dumps(asdict(stamp)).encode(), db=self.tables["images"])
                write.put(key, array.astype("<f2").tobytes(), db=self.tables[table])
                write.delete(key, db=self.tables["features"])
                write.delete(_digest(stamp.path), db=self.tables["skipped"])

    def touch(self, stamps: Iterable[Stamp]) -> None:
        """Store new times of images whose content has not changed. Raises KeyError for an image that is not there."""
        with self._write() as write:
            for stamp in stamps:
                key = write.get(_digest(stamp.path), db=self.tables["ids"])
                if key is None:
                    raise KeyError(stamp.path)
                write.put(key, json.dumps(asdict(stamp)).encode(), db=self.tables["images"])

    def delete(self, paths: Iterable[str]) -> None:
        """Delete images and records of skipped files; unknown paths are ignored. One transaction."""
        with self._write() as write:
            for path in paths:
                self._forget(write, path)
                write.delete(_digest(path), db=self.tables["skipped"])

    def _forget(self, write: "lmdb.Transaction[bytes]", path: str) -> None:
        key = write.pop(_digest(path), db=self.tables["ids"])
        if key:
            for table in ("images", "vectors", "descriptors", "features"):
                write.delete(key, db=self.tables[table])

    def _next_id(self, write: "lmdb.Transaction[bytes]") -> bytes:
        last = json.loads(write.get(b"last_id", db=self.tables["meta"]) or b"0") + 1
        self._put_meta(write, {"last_id": last})
        return _key(last)

    # Vectors and descriptors

    def vectors(self, channels: int) -> Iterator[tuple[int, np.ndarray]]:
        """(id, (vectors, channels) float16) of every image whose class vectors are not whitened yet."""
        with self._read() as read:
            for key, value in read.cursor(self.tables["vectors"]):
                yield _number(key), np.frombuffer(value, "<f2").reshape(-1, channels)

    def whiten(self, arrays: dict[str, np.ndarray], descriptors: Iterable[tuple[int, np.ndarray]]) -> None:
        """Store the whitening's arrays, and replace all class vectors by descriptors: one transaction."""
        with self._write() as write:
            for name, array in arrays.items():
                file = io.BytesIO()
                np.save(file, array, allow_pickle=False)
                write.put(name.encode(), file.getvalue(), db=self.tables["meta"])
            for image, descriptor in descriptors:
                write.put(_key(image), descriptor.astype("<f2").tobytes(), db=self.tables["descriptors"])
            write.drop(self.tables["vectors"], delete=False)

    def descriptors(self) -> tuple[np.ndarray, np.ndarray]:
        """All ids, (images,) int64, and their descriptors, (images, dimensions) float16."""
        with self._read() as read:
            rows = [(_number(key), value) for key, value in read.cursor(self.tables["descriptors"])]
        if not rows:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float16)
        matrix = np.frombuffer(b"".join(value for _, value in rows), "<f2").reshape(len(rows), -1)
        return np.array([image for image, _ in rows], np.int64), matrix

    def descriptor(self, image: int) -> np.ndarray | None:
        """The descriptor of one image, (dimensions,) float16, or None."""
        raw = self._get("descriptors", _key(image))
        return None if raw is None else np.frombuffer(raw, "<f2")

    # Local features

    def without_features(self) -> list[int]:
        """The ids of images without local features."""
        with self._read() as read:
            have = set(read.cursor(self.tables["features"]).iternext(values=False))
            every = read.cursor(self.tables["images"]).iternext(values=False)
            return [_number(key) for key in every if key not in have]

    def with_features(self) -> list[int]:
        """The ids of images with local features, ascending."""
        with self._read() as read:
            return [_number(key) for key in read.cursor(self.tables["features"]).iternext(values=False)]

    def put_features(self, features: Iterable[tuple[int, Features]]) -> None:
        """Store local features in one transaction; images that no longer exist are ignored."""
        with self._write() as write:
            for image, of_image in features:
                if write.get(_key(image), db=self.tables["images"]):
                    write.put(_key(image), pack_features(of_image), db=self.tables["features"])

    def restart_features(self, **meta: object) -> None:
        """Delete all local features, and store the settings of the next ones: one transaction."""
        with self._write() as write:
            write.drop(self.tables["features"], delete=False)
            self._put_meta(write, meta)

    def features(self, images: Iterable[int]) -> list[Features | None]:
        """The local features of these ids, in the same order; None for images without.

        Raises Failed for damaged ones.
        """
        with self._read() as read:
            packed = [read.get(_key(image), db=self.tables["features"]) for image in images]
        try:
            return [None if raw is None else unpack_features(raw) for raw in packed]
        except ValueError as problem:
            raise Failed(f"{self.path} is damaged: {problem} Delete the file, and run train.py again.") from None

    # Transactions

    def _read(self) -> AbstractContextManager["lmdb.Transaction[bytes]"]:
        return nullcontext(self.transaction) if self.transaction else self.environment.begin()

    def _get(self, table: str, key: bytes) -> bytes | None:
        with self._read() as read:
            return read.get(key, db=self.tables[table])

    def _put_meta(self, write: "lmdb.Transaction[bytes]", values: Mapping[str, object]) -> None:
        for name, value in values.items():
            write.put(name.encode(), json.dumps(value).encode(), db=self.tables["meta"])

    @contextmanager
    def _write(self) -> Iterator["lmdb.Transaction[bytes]"]:
        with _errors_in_words(self.path), self.environment.begin(write=True) as write:
            yield write


@contextmanager
def _errors_in_words(path: Path) -> Iterator[None]:
    """Raise LMDB's errors as WrongUse or Failed, with a sentence."""
    try:
        yield
    except lmdb.MapFullError:
        raise Failed(f"{path} has reached its size limit: increase RETRIEVAL_STORE_GIGABYTES and run again.") from None
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError, lmdb.NotFoundError):
        raise WrongUse(f"{path} is not a collection of this project: delete it and run train.py again.") from None
    except lmdb.Error as problem:
        if _is_full(path.parent):
            raise Failed(
                f"The disk of {path} is full: free some space and repeat the command; it continues from here."
            ) from None
        raise Failed(
            f"{path} cannot be used ({problem}). Solve this and repeat the command; it continues from here."
        ) from None


def _opened(path: Path, map_size: int, readonly: bool = False) -> lmdb.Environment:
    environment = lmdb.open(
        os.fspath(path), map_size=map_size, subdir=False, readonly=readonly, max_dbs=len(TABLES), max_readers=READERS
    )
    environment.reader_check()  # release readers that were killed: they would keep old pages for ever
    return environment


def _lock_file(path: Path) -> Path:
    """The file in which LMDB tracks readers and writers."""
    return path.with_name(path.name + "-lock")


def _identity(path: Path) -> tuple[int, int] | None:
    """What distinguishes a file from another one at the same path; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < SPARE


def _length(environment: lmdb.Environment) -> int:
    """The bytes of all pages ever used. The file may be shorter, because trailing free pages need not exist."""
    return (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]


def _lengthen(environment: lmdb.Environment, path: Path) -> None:
    """Extend the file (sparsely) to the full length, so that a truncated copy can be recognised by its length."""
    if path.stat().st_size < _length(environment):
        os.truncate(path, _length(environment))


def _check_whole(environment: lmdb.Environment, path: Path) -> None:
    """Refuse a truncated file: reading beyond the end kills the process (SIGBUS).

    A killed writer may leave a file that is complete but short, so if it is short, another process tries to read it.
    """
    if path.stat().st_size < _length(environment):
        trial = subprocess.run([sys.executable, "-c", READ_ALL, path], stderr=subprocess.DEVNULL)
        if trial.returncode:
            raise WrongUse(f"{path} is truncated: restore a complete copy, or delete it and run train.py again.")


def _digest(path: str) -> bytes:
    """The key of a path: LMDB's keys are limited to 511 bytes, paths are not."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).digest()


def _key(image: int) -> bytes:
    return struct.pack(">Q", image)


def _number(key: bytes) -> int:
    return struct.unpack(">Q", key)[0]

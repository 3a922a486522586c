"""The collection store: what is known about every image, in one crash-safe LMDB file.

Tables (keys and numbers big-endian, arrays little-endian):
  images       id -> JSON: path, size in bytes, mtime in ns, checksum
  ids          digest of a path -> id
  vectors      id -> (vectors, channels) float16, only until the whitening is fitted
  descriptors  id -> (dimensions,) float16
  features     id -> local features, packed (see models/collection/features.py)
  skipped      digest of a path -> JSON: stamp of the file, reason
  meta         name -> JSON, or the bytes of a .npy file
  NAME.crc     for each table NAME: key -> CRC-32 of key and value; a store of an earlier version has none

An id never changes and is never reused. Every write is a transaction: it happens completely or not at all.
"""

import contextlib
import copy
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb
import numpy as np

from models.collection.features import Features, count_keypoints, pack_features, unpack_features
from utils import files
from utils.errors import Failed, WrongUse

FILE = "collection.lmdb"
TABLES = ("images", "ids", "vectors", "descriptors", "features", "skipped", "meta")
OF_IMAGES = ("images", "vectors", "descriptors", "features")  # whose keys are ids
READERS = 512  # transactions that may read at the same time, of all processes together
LOCK_BYTES = 32896  # of a lock file with room for so many
PATIENCE = 5.0  # seconds that a store waits for its readers before it opens its file again
# LMDB lets a process open a file only once: file -> the store that has it open.
_open_for_reading: WeakValueDictionary[tuple[int, int], "Store"] = WeakValueDictionary()
_opening = threading.RLock()
READ_ALL = """
import lmdb, sys
environment = lmdb.open(sys.argv[1], subdir=False, readonly=True, lock=False, max_dbs=32)
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
        self.path = path
        self.transaction: lmdb.Transaction[bytes] | None = None  # of a snapshot
        self._use = threading.Condition()
        self._reading = 0  # transactions of this object; guarded by _use
        self._take(environment)

    def _take(self, environment: lmdb.Environment) -> None:
        self.environment = environment
        self.tables = {name: environment.open_db(name.encode(), create=False) for name in TABLES}
        self.sums = {name: table for name in TABLES if (table := _sums(environment, name))}
        self.file, self.lock_file = _identity(self.path), _identity(_lock_file(self.path))

    @classmethod
    @contextmanager
    def writing(cls, output: Path, gigabytes: int) -> Iterator["Store"]:
        """The store in the folder `output`, made if missing, for the only writer.

        gigabytes: the size it may grow to. Raises WrongUse while another process writes, Failed where the disk or the
        limit is full; what was committed before stays.
        """
        output.mkdir(parents=True, exist_ok=True)
        if files.is_full(output):
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
                        environment.open_db(_sums_name(name))
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
            if store.lock_file != _identity(_lock_file(path)):
                store.reopen()
            _open_for_reading[file] = store
            return store

    @classmethod
    def _open(cls, path: Path) -> "Store":
        with _opened_for_reading(path) as environment:
            return cls(environment, path)

    def reopen(self) -> None:
        """Open the file again, where another lock file is beside it than the one this object opened.

        In that one nobody counts writes any more, as after another store was in this one's place for a while.
        Whoever holds this object goes on with it. Raises Failed while somebody reads all the time.
        """
        with self._use:
            if not self._use.wait_for(lambda: not self._reading, PATIENCE):
                raise Failed(f"{self.path} has been moved back while it is being read: it is opened again later.")
            self.close()
            with _opened_for_reading(self.path) as environment:
                self._take(environment)

    def reread(self) -> "Store":
        """The store that is at this path now: this one, or a newly opened one if the file was replaced.

        A store whose file was replaced can still be read. Raises WrongUse as `reading` does.
        """
        if self.is_in_place():
            return self
        with _opening:
            moved_in = self.path.exists() and _identity(self.path) != self.file
            if moved_in and _identity(_lock_file(self.path)) == self.lock_file:
                self._leave_lock()
            return Store.reading(self.path.parent)

    def _leave_lock(self) -> None:
        """Remove this store's lock file after another store was moved to the path, which needs its own."""
        with (self.path.parent / "collection.lock").open("a") as lock:
            files.hold(lock, f"{self.path} is being written by another process: wait until it has finished.")
            _lock_file(self.path).unlink(missing_ok=True)

    def is_in_place(self) -> bool:
        """Whether file and lock file at the store's path are still those that were opened. Takes microseconds."""
        return _identity(self.path) == self.file and _identity(_lock_file(self.path)) == self.lock_file

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
        with self._read() as read:
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
            return {_number(key): Stamp(**json.loads(value)) for key, value in self.rows(read, "images")}

    def skipped(self) -> dict[str, tuple[Stamp, str]]:
        """Files that could not be read: path -> (stamp, reason)."""
        with self._read() as read:
            rows = [json.loads(value) for _, value in self.rows(read, "skipped")]
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
                self.put(write, "skipped", digest_of(stamp.path), row.encode())
            for stamp, array in described:
                key = self.get(write, "ids", digest_of(stamp.path)) or self._next_id(write)
                self.put(write, "ids", digest_of(stamp.path), key)
                self.put(write, "images", key, json.dumps(asdict(stamp)).encode())
                self.put(write, table, key, array.astype("<f2").tobytes())
                self.remove(write, "features", key)
                self.remove(write, "skipped", digest_of(stamp.path))

    def touch(self, stamps: Iterable[Stamp]) -> None:
        """Store new times of images whose content has not changed. Raises KeyError for an image that is not there."""
        with self._write() as write:
            for stamp in stamps:
                key = self.get(write, "ids", digest_of(stamp.path))
                if key is None:
                    raise KeyError(stamp.path)
                self.put(write, "images", key, json.dumps(asdict(stamp)).encode())

    def delete(self, paths: Iterable[str]) -> None:
        """Delete images and records of skipped files; unknown paths are ignored. One transaction."""
        with self._write() as write:
            for path in paths:
                self._forget(write, path)
                self.remove(write, "skipped", digest_of(path))

    def _forget(self, write: "lmdb.Transaction[bytes]", path: str) -> None:
        key = self.get(write, "ids", digest_of(path))
        if key:
            self.remove(write, "ids", digest_of(path))
            for table in OF_IMAGES:
                self.remove(write, table, key)

    def _next_id(self, write: "lmdb.Transaction[bytes]") -> bytes:
        last = json.loads(self.get(write, "meta", b"last_id") or b"0") + 1
        self._put_meta(write, {"last_id": last})
        return _key(last)

    # Vectors and descriptors

    def vectors(self, channels: int) -> Iterator[tuple[int, np.ndarray]]:
        """(id, (vectors, channels) float16) of every image whose class vectors are not whitened yet."""
        with self._read() as read:
            for key, value in self.rows(read, "vectors"):
                yield _number(key), np.frombuffer(value, "<f2").reshape(-1, channels)

    def whiten(self, arrays: dict[str, np.ndarray], descriptors: Iterable[tuple[int, np.ndarray]]) -> None:
        """Store the whitening's arrays, and replace all class vectors by descriptors: one transaction."""
        with self._write() as write:
            for name, array in arrays.items():
                file = io.BytesIO()
                np.save(file, array, allow_pickle=False)
                self.put(write, "meta", name.encode(), file.getvalue())
            for image, descriptor in descriptors:
                self.put(write, "descriptors", _key(image), descriptor.astype("<f2").tobytes())
            self._empty(write, "vectors")

    def descriptors(self) -> tuple[np.ndarray, np.ndarray]:
        """All ids, (images,) int64, and their descriptors, (images, dimensions) float16."""
        with self._read() as read:
            rows = [(_number(key), value) for key, value in self.rows(read, "descriptors")]
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

    def keypoint_counts(self) -> list[int]:
        """The number of keypoints of each image with local features, of which only the headers are read."""
        # With buffers, what is not looked at is not read from the disk.
        with self._read(), self.environment.begin(buffers=True) as read:
            try:
                return [count_keypoints(packed) for _, packed in read.cursor(self.tables["features"])]
            except ValueError as problem:
                raise _damaged(self.path, str(problem)) from None

    def put_features(self, features: Iterable[tuple[int, Features]]) -> None:
        """Store local features in one transaction; images that no longer exist are ignored."""
        with self._write() as write:
            for image, of_image in features:
                if write.get(_key(image), db=self.tables["images"]):
                    self.put(write, "features", _key(image), pack_features(of_image))

    def restart_features(self, **meta: object) -> None:
        """Delete all local features, and store the settings of the next ones: one transaction."""
        with self._write() as write:
            self._empty(write, "features")
            self._put_meta(write, meta)

    def features(self, images: Iterable[int]) -> list[Features | None]:
        """The local features of these ids, in the same order; None for images without.

        Raises Failed for damaged ones.
        """
        with self._read() as read:
            packed = [self.get(read, "features", _key(image)) for image in images]
        try:
            return [None if raw is None else unpack_features(raw) for raw in packed]
        except ValueError as problem:
            raise _damaged(self.path, str(problem)) from None

    # Transactions

    @contextmanager
    def _read(self) -> Iterator["lmdb.Transaction[bytes]"]:
        if self.transaction:
            with _damage_in_words(self.path):
                yield self.transaction
            return
        with self._use:
            self._reading += 1
        try:
            with _damage_in_words(self.path), self.environment.begin() as read:
                yield read
        finally:
            with self._use:
                self._reading -= 1
                self._use.notify_all()

    @contextmanager
    def _write(self) -> Iterator["lmdb.Transaction[bytes]"]:
        with _errors_in_words(self.path), self.environment.begin(write=True) as write:
            yield write

    # Values, with their checksums

    def get(self, read: "lmdb.Transaction[bytes]", table: str, key: bytes) -> bytes | None:
        """The value of a key, verified. Raises Failed for a damaged one."""
        value = read.get(key, db=self.tables[table])
        if table in self.sums:
            expected = read.get(key, db=self.sums[table])
            if expected is not None and (value is None or expected != checksum_of(key, value)):
                raise _damaged(self.path, f"Part of {table} is not as it was written.")
        return value

    def rows(self, read: "lmdb.Transaction[bytes]", table: str) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of all rows of a table, in the order of the keys, verified. Raises Failed for a damaged one."""
        sums = iter(read.cursor(self.sums[table]) if table in self.sums else ())
        of, expected = next(sums, (None, b""))
        for key, value in read.cursor(self.tables[table]):
            if of is not None and of <= key:
                if of != key or expected != checksum_of(key, value):
                    raise _damaged(self.path, f"Part of {table} is not as it was written.")
                of, expected = next(sums, (None, b""))
            yield key, value
        if of is not None:
            raise _damaged(self.path, f"Part of {table} is missing.")

    def put(self, write: "lmdb.Transaction[bytes]", table: str, key: bytes, value: bytes) -> None:
        """Add or replace a row."""
        write.put(key, value, db=self.tables[table])
        write.put(key, checksum_of(key, value), db=self.sums[table])

    def remove(self, write: "lmdb.Transaction[bytes]", table: str, key: bytes) -> None:
        """Delete a row, if there is one."""
        write.delete(key, db=self.tables[table])
        write.delete(key, db=self.sums[table])

    def _empty(self, write: "lmdb.Transaction[bytes]", table: str) -> None:
        write.drop(self.tables[table], delete=False)
        write.drop(self.sums[table], delete=False)

    def _get(self, table: str, key: bytes) -> bytes | None:
        with self._read() as read:
            return self.get(read, table, key)

    def _put_meta(self, write: "lmdb.Transaction[bytes]", values: Mapping[str, object]) -> None:
        for name, value in values.items():
            self.put(write, "meta", name.encode(), json.dumps(value).encode())


def checksum_of(key: bytes, value: bytes) -> bytes:
    """The CRC-32 of a row, 4 bytes; the key is part of it, so that no value passes for another's."""
    return struct.pack(">I", zlib.crc32(value, zlib.crc32(key)))


def _sums_name(table: str) -> bytes:
    return f"{table}.crc".encode()


def _sums(environment: lmdb.Environment, table: str) -> Any:  # a database of lmdb's, which has no public type
    """The checksums of a table; None in a store of an earlier version."""
    try:
        return environment.open_db(_sums_name(table), create=False)
    except lmdb.NotFoundError:
        return None


def _damaged(path: Path, what: str) -> Failed:
    return Failed(
        f"{path} is damaged. {what} Run train.py --check: it computes anew what can be, and says what cannot."
    )


@contextmanager
def _damage_in_words(path: Path) -> Iterator[None]:
    """Raise LMDB's errors while reading as Failed, with a sentence."""
    try:
        yield
    except lmdb.MemoryError:
        raise _no_memory(path) from None
    except lmdb.ReadersFullError:
        raise Failed(f"{path} is being read by {READERS} others: try again when there are fewer.") from None
    except lmdb.Error as problem:
        raise _damaged(path, f"LMDB says: {problem}.") from None


def _no_memory(path: Path) -> Failed:
    return Failed(
        f"There is not enough memory to open {path}: lift a limit such as that of ulimit -v, or for a new collection "
        "set RETRIEVAL_STORE_GIGABYTES lower."
    )


@contextmanager
def _opened_for_reading(path: Path) -> Iterator[lmdb.Environment]:
    """The file, opened; it stays open, unless the block fails."""
    with _errors_in_words(path):
        # As much address space as the writer may fill: the store grows while it is read.
        environment = _opened(path, readonly=True, map_size=0)
        try:
            _check_whole(environment, path)
            yield environment
        except BaseException:
            environment.close()  # or this process could not open it again
            raise


@contextmanager
def _errors_in_words(path: Path) -> Iterator[None]:
    """Raise LMDB's errors as WrongUse or Failed, with a sentence."""
    try:
        yield
    except lmdb.MapFullError:
        raise Failed(f"{path} has reached its size limit: increase RETRIEVAL_STORE_GIGABYTES and run again.") from None
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError, lmdb.NotFoundError):
        raise WrongUse(f"{path} is not a collection of this project: delete it and run train.py again.") from None
    except lmdb.MemoryError:
        raise _no_memory(path) from None
    except lmdb.Error as problem:
        if files.is_full(path.parent):
            raise Failed(
                f"The disk of {path} is full: free some space and repeat the command; it continues from here."
            ) from None
        raise Failed(
            f"{path} cannot be used ({problem}). Solve this and repeat the command; it continues from here."
        ) from None


def _opened(path: Path, map_size: int, readonly: bool = False) -> lmdb.Environment:
    _fill_lock(_lock_file(path))
    environment = lmdb.open(
        os.fspath(path),
        map_size=map_size,
        subdir=False,
        readonly=readonly,
        max_dbs=2 * len(TABLES),
        max_readers=READERS,
    )
    environment.reader_check()  # release readers that were killed: they would keep old pages for ever
    return environment


def _fill_lock(lock: Path) -> None:
    """Give a lock file its place on the disk: LMDB would map a file of holes, and die where they cannot be filled.

    Raises Failed where the disk is full.
    """
    with contextlib.suppress(FileNotFoundError):
        status = lock.stat()
        if status.st_blocks * 512 >= max(status.st_size, LOCK_BYTES):
            return
    try:
        with lock.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, max(lock.stat().st_size, LOCK_BYTES))
    except OSError as problem:
        if problem.errno in files.FULL:
            raise Failed(
                f"The disk of {lock.parent} is full: free some space and repeat the command; it continues from here."
            ) from None
        # Read-only, or a file system without such a function: LMDB decides what to do.


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


def digest_of(path: str) -> bytes:
    """The key of a path: LMDB's keys are limited to 511 bytes, paths are not."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).digest()


def _key(image: int) -> bytes:
    return struct.pack(">Q", image)


def _number(key: bytes) -> int:
    return struct.unpack(">Q", key)[0]

"""Verifies every value of a collection store, and makes room for what is damaged to be computed anew."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import lmdb

from models.collection.features import unpack_features
from models.collection.store import OF_IMAGES, READ_ALL, TABLES, Store, checksum_of, digest_of
from utils.errors import Failed
from utils.script import progress

BATCH = 1000  # rows that are verified in one transaction


@dataclass
class Checked:
    """What a check has found."""

    values: int = 0
    new_checksums: int = 0  # of values that an earlier version wrote without one
    damaged: Counter[str] = field(default_factory=Counter)  # table -> rows

    @property
    def to_describe(self) -> bool:
        """Whether images have lost what step 2 computes."""
        return any(self.damaged[table] for table in ("images", "vectors", "descriptors", "skipped"))

    def __str__(self) -> str:
        added = f" {self.new_checksums} had no checksum yet, and have one now." if self.new_checksums else ""
        bad = ", ".join(f"{count} of {table}" for table, count in sorted(self.damaged.items()))
        return f"{self.values} values verified.{added} {f'Damaged: {bad}.' if bad else 'Nothing is damaged.'}"


def check(store: Store) -> Checked:
    """Verify all values of a store that is open for writing, and delete those that are damaged.

    An image keeps its id. A value without a checksum gets one if it can be read. Raises Failed where the file is
    damaged beyond single values, or where that is damaged which all of them depend on.
    """
    beyond = Failed(
        f"{store.path} is damaged beyond single values: restore a complete copy, or delete it and run train.py again."
    )
    # In a process of its own, because LMDB may die of what it finds.
    if subprocess.run([sys.executable, "-c", READ_ALL, store.path], stderr=subprocess.DEVNULL).returncode:
        raise beyond
    try:
        return _checked(store, beyond)
    except lmdb.Error:
        raise beyond from None


def _checked(store: Store, beyond: Failed) -> Checked:
    found = Checked()
    bad = {}
    with progress(total=sum(map(store.count, TABLES)), what="Verifying", unit=" values") as bar:
        for table in TABLES:
            bad[table] = _verify(store, table, found, bar.update)
    if bad["meta"]:
        raise beyond
    with store.environment.begin(write=True) as write:
        bad["descriptors"] |= _without_descriptor(store, write)
        for table in ("ids", "skipped", "features"):
            for key in bad[table]:
                store.remove(write, table, key)
        for key in bad["images"] | bad["vectors"] | bad["descriptors"]:
            for table in OF_IMAGES:
                store.remove(write, table, key)
        for key, value in list(write.cursor(store.tables["images"])):
            digest = digest_of(json.loads(value)["path"])
            if write.get(digest, db=store.tables["ids"]) != key:
                bad["ids"].add(digest)
                store.put(write, "ids", digest, key)
    found.damaged = Counter({table: len(keys) for table, keys in bad.items() if keys})
    return found


def _verify(store: Store, table: str, found: Checked, tell: Callable[[int], object]) -> set[bytes]:
    """The keys of a table's damaged rows; other rows without a checksum get one."""
    bad, after, rows = set(), b"", [(b"", b"")]
    while rows:
        with store.environment.begin(write=True) as write:
            cursor = write.cursor(store.tables[table])
            rows = list(islice(cursor.iternext(), BATCH)) if cursor.set_range(after) else []
            for key, value in rows:
                expected = write.get(key, db=store.sums[table])
                if expected is None and _is_readable(table, value):
                    write.put(key, checksum_of(key, value), db=store.sums[table])
                    found.new_checksums += 1
                elif expected != checksum_of(key, value):
                    bad.add(key)
                after = key + b"\0"
        found.values += len(rows)
        tell(len(rows))
    with store.environment.begin() as read:
        for key in read.cursor(store.sums[table]).iternext(values=False):
            if read.get(key, db=store.tables[table]) is None:
                bad.add(key)
    return bad


def _is_readable(table: str, value: bytes) -> bool:
    try:
        if table == "features":
            unpack_features(value)
        elif table in ("images", "skipped"):
            json.loads(value)
    except ValueError:
        return False
    return True


def _without_descriptor(store: Store, read: "lmdb.Transaction[bytes]") -> set[bytes]:
    """The keys of images that have neither vectors nor a descriptor, or these without an image."""
    keys = [
        set(read.cursor(store.tables[table]).iternext(values=False)) for table in ("images", "vectors", "descriptors")
    ]
    return keys[0] ^ (keys[1] | keys[2])

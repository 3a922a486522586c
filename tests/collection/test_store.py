"""The collection store: what it promises over many operations, and what it says when something is wrong."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.collection.features import Features
from models.collection.store import FILE, Stamp, Store, _length, checksum
from utils.errors import Failed, WrongUse

ROOT = Path(__file__).parents[2]
ODD_PATHS = (
    "a blank and a 'quote\".jpg",
    "new\nline.jpg",
    os.fsdecode(b"caf\xe9/\xff\xfe.jpg"),
    "é" * 2000,  # 4,000 bytes
    "é" * 1999 + "ex",  # the same length and nearly the same bytes
)


def stamp(path: str, version: int = 1) -> Stamp:
    return Stamp(
        path, 100 + version, 10**18 + version, checksum(f"{path} {version}".encode("utf-8", "surrogateescape"))
    )


def descriptor(value: float) -> np.ndarray:
    return np.full(8, value, np.float32)


def features(keypoints: int, seed: int = 0, width: int = 32) -> Features:
    random = np.random.default_rng(seed)
    table = random.uniform(0, 800, (keypoints, 4)).astype(np.float32)
    kind = "orb" if width == 32 else "sift"
    return Features((600, 800), table, random.integers(0, 256, (keypoints, width), np.uint8), kind)


def assert_same(found: Features, expected: Features) -> None:
    assert found.frame == expected.frame
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def ids(store: Store) -> dict[str, int]:
    return {known.path: image for image, known in store.images().items()}


@pytest.fixture
def store(tmp_path):
    with Store.writing(tmp_path, 1) as opened:
        yield opened


class AnyOrder(RuleBasedStateMachine):
    """Whatever is added, replaced, skipped and deleted in whatever order: the store agrees with a plain dictionary."""

    some_paths = st.lists(st.sampled_from([*"abcdef", *ODD_PATHS]), max_size=4, unique=True)

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.opened = Store.writing(self.folder, 1)
        self.store = self.opened.__enter__()
        self.version = 0
        self.images, self.skipped, self.ever = (
            {},
            {},
            {},
        )  # path -> (stamp, value, features or None); reason; id -> path

    def teardown(self):
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    @rule(described=some_paths, skipped=some_paths)
    def put(self, described, skipped):
        self.version += 1
        skipped = [path for path in skipped if path not in described]
        rows = [(stamp(path, self.version), descriptor(self.version)) for path in described]
        self.store.put_images("descriptors", rows, [(stamp(path, self.version), "damaged") for path in skipped])
        for path in described:
            self.images[path] = (stamp(path, self.version), self.version, None)
            self.skipped.pop(path, None)
        for path in skipped:
            self.images.pop(path, None)
            self.skipped[path] = (stamp(path, self.version), "damaged")

    @rule(paths=some_paths)
    def delete(self, paths):
        self.store.delete(paths)
        for path in paths:
            self.images.pop(path, None)
            self.skipped.pop(path, None)

    @rule(paths=some_paths, keypoints=st.integers(0, 3))
    def find_features(self, paths, keypoints):
        known = ids(self.store)
        self.store.put_features((known.get(path, 10**6), features(keypoints)) for path in paths)
        for path in set(paths) & set(self.images):
            self.images[path] = (*self.images[path][:2], features(keypoints))

    @rule()
    def reopen(self):
        self.opened.__exit__(None, None, None)
        self.opened = Store.writing(self.folder, 1)
        self.store = self.opened.__enter__()

    @invariant()
    def agrees(self):
        known = ids(self.store)
        assert {path: self.store.images()[image] for path, image in known.items()} == {
            path: row[0] for path, row in self.images.items()
        }
        assert self.store.skipped() == self.skipped
        numbers, matrix = self.store.descriptors()
        assert list(numbers) == sorted(known.values())
        of_id = {image: self.images[path] for path, image in known.items()}
        for image, row in zip(numbers, matrix, strict=True):
            np.testing.assert_array_equal(row, descriptor(of_id[image][1]))
        without = []
        for image, found in zip(numbers, self.store.features(numbers), strict=True):
            if of_id[image][2] is None:
                assert found is None
                without.append(image)
            else:
                assert_same(found, of_id[image][2])
        assert self.store.without_features() == without

    @invariant()
    def an_id_is_never_given_twice(self):
        highest = max(self.ever, default=0)
        for path, image in ids(self.store).items():
            # An id belongs to one path for ever; a path that comes back gets a new id, higher than all before.
            assert self.ever.setdefault(image, path) == path
        assert sorted(image for image in self.ever if image > highest) == list(
            range(highest + 1, max(self.ever, default=0) + 1)
        )


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_an_id_stays_with_a_replaced_image_and_is_not_given_again_after_deletion(store):
    store.put_images("descriptors", [(stamp(path), descriptor(1)) for path in "abc"])
    assert ids(store) == {"a": 1, "b": 2, "c": 3}
    store.put_images("descriptors", [(stamp("b", 2), descriptor(2))])
    store.delete(["c"])
    store.put_images("descriptors", [(stamp("d"), descriptor(3)), (stamp("c"), descriptor(4))])
    assert ids(store) == {"a": 1, "b": 2, "d": 4, "c": 5}
    store.delete(["a", "b", "c", "d", "never there"])
    store.put_images("descriptors", [(stamp("a"), descriptor(1))])
    assert ids(store) == {"a": 6}


def test_a_replaced_image_loses_its_local_features_and_a_touched_one_keeps_them(store):
    store.put_images("descriptors", [(stamp("a"), descriptor(1)), (stamp("b"), descriptor(2))])
    store.put_features([(1, features(3, 1)), (2, features(3, 2))])
    store.put_images("descriptors", [(stamp("a", 2), descriptor(5))])
    store.touch([stamp("b", 3)])
    gone, kept = store.features([1, 2])
    assert gone is None
    assert_same(kept, features(3, 2))
    assert store.without_features() == [1]
    assert store.images() == {1: stamp("a", 2), 2: stamp("b", 3)}


def test_a_skipped_file_that_was_an_image_is_deleted_until_it_can_be_read_again(store):
    store.put_images("descriptors", [(stamp("a"), descriptor(1)), (stamp("b"), descriptor(2))])
    store.put_features([(1, features(3))])
    store.put_images("descriptors", [], [(stamp("a", 2), "damaged")])
    assert ids(store) == {"b": 2}
    assert store.skipped() == {"a": (stamp("a", 2), "damaged")}
    assert [store.count(table) for table in ("images", "ids", "descriptors", "features")] == [1, 1, 1, 0]
    store.put_images("descriptors", [(stamp("a", 3), descriptor(3))])
    assert ids(store) == {"b": 2, "a": 3}
    assert store.skipped() == {}


def test_whitening_puts_descriptors_in_the_place_of_class_vectors(store):
    store.put_images("vectors", [(stamp(path), np.full((2, 4), i, np.float32)) for i, path in enumerate("ab")])
    assert [(image, vectors.tolist()) for image, vectors in store.vectors(4)] == [
        (1, [[0] * 4] * 2),
        (2, [[1] * 4] * 2),
    ]
    arrays = {"mean": np.arange(3.0), "projection": np.eye(3, dtype=np.float32)}
    store.whiten(arrays, ((image, descriptor(image)) for image, _ in store.vectors(4)))
    assert store.count("vectors") == 0
    numbers, matrix = store.descriptors()
    assert numbers.tolist() == [1, 2] and matrix.tolist() == [[1] * 8, [2] * 8] and matrix.dtype == np.float16
    mean, projection = store.get_arrays("mean", "projection")
    np.testing.assert_array_equal(mean, arrays["mean"])
    np.testing.assert_array_equal(projection, arrays["projection"])
    assert store.get_arrays("mean", "missing") is None


@pytest.mark.parametrize("change", ["put_images", "put_features", "whiten", "delete", "touch"])
def test_a_write_that_breaks_off_changes_nothing(store, change):
    store.put_images("vectors", [(stamp(path), np.ones((2, 4))) for path in "ab"], [(stamp("s"), "damaged")])
    before = dump(store)

    def breaking(*rows):
        yield from rows
        raise RuntimeError("in the middle")

    calls = {
        "put_images": lambda: store.put_images(
            "vectors", breaking((stamp("new"), np.ones((2, 4)))), [(stamp("a"), "x")]
        ),
        "put_features": lambda: store.put_features(breaking((1, features(2)))),
        "whiten": lambda: store.whiten({"mean": np.ones(4)}, breaking((1, descriptor(1)))),
        "delete": lambda: store.delete(breaking("a", "s")),
        "touch": lambda: store.touch(breaking(stamp("a", 9))),
    }
    with pytest.raises(RuntimeError, match="in the middle"):
        calls[change]()
    assert dump(store) == before


def dump(store: Store) -> dict[str, list[tuple[bytes, bytes]]]:
    with store.environment.begin() as read:
        return {name: list(read.cursor(table)) for name, table in store.tables.items()}


def test_odd_paths_come_back_as_they_were(store):
    store.put_images("descriptors", [(stamp(path), descriptor(i)) for i, path in enumerate(ODD_PATHS)])
    assert list(store.images().values()) == [stamp(path) for path in ODD_PATHS]
    store.put_images("descriptors", [], [(stamp(path), "damaged") for path in ODD_PATHS])
    assert store.images() == {}
    assert store.skipped() == {path: (stamp(path), "damaged") for path in ODD_PATHS}


def test_an_empty_store_has_nothing_in_it(store):
    numbers, matrix = store.descriptors()
    assert (numbers.shape, matrix.shape) == ((0,), (0, 0))
    assert store.images() == {} and store.skipped() == {} and store.without_features() == []
    assert store.get_meta("recipe") is None


def test_the_version_grows_with_every_write(store):
    first = store.version()
    store.set_meta(a=1, b={"c": [2]})
    assert (store.get_meta("a"), store.get_meta("b")) == (1, {"c": [2]})
    second = store.version()
    store.restart_features(local_features="orb")
    assert first < second < store.version()


def in_a_process(folder: Path, code: str) -> str:
    """What these lines print; `folder` is known to them."""
    start = "import sys\nfrom pathlib import Path\nfrom utils.errors import *\nfrom models.collection.store import *"
    command = [sys.executable, "-c", f"{start}\nfolder = Path(sys.argv[1])\n{code}", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_reader_sees_the_old_state_until_a_write_is_done(store, tmp_path):
    store.put_images("descriptors", [(stamp("a"), descriptor(1))])
    read = (
        "store = Store.reading(folder); print([s.size for s in store.images().values()], store.descriptors()[1][:, 0])"
    )
    half, go_on = threading.Event(), threading.Event()

    def rows():
        yield stamp("b"), descriptor(2)
        half.set()
        go_on.wait(20)
        yield stamp("a", 2), descriptor(3)

    writer = threading.Thread(target=lambda: store.put_images("descriptors", rows()))
    writer.start()
    assert half.wait(20)
    try:
        assert store.images() == {1: stamp("a")}
        assert in_a_process(tmp_path, read) == "[101] [1.]\n"
    finally:
        go_on.set()
        writer.join()
    assert store.images() == {1: stamp("a", 2), 2: stamp("b")}
    assert in_a_process(tmp_path, read) == "[102, 101] [3. 2.]\n"


def test_a_second_writer_is_refused_while_the_first_is_at_work(store, tmp_path):
    store.put_images("descriptors", [(stamp("a"), descriptor(1))])
    code = """
try:
    with Store.writing(folder, 1):
        print("two writers")
except WrongUse as problem:
    print(problem)
print(Store.reading(folder).count("images"))
"""
    sentence = f"{tmp_path / FILE} is being written by another process: wait until it has finished."
    assert in_a_process(tmp_path, code) == f"{sentence}\n1\n"


# Stores that change while they are read


@pytest.fixture
def reader(tmp_path):
    """Of a store with one image, "a"; another process wrote it, as it would beside a site."""
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("a"))
    return Store.reading(tmp_path)


ADD = "store.put_images('descriptors', [(Stamp({!r}, 1, 1), np.ones(8))])"


def test_a_snapshot_stays_as_it_is_while_another_process_writes(reader, tmp_path):
    with reader.snapshot() as frozen:
        before = frozen.version()
        in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("b"))
        assert (ids(frozen), frozen.count("descriptors"), frozen.version()) == ({"a": 1}, 1, before)
        assert ids(reader) == {"a": 1, "b": 2} and reader.version() > before
    with reader.snapshot() as frozen:
        assert ids(frozen) == {"a": 1, "b": 2}


def test_a_write_leaves_the_same_file_in_place(reader, tmp_path):
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("b"))
    assert reader.is_in_place()
    assert reader.reread() is reader


def test_a_store_that_grows_is_read_on(reader, tmp_path):
    # LMDB maps ten megabytes of a small file unless it is told otherwise, and cannot read further.
    code = "rows = [(Stamp(str(i), 1, 1), np.full(100_000, i % 100)) for i in range(100)]"
    in_a_process(tmp_path, f"{code}\nwith Store.writing(folder, 1) as store: store.put_images('descriptors', rows)")
    assert (tmp_path / FILE).stat().st_size > 20_000_000
    assert [reader.descriptor(image)[-1] for image in (2, 101)] == [0, 99]


def test_opening_for_writing_alone_is_no_write(reader, tmp_path):
    before = reader.version()
    in_a_process(tmp_path, "with Store.writing(folder, 1): pass")
    assert reader.version() == before


@pytest.mark.parametrize("gone", [[FILE], [FILE, FILE + "-lock"]], ids=["the file", "with its lock file"])
def test_a_new_store_in_the_place_of_a_deleted_one(reader, tmp_path, gone):
    for name in gone:
        (tmp_path / name).unlink()
    assert not reader.is_in_place()
    with pytest.raises(WrongUse, match="run train"):
        reader.reread()
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("new"))
    assert not reader.is_in_place()
    other = reader.reread()
    assert other is not reader and other.is_in_place()
    assert (ids(other), ids(reader)) == ({"new": 1}, {"a": 1})
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("newer"))
    assert (ids(other), ids(reader)) == ({"new": 1, "newer": 2}, {"a": 1})
    reader.close()
    assert ids(other) == {"new": 1, "newer": 2}


def test_a_new_store_counts_its_writes_from_the_start_whoever_holds_the_old_one(reader, tmp_path):
    # LMDB keeps the count in the lock file, and takes the newer half of the file's head for the count's last bit.
    for _ in range(4):
        in_a_process(tmp_path, "with Store.writing(folder, 1) as store: store.set_meta(a=1)")
    counted = reader.version()
    (tmp_path / FILE).unlink()
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("new"))
    assert reader.reread().version() < counted == reader.version()


def test_another_store_moved_into_the_place_of_one_that_is_read(reader, tmp_path):
    in_a_process(tmp_path, "with Store.writing(folder / 'other', 1) as store: " + ADD.format("moved in"))
    (tmp_path / "other" / FILE).replace(tmp_path / FILE)
    assert not reader.is_in_place()
    code = "with Store.writing(folder, 1): print('', flush=True), input()"
    with at_the_same_time(tmp_path, code), pytest.raises(WrongUse, match="is being written by another process"):
        reader.reread()
    other = reader.reread()
    assert (ids(other), ids(reader)) == ({"moved in": 1}, {"a": 1})
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("b"))
    assert (ids(other), ids(reader)) == ({"moved in": 1, "b": 2}, {"a": 1})


def test_a_store_moved_aside_for_a_broken_one_and_moved_back_is_followed_again(reader, tmp_path):
    (tmp_path / FILE).rename(tmp_path / "aside")
    (tmp_path / FILE).write_bytes(bytes(100_000))
    with pytest.raises(WrongUse, match="is not a collection"):
        reader.reread()
    (tmp_path / "aside").replace(tmp_path / FILE)
    assert ids(reader) == {"a": 1}
    again = reader.reread()
    assert again is reader and reader.is_in_place()  # whoever holds it goes on with it
    before = reader.version()
    code = "with Store.writing(folder, 1) as store: print(store.environment.readers()); " + ADD.format("b")
    with reader.snapshot():
        assert str(os.getpid()) in in_a_process(tmp_path, code)  # the writer knows who reads
    assert reader.version() > before and ids(reader) == {"a": 1, "b": 2}


def test_a_store_that_lost_its_lock_file_is_followed_as_soon_as_nobody_reads(reader, tmp_path, monkeypatch):
    (tmp_path / (FILE + "-lock")).unlink()
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("b"))
    monkeypatch.setattr("models.collection.store.PATIENCE", 0.01)
    with reader.snapshot() as frozen, pytest.raises(Failed, match="it is opened again later"):
        assert ids(frozen) == {"a": 1}
        reader.reread()
    assert reader.reread() is reader and ids(reader) == {"a": 1, "b": 2}
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("c"))
    assert ids(reader) == {"a": 1, "b": 2, "c": 3}


@contextlib.contextmanager
def at_the_same_time(folder: Path, code: str):
    """Another process that has come to its first line of output, and is ended after the block."""
    start = "import sys; from pathlib import Path; from models.collection.store import *; folder = Path(sys.argv[1])"
    command = [sys.executable, "-c", f"{start}\n{code}", folder]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_store_is_opened_once_and_shared(reader, tmp_path):
    assert Store.reading(tmp_path) is reader
    environment = reader.environment
    reader.close()
    again = Store.reading(tmp_path)
    assert again.environment is not environment
    assert ids(again) == {"a": 1}


def test_a_store_that_nobody_has_any_more_is_closed(tmp_path):
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("a"))
    Store.reading(tmp_path)
    with Store.writing(tmp_path, 1) as store:  # in this process, which could not open it twice
        assert ids(store) == {"a": 1}


def test_a_file_that_is_refused_can_be_opened_when_it_has_become_a_store(tmp_path):
    in_a_process(tmp_path, "with Store.writing(folder, 1) as store: " + ADD.format("a"))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WrongUse, match="is truncated") as told:
        Store.reading(tmp_path)
    (tmp_path / FILE).write_bytes(whole)
    assert ids(Store.reading(tmp_path)) == {"a": 1}
    del told  # only now: it holds what the first attempt had opened


def test_readers_that_were_killed_are_forgotten(reader, tmp_path):
    code = "with Store.reading(folder).snapshot(): print('', flush=True), input()"
    with at_the_same_time(tmp_path, code) as process:
        assert str(process.pid) in reader.environment.readers()
    assert str(process.pid) in reader.environment.readers()
    in_a_process(tmp_path, "Store.reading(folder)")
    assert str(process.pid) not in reader.environment.readers()


def test_threads_that_have_read_leave_no_reader_behind(reader):
    # More threads than the table has places.
    for _ in range(6):
        threads = [threading.Thread(target=reader.features, args=([1],)) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "no active readers" in reader.environment.readers()
    assert reader.environment.info()["num_readers"] <= 100


def test_there_is_nothing_to_read_before_the_first_write(tmp_path):
    with pytest.raises(WrongUse, match=r"There is no collection in .*: run train\.py first\."):
        Store.reading(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"not a database\n" * 5000, bytes(100_000)], ids=["text", "zeros"])
def test_another_file_is_not_a_collection(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(WrongUse, match=r"collection\.lmdb is not a collection of this project: delete it"):
        Store.reading(tmp_path)
    with pytest.raises(WrongUse, match="is not a collection"), Store.writing(tmp_path, 1):
        pass
    assert (tmp_path / FILE).read_bytes() == content


def test_an_empty_file_is_a_store_that_was_not_begun(tmp_path):
    (tmp_path / FILE).write_bytes(b"")
    with pytest.raises(WrongUse, match="There is no collection in"):
        Store.reading(tmp_path)
    with Store.writing(tmp_path, 1) as store:
        assert store.images() == {}


def test_a_database_of_another_program_is_not_a_collection(tmp_path):
    import lmdb

    with lmdb.open(os.fspath(tmp_path / FILE), subdir=False) as other, other.begin(write=True) as write:
        write.put(b"key", b"value")
    with pytest.raises(WrongUse, match="is not a collection"):
        Store.reading(tmp_path)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.05])
@pytest.mark.parametrize("way", ["reading", "writing"])
def test_a_file_that_was_cut_off_is_refused_in_a_sentence(tmp_path, share, way):
    with Store.writing(tmp_path, 1) as store:
        store.put_images("descriptors", [(stamp(str(i)), descriptor(i)) for i in range(2000)])
    os.truncate(tmp_path / FILE, int((tmp_path / FILE).stat().st_size * share))
    # A process of its own: reading behind the end of a mapped file would kill it.
    ways = {
        "reading": "Store.reading(folder).descriptors()",
        "writing": "with Store.writing(folder, 1) as store: store.delete(['7'])",
    }
    code = f"try:\n    {ways[way]}\nexcept WrongUse as problem:\n    print(problem)"
    assert in_a_process(tmp_path, code) == (
        f"{tmp_path / FILE} is truncated: restore a complete copy, or delete it and run train.py again.\n"
    )


def test_a_file_whose_last_pages_are_free_is_whole_though_short(tmp_path):
    # A writer killed after such a write leaves the file as it is here before the block ends.
    with Store.writing(tmp_path, 1) as store:
        new = [(stamp(str(i)), descriptor(i)) for i in range(300)]
        store.put_images("descriptors", new)
        order = np.random.default_rng(0).permutation(300)
        store.delete([str(i) for i in order[:294]])
        assert (tmp_path / FILE).stat().st_size < _length(store.environment), "the deletion does not make the case"
        shutil.copytree(tmp_path, tmp_path / "killed")
        expected = store.images()
    left = Store.reading(tmp_path / "killed")
    assert left.images() == expected
    left.close()
    with Store.writing(tmp_path / "killed", 1) as store:
        assert store.images() == expected
        assert store.descriptors()[1].shape == (len(expected), 8)


def test_a_store_at_its_limit_says_so_and_keeps_what_it_has(tmp_path, monkeypatch):
    import lmdb

    true_open = lmdb.open
    monkeypatch.setattr(lmdb, "open", lambda path, **options: true_open(path, **options | {"map_size": 1 << 20}))
    written = 0
    with pytest.raises(Failed, match="has reached its size limit: increase RETRIEVAL_STORE_GIGABYTES"):  # noqa: SIM117
        with Store.writing(tmp_path, 1) as store:
            for written in range(10_000):
                store.put_images("descriptors", [(stamp(f"{written} {i}"), np.ones(512)) for i in range(8)])
    monkeypatch.undo()
    with Store.writing(tmp_path, 1) as store:
        assert store.count("images") == store.count("descriptors") == 8 * written > 0
        store.put_images("descriptors", [(stamp("more"), np.ones(512))])
        assert store.count("descriptors") == 8 * written + 1


FULL_DISK = """
import json, subprocess, sys
from pathlib import Path
import numpy as np
from utils.errors import Failed
from models.collection.store import Stamp, Store

folder = Path(sys.argv[1])
told = []

def fill(size):
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
    try:
        with Store.writing(folder, 256) as store:
            start = store.count("images")
            for i in range(start, start + 10_000, 8):
                store.put_images("descriptors", [(Stamp(str(j), 1, 1), np.full(512, j % 100)) for j in range(i, i + 8)])
    except Failed as problem:
        told.append(str(problem))
    if (folder / "collection.lmdb").exists():
        reader = Store.reading(folder)
        numbers, matrix = reader.descriptors()
        expected = [int(stamp.path) % 100 for stamp in reader.images().values()]
        told.append([len(reader.images()), matrix[:, 0].tolist() == expected, (matrix == matrix[:, :1]).all().item()])
        reader.close()

fill("256k")
subprocess.run(["mount", "-o", "remount,size=2m", folder], check=True)
with Store.writing(folder, 256):
    pass
(folder / "collection.lmdb-lock").unlink()
with (folder / "filling").open("wb", buffering=0) as filling:
    try:
        while filling.write(bytes(4096)):
            pass
    except OSError:
        pass
try:
    Store.reading(folder)
except Failed as problem:
    told.append(str(problem))
(folder / "filling").unlink()
fill("2m")
fill("2m")
fill("4m")
print(json.dumps(told))
"""


def test_a_full_disk_says_so_and_keeps_what_was_committed(tmp_path):
    # A small file system of its own, in a name space that ends with the process.
    mount = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount]
    trial = subprocess.run([*command[:-3], "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True)
    if trial.returncode:
        pytest.skip("a small file system cannot be mounted here")
    arguments = ["sh", tmp_path, sys.executable, FULL_DISK]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    too_small, unread, full, first, again, second, more, third = json.loads(done.stdout)
    for sentence in (too_small, unread, full, again, more):
        assert sentence.startswith("The disk of ") and "is full: free some space and repeat the command" in sentence
    assert first[1:] == second[1:] == third[1:] == [True, True]
    assert 0 < first[0] == second[0] < third[0]
    assert first[0] % 8 == third[0] % 8 == 0  # whole transactions only


def test_too_little_memory_to_map_the_file_is_a_sentence(tmp_path):
    in_a_process(tmp_path, "with Store.writing(folder, 64) as store: " + ADD.format("a"))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
    for way in ("Store.reading(folder)", "Store.writing(folder, 64).__enter__()"):
        code = f"{limit}try:\n    {way}\nexcept Failed as problem:\n    print(problem)"
        assert in_a_process(tmp_path, code).startswith(f"There is not enough memory to open {tmp_path / FILE}: lift")


def test_a_read_that_lmdb_refuses_is_a_sentence(reader):
    reader.environment.close()
    with pytest.raises(Failed, match=r"is damaged\. LMDB says"):
        reader.images()

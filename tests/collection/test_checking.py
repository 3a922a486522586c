"""Damage is noticed when a value is read, and `check` finds all of it and makes room for it to be computed anew."""

import json
import os
import shutil
import subprocess
import sys

import lmdb
import numpy as np
import pytest

from models.collection.checking import check
from models.collection.store import FILE, TABLES, Store, digest_of
from tests.collection.test_store import ROOT, features, stamp
from utils.errors import Failed

COUNT = 40  # images


def vector(image: int) -> np.ndarray:
    return np.random.default_rng(image).normal(size=64).astype(np.float16)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with a store, to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    with Store.writing(folder, 1) as store:
        store.put_images("descriptors", [(stamp(f"{i}.jpg"), vector(i)) for i in range(1, COUNT + 1)])
        store.put_features([(i, features(20, seed=i)) for i in range(1, COUNT + 1)])
        store.put_images("descriptors", [], [(stamp("broken.jpg"), "it is broken")])
        store.set_meta(complete=True, recipe={"size": "512x384"})
    return folder


@pytest.fixture
def folder(filled, tmp_path):
    shutil.copy(filled / FILE, tmp_path / FILE)
    return tmp_path


def spoil(folder, part: bytes) -> None:
    """Change one bit of a value, wherever the file has it."""
    content = bytearray((folder / FILE).read_bytes())
    assert part in content
    start = 0
    while (start := content.find(part, start)) >= 0:
        content[start + len(part) // 2] ^= 4
        start += 1
    (folder / FILE).write_bytes(content)


def checked(folder) -> tuple[dict[str, int], Store]:
    """What a check finds, and the store after it."""
    with Store.writing(folder, 1) as store:
        found = check(store)
        assert not check(store).damaged  # it is whole now
    return dict(found.damaged), Store.reading(folder)


def test_what_is_whole_is_verified_and_stays(folder):
    with Store.writing(folder, 1) as store:
        before = store.images(), store.descriptors()[1].tobytes()
        found = check(store)
        assert str(found) == f"{4 * COUNT + 4} values verified. Nothing is damaged."
        assert (store.images(), store.descriptors()[1].tobytes()) == before


def test_a_damaged_descriptor_is_refused_and_its_image_described_anew_under_its_id(folder):
    spoil(folder, vector(7).tobytes())
    store = Store.reading(folder)
    assert store.descriptor(8).tobytes() == vector(8).tobytes()
    for read in (lambda: store.descriptor(7), store.descriptors):
        with pytest.raises(Failed, match=r"is damaged\. Part of descriptors .* Run train\.py --check"):
            read()
    store.close()
    damaged, store = checked(folder)
    assert damaged == {"descriptors": 1}
    assert sorted(store.images()) == [i for i in range(1, COUNT + 1) if i != 7]
    assert store.without_features() == [] and store.features([7]) == [None]
    store.close()
    with Store.writing(folder, 1) as writer:
        writer.put_images("descriptors", [(stamp("7.jpg"), vector(7))])
        assert writer.images()[7] == stamp("7.jpg") and len(writer.images()) == COUNT


def test_damaged_features_are_refused_and_computed_anew(folder):
    spoil(folder, features(20, seed=3).descriptors.tobytes())
    store = Store.reading(folder)
    with pytest.raises(Failed, match="Part of features"):
        store.features([2, 3])
    assert store.features([2, 4])[1] is not None
    store.close()
    damaged, store = checked(folder)
    assert damaged == {"features": 1} and store.without_features() == [3]
    assert len(store.images()) == len(store.descriptors()[0]) == COUNT


def test_a_damaged_path_is_not_taken_for_another_file(folder):
    spoil(folder, b'"path": "12.jpg"')
    store = Store.reading(folder)
    with pytest.raises(Failed, match="Part of images"):
        store.images()
    store.close()
    damaged, store = checked(folder)
    assert damaged == {"images": 1} and len(store.images()) == COUNT - 1


def test_a_damaged_id_is_restored_from_its_image(folder):
    spoil(folder, digest_of("5.jpg") + (5).to_bytes(8, "big"))
    damaged, store = checked(folder)
    assert damaged["ids"] >= 1 and len(store.images()) == COUNT
    store.close()
    with Store.writing(folder, 1) as writer:
        writer.put_images("descriptors", [(stamp("5.jpg", 2), vector(5))])
        assert {image: known.path for image, known in writer.images().items()}[5] == "5.jpg"
        assert len(writer.images()) == COUNT


def test_what_everything_depends_on_is_not_repaired(folder):
    spoil(folder, b'{"size": "512x384"}')
    with pytest.raises(Failed, match="Part of meta"):
        Store.reading(folder).get_meta("recipe")
    with pytest.raises(Failed, match="damaged beyond single values: restore"), Store.writing(folder, 1) as store:
        check(store)


def without_checksums(folder) -> None:
    """As an earlier version made it."""
    with lmdb.open(os.fspath(folder / FILE), subdir=False, max_dbs=20) as environment:
        tables = [environment.open_db(f"{table}.crc".encode()) for table in TABLES]
        with environment.begin(write=True) as write:
            for table in tables:
                write.drop(table)


def test_a_store_of_an_earlier_version_is_read_and_gets_checksums(folder):
    without_checksums(folder)
    store = Store.reading(folder)
    assert len(store.images()) == len(store.descriptors()[0]) == COUNT and store.features([3])[0] is not None
    store.close()
    with Store.writing(folder, 1) as writer:
        writer.put_images("descriptors", [(stamp("new.jpg"), vector(99))])
        found = check(writer)
    assert (found.values, found.new_checksums) == (4 * COUNT + 7, 4 * COUNT + 3)  # last_id has one by now
    spoil(folder, vector(9).tobytes())
    with pytest.raises(Failed, match="Part of descriptors"):
        Store.reading(folder).descriptors()


ALL_READ = """
import os, sys, random
from pathlib import Path
from models.collection.store import FILE, Store
from utils.errors import Failed, WrongUse

folder = Path(sys.argv[1])
whole = (folder / FILE).read_bytes()

def everything():
    store = Store.reading(folder)
    numbers, matrix = store.descriptors()
    local = store.features(numbers.tolist())
    features = [(one.frame, one.keypoints.tobytes(), one.descriptors.tobytes()) for one in local]
    return store.images(), store.skipped(), numbers.tolist(), matrix.tobytes(), features, store.get_meta("recipe")

def in_a_child(function):
    child = os.fork()
    if not child:
        os._exit(function())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def outcome():
    try:
        return 0 if everything() == expected else 1
    except (Failed, WrongUse):
        return 2
    except BaseException as problem:
        print(type(problem), problem, file=sys.stderr)
        return 3

def remember():
    global expected
    import pickle
    (folder / "expected").write_bytes(pickle.dumps(everything()))
    return 0

import pickle
in_a_child(remember)
expected = pickle.loads((folder / "expected").read_bytes())
outcomes = []
for seed in range(120):
    chance = random.Random(seed)
    spoiled = bytearray(whole)
    place = chance.randrange(8192, len(whole) - 64)
    spoiled[place : place + 64] = chance.randbytes(64)
    (folder / FILE).write_bytes(spoiled)
    outcomes.append(in_a_child(outcome))
print([outcomes.count(0), outcomes.count(1), outcomes.count(2), sum(code < 0 for code in outcomes)])
"""


def test_no_damaged_copy_is_read_as_if_it_were_whole(folder):
    done = subprocess.run([sys.executable, "-c", ALL_READ, folder], cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    same, different, told, _ = json.loads(done.stdout)
    assert different == 0 and same + told >= 115 and told >= 30  # what LMDB itself dies of, nobody can tell

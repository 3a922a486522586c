"""Near-duplicates among painted pictures, with real local features, real files and descriptors that are made up."""

import cv2
import numpy as np
import pytest

from config import Settings
from dataset.painting import paint
from models import duplicates
from models.collection.reading import Reading
from models.collection.store import Store
from models.duplicates import near_duplicates
from models.local import votes
from models.local.orb import Orb
from models.local.verification import examine

EXTRACTOR = Orb(500, 800)
WORKS = [("portrait", "portrait", 1), ("landscape", "sea", 2), ("still_life", "fruit", 3), ("landscape", "sea", 4)]


def halved(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def cropped(picture: np.ndarray) -> np.ndarray:
    """Three quarters of each side, and brighter."""
    height, width = picture.shape[:2]
    part = picture[height // 8 : -height // 8, width // 8 : -width // 8]
    return cv2.convertScaleAbs(part, alpha=1.15, beta=25)


def stamped(picture: np.ndarray) -> np.ndarray:
    """With a stamp in the corner that is rich in detail."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 18), np.uint8)
    stamp = cv2.resize(noise, (108, 72), interpolation=cv2.INTER_NEAREST)
    picture = picture.copy()
    picture[-72:, -108:] = stamp[..., None]
    return picture


@pytest.fixture(scope="module")
def works() -> list[np.ndarray]:
    return [paint(*work, 480) for work in WORKS]


def made(folder, pictures: dict[str, np.ndarray], descriptors: np.ndarray) -> tuple[Store, Reading]:
    """A collection in a folder, of files by name, with (pictures, dimensions) descriptors."""
    (folder / "images").mkdir()
    reading = Reading.of(folder / "images", Settings())
    for name, picture in pictures.items():
        assert cv2.imwrite(str(folder / "images" / name), picture)
    descriptors = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    with Store.writing(folder / "output", 1) as store:
        stamps = [reading.content(name)[0] for name in pictures]
        store.put_images("descriptors", list(zip(stamps, descriptors, strict=True)))
        store.restart_features(local_features=EXTRACTOR.settings())
        store.put_features(list(enumerate(map(EXTRACTOR.extract, pictures.values()), start=1)))
        votes.update(store, 500, None)
    return Store.reading(folder / "output"), reading


def names(store: Store, pairs) -> set[tuple[str, str]]:
    images = store.images()
    return {tuple(sorted((images[pair.first].path, images[pair.second].path))) for pair in pairs}


@pytest.fixture(scope="module")
def collection(works, tmp_path_factory) -> tuple[Store, Reading]:
    """Four works, of which two are alike to the network, and three copies each of the two others."""
    rng = np.random.default_rng(0)
    seen = rng.standard_normal((4, 32))
    seen[3] = seen[2]
    pictures, descriptors = {f"{number}.png": work for number, work in enumerate(works)}, list(seen)
    for number in (0, 1):
        copies = {"again.jpg": works[number], "half.png": halved(works[number]), "cropped.png": cropped(works[number])}
        pictures |= {f"{number} {name}": copy for name, copy in copies.items()}
        descriptors += [seen[number] + noise * rng.standard_normal(32) for noise in (0.1, 0.5, 1)]
    store, reading = made(tmp_path_factory.mktemp("duplicates"), pictures, np.array(descriptors))
    yield store, reading
    store.close()


ALL = {
    pair
    for number in (0, 1)
    for pair in [
        (f"{number} again.jpg", f"{number}.png"),
        (f"{number} half.png", f"{number}.png"),
        (f"{number} cropped.png", f"{number}.png"),
        (f"{number} again.jpg", f"{number} half.png"),
        (f"{number} again.jpg", f"{number} cropped.png"),
        (f"{number} cropped.png", f"{number} half.png"),
    ]
}


@pytest.mark.parametrize("workers", [1, 3])
def test_all_copies_are_found_and_nothing_else(collection, workers):
    told = []
    pairs = list(near_duplicates(*collection, workers, lambda done, of: told.append((done, of))))
    assert names(collection[0], pairs) == ALL
    assert len(pairs) == len(ALL)  # none comes twice
    assert all(pair.first < pair.second and not pair.same_file for pair in pairs)
    assert told == [(0, 10), (10, 10)]
    _, descriptors = collection[0].descriptors()
    for pair in pairs:
        one, other = descriptors[[pair.first - 1, pair.second - 1]].astype(float)
        assert pair.similarity == pytest.approx(one @ other, abs=2e-3)
        assert pair.inliers >= 50 and pair.agreement > 0.8


def test_they_are_found_however_few_are_read_at_a_time(collection, monkeypatch):
    monkeypatch.setattr(duplicates, "AT_ONCE", 3)
    pairs = list(near_duplicates(*collection, 2, lambda *_: None))
    assert names(collection[0], pairs) == ALL and len(pairs) == len(ALL)


@pytest.mark.parametrize("other_way", ["SIMILAR", "VOTED"])
def test_descriptors_and_votes_lead_to_each_copy_on_their_own(collection, monkeypatch, other_way):
    monkeypatch.setattr(duplicates, other_way, 0)
    found = names(collection[0], near_duplicates(*collection, 1, lambda *_: None))
    assert ALL >= found >= {pair for pair in ALL if pair[1][1:] == ".png"}  # a copy and its original


def test_a_stamp_in_common_is_not_a_work_in_common(works, tmp_path):
    pictures = {f"{number}.png": stamped(works[number]) for number in (0, 1)}
    store, reading = made(tmp_path, pictures, np.ones((2, 8)))
    (evidence,) = examine(store.features([1])[0], store.features([2]))
    assert evidence.inliers >= duplicates.INLIERS
    assert list(near_duplicates(store, reading, 1, lambda *_: None)) == []
    store.close()


def test_the_same_file_is_told_once_and_needs_no_comparison(works, tmp_path):
    pictures = {"a.png": works[0], "b.png": works[1], "c.png": works[0], "d.png": works[0]}
    store, reading = made(tmp_path, pictures, np.eye(4, 8))
    (reading.dataset / "c.png").unlink()
    pairs = list(near_duplicates(store, reading, 1, lambda *_: None))
    assert [(pair.first, pair.second, pair.same_file) for pair in pairs] == [(1, 3, True), (1, 4, True)]
    assert pairs[0].checksums == (store.images()[1].checksum,) * 2
    store.close()


def test_pictures_that_can_no_longer_be_read_are_left_out(works, tmp_path):
    pictures = {"a.png": works[0], "b.png": halved(works[0]), "c.png": works[1], "d.png": halved(works[1])}
    store, reading = made(tmp_path, pictures, np.eye(4, 8))
    (reading.dataset / "b.png").unlink()
    assert names(store, near_duplicates(store, reading, 1, lambda *_: None)) == {("c.png", "d.png")}
    store.close()


def test_the_lists_of_a_large_collection_hold_the_neighbours():
    random = np.random.default_rng(0)
    originals = random.standard_normal((3000, 32))
    both = np.concatenate([originals, originals + 0.3 * random.standard_normal(originals.shape)])
    both = (both / np.linalg.norm(both, axis=1, keepdims=True)).astype(np.float16)
    index = duplicates._index(both)
    assert index.nlist > duplicates.PROBED
    _, rows = index.search(both.astype(np.float32), 2)
    copy_of = (np.arange(6000) + 3000) % 6000
    assert (rows == copy_of[:, None]).any(axis=1).mean() > 0.95


def test_keypoints_are_counted_in_the_order_of_the_pictures(collection):
    store, _ = collection
    counted = store.keypoint_counts()
    assert counted == [len(features.keypoints) for features in store.features(store.images())]
    assert max(counted) == 500


def test_an_empty_store_has_none(tmp_path):
    with Store.writing(tmp_path, 1):
        pass
    store = Store.reading(tmp_path)
    assert list(near_duplicates(store, Reading.of(tmp_path, Settings()), 1, lambda *_: None)) == []
    assert store.keypoint_counts() == []
    store.close()

"""Near-duplicates in a small store of made-up descriptors and real local features."""

import cv2
import numpy as np
import pytest

from dataset.painting import paint
from models.collection.store import Stamp, Store
from models.duplicates import keypoint_counts, near_duplicates
from models.local.orb import Orb

EXTRACTOR = Orb(500, 800)


def reencoded(picture: np.ndarray) -> np.ndarray:
    """The same picture, smaller and as a JPEG."""
    small = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """1: a picture; 2: the same, re-encoded; 3: alike to the network only; 4: the file of 1; 5: another."""
    first, alike, other = (
        paint(genre, kind, seed, 500)
        for genre, kind, seed in [("portrait", "portrait", 1), ("landscape", "sea", 2), ("landscape", "sea", 3)]
    )
    pictures = [first, reencoded(first), alike, first, other]
    rng = np.random.default_rng(0)
    base = rng.standard_normal(32)
    near = [base, base + 0.1 * rng.standard_normal(32), base + 0.2 * rng.standard_normal(32), base]
    vectors = np.array([*near, rng.standard_normal(32)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    output = tmp_path_factory.mktemp("duplicates")
    with Store.writing(output, 1) as writing:
        stamps = [Stamp(f"{number}.jpg", 1, 1, checksum) for number, checksum in enumerate("abcae", start=1)]
        writing.put_images("descriptors", list(zip(stamps, vectors, strict=True)))
        writing.put_features([(number, EXTRACTOR.extract(picture)) for number, picture in enumerate(pictures, start=1)])
    reading = Store.reading(output)
    yield reading
    reading.close()


def test_pairs_are_confirmed_by_local_features(store):
    pairs = near_duplicates(store, 0.8, 100)
    assert {(pair.first, pair.second) for pair in pairs} == {(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)}
    confirmed = {(pair.first, pair.second) for pair in pairs if pair.confirmed}
    assert confirmed == {(1, 2), (1, 4), (2, 4)}
    assert [pair.confirmed for pair in pairs] == [True] * 3 + [False] * 3  # confirmed ones come first
    assert pairs[0].same_file
    assert (pairs[0].first, pairs[0].second) == (1, 4)
    assert sum(pair.same_file for pair in pairs) == 1


def test_similarities_are_cosines(store):
    _, descriptors = store.descriptors()
    cosines = descriptors.astype(float) @ descriptors.astype(float).T
    for pair in near_duplicates(store, 0.8, 100):
        assert pair.similarity == pytest.approx(cosines[pair.first - 1, pair.second - 1], abs=2e-3)
    assert near_duplicates(store, 0.999, 100)[0].similarity == pytest.approx(1, abs=2e-3)


def test_only_the_most_similar_are_examined(store):
    (pair,) = near_duplicates(store, 0.8, 1)
    assert (pair.first, pair.second) == (1, 4)


def test_keypoints_are_counted(store):
    counts = keypoint_counts(store)
    assert len(counts) == 5
    assert counts[0] == counts[3] == len(store.features([1])[0].keypoints)


def test_an_empty_store_has_none(tmp_path):
    with Store.writing(tmp_path, 1):
        pass
    store = Store.reading(tmp_path)
    assert near_duplicates(store, 0.8, 10) == []
    assert list(keypoint_counts(store)) == []
    store.close()

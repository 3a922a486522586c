"""The votes of local features: what counts as a vote, and that the index follows the store."""

import numpy as np
import pytest

from models.collection.features import Features
from models.collection.store import Store
from models.local import votes
from models.local.orb import Orb
from models.local.sift import Sift
from models.local.votes import Votes
from tests.collection.test_store import descriptor, stamp
from utils.errors import WrongUse

KEYPOINTS = 40


def random_features(seed: int, kind: type = Orb, count: int = KEYPOINTS) -> Features:
    random = np.random.default_rng(seed)
    table = np.column_stack([random.uniform(0, 400, (count, 2)), np.full(count, 31), random.uniform(0, 360, count)])
    numbers = random.integers(0, 256, (count, kind.width)).astype(kind.dtype)
    return Features((400, 400), table.astype(np.float32), numbers, kind.kind)


def fill(store: Store, images: dict[int, Features], kind: type = Orb) -> None:
    """Store images with the ids 1, 2, ... and their features."""
    store.put_images("descriptors", [(stamp(f"{image}.jpg"), descriptor(1)) for image in images])
    store.restart_features(local_features=kind(KEYPOINTS, 800).settings())
    store.put_features(images.items())


def label(image: int, angle: int = 0, size: int = 20) -> int:
    return image << 12 | angle << 6 | size


@pytest.fixture
def store(tmp_path):
    with Store.writing(tmp_path, 1) as opened:
        yield opened


def test_a_vote_weighs_the_more_the_nearer_it_is_in_proportion_to_the_last_neighbour():
    query = Features((10, 10), np.float32([[1, 1, 8, 0]]), np.zeros((1, 32), np.uint8), "orb")
    distances = np.float32([[10, 30, 40]])
    images, weights = votes.tally(query, distances, np.array([[label(7), label(5), label(9)]]))
    assert images.tolist() == [5, 7]
    np.testing.assert_allclose(weights, [1 - 30 / 40, 1 - 10 / 40])


def test_a_keypoint_has_one_vote_for_an_image_however_often_it_is_there():
    query = Features((10, 10), np.float32([[1, 1, 8, 0]]), np.zeros((1, 32), np.uint8), "orb")
    _, weights = votes.tally(query, np.float32([[10, 20, 40]]), np.array([[label(7), label(7), label(9)]]))
    np.testing.assert_allclose(weights, [0.75])


@pytest.mark.parametrize(
    ("angles", "sizes", "expected"),
    [((0, 0), (20, 20), 2), ((0, 62), (20, 20), 2), ((0, 32), (20, 20), 1), ((0, 0), (20, 40), 1)],
    ids=["same", "the circle closes", "turned otherwise", "grown otherwise"],
)
def test_votes_count_together_only_if_they_agree_on_rotation_and_scale(angles, sizes, expected):
    table = np.float32([[1, 1, 8, 0], [5, 5, 8, 0]])
    query = Features((10, 10), table, np.zeros((2, 32), np.uint8), "orb")
    labels = np.array([[label(7, angle, size), label(9)] for angle, size in zip(angles, sizes, strict=True)])
    images, weights = votes.tally(query, np.float32([[0, 40], [0, 40]]), labels)
    assert images.tolist() == [7]
    np.testing.assert_allclose(weights, [expected / 2])


def test_without_enough_neighbours_there_are_no_votes():
    query = Features((10, 10), np.float32([[1, 1, 8, 0]]), np.zeros((1, 32), np.uint8), "orb")
    images, weights = votes.tally(query, np.float32([[10, 256]]), np.array([[label(7), -1]]))
    assert len(images) == len(weights) == 0


@pytest.mark.parametrize("kind", [Orb, Sift], ids=["bits", "numbers"])
def test_an_image_gets_the_votes_of_its_own_keypoints(store, kind):
    images = {image: random_features(image, kind) for image in range(1, 31)}
    fill(store, images, kind)
    assert votes.update(store, KEYPOINTS, set())
    index = Votes.reading(store)
    for image in (1, 17, 30):
        (first, weight), *others = index.candidates(images[image], 5, range(1, 31))
        assert first == image
        assert weight == pytest.approx(1, rel=1e-3)
        assert all(other < 0.5 for _, other in others)
    assert index.candidates(images[17], 5, range(1, 17))[0][0] != 17


def test_of_an_image_with_many_keypoints_some_are_indexed(store):
    fill(store, {1: random_features(1), 2: random_features(2)})
    votes.update(store, 15, set())
    assert Votes.reading(store).index.ntotal == 2 * 14  # every third of 40


def test_the_index_follows_the_store(store):
    images = {image: random_features(image) for image in range(1, 21)}
    fill(store, images)
    votes.update(store, KEYPOINTS, set())
    before, earlier = Votes.reading(store), store.get_meta("votes")
    assert not votes.update(store, KEYPOINTS, set()), "nothing has changed"

    store.delete(["3.jpg"])
    store.put_images("descriptors", [(stamp("21.jpg"), descriptor(1))])
    images[5], images[21] = random_features(105), random_features(21)
    store.put_features([(5, images[5]), (21, images[21])])
    assert votes.update(store, KEYPOINTS, {5, 21})

    index = Votes.reading(store)
    assert index.index.ntotal == 20 * KEYPOINTS
    everything = range(1, 22)
    for image in (5, 21, 1):
        assert index.candidates(images[image], 1, everything)[0][0] == image
    assert dict(index.candidates(images[3], 30, everything)).get(3) is None
    stale = dict(index.candidates(random_features(5), 30, everything)).get(5, 0)
    assert stale < 0.5, "the old keypoints of a changed image are gone"
    assert before.candidates(images[3], 1, everything)[0][0] == 3, "who reads the old file is not disturbed"
    assert not (store.path.parent / earlier).exists()


def test_an_update_that_was_broken_off_is_made_good(store):
    """A changed image whose new local features are stored, but not in the index."""
    fill(store, {1: random_features(1), 2: random_features(2)})
    votes.update(store, KEYPOINTS, set())
    store.put_features([(2, random_features(12))])
    assert votes.update(store, KEYPOINTS, None)
    assert Votes.reading(store).candidates(random_features(12), 1, {1, 2}) == [(2, pytest.approx(1, rel=1e-3))]


@pytest.mark.parametrize("damage", [b"", b"nonsense", "cut", None], ids=["empty", "foreign", "cut", "missing"])
def test_a_damaged_index_is_told_and_made_anew(store, damage):
    fill(store, {1: random_features(1), 2: random_features(2)})
    votes.update(store, KEYPOINTS, set())
    file = store.path.parent / store.get_meta("votes")
    whole = file.read_bytes()
    file.unlink()
    if damage is not None:
        file.write_bytes(whole[:-1000] if damage == "cut" else damage)
    with pytest.raises(WrongUse, match="run pre_compute_descriptor"):
        Votes.reading(store)
    assert votes.update(store, KEYPOINTS, set())
    assert Votes.reading(store).candidates(random_features(2), 1, {1, 2}) == [(2, pytest.approx(1, rel=1e-3))]


def test_images_without_keypoints_and_queries_without_keypoints_get_no_votes(store):
    fill(store, {1: random_features(1, count=0), 2: random_features(2, count=0)})
    votes.update(store, KEYPOINTS, set())
    assert Votes.reading(store).candidates(random_features(1), 5, {1, 2}) == []
    assert Votes.reading(store).candidates(random_features(1, count=0), 5, {1, 2}) == []


def test_a_store_without_an_index_says_so(store):
    fill(store, {1: random_features(1)})
    with pytest.raises(WrongUse, match="no index of keypoints: run pre_compute_descriptor"):
        Votes.reading(store)

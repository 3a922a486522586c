import numpy as np
import pytest

from models.description import whitening
from models.description.whitening import Whitening
from utils.errors import WrongUse


@pytest.fixture(autouse=True)
def no_warnings():
    with np.errstate(all="raise", under="ignore"):
        yield


def covariance(projected):
    centred = projected - projected.mean(0)
    return centred.T @ centred / len(projected)


def correlated(count, channels, seed=0):
    """Random vectors whose channels depend on each other, with a mean that is not 0."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, channels)) @ rng.normal(size=(channels, channels)) + 3).astype(np.float32)


def test_descriptor_by_hand():
    made = Whitening(mean=np.array([1, 1], np.float32), projection=np.array([[2, 0], [0, 1]], np.float32))
    # (2, 1) - (1, 1) = (1, 0) -> (2, 0) -> length 1: (1, 0)
    # (1, 5) - (1, 1) = (0, 4) -> (0, 4) -> length 1: (0, 1)
    # (3, 2) - (1, 1) = (2, 1) -> (4, 1) -> length 1: (4, 1) / sqrt(17)
    # Their sum is (1 + 4 / sqrt(17), 1 + 1 / sqrt(17)), divided by its length.
    total = np.array([1 + 4 / 17**0.5, 1 + 1 / 17**0.5])
    result = made.descriptor(np.array([[2, 1], [1, 5], [3, 2]], np.float16))
    np.testing.assert_allclose(result, total / np.linalg.norm(total), rtol=1e-6)
    assert result.dtype == np.float32


def test_descriptor_leaves_zero_vectors_out():
    # The vector of a class that is nowhere on the picture is no evidence, though it differs from the mean.
    made = Whitening(mean=np.array([1, 1], np.float32), projection=np.eye(2, dtype=np.float32))
    with_zero = made.descriptor(np.array([[4, 5], [0, 0]], np.float32))
    np.testing.assert_allclose(with_zero, [0.6, 0.8], rtol=1e-6)


def test_descriptor_of_nothing_is_zero():
    made = Whitening(mean=np.ones(2, np.float32), projection=np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(made.descriptor(np.zeros((4, 2), np.float16)), [0, 0, 0])


def test_fit_by_hand():
    # Around the mean (5, 7) the points lie at (+-3, 0) and (0, +-1): the variances are 2 * 9 / 4 = 4.5 and
    # 2 * 1 / 4 = 0.5, so the axes are divided by sqrt(4.5) and sqrt(0.5); an axis may point either way.
    fitted = whitening.fit(np.array([[8, 7], [2, 7], [5, 8], [5, 6]], np.float32), 2)
    np.testing.assert_allclose(fitted.mean, [5, 7])
    np.testing.assert_allclose(np.abs(fitted.projection), [[1 / 4.5**0.5, 0], [0, 1 / 0.5**0.5]], atol=1e-6)
    # (8, 7) lies on the first axis alone, (5, 9) on the second: their unit vectors add up to (+-1, +-1).
    np.testing.assert_allclose(np.abs(fitted.descriptor(np.array([[8.0, 7], [5, 9]]))), [0.5**0.5] * 2, atol=1e-6)


def test_fit_keeps_the_directions_of_largest_variance():
    points = np.array([[8, 7], [2, 7], [5, 8], [5, 6]], np.float32)
    fitted = whitening.fit(points, 1)
    np.testing.assert_allclose(np.abs(fitted.projection), [[1 / 4.5**0.5], [0]], atol=1e-6)


def test_whitened_vectors_have_unit_covariance():
    vectors = correlated(600, 12)
    fitted = whitening.fit(vectors, 12)
    projected = (vectors - fitted.mean) @ fitted.projection
    np.testing.assert_allclose(projected.mean(0), np.zeros(12), atol=1e-4)
    np.testing.assert_allclose(covariance(projected), np.eye(12), atol=1e-3)


def test_fewer_vectors_than_channels():
    # Five points span four directions, however many channels there are and dimensions are asked for.
    vectors = correlated(5, 16)
    fitted = whitening.fit(vectors, 16)
    assert fitted.projection.shape == (16, 4)
    assert np.isfinite(fitted.projection).all()
    np.testing.assert_allclose(covariance((vectors - fitted.mean) @ fitted.projection), np.eye(4), atol=1e-3)


def test_a_channel_that_repeats_another_adds_no_dimension():
    vectors = correlated(300, 6)
    fitted = whitening.fit(np.concatenate([vectors, vectors[:, :2]], axis=1), 8)
    assert fitted.projection.shape == (8, 6)


def test_half_precision_is_enough_to_fit_on():
    vectors = correlated(300, 6).astype(np.float16)
    fitted = whitening.fit(vectors, 6)
    assert fitted.mean.dtype == fitted.projection.dtype == np.float32
    assert np.allclose(covariance((vectors - fitted.mean) @ fitted.projection), np.eye(6), atol=1e-3)


@pytest.mark.parametrize("count", [1, 7])
def test_identical_pictures_are_wrong_use(count):
    with pytest.raises(WrongUse, match="look the same to the network"):
        whitening.fit(np.tile(np.array([0.6, 0.8, 0.1], np.float16), (count, 1)), 3)


def test_pictures_without_any_feature_are_wrong_use():
    with pytest.raises(WrongUse, match="look the same"):
        whitening.fit(np.zeros((4, 3), np.float16), 3)


def test_small_collections_fit_on_more_vectors_of_an_image():
    # 5120 vectors are wanted: one of each of 5120 images, 18 of each of 287 (18 * 287 = 5166, 17 * 287 = 4879).
    images = [1, 287, 2560, 5119, 5120, 43690]
    assert [whitening.vectors_each(count) for count in images] == [5120, 18, 2, 2, 1, 1]

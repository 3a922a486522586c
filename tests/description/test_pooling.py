from fractions import Fraction

import numpy as np
import pytest

from config import POOLINGS
from models.description import pooling

# Two by two positions, three channels; the last channel is 0 everywhere.
#   channel 0: 1 0    channel 1: 3 4
#              0 0               0 2
FEATURES = np.array([[[1, 3, 0], [0, 4, 0]], [[0, 0, 0], [0, 2, 0]]], np.float32)

# Channel 0 is not 0 at 1/4 of the positions, channel 1 at 3/4; 1/4 + 3/4 = 1, so the weights are log(1 / Q).
LOG_4, LOG_4_3 = np.log(4), np.log(4 / 3)

ONE_VECTOR = [pooling.crow, pooling.spoc, pooling.mac, pooling.gem]


@pytest.fixture(autouse=True)
def no_warnings():
    """Divisions by zero and logarithms of zero would show as warnings on the user's terminal."""
    with np.errstate(all="raise", under="ignore"):
        yield


def unit(*values):
    return np.array(values) / np.linalg.norm(values)


def some_features(height=5, width=7, channels=6):
    """Features as after a ReLU: about half of them 0."""
    drawn = np.random.default_rng(1).normal(size=(height, width, channels))
    return np.maximum(drawn, 0).astype(np.float32)


def test_normalised_divides_by_the_length():
    result = pooling.normalised(np.array([[3, 4], [0, 0], [0, -2]], np.float32))
    np.testing.assert_allclose(result, [[0.6, 0.8], [0, 0], [0, -1]])


def test_class_maps_by_hand():
    weights = np.array([[5, -1, 0], [-1, -1, 9], [0, 1, 0]], np.float32)
    result = pooling.class_maps(FEATURES, weights)
    # Class 0: 5 * channel 0 - channel 1 = (5 - 3, -4; 0, -2); only the 2 is positive, and the maximum.
    np.testing.assert_allclose(result[0], [[1, 0], [0, 0]])
    # Class 1: - channel 0 - channel 1 has no positive value.
    np.testing.assert_allclose(result[1], [[0, 0], [0, 0]])
    # Class 2: channel 1 divided by its maximum, 4.
    np.testing.assert_allclose(result[2], [[0.75, 1], [0, 0.5]])


def test_attention_is_the_mean_map_stretched():
    maps = np.array([[[1, 0.5], [0, 0.25]], [[0.6, 0.1], [0.2, 0.15]]], np.float32)
    # The mean is (0.8, 0.3; 0.1, 0.2): the lowest becomes 0 and the highest 255.
    result = pooling.attention(maps)
    assert result.dtype == np.uint8
    assert result.tolist() == [[255, round(255 * 2 / 7)], [0, round(255 / 7)]]


@pytest.mark.parametrize("value", [0, 0.4])
def test_attention_to_everything_alike_is_none(value):
    assert pooling.attention(np.full((3, 4, 5), value, np.float32)).tolist() == [[0] * 5] * 4


def test_class_maps_lie_in_0_to_1_whatever_the_scale():
    weights = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    maps = pooling.class_maps(some_features(), weights)
    assert maps.shape == (4, 5, 7)
    assert maps.min() == 0
    np.testing.assert_allclose(maps.max((1, 2)), 1)
    np.testing.assert_allclose(pooling.class_maps(some_features(), 1000 * weights), maps, rtol=1e-5)


def test_channel_weights_by_hand():
    result = pooling.channel_weights(FEATURES)
    np.testing.assert_allclose(result, [LOG_4, LOG_4_3, 0], rtol=1e-6)
    assert result.dtype == np.float32


def test_channel_weights_with_shares_that_do_not_add_up_to_1():
    # Channel 0 is there everywhere (Q = 1), channel 1 at half of the positions: log(1.5 / 1), log(1.5 / 0.5).
    features = np.array([[[7, 2], [1, 0]]], np.float32)
    np.testing.assert_allclose(pooling.channel_weights(features), [np.log(1.5), np.log(3)], rtol=1e-6)


def test_cam_by_hand():
    maps = np.array([[[1, 0], [0, 0.5]], [[0, 0], [0, 0]], [[0, 1], [1, 1]]], np.float32)
    result = pooling.cam(FEATURES, maps)
    # Class 0: channel 0 sums to 1 * 1, channel 1 to 3 * 1 + 2 * 0.5 = 4.
    np.testing.assert_allclose(result[0], unit(1 * LOG_4, 4 * LOG_4_3, 0), rtol=1e-6)
    # Class 1 is nowhere.
    np.testing.assert_allclose(result[1], [0, 0, 0])
    # Class 2: channel 0 is not where the class is; channel 1 remains.
    np.testing.assert_allclose(result[2], [0, 1, 0])


def test_cam_gem_by_hand():
    coarse = np.array([[[2, 0], [1, 3]]], np.float32)  # one row, two positions
    fine = np.array([[[1], [0], [0], [2]], [[0], [0], [2], [0]]], np.float32)  # two by two of them for each
    maps = np.array([[[1, 0.5]], [[0, 0]]], np.float32)
    # Coarse: channel 0 (8 + 0.5 * 1)^(1/3), channel 1 (0.5 * 27)^(1/3); fine: (1/4 + 0.5 * 16/4)^(1/3), alone, so 1.
    of_coarse = unit(8.5 ** (1 / 3), 13.5 ** (1 / 3))
    result = pooling.cam_gem([fine, coarse], maps)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], np.array([1, *of_coarse]) / 2**0.5, rtol=1e-6)
    np.testing.assert_array_equal(result[1], 0)  # a class that is seen nowhere


def test_cam_gem_of_power_1_is_a_weighted_mean_and_of_a_high_one_the_maximum():
    features = some_features()
    maps = pooling.class_maps(features, np.random.default_rng(3).normal(size=(2, 6)).astype(np.float32))
    weighted = np.einsum("chw,hwk->ck", maps, features)
    np.testing.assert_allclose(pooling.cam_gem([features], maps, 1), pooling.normalised(weighted), rtol=1e-5)
    everywhere = np.ones((1, 5, 7), np.float32)
    np.testing.assert_allclose(
        pooling.cam_gem([features.astype(np.float64)], everywhere, 200), pooling.mac(features), rtol=0.02
    )


def test_cam_gem_leaves_out_what_pooling_leaves_out():
    fine = some_features(11, 15)
    maps = np.ones((1, 5, 7), np.float32)
    np.testing.assert_array_equal(pooling.cam_gem([fine], maps), pooling.cam_gem([fine[:10, :14]], maps))


def test_crow_by_hand():
    # Sums over the channels: 4 4; 0 2, of length 6; the spatial weights are the roots of 4/6, 4/6, 0, 2/6.
    upper, lower = np.sqrt(4 / 6), np.sqrt(2 / 6)
    expected = unit(1 * upper * LOG_4, (3 * upper + 4 * upper + 2 * lower) * LOG_4_3, 0)
    np.testing.assert_allclose(pooling.crow(FEATURES), [expected], rtol=1e-6)


def test_spoc_by_hand():
    np.testing.assert_allclose(pooling.spoc(FEATURES), [unit(1, 3 + 4 + 2, 0)], rtol=1e-6)


def test_mac_by_hand():
    np.testing.assert_allclose(pooling.mac(FEATURES), [unit(1, 4, 0)], rtol=1e-6)


def test_gem_by_hand():
    # Means of cubes: 1/4 and (27 + 64 + 8)/4; the division by 4 cancels when normalised.
    np.testing.assert_allclose(pooling.gem(FEATURES), [unit(1, 99 ** (1 / 3), 0)], rtol=1e-6)


def test_gem_lies_between_spoc_and_mac():
    features = some_features()
    np.testing.assert_allclose(pooling.gem(features, power=1), pooling.spoc(features), rtol=1e-5)
    np.testing.assert_allclose(pooling.gem(features.astype(np.float64), power=200), pooling.mac(features), atol=0.02)


# R-MAC. Where every position has a channel of its own, a region's maxima say which positions it holds.


def regions(height, width):
    """(top, left, height, width) of each region that `rmac` takes maxima of, in its order."""
    features = np.eye(height * width, dtype=np.float32).reshape(height, width, -1)
    result = []
    for vector in pooling.rmac(features):
        rows, columns = np.nonzero(vector.reshape(height, width))
        box = rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == box[2] * box[3], "a region is a rectangle"
        result.append(tuple(int(number) for number in box))
    return result


def published_regions(height, width):
    """The layout of Tolias et al. 2016 after the authors' description, in exact arithmetic.

    Of 2 to 7 regions along the longer side the number whose neighbours at level 1 overlap most nearly by 40 % is
    taken; a region starts at the whole position below its exact place.
    """
    shorter, longer = sorted((height, width))
    overlap = {n: 1 - Fraction(longer - shorter, (n - 1) * shorter) for n in range(2, 8)}
    more = min(overlap, key=lambda n: abs(overlap[n] - Fraction(2, 5))) - 1 if longer > shorter else 0
    result = [(0, 0, height, width)]
    for level in (1, 2, 3):
        side = 2 * shorter // (level + 1)
        rows = level + (more if height > width else 0)
        columns = level + (more if width > height else 0)
        for row in range(rows):
            for column in range(columns):
                top = Fraction((height - side) * row, max(rows - 1, 1))
                left = Fraction((width - side) * column, max(columns - 1, 1))
                result.append((int(top), int(left), side, side))
    return result


def test_rmac_regions_by_hand():
    # 4 x 6: two squares of side 4 along the longer side overlap by 1/2, three by 3/4; 1/2 is nearer to 0.4, so there
    # is one region more along the width. Sides: 4, 8 // 3 = 2, 8 // 4 = 2. Level 3 starts at 0, 4/3, 8/3, 4.
    whole = [(0, 0, 4, 6)]
    level1 = [(0, 0, 4, 4), (0, 2, 4, 4)]
    level2 = [(top, left, 2, 2) for top in (0, 2) for left in (0, 2, 4)]
    level3 = [(top, left, 2, 2) for top in (0, 1, 2) for left in (0, 1, 2, 4)]
    assert regions(4, 6) == whole + level1 + level2 + level3


def test_rmac_regions_of_a_square():
    # 7 x 7: sides 7, 14 // 3 = 4 and 14 // 4 = 3; one, four and nine regions after the whole.
    level2 = [(top, left, 4, 4) for top in (0, 3) for left in (0, 3)]
    level3 = [(top, left, 3, 3) for top in (0, 2, 4) for left in (0, 2, 4)]
    assert regions(7, 7) == [(0, 0, 7, 7), (0, 0, 7, 7), *level2, *level3]


@pytest.mark.parametrize("size", [(24, 32), (32, 24), (23, 31), (13, 11), (16, 16), (4, 30), (37, 8), (4, 4)])
def test_rmac_regions_are_the_published_ones(size):
    assert regions(*size) == published_regions(*size)


def test_rmac_puts_the_whole_image_first():
    features = some_features()
    np.testing.assert_array_equal(pooling.rmac(features)[:1], pooling.mac(features))


# What holds for every pooling.


def pooled(name, features):
    """The vectors of a pooling; `cam` with two classes that any rearrangement of positions takes along."""
    if name in ("cam", "cam_gem"):
        weights = np.random.default_rng(3).normal(size=(2, features.shape[-1])).astype(np.float32)
        maps = pooling.class_maps(features, weights)
        return pooling.cam(features, maps) if name == "cam" else pooling.cam_gem([features], maps)
    return getattr(pooling, name)(features)


@pytest.mark.parametrize("name", POOLINGS)
def test_vectors_have_length_1(name):
    vectors = pooled(name, some_features())
    assert vectors.shape[1:] == (6,)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", POOLINGS)
def test_stronger_features_give_the_same_vectors(name):
    features = some_features()
    np.testing.assert_allclose(pooled(name, 8 * features), pooled(name, features), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(POOLINGS) - {"rmac"}))
def test_the_order_of_positions_does_not_matter(name):
    features = some_features()
    shuffled = np.random.default_rng(4).permutation(features.reshape(-1, 6)).reshape(features.shape)
    np.testing.assert_allclose(pooled(name, shuffled), pooled(name, features), rtol=1e-4, atol=1e-6)


def test_rmac_of_a_turned_image_has_the_regions_turned():
    features = some_features(5, 5)
    key = np.lexsort
    upright, turned = (pooling.rmac(f) for f in (features, features.swapaxes(0, 1)))
    np.testing.assert_array_equal(upright[key(upright.T)], turned[key(turned.T)])


@pytest.mark.parametrize("name", POOLINGS)
def test_features_that_are_all_zero_give_zero_vectors(name):
    vectors = pooled(name, np.zeros((3, 4, 6), np.float32))
    np.testing.assert_array_equal(vectors, np.zeros((len(vectors), 6)))
    assert len(vectors) >= 1


@pytest.mark.parametrize("pool", ONE_VECTOR)
def test_a_single_position_is_its_own_pooling(pool):
    # Both channels are there at all of the positions, so CroW weighs them alike, with log(2).
    np.testing.assert_allclose(pool(np.array([[[3, 4]]], np.float32)), [[0.6, 0.8]], rtol=1e-6)


def test_a_single_position_in_several_vectors():
    features = np.array([[[3, 4]]], np.float32)
    np.testing.assert_allclose(pooling.rmac(features), np.tile([0.6, 0.8], (15, 1)), rtol=1e-6)
    maps = pooling.class_maps(features, np.array([[1, 0], [0, -1]], np.float32))
    np.testing.assert_array_equal(maps, [[[1]], [[0]]])
    np.testing.assert_allclose(pooling.cam(features, maps), [[0.6, 0.8], [0, 0]], rtol=1e-6)

"""What every network has to keep to, whoever wrote it: models.description.network."""

import numpy as np
import pytest

from models.description import network
from tests.own import tiny

WEIGHTS = {"vgg16": "bundled", "tiny": "bundled"}  # of each network, that need no download
LEVELS = [("fine", "coarse"), ("coarse",)]  # that the poolings ask for
HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module", params=WEIGHTS)
def loaded(request):
    """What is known of a network, and for each of LEVELS the network and its digest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(network.NETWORKS, "tiny", tiny.KNOWN)
        name = request.param
        yield (
            network.known(name),
            {levels: network.load(name, WEIGHTS[name], "float32", levels) for levels in LEVELS},
        )


@pytest.fixture(scope="module")
def pictures():
    noise = np.random.default_rng(0).integers(0, 256, (2, HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    return noise.repeat(8, 1).repeat(8, 2)


def test_there_are_two_levels_and_one_divides_the_other(loaded):
    known, _ = loaded
    assert set(known.levels) == {"fine", "coarse"}
    assert known.levels["coarse"].stride % known.levels["fine"].stride == 0


@pytest.mark.parametrize("levels", LEVELS, ids=" ".join)
def test_features_come_in_the_order_asked_for_as_large_as_known_and_not_negative(loaded, pictures, levels):
    known, networks = loaded
    *features, activations = networks[levels][0](pictures)
    assert len(features) == len(levels)
    for found, level in zip(features, levels, strict=True):
        stride = known.levels[level].stride
        assert found.shape == (2, HEIGHT // stride, WIDTH // stride, known.levels[level].channels)
    stride = known.levels["coarse"].stride
    assert activations.shape[:3] == (2, HEIGHT // stride, WIDTH // stride)
    for found in (*features, activations):
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() > 0


def test_a_picture_alone_has_the_features_that_it_has_among_others(loaded, pictures):
    model, _ = loaded[1][LEVELS[0]]
    for alone, together in zip(model(pictures[1:]), model(pictures), strict=True):
        np.testing.assert_allclose(alone[0], together[1], rtol=1e-4, atol=1e-4 * together.max())


def test_the_head_takes_a_number_of_classes_and_the_classes_themselves(loaded, pictures):
    known, networks = loaded
    model, _ = networks[LEVELS[0]]
    activations = model(pictures)[-1][0]
    probable, weights = model.head.classes(activations, known.classes)
    assert sorted(probable) == list(range(known.classes))
    assert weights.shape == (known.classes, activations.shape[2])
    given, same = model.head.classes(activations, probable[[3, 1]])
    assert list(given) == [probable[3], probable[1]]
    np.testing.assert_allclose(same, weights[[3, 1]], rtol=1e-5, atol=1e-6)


def test_the_digest_depends_on_the_weights_alone(loaded):
    digests = {digest for _, digest in loaded[1].values()}
    assert len(digests) == 1 and len(next(iter(digests))) == 64


def test_the_precision_is_that_of_the_arithmetic(loaded):
    assert {model.precision for model, _ in loaded[1].values()} == {"float32"}

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.description import pooling, weights, whitening
from models.description.backend import best_precision, keras
from models.description.vgg16 import (
    VGG16,
    FullyConnectedHead,
    PoolingHead,
    adaptive_average,
    max_pool,
)
from models.description.vgg16_model import vgg16_cam
from utils.errors import WrongUse

ROOT = Path(__file__).parents[2]
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the gradients to compare with are TensorFlow's"
)


def pictures(count, height=64, width=96):
    """Random coloured clouds, (count, height, width, 3) uint8: smoother than noise, each different."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(cloud, (width, height), interpolation=cv2.INTER_CUBIC) for cloud in coarse])


def randomise(model, seed=0):
    """Biases are 0 in a new Keras model: give them values too, or a forgotten one would go unnoticed."""
    rng = np.random.default_rng(seed)
    model.set_weights([w if w.ndim > 1 else rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def small_model():
    """VGG16-CAM with eight channels, ten classes and random weights."""
    keras.utils.set_random_seed(0)
    return randomise(vgg16_cam(channels=8, classes=10))


@pytest.fixture(scope="module")
def small_network(small_model):
    return VGG16(small_model, "float32")


@pytest.fixture(scope="module")
def rough_network(bundled_model):
    return VGG16(bundled_model, "bfloat16")


# Poolings of the head, by hand.


def test_max_pool_by_hand():
    # Three rows, five columns: the last row and the last column have no partner and are left out.
    maps = np.array([[1, 2, 5, 3, 9], [4, 0, 6, 7, 9], [9, 9, 9, 9, 9]], np.float32)
    np.testing.assert_array_equal(max_pool(maps[..., None])[..., 0], [[4, 7]])


def test_max_pool_keeps_channels_apart():
    maps = np.array([[[1, 8], [2, 7]], [[3, 6], [4, 5]]], np.float32)
    np.testing.assert_array_equal(max_pool(maps), [[[4, 8]]])


@pytest.mark.parametrize(
    ("side", "cells", "means"),
    [
        (4, 2, [0.5, 2.5]),  # (0 1) (2 3)
        (5, 2, [1, 3]),  # 5/2 is not whole, so the middle belongs to both: (0 1 2) (2 3 4)
        (5, 3, [0.5, 2, 3.5]),  # 0 to 5/3, 5/3 to 10/3, 10/3 to 5: (0 1) (1 2 3) (3 4)
        (3, 7, [0, 0, 0.5, 1, 1.5, 2, 2]),  # fewer positions than cells: (0) (0) (0 1) (1) (1 2) (2) (2)
        (1, 7, [0] * 7),
        (7, 7, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_adaptive_average_by_hand(side, cells, means):
    # Positions hold their own number, so the mean over a rectangle is the sum of the means of its sides.
    ramp = np.arange(side, dtype=np.float32)
    maps = np.stack([10 * ramp[:, None] + ramp, -ramp[:, None] + 0 * ramp], axis=2)
    result = adaptive_average(maps, cells)
    means = np.array(means)
    np.testing.assert_allclose(result[..., 0], 10 * means[:, None] + means, rtol=1e-6)
    np.testing.assert_allclose(result[..., 1], np.broadcast_to(-means[:, None], (cells, cells)), rtol=1e-6)


def test_adaptive_average_of_a_picture_that_is_not_square():
    maps = np.array([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]], np.float32)[..., None]
    # Rows (0) (1); columns (0 1 2) (2 3 4).
    np.testing.assert_allclose(adaptive_average(maps, 2)[..., 0], [[1, 3], [11, 13]])


# The two heads against the gradients that TensorFlow finds.


def spatial_mean_of_gradients(scores_of, activations, classes):
    """d score_c / d A_k averaged over space for each class (Selvaraju et al. 2017), and the scores."""
    import tensorflow

    variable = tensorflow.constant(activations[None])
    with tensorflow.GradientTape(persistent=True) as tape:
        tape.watch(variable)
        scores = scores_of(variable)
        chosen = [scores[0, int(c)] for c in classes]
    return np.stack([tape.gradient(one, variable).numpy()[0].mean((0, 1)) for one in chosen]), scores.numpy()[0]


@on_tensorflow
def test_gradient_maps_equal_class_maps_on_a_pooling_head(small_model, small_network):
    activations = small_network(pictures(1))[1][0]
    best, channels = small_network.head.classes(activations, 4)

    def scores_of(maps):
        return small_model.get_layer("classifier")(small_model.get_layer("pool")(maps))

    gradients, scores = spatial_mean_of_gradients(scores_of, activations, best)
    np.testing.assert_array_equal(best, np.argsort(-scores)[:4])
    # The score is the sum over positions of w_kc A_k / positions, so each gradient is w_kc / positions.
    positions = activations.shape[0] * activations.shape[1]
    np.testing.assert_allclose(gradients * positions, channels, rtol=1e-4, atol=1e-6)
    maps = pooling.class_maps(activations, channels)
    assert maps.max() == 1, "a map without a positive value would compare nothing"
    np.testing.assert_allclose(pooling.class_maps(activations, gradients), maps, atol=1e-4)


def test_pooling_head_by_hand():
    head = PoolingHead(np.array([[1, 0, 2], [0, 3, 1]]), np.array([0, 0, -9]))
    # The means of the two channels are 2 and 1: scores 2, 3 and 2 * 2 + 1 - 9 = -4.
    activations = np.array([[[4, 0], [0, 2]]], np.float32)
    best, channels = head.classes(activations, 2)
    np.testing.assert_array_equal(best, [1, 0])
    np.testing.assert_allclose(channels, [[0, 3], [1, 0]])
    wanted, channels = head.classes(activations, np.array([2, 0]))
    np.testing.assert_array_equal(wanted, [2, 0])
    np.testing.assert_allclose(channels, [[2, 1], [1, 0]])


def dense_layers(channels, classes):
    """The three dense layers of the stock VGG16, few units wide, behind an input of their 7 x 7 grid."""
    grid = keras.layers.Input((7 * 7 * channels,))
    x = keras.layers.Dense(12, activation="relu", name="fc1")(grid)
    x = keras.layers.Dense(11, activation="relu", name="fc2")(x)
    return keras.Model(grid, keras.layers.Dense(classes, name="predictions")(x))


def through_dense_layers(model, maps):
    """block5_pool, adaptive average pooling and the dense layers, in TensorFlow: the scores of each class."""
    import tensorflow

    pooled = keras.layers.MaxPooling2D(2, name="block5_pool")(maps)
    height, width = pooled.shape[1:3]
    cells = [
        tensorflow.reduce_mean(
            pooled[
                :,
                int(np.floor(y * height / 7)) : int(np.ceil((y + 1) * height / 7)),
                int(np.floor(x * width / 7)) : int(np.ceil((x + 1) * width / 7)),
            ],
            axis=(1, 2),
        )
        for y in range(7)
        for x in range(7)
    ]
    return model(tensorflow.concat(cells, axis=1))


@on_tensorflow
@pytest.mark.parametrize("size", [(14, 14), (28, 14), (15, 23), (9, 12), (16, 21), (4, 6), (2, 3)])
def test_fully_connected_head_gives_the_gradients(size):
    keras.utils.set_random_seed(1)
    model = randomise(dense_layers(channels=5, classes=9))
    activations = np.maximum(np.random.default_rng(2).normal(size=(*size, 5)), 0).astype(np.float32)
    best, channels = FullyConnectedHead(model).classes(activations, 9)
    gradients, scores = spatial_mean_of_gradients(lambda maps: through_dense_layers(model, maps), activations, best)
    np.testing.assert_array_equal(best, np.argsort(-scores))
    assert np.abs(gradients).max() > 0
    np.testing.assert_allclose(channels, gradients, rtol=1e-4, atol=1e-6)
    wanted, of_wanted = FullyConnectedHead(model).classes(activations, best[[5, 2]])
    np.testing.assert_array_equal(wanted, best[[5, 2]])
    np.testing.assert_allclose(of_wanted, channels[[5, 2]], rtol=1e-4, atol=1e-6)


@on_tensorflow
def test_the_stock_network_says_what_keras_says():
    # At 224 x 224, what the dense layers were trained on, adaptive pooling changes nothing.
    keras.utils.set_random_seed(3)
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    dense = dense_layers(channels=512, classes=10)
    x = keras.layers.Flatten()(base.output)
    for layer in dense.layers[1:]:
        x = layer(x)
    model = randomise(keras.Model(base.input, x))
    picture = pictures(1, 224, 224)

    network = VGG16(model, "float32")
    features, activations = network(picture)
    best, channels = network.head.classes(activations[0], 10)

    asked = [base.get_layer(name).output for name in ("block5_conv1", "block5_conv3")]
    inside = keras.Model(base.input, [*asked, x])
    rgb = picture[..., ::-1].astype(np.float32)
    expected = [np.asarray(y) for y in inside(keras.applications.vgg16.preprocess_input(rgb))]
    largest = max(y.max() for y in expected[:2])
    assert largest > 0
    np.testing.assert_allclose(features, expected[0], atol=1e-4 * largest)
    np.testing.assert_allclose(activations, expected[1], atol=1e-4 * largest)
    np.testing.assert_array_equal(best, np.argsort(-expected[2][0]))
    gradients, _ = spatial_mean_of_gradients(lambda maps: through_dense_layers(dense, maps), activations[0], best)
    np.testing.assert_allclose(channels, gradients, rtol=1e-3, atol=1e-3 * np.abs(gradients).max())


# The network as a whole.


def test_network_computes_what_the_model_does(small_model, small_network):
    picture = pictures(2)
    names = ("block5_conv1", "cam_conv")
    inside = keras.Model(small_model.input, [small_model.get_layer(name).output for name in names])
    mean = np.array([103.939, 116.779, 123.68])  # of ImageNet: blue, green, red
    expected = inside.predict_on_batch((picture - mean).astype(np.float32))
    result = small_network(picture)
    for ours, theirs, channels in zip(result, expected, (512, 8), strict=True):
        assert ours.shape == (2, 4, 6, channels)
        assert ours.dtype == np.float32
        assert ours.min() == 0 < ours.max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.max())


def test_sides_that_16_does_not_divide_lose_the_rest(bundled_network):
    features, activations = bundled_network(pictures(1, 70, 100))
    assert features.shape == (1, 4, 6, 512)
    assert activations.shape == (1, 4, 6, 1024)


def test_a_picture_alone_and_in_a_batch_gives_the_same(bundled_network):
    batch = pictures(3)
    together = bundled_network(batch)
    for i in range(3):
        for alone, among in zip(bundled_network(batch[i : i + 1]), together, strict=True):
            np.testing.assert_allclose(alone[0], among[i], rtol=1e-3, atol=1e-4 * among[i].max())
    assert not np.allclose(together[0][0], together[0][1], rtol=0.1), "the pictures differ"


def test_several_threads_get_the_answers_of_one(bundled_network):
    batch = pictures(4)[:, None]
    expected = [bundled_network(picture) for picture in batch]
    with ThreadPoolExecutor(4) as pool:
        for result, wanted in zip(pool.map(bundled_network, batch), expected, strict=True):
            np.testing.assert_allclose(result[0], wanted[0], rtol=1e-3, atol=1e-4 * wanted[0].max())


def test_bfloat16_gives_nearly_the_same_descriptors(bundled_network, rough_network):
    def vectors(network):
        for features, activations in zip(*network(pictures(8)), strict=True):
            _, channels = network.head.classes(activations, 64)
            yield pooling.cam(features, pooling.class_maps(activations, channels))

    exact, rough = list(vectors(bundled_network)), list(vectors(rough_network))
    # Eight pictures span few directions well: whitening makes noise of the others, as a collection's never does.
    fitted = whitening.fit(np.concatenate(exact), 16)
    exact, rough = (np.stack([fitted.descriptor(each) for each in result]) for result in (exact, rough))
    cosines = exact @ rough.T
    assert np.diag(cosines).min() > 0.99
    # Each is nearest to its own, by far: an agreement that any two pictures have would say nothing.
    assert (cosines - 2 * np.eye(8)).max() < 0.9


def test_bfloat16_reaches_the_last_layer(rough_network):
    # A bfloat16 number is a float32 whose lower sixteen bits are 0.
    for result in rough_network(pictures(1)):
        assert result.max() > 0
        assert not (result.view(np.uint32) & 0xFFFF).any()


def test_auto_is_one_of_the_two_precisions(small_model):
    assert best_precision() in ("float32", "bfloat16")
    assert VGG16(small_model).precision == best_precision()


def test_an_unknown_precision_is_wrong_use(small_model):
    with pytest.raises(WrongUse, match="'float8' is unknown: choose one of auto, float32, bfloat16"):
        VGG16(small_model, "float8")


OTHER_BACK_END = """
import sys
import numpy as np
from models.description.backend import best_precision, keras
from models.description.vgg16 import VGG16
from models.description.vgg16_model import vgg16_cam
model = vgg16_cam(8, 10)
model.load_weights(sys.argv[1])
network = VGG16(model, "float32")
features, activations = network(np.load(sys.argv[2], allow_pickle=False))
best, channels = network.head.classes(activations[0], 3)
np.savez(sys.argv[3], features=features, activations=activations, best=best, backend=keras.backend.backend())
"""


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_other_back_ends_compute_the_same(name, small_model, tmp_path):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: Keras runs on TensorFlow here")
    picture = pictures(1)
    weights.save_half(small_model, tmp_path / "small.weights.h5")
    half = vgg16_cam(8, 10)
    half.load_weights(tmp_path / "small.weights.h5")
    np.save(tmp_path / "picture.npy", picture)
    files = [str(tmp_path / file) for file in ("small.weights.h5", "picture.npy", "found.npz")]
    environment = os.environ | {"KERAS_BACKEND": name, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", OTHER_BACK_END, *files], cwd=ROOT, env=environment, check=True, timeout=300)

    result = np.load(files[2], allow_pickle=False)
    assert result["backend"] == name
    network = VGG16(half, "float32")
    features, activations = network(picture)
    np.testing.assert_allclose(result["features"], features, rtol=1e-3, atol=1e-4 * features.max())
    np.testing.assert_allclose(result["activations"], activations, rtol=1e-3, atol=1e-4 * activations.max())
    np.testing.assert_array_equal(result["best"], network.head.classes(activations[0], 3)[0])

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.signal import convolve2d

from models.description import weights
from models.description.backend import keras
from models.description.vgg16_model import vgg16_cam
from utils.errors import WrongUse

ROOT = Path(__file__).parents[2]
CHANNELS, CLASSES = 8, 10

# (out, in) channels of the fourteen convolutions of the published network, and the dense layer.
WIDTHS = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


def published_shapes(channels, classes):
    """The shapes of each layer's arrays as Keras 1 with Theano saves them: (out, in, height, width), (in, out)."""
    outs = [*WIDTHS, channels]
    ins = [3, *WIDTHS]
    shapes = [((o, i, 3, 3), (o,)) for o, i in zip(outs, ins, strict=True)]
    return [*shapes, ((channels, classes), (classes,))]


def write_numbered(file, layers):
    """The layout of the first Keras 1 files: layer_0/param_0, with layers that have no weights in between."""
    file.attrs["nb_layers"] = 2 * len(layers)
    for number, arrays in enumerate(layers):
        padding = file.create_group(f"layer_{2 * number}")  # VGG16-CAM pads in layers of their own
        padding.attrs["nb_params"] = 0
        layer = file.create_group(f"layer_{2 * number + 1}")
        layer.attrs["nb_params"] = len(arrays)
        for place, array in enumerate(arrays):
            layer[f"param_{place}"] = array


def write_named(file, layers):
    """The layout of later Keras 1 files: attributes name layers and weights, which sort differently than they run."""
    group = file.create_group("model_weights")  # there in a file with the whole model, absent in one of weights
    names = [f"convolution2d_{number}" for number in range(1, len(layers))] + ["dense_1"]
    group.attrs["layer_names"] = [name.encode() for name in ["zeropadding2d_1", *names]]
    group.create_group("zeropadding2d_1").attrs["weight_names"] = []
    for name, arrays in zip(names, layers, strict=True):
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [f"{name}_{part}".encode() for part in ("W", "b")]
        for part, array in zip(("W", "b"), arrays, strict=True):
            layer[f"{name}_{part}"] = array


@pytest.fixture(scope="module")
def published():
    """Random weights of a small VGG16-CAM in the published layout."""
    rng = np.random.default_rng(0)
    spread = [(2 / np.prod(kernel[1:])) ** 0.5 for kernel, _ in published_shapes(CHANNELS, CLASSES)]
    return [
        [rng.normal(0, s, kernel).astype(np.float32), rng.normal(0, 0.1, bias).astype(np.float32)]
        for s, (kernel, bias) in zip(spread, published_shapes(CHANNELS, CLASSES), strict=True)
    ]


@pytest.fixture(scope="module")
def built(published):
    """The same network built by hand: each number of the kernels put in its place on its own."""
    model = vgg16_cam(CHANNELS, CLASSES)
    targets = [layer for layer in model.layers if layer.weights]
    for target, (kernel, bias) in zip(targets[:-1], published[:-1], strict=True):
        ours = np.empty((3, 3, kernel.shape[1], kernel.shape[0]), np.float32)
        for y in range(3):
            for x in range(3):
                # Theano convolves: what it multiplies with the upper left is in the lower right of the kernel.
                ours[y, x] = kernel[:, :, 2 - y, 2 - x].T
        target.set_weights([ours, bias])
    targets[-1].set_weights(published[-1])
    return model


@pytest.fixture(scope="module", params=[write_numbered, write_named], ids=["numbered", "named"])
def imported(request, published, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "VGGCAM.h5"
    with h5py.File(path, "w") as file:
        request.param(file, published)
    model = vgg16_cam(CHANNELS, CLASSES)
    weights.load_published(model, path)
    path.unlink()  # 60 MB
    return model


def test_published_weights_give_the_network_built_by_hand(imported, built):
    for ours, expected in zip(imported.get_weights(), built.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    pixels = np.random.default_rng(1).normal(0, 60, (2, 64, 80, 3)).astype(np.float32)
    scores = imported.predict_on_batch(pixels)
    assert scores.std() > 0
    np.testing.assert_allclose(scores, built.predict_on_batch(pixels), rtol=1e-5)


def true_convolution(maps, kernel, bias):
    """What Theano's layer computes, ReLU included: (height, width, in) -> (height, width, out)."""
    outs = [
        sum(convolve2d(maps[..., i], kernel[o, i], mode="same") for i in range(kernel.shape[1])) + bias[o]
        for o in range(kernel.shape[0])
    ]
    return np.maximum(np.stack(outs, axis=2), 0)


def test_published_kernels_are_convolved_as_theano_did(imported, published):
    pixels = np.random.default_rng(2).normal(0, 60, (9, 12, 3)).astype(np.float32)
    after_one = true_convolution(pixels, *published[0])
    after_two = true_convolution(after_one, *published[1])
    names = ("block1_conv1", "block1_conv2")
    inside = keras.Model(imported.input, [imported.get_layer(name).output for name in names])
    for result, expected in zip(inside(pixels[None]), (after_one, after_two), strict=True):
        np.testing.assert_allclose(np.asarray(result)[0], expected, rtol=1e-3, atol=1e-3)


def test_published_scores_are_mean_times_dense(imported, published):
    pixels = np.random.default_rng(3).normal(0, 60, (1, 48, 64, 3)).astype(np.float32)
    inside = keras.Model(imported.input, [imported.get_layer("cam_conv").output, imported.output])
    activations, scores = (np.asarray(y)[0] for y in inside(pixels))
    kernel, bias = published[-1]
    np.testing.assert_allclose(scores, activations.mean((0, 1)) @ kernel + bias, rtol=1e-4, atol=1e-4)


# Files that do not fit. Datasets of zeros take no room in a file, so these are small and quick to write.


def write_zeros(path, change=lambda file: None):
    """A published file of the full size whose weights are all 0, and then changed."""
    with h5py.File(path, "w") as file:
        shapes = published_shapes(1024, 1000)
        file.attrs["nb_layers"] = len(shapes)
        for number, arrays in enumerate(shapes):
            layer = file.create_group(f"layer_{number}")
            layer.attrs["nb_params"] = 2
            for place, shape in enumerate(arrays):
                layer.create_dataset(f"param_{place}", shape, "f4")
        change(file)
    return path


def refusal(path):
    """The sentence with which `load` refuses a file."""
    with warnings.catch_warnings(), pytest.raises(WrongUse) as caught:
        warnings.simplefilter("error", UserWarning)  # one sentence, and no warnings of Keras before it
        weights.load(str(path))
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def replace(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return change


def missing(file):
    file.attrs["nb_layers"] = 14


def not_a_number(file):
    file["layer_3/param_0"][0, 0, 1, 1] = np.nan


def infinite(file):
    file["layer_14/param_1"][999] = np.inf


def without_count(file):
    del file.attrs["nb_layers"]


def without_bias(file):
    file["layer_2"].attrs["nb_params"] = 1


def with_group_for_array(file):
    del file["layer_1/param_0"]
    file.create_group("layer_1/param_0")


def test_a_published_file_of_the_full_size_is_taken(tmp_path):
    def mark(file):
        file["layer_0/param_0"][5, 2, 0, 1] = 3  # output 5, input 2, upper middle
        file["layer_14/param_0"][7, 8] = 4

    model = weights.load(str(write_zeros(tmp_path / "VGGCAM.h5", mark)))
    first, _ = model.get_layer("block1_conv1").get_weights()
    assert first[2, 1, 2, 5] == 3  # lower middle
    assert first.sum() == 3
    assert model.get_layer("classifier").get_weights()[0][7, 8] == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replace("layer_0/param_0", np.zeros((64, 3, 5, 5))), "(3, 3, 3, 64)"),
        (replace("layer_0/param_0", np.zeros((3, 3, 3, 64))), "(3, 3, 3, 64)"),  # transposed by someone already
        (replace("layer_14/param_1", np.zeros(20)), "(1000,)"),
        (replace("layer_1/param_0", b"not an array"), "does not contain"),
        (missing, "14 layers with weights instead of 15"),
        (not_a_number, "block2_conv2 contains numbers that are not finite"),
        (infinite, "classifier contains numbers that are not finite"),
        (without_count, "does not contain"),
        (without_bias, "does not contain"),
        (with_group_for_array, "does not contain"),
    ],
)
def test_published_files_that_do_not_fit(change, says, tmp_path):
    sentence = refusal(write_zeros(tmp_path / "VGGCAM.h5", change))
    assert says in sentence
    assert "does not contain VGG16-CAM weights" in sentence


@pytest.mark.parametrize("name", ["notes.h5", "notes.weights.h5"])
@pytest.mark.parametrize("content", [b"", b"These are not weights.\n"], ids=["empty", "text"])
def test_files_that_are_not_hdf5(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name)


def test_a_file_with_a_damaged_attribute(tmp_path):
    # The version number of an HDF5 attribute is 8 bytes before its name; an unknown one is a RuntimeError in h5py.
    path = write_zeros(tmp_path / "VGGCAM.h5")
    content = bytearray(path.read_bytes())
    content[content.index(b"nb_layers") - 8] = 99
    path.write_bytes(content)
    assert "bad version number for attribute" in refusal(path)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(weights.BUNDLED.read_bytes()[:1_000_000])
    refusal(path)


def test_our_own_weights_of_another_size(tmp_path):
    path = tmp_path / "small.weights.h5"
    weights.save_half(vgg16_cam(CHANNELS, CLASSES), path)
    assert "does not contain VGG16-CAM weights" in refusal(path)


@pytest.mark.parametrize("spoil", ["number", "layer", "array"])
def test_our_own_weights_spoiled(spoil, tmp_path):
    path = tmp_path / "spoiled.weights.h5"
    shutil.copyfile(weights.BUNDLED, path)
    with h5py.File(path, "r+") as file:
        groups = {group["vars"].attrs["name"]: group for group in file["layers"].values()}
        if spoil == "number":
            groups["classifier"]["vars/1"][3] = np.nan
        elif spoil == "layer":
            del file[groups["block3_conv2"].name]
        else:
            del groups["block3_conv2"]["vars/1"]
    sentence = refusal(path)
    path.unlink()
    assert ("classifier contains numbers that are not finite" if spoil == "number" else "block3_conv2") in sentence


def test_a_missing_file(tmp_path):
    sentence = refusal(tmp_path / "absent.weights.h5")
    assert "There are no weights at" in sentence
    assert "imagenet, bundled or an existing file" in sentence


def test_a_folder_is_no_file(tmp_path):
    assert "There are no weights at" in refusal(tmp_path)


# The bundled weights, and saving.


def test_bundled_file_is_small_enough_to_ship():
    assert weights.BUNDLED.stat().st_size <= 42_000_000


def test_bundled_weights_fill_every_layer(bundled_model):
    for layer in bundled_model.layers:
        for array in layer.get_weights():
            assert array.std() > 0, f"{layer.name} is constant"
    assert bundled_model.get_layer("cam_conv").filters == 1024
    assert bundled_model.get_layer("classifier").units == 1000


def test_saving_in_half_precision_and_loading_again(bundled_model, tmp_path):
    path = tmp_path / "again.weights.h5"
    weights.save_half(bundled_model, path)
    assert path.stat().st_size <= 42_000_000
    again = weights.load(str(path))
    # The bundled weights are half-precision numbers already, so nothing is lost.
    assert weights.digest(again) == weights.digest(bundled_model)
    path.unlink()


def test_saving_rounds_to_half_precision(built, tmp_path):
    weights.save_half(built, tmp_path / "small.weights.h5")
    again = vgg16_cam(CHANNELS, CLASSES)
    again.load_weights(tmp_path / "small.weights.h5")
    (tmp_path / "small.weights.h5").unlink()
    for ours, exact in zip(again.get_weights(), built.get_weights(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, exact.astype(np.float16))


def test_digest_tells_networks_apart():
    model = vgg16_cam(CHANNELS, CLASSES)
    copy = vgg16_cam(CHANNELS, CLASSES)
    copy.set_weights(model.get_weights())
    first = weights.digest(model)
    assert len(first) == 64
    assert weights.digest(copy) == first, "the same weights have the same digest, wherever they are"
    for name, place in (("block1_conv1", 0), ("classifier", 1)):
        arrays = copy.get_layer(name).get_weights()
        arrays[place].flat[0] += 1e-3
        copy.get_layer(name).set_weights(arrays)
        assert weights.digest(copy) != first
        copy.set_weights(model.get_weights())
    assert weights.digest(copy) == first


def test_imagenet_without_network(tmp_path):
    # A proxy on a port where nobody listens refuses every connection. The file is the rest of an earlier download
    # that was cut off: its checksum is wrong, so Keras asks for it again rather than use it.
    cut = tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    cut.parent.mkdir()
    cut.write_bytes(b"\x89HDF\r\n\x1a\n")
    script = (
        "from models.description import weights; from utils import script; script.run(lambda: weights.load('imagenet'))"
    )
    proxies = dict.fromkeys(["HTTPS_PROXY", "https_proxy"], "http://127.0.0.1:9") | {"NO_PROXY": "", "no_proxy": ""}
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | proxies | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1, result.stderr
    assert "Downloading data from" in result.stdout, "the download was tried"
    # One line: nor does TensorFlow tell of oneDNN and of instruction sets, which models/description/backend.py sees to.
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("-c: The ImageNet weights could not be downloaded (")
    assert "Connection refused" in sentence
    assert sentence.endswith("Use --weights bundled, or give a file (--weights FILE).")
    assert not list(cut.parent.iterdir()), "nothing half-written is left"

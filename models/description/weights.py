"""Loads the network's weights: from Keras, this repository, or a file."""

import hashlib
import warnings
from pathlib import Path

import h5py
import numpy as np

from models.description.backend import keras
from models.description.vgg16_model import vgg16_cam
from utils.errors import Failed, WrongUse

BUNDLED = Path(__file__).resolve().parents[1] / "weights" / "vgg16_cam.weights.h5"
WAYS_OUT = "Use --weights bundled, or give a file (--weights FILE)."


def load(weights: str) -> keras.Model:
    """The classification network with the given weights.

    weights: "imagenet" (Keras' VGG16 with the head, downloaded and verified by Keras), "bundled" (shipped in
    models/weights), or a file: our own .weights.h5, or the published Keras VGG16-CAM .h5.
    Raises WrongUse for a file that is missing or of neither format, Failed if the download fails.
    """
    if weights == "imagenet":
        return _imagenet()
    path = BUNDLED if weights == "bundled" else Path(weights)
    if not path.is_file():
        raise WrongUse(f"There are no weights at {path}: give imagenet, bundled or an existing file.")
    model = vgg16_cam()
    try:
        if path.name.endswith(".weights.h5"):
            with warnings.catch_warnings():  # Keras warns of every missing group before it refuses the file
                warnings.simplefilter("ignore")
                model.load_weights(path)
        else:
            load_published(model, path)
        _check_finite(model)
    except Exception as problem:  # h5py and Keras raise nearly anything for a damaged file
        raise WrongUse(
            f"{path} does not contain VGG16-CAM weights ({_first_line(problem)}). "
            "Give a .weights.h5 of this project or the published VGG16-CAM .h5."
        ) from None
    return model


def _check_finite(model: keras.Model) -> None:
    for layer in model.layers:
        if not all(np.isfinite(array).all() for array in layer.get_weights()):
            raise ValueError(f"{layer.name} contains numbers that are not finite")


def _imagenet() -> keras.Model:
    try:
        return keras.applications.VGG16(weights="imagenet")
    except Exception as problem:  # Keras raises a plain Exception where the address cannot be reached
        raise Failed(f"The ImageNet weights could not be downloaded ({_first_line(problem)}). {WAYS_OUT}") from None


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n")[0][:200] or type(problem).__name__


def load_published(model: keras.Model, path: Path) -> None:
    """Fill `model` from a VGG16-CAM saved by Keras 1 with Theano.

    Its kernels are (out, in, height, width), and Theano convolves while we correlate, so they are transposed and
    rotated by 180 degrees. Layers are matched by order: fourteen convolutions, one dense layer.
    """
    targets = [layer for layer in model.layers if layer.weights]
    with h5py.File(path, "r") as file:
        sources = [arrays for arrays in _published_layers(file) if arrays]
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} layers with weights instead of {len(targets)}")
    for target, (kernel, bias) in zip(targets, sources, strict=True):
        if kernel.ndim == 4:
            kernel = kernel.transpose(2, 3, 1, 0)[::-1, ::-1]
        target.set_weights([kernel, bias])


def _published_layers(file: h5py.File) -> list[list[np.ndarray]]:
    """The arrays of each layer in order, from either layout of Keras 1: layer_0/param_0, or names in attributes."""
    group = file.get("model_weights", file)
    if "layer_names" in group.attrs:
        names = [_text(name) for name in group.attrs["layer_names"]]
        return [[group[n][_text(w)][()] for w in group[n].attrs["weight_names"]] for n in names]
    numbered = [group[f"layer_{k}"] for k in range(int(group.attrs["nb_layers"]))]
    return [[layer[f"param_{p}"][()] for p in range(int(layer.attrs["nb_params"]))] for layer in numbered]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def digest(model: keras.Model) -> str:
    """SHA-256 over all weights of the model, which identifies a network wherever it came from."""
    sha = hashlib.sha256()
    for layer in model.layers:
        for array in layer.get_weights():
            sha.update(layer.name.encode())
            sha.update(np.ascontiguousarray(array, np.float32).tobytes())
    return sha.hexdigest()


def save_half(model: keras.Model, path: Path) -> None:
    """Save the weights of a VGG16-CAM in half precision as a Keras .weights.h5."""
    classes, channels = model.get_layer("classifier").units, model.get_layer("cam_conv").filters
    half = vgg16_cam(channels, classes, dtype="float16")
    half.set_weights([array.astype(np.float16) for array in model.get_weights()])
    half.save_weights(path)

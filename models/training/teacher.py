"""GoogLeNet, the network from whose feature maps the weights that ship are distilled.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, in Caffe's form: it ends in global average pooling and one
dense layer, so its class activation maps are exact (Zhou et al. 2016), and it can serve as a descriptor of its own.
"""

from pathlib import Path
from typing import Any

import numpy as np

from models.description.backend import keras
from utils.errors import WrongUse

layers = keras.layers
ops = keras.ops

MEAN = np.array([104, 117, 123], np.float32)  # of ImageNet as this network was trained, BGR, 0..255
INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
CONVOLUTIONS = (
    "conv1/7x7_s2",
    "conv2/3x3_reduce",
    "conv2/3x3",
    *(
        f"inception_{name}/{part}"
        for name in INCEPTIONS
        for part in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    ),
)

Arrays = dict[str, np.ndarray]
Tensor = Any  # of Keras' back end, whichever it is


class Teacher:
    """GoogLeNet with its weights: the maps of a picture, and the classifier that explains the last of them.

    maps: a Keras model from (batch, height, width, 3) float32 pixels (BGR minus MEAN) to six float32 maps at strides 2,
    4, 8, 16, 16 and 32 (conv1, conv2, inception 3b, 4c, 4e, 5b; 64, 192, 480, 512, 832 and 1,024 channels).
    kernel, bias: (1024, 1000) and (1000,) float32 of the classifier, which sees the mean of the last map over space.
    """

    def __init__(self, path: Path, precision: str = "float32"):
        """path: an .npz with NAME/kernel (height, width, in, out) and NAME/bias. precision: float32 or bfloat16."""
        arrays = _read(path)
        try:
            self.maps = _googlenet(arrays, precision)
        except ValueError as problem:  # a kernel that does not fit the one before
            raise _not_a_teacher(path, str(problem).strip().split("\n")[0][:200]) from None
        self.kernel, self.bias = arrays["classifier/kernel"], arrays["classifier/bias"]

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The maps that describe a picture.

        pictures: (batch, height, width, 3) uint8 BGR; height and width are multiples of 32.
        Returns (batch, height / 32, width / 32, 1024) of inception 5b and (batch, height / 16, width / 16, 832) of
        inception 4e, float32.
        """
        maps = self.maps.predict_on_batch(pictures.astype(np.float32) - MEAN)
        return np.asarray(maps[5], np.float32), np.asarray(maps[4], np.float32)


def _read(path: Path) -> Arrays:
    """All weights as float32. Raises WrongUse where the file is missing, damaged or another network's."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
    except FileNotFoundError:
        raise WrongUse(f"There is no teacher at {path}: give the .npz of an ImageNet GoogLeNet.") from None
    except Exception as problem:  # NumPy and zipfile raise nearly anything for a damaged file
        raise _not_a_teacher(path, str(problem).split("\n")[0][:200] or type(problem).__name__) from None
    for name in (*CONVOLUTIONS, "classifier"):
        for part in ("kernel", "bias"):
            if f"{name}/{part}" not in arrays:
                raise _not_a_teacher(path, f"{name}/{part} is missing")
            if not np.isfinite(arrays[f"{name}/{part}"]).all():
                raise _not_a_teacher(path, f"{name}/{part} holds numbers that are not finite")
    return arrays


def _not_a_teacher(path: Path, reason: str) -> WrongUse:
    return WrongUse(f"{path} does not contain GoogLeNet weights ({reason}). Give another --teacher.")


def _googlenet(arrays: Arrays, precision: str) -> keras.Model:
    """Pixels to the six maps; the widths are those of the arrays."""
    policy = keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")

    def convolve(x: Tensor, name: str, **options: Any) -> Tensor:
        kernel = arrays[f"{name}/kernel"]
        options = {"padding": "same"} | options
        made = layers.Conv2D(kernel.shape[3], kernel.shape[:2], activation="relu", dtype=policy, **options)
        y = made(x)
        made.set_weights([kernel, arrays[f"{name}/bias"]])
        return y

    def halve(x: Tensor) -> Tensor:
        # Caffe rounds the size up; for even sides that is "same", which then pads one row below and one on the right.
        return layers.MaxPooling2D(3, 2, padding="same", dtype=policy)(x)

    def normalise(x: Tensor) -> Tensor:
        return LocalResponseNormalization(dtype=policy)(x)

    def inception(x: Tensor, name: str) -> Tensor:
        name = f"inception_{name}"
        pooled = layers.MaxPooling2D(3, 1, padding="same", dtype=policy)(x)
        branches = [
            convolve(x, f"{name}/1x1"),
            convolve(convolve(x, f"{name}/3x3_reduce"), f"{name}/3x3"),
            convolve(convolve(x, f"{name}/5x5_reduce"), f"{name}/5x5"),
            convolve(pooled, f"{name}/pool_proj"),
        ]
        return layers.Concatenate(dtype=policy)(branches)

    pixels = layers.Input((None, None, 3), dtype="float32")
    padded = layers.ZeroPadding2D(3, dtype=policy)(pixels)
    maps = {"conv1": convolve(padded, "conv1/7x7_s2", strides=2, padding="valid")}
    x = convolve(normalise(halve(maps["conv1"])), "conv2/3x3_reduce")
    maps["conv2"] = convolve(x, "conv2/3x3")
    x = halve(normalise(maps["conv2"]))
    for name in INCEPTIONS:
        maps[name] = x = inception(x, name)
        if name in ("3b", "4e"):
            x = halve(x)
    asked = [maps[name] for name in ("conv1", "conv2", "3b", "4c", "4e", "5b")]
    model = keras.Model(pixels, [layers.Activation("linear", dtype="float32")(x) for x in asked])
    model.trainable = False
    return model


class LocalResponseNormalization(keras.layers.Layer):
    """x_k / (1 + alpha / 5 * sum of x_j^2 over the five channels around k)^0.75 (Krizhevsky et al. 2012, section 3.3).

    alpha is 1e-4 and, as in Caffe and PyTorch, divided by the number of channels summed. Computed in float32.
    """

    ALPHA = 1e-4
    SIZE = 5

    def call(self, x: Tensor) -> Tensor:
        wide = ops.cast(x, "float32")
        around, channels = self.SIZE // 2, x.shape[-1]
        squares = ops.pad(ops.square(wide), [(0, 0)] * 3 + [(around, around)])
        total = sum(squares[..., k : k + channels] for k in range(self.SIZE))
        base = 1 + self.ALPHA / self.SIZE * total
        # base^-0.75, without the slow power.
        return ops.cast(wide * ops.rsqrt(base * ops.sqrt(base)), self.compute_dtype)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

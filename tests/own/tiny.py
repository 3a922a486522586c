"""A network of one random convolution in NumPy: it needs no Keras, and loads in no time."""

from collections.abc import Sequence

import numpy as np

from models.description.network import Known, Level

KNOWN = Known("tests.own.tiny", classes=5, levels={"fine": Level("first", 24, 4), "coarse": Level("second", 24, 8)})


class Head:
    def __init__(self) -> None:
        self.kernel = np.random.default_rng(2).normal(size=(24, KNOWN.classes)).astype(np.float32)

    def classes(self, activations: np.ndarray, choice: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(choice, int):
            choice = np.argsort(-(activations.mean((0, 1)) @ self.kernel), kind="stable")[:choice]
        return choice, self.kernel[:, choice].T


class Tiny:
    precision = "float32"

    def __init__(self, levels: Sequence[str]):
        self.levels, self.head = levels, Head()

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        strides = [KNOWN.levels[level].stride for level in self.levels]
        return tuple(patches(pictures, stride) for stride in (*strides, 8))


def patches(pictures: np.ndarray, stride: int) -> np.ndarray:
    """Each patch of stride x stride pixels in 24 random directions, negative values set to 0."""
    count, height, width, _ = pictures.shape
    cells = pictures.astype(np.float32).reshape(count, height // stride, stride, width // stride, stride, 3)
    cells = cells.swapaxes(2, 3).reshape(count, height // stride, width // stride, -1) / 255 - 0.5
    kernel = np.random.default_rng(stride).normal(size=(cells.shape[-1], 24)).astype(np.float32)
    return np.maximum(cells @ kernel, 0)


def load(weights: str, precision: str, levels: Sequence[str]) -> tuple[Tiny, str]:
    assert weights == "bundled" and precision in ("auto", "float32")
    return Tiny(levels), "0" * 64

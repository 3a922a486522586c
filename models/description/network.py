"""The protocol of networks, and the registry of them. Imports none of them, because loading one takes seconds.

To add a network, write a module with a function `load` (see `Loader`) and name it in NETWORKS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np

from utils.errors import WrongUse

PRECISIONS = ("auto", "float32", "bfloat16")  # of the arithmetic; auto: bfloat16 if the machine supports it natively


class Head(Protocol):
    """Interprets the last convolution: which classes an image shows, and the weight of each channel for them."""

    def classes(self, activations: np.ndarray, wanted: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes of one image, and the weight of each channel for them.

        activations: (height, width, channels) float32 of the last convolution. wanted: the number of classes, of which
        the most probable are returned, or the classes themselves.
        Returns (classes,) class numbers, most probable first or as given, and (classes, channels) float32 weights
        w_kc of CAM_c = sum_k w_kc A_k (Jimenez et al. 2017, eq. 1).
        """


class Network(Protocol):
    """A network that is ready to run. Safe to call from several threads."""

    precision: str  # float32 or bfloat16
    head: Head

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        """The features of each level chosen when the network was loaded, then those of the last convolution.

        pictures: (batch, height, width, 3) uint8 BGR.
        Returns (batch, height / stride, width / stride, channels) float32 each; none of it is negative.
        """


@dataclass(frozen=True)
class Level:
    """A layer whose features can be pooled."""

    layer: str  # its name in the network
    channels: int
    stride: int  # pixels of the picture per position of the features


@dataclass(frozen=True)
class Known:
    """What is known of a network before it is loaded."""

    module: str  # the module with the function `load`
    classes: int  # number of classes
    levels: dict[str, Level]  # "coarse", and "fine" with a stride that divides that of "coarse"


NETWORKS = {
    "vgg16": Known(
        "models.description.vgg16",
        classes=1000,
        levels={"fine": Level("block4_conv3", 512, 8), "coarse": Level("block5_conv1", 512, 16)},
    ),
}


class Loader(Protocol):
    """The function `load` of a network's module."""

    def __call__(self, weights: str, precision: str, levels: Sequence[str]) -> tuple[Network, str]:
        """The network with these weights, and their digest (of 64 hexadecimal digits).

        weights: imagenet, bundled or a file. precision: one of PRECISIONS. levels: those whose features are needed.
        Raises WrongUse for weights that do not fit, Failed if they cannot be downloaded.
        """


def known(name: str) -> Known:
    """What is known of the network with this name. Raises WrongUse for an unknown name."""
    if name not in NETWORKS:
        raise WrongUse(f"The network {name!r} is unknown: choose one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def load(name: str, weights: str, precision: str, levels: Sequence[str]) -> tuple[Network, str]:
    """The network with this name and weights, and the digest of the weights: see `Loader`."""
    loader: Loader = import_module(known(name).module).load
    return loader(weights, precision, levels)

"""From a picture to its class vectors: network and pooling."""

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from models.collection.store import Store
from models.description import network as networks
from models.description import pooling
from models.description.network import Network
from models.description.recipe import METHOD, Recipe
from utils import images
from utils.errors import WrongUse


def load_classes(store: Store) -> np.ndarray | None:
    """The classes that a store's descriptors are made with, or None where each image has its own."""
    numbers = store.get_meta("frequent_classes")
    return None if numbers is None else np.array(numbers)


class Describer:
    """Turns pictures into class vectors. Safe to call from several threads."""

    def __init__(self, network: Network, recipe: Recipe, digest: str = "", classes: np.ndarray | None = None):
        """digest: of the network's weights, where the describer is to fill a store.

        classes: (recipe.classes,) numbers of those whose maps are used; None: of each image its most probable ones.
        """
        self.network, self.recipe, self.digest, self.classes = network, recipe, digest, classes

    @classmethod
    def open(cls, recipe: Recipe, store: Store, precision: str) -> "Describer":
        """Load the weights the recipe names. Raises WrongUse where they are not those the store was made with."""
        levels = pooling.levels(recipe.pooling)
        network, digest = networks.load(recipe.network, recipe.weights, precision, levels)
        stored = store.get_meta("weights_digest")
        if stored and (stored, METHOD) != (digest, store.get_meta("method")):
            what = "other weights" if stored != digest else "another version of this project"
            raise WrongUse(
                f"{store.path} was made with {what} than {recipe.weights} now contains: delete it and run train.py, "
                "or choose another --output."
            )
        return cls(network, recipe, digest, load_classes(store))

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        """The network's input: (height, width, 3) uint8 BGR, stretched to the one size of its orientation."""
        long, short = self.recipe.sides()
        horizontal = picture.shape[1] >= picture.shape[0]
        return images.stretch(picture, short, long) if horizontal else images.stretch(picture, long, short)

    def class_maps(self, activations: np.ndarray) -> np.ndarray:
        """The class activation maps of one image: (classes, height, width) float32, 0..1.

        activations: (height, width, channels) float32, as the network returns them.
        """
        _, channels = self.network.head.classes(
            activations, self.recipe.classes if self.classes is None else self.classes
        )
        return pooling.class_maps(activations, channels)

    def pool(self, layers: Sequence[np.ndarray], activations: np.ndarray, maps: np.ndarray | None = None) -> np.ndarray:
        """The vectors of one image: (vectors, channels) float16.

        layers, activations: (height, width, channels) float32, as the network returns them; maps: the class maps of
        the activations, where they are known already. Half precision is what a store keeps until the whitening is
        fitted, so all that follows starts from it.
        """
        name = self.recipe.pooling
        if name in ("cam", "cam_gem") and maps is None:
            maps = self.class_maps(activations)
        if name == "cam_gem":
            vectors = pooling.cam_gem(layers, maps)
        elif name == "cam":
            vectors = pooling.cam(layers[0], maps)
        else:
            vectors = getattr(pooling, name)(layers[0])
        return vectors.astype(np.float16)

    def vectors(self, inputs: np.ndarray, pool: Executor) -> list[np.ndarray]:
        """The vectors of a batch: `inputs` is (batch, height, width, 3) uint8 BGR of one size."""
        *layers, activations = self.network(inputs)
        return list(pool.map(self.pool, zip(*layers, strict=True), activations))

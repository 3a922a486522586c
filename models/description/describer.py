"""From a picture to class vectors: network and pooling."""

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
    """The classes of a store's class vectors; None if each image has its own."""
    numbers = store.get_meta("frequent_classes")
    return None if numbers is None else np.array(numbers)


class Describer:
    """Turns pictures into class vectors. Safe to call from several threads."""

    def __init__(self, network: Network, recipe: Recipe, digest: str = "", classes: np.ndarray | None = None):
        """digest: of the network's weights, if the describer is to fill a store.

        classes: (recipe.classes,) numbers of the classes whose maps are used; None: each image's most probable ones.
        """
        self.network, self.recipe, self.digest, self.classes = network, recipe, digest, classes

    @classmethod
    def open(cls, recipe: Recipe, store: Store, precision: str) -> "Describer":
        """Load the weights named by the recipe. Raises WrongUse if the store was made with others."""
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
        """The network's input: (height, width, 3) uint8 BGR, resized to the size for the picture's orientation."""
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
        the activations, if they are already known. The store keeps half precision until the whitening is fitted, so
        all later steps start from half precision.
        """
        name = self.recipe.pooling
        if name not in ("cam", "cam_gem"):
            return getattr(pooling, name)(layers[0]).astype(np.float16)
        if maps is None:
            maps = self.class_maps(activations)
        vectors = pooling.cam_gem(layers, maps) if name == "cam_gem" else pooling.cam(layers[0], maps)
        return vectors.astype(np.float16)

    def vectors(self, inputs: np.ndarray, pool: Executor) -> list[np.ndarray]:
        """The vectors of a batch: `inputs` is (batch, height, width, 3) uint8 BGR of one size."""
        *layers, activations = self.network(inputs)
        return list(pool.map(self.pool, zip(*layers, strict=True), activations))

"""The recipe of descriptors, as plain data that a store keeps. Imports no network, so wrong use is reported at once."""

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from config import POOLINGS, Settings, sides
from models.collection.store import Store
from models.description import pooling
from models.description.network import known
from utils.errors import WrongUse

METHOD = 1  # increased when the code computes descriptors differently
MIN_POSITIONS = 4  # of the network's features along a side


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the descriptors of a collection, except for the whitening, which is fitted with it."""

    weights: str  # imagenet, bundled, or the absolute path of a file
    pooling: str
    classes: int  # class vectors per image, for poolings within class maps
    dimensions: int  # of a descriptor, at most
    size: str  # pixels of a horizontal picture in the network, long x short side: 512x384
    network: str = "vgg16"  # a name in models.description.network.NETWORKS

    @classmethod
    def from_options(cls, settings: Settings, options: dict, store: Store, update: bool) -> "Recipe":
        """The recipe for a run: the given options, the rest from the settings, or with `update` from the store.

        options: field -> value, None if not given.
        Raises WrongUse if the options are invalid or differ from those that the store was made with.
        """
        stored = store.get_meta("recipe")
        if stored:
            stored = asdict(cls(**stored))  # an earlier version knew fewer fields
        start = stored if stored and update else {field.name: getattr(settings, field.name) for field in fields(cls)}
        given = {name: value for name, value in options.items() if value is not None}
        recipe = cls(**start | given)
        if recipe.weights not in ("imagenet", "bundled"):
            recipe = replace(recipe, weights=str(Path(recipe.weights).resolve()))
        recipe.check()
        differing = [
            f"{name} {stored[name]}" for name in asdict(recipe) if stored and stored[name] != getattr(recipe, name)
        ]
        if differing:
            raise WrongUse(
                f"{store.path} was made with {', '.join(differing)}: give the same options, choose another --output, "
                f"or delete {store.path} to start again."
            )
        return recipe

    def check(self) -> None:
        """Raises WrongUse where it makes no sense."""
        if self.pooling not in POOLINGS:
            raise WrongUse(f"The pooling {self.pooling!r} is unknown: choose one of {', '.join(POOLINGS)}.")
        network = known(self.network)
        if not 1 <= self.classes <= network.classes:
            raise WrongUse(
                f"{self.classes} classes are out of range: the network has {network.classes}, "
                f"so choose 1 to {network.classes}."
            )
        most = network.levels["coarse"].channels
        if not 1 <= self.dimensions <= most:
            raise WrongUse(f"{self.dimensions} dimensions are out of range: choose 1 to {most}.")
        self.sides()

    def sides(self) -> tuple[int, int]:
        """(long, short) side of the network's input in pixels. Raises WrongUse for a size that cannot be used."""
        try:
            long, short = sides(self.size)
        except ValueError as problem:
            raise WrongUse(f"The size {self.size!r} {problem}") from None
        least = MIN_POSITIONS * known(self.network).levels["coarse"].stride
        if short < least:
            raise WrongUse(f"The size {self.size!r} is too small: the network needs at least {least} pixels per side.")
        return long, short

    def channels(self) -> int:
        """Length of a class vector: the channels of all levels that the pooling needs."""
        levels = known(self.network).levels
        return sum(levels[level].channels for level in pooling.levels(self.pooling))


def fingerprint(store: Store) -> dict:
    """Everything that the descriptors and local features in the store depend on, as plain JSON data."""
    arrays = store.get_arrays("whitening_mean", "whitening_projection")
    sha = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest() if arrays else None
    return {
        "method": store.get_meta("method"),
        **(store.get_meta("recipe") or {}),
        "weights_digest": store.get_meta("weights_digest"),
        "frequent_classes": store.get_meta("frequent_classes"),
        "whitening_digest": sha,
        "local_features": store.get_meta("local_features"),
    }

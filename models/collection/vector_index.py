"""The vector index finds the descriptors most similar to one: the protocol, and the choice of an implementation.

To add a kind, write a module with the functions `build` and `load` (see `Kind`) and name it in KINDS.
"""

from collections.abc import Set
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

from utils.errors import WrongUse

DEFAULT = "faiss"  # the kind of a name without a colon
# The kinds of index, and the modules they are in. These are imported when they are used: it takes a moment.
KINDS = {DEFAULT: "models.collection.faiss_index"}


class VectorIndex(Protocol):
    """Searches descriptors by cosine similarity. Safe to search from several threads."""

    def add(self, ids: np.ndarray, descriptors: np.ndarray) -> None:
        """Add a block of images: (images,) int64 new ids, and (images, dimensions) descriptors of length 1."""

    def search(self, descriptor: np.ndarray, count: int, exclude: Set[int] = frozenset()) -> list[tuple[int, float]]:
        """The `count` most similar images, as (id, cosine similarity), best first, without the excluded ones.

        descriptor: (dimensions,). Fewer are returned if the index holds fewer.
        """

    def search_many(self, descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for (queries, dimensions): ids (queries, count) int64, -1 for none, and similarities."""

    def save(self, file: Path) -> None:
        """Write the index to a file, whole or not at all."""


class Kind(Protocol):
    """The module of a kind of index."""

    def build(self, ids: np.ndarray, descriptors: np.ndarray, options: str) -> VectorIndex:
        """As `build` of this module. options: the text behind the kind's name and colon; it may be empty."""

    def load(self, file: Path) -> VectorIndex:
        """An index that `save` wrote. Raises WrongUse for a file that holds none."""


def build(ids: np.ndarray, descriptors: np.ndarray, name: str) -> VectorIndex:
    """An index of these images, of the kind named by the setting `index`.

    ids: (images,) int64; descriptors: (images, dimensions) float16 or float32 of length 1. name: KIND:OPTIONS, a kind
    alone, or options alone for FAISS.
    Raises WrongUse for a name that is not known, or an index that cannot be built of these descriptors.
    """
    kind, options = _parts(name)
    return kind.build(ids, descriptors, options)


def load(file: Path, name: str) -> VectorIndex:
    """An index that was saved, of the kind that `name` names: see `build`. Raises WrongUse for a file without one."""
    kind, _ = _parts(name)
    return kind.load(file)


def _parts(name: str) -> tuple[Kind, str]:
    """The kind that a name begins with, and its options. No factory string of FAISS has a colon."""
    kind, colon, options = name.partition(":")
    if not colon and name not in KINDS:
        kind, options = DEFAULT, name
    if kind not in KINDS:
        raise WrongUse(f"RETRIEVAL_INDEX={name}: the vector index {kind!r} is not known, only {', '.join(KINDS)}.")
    module: Kind = import_module(KINDS[kind])
    return module, options

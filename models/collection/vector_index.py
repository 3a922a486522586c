"""The vector index finds the descriptors most similar to one: the protocol, and the choice of an implementation."""

from collections.abc import Set
from pathlib import Path
from typing import Protocol

import numpy as np


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


def build(ids: np.ndarray, descriptors: np.ndarray, name: str) -> VectorIndex:
    """An index of these images, of the kind named by the setting `index`.

    ids: (images,) int64; descriptors: (images, dimensions) float of length 1. Raises WrongUse for an unknown name, or
    an index that cannot be trained on these descriptors.
    """
    from models.collection.faiss_index import FaissIndex  # the only kind so far; it takes a moment to import

    return FaissIndex.trained(ids, descriptors, name)


def load(file: Path) -> VectorIndex:
    """A saved index. Raises WrongUse for a file that does not contain one."""
    from models.collection.faiss_index import FaissIndex

    return FaissIndex.load(file)

"""The vector index: which descriptors are most similar to one? What any index can do, and which one a setting means."""

from collections.abc import Set
from pathlib import Path
from typing import Protocol

import numpy as np


class VectorIndex(Protocol):
    """Searches descriptors by cosine similarity. Safe to search from several threads."""

    def add(self, ids: np.ndarray, descriptors: np.ndarray) -> None:
        """Take in a block of images: (images,) int64 ids that are not there yet, (images, dimensions) of length 1."""

    def search(self, descriptor: np.ndarray, count: int, exclude: Set[int] = frozenset()) -> list[tuple[int, float]]:
        """The `count` most similar images, as (id, cosine similarity), best first, without the excluded ones.

        descriptor: (dimensions,). There are fewer where the index holds fewer.
        """

    def search_many(self, descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for (queries, dimensions): ids (queries, count) int64, -1 where there is none, and similarities."""

    def save(self, file: Path) -> None:
        """Write the index to a file, whole or not at all."""


def build(ids: np.ndarray, descriptors: np.ndarray, name: str) -> VectorIndex:
    """An index of these images, of the kind that the setting `index` names.

    ids: (images,) int64; descriptors: (images, dimensions) float of length 1. Raises WrongUse for a name that is not
    known, or an index that cannot be trained on these descriptors.
    """
    from models.collection.faiss_index import FaissIndex  # the only kind so far; it takes a moment to import

    return FaissIndex.trained(ids, descriptors, name)


def load(file: Path) -> VectorIndex:
    """An index that was saved. Raises WrongUse for a file that holds none."""
    from models.collection.faiss_index import FaissIndex

    return FaissIndex.load(file)

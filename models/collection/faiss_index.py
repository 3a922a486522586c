"""The vector index in this process, by FAISS (Johnson, Douze & Jegou 2019)."""

from collections.abc import Set
from pathlib import Path

import faiss
import numpy as np

from utils import files
from utils.errors import WrongUse

BLOCK = 65536  # descriptors added at a time, because they are copied in single precision


class FaissIndex:
    """An index that a FAISS factory string describes. Fulfils models.collection.vector_index.VectorIndex.

    "SQfp16" compares a query with every descriptor, in half precision.
    """

    def __init__(self, index: faiss.Index):
        self.index = index  # with a map of ids

    @classmethod
    def trained(cls, ids: np.ndarray, descriptors: np.ndarray, factory: str) -> "FaissIndex":
        """An index of (images, dimensions) descriptors of length 1 with their (images,) int64 ids.

        Raises WrongUse for a factory string that FAISS does not know or cannot train on these descriptors.
        """
        try:
            index = faiss.index_factory(descriptors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(descriptors.astype(np.float32))
            # If the factory string has an ID map of its own, FAISS refuses to nest another one.
            built = cls(index if isinstance(index, faiss.IndexIDMap) else faiss.IndexIDMap(index))
            built.add(ids, descriptors)
        except RuntimeError as problem:
            reason = str(problem).splitlines()[-1].rpartition(": ")[2]  # before it: where in FAISS's code
            raise WrongUse(f"RETRIEVAL_INDEX={factory} cannot be used: {reason}.") from None
        return built

    @classmethod
    def load(cls, file: Path) -> "FaissIndex":
        """An index that `save` wrote. Raises WrongUse for a file that does not contain one."""
        try:
            index = faiss.read_index(str(file))
        except RuntimeError:
            raise WrongUse(f"{file} is not a vector index: delete it, and it will be rebuilt.") from None
        return cls(index)

    def save(self, file: Path) -> None:
        """Write the index to a file, whole or not at all."""
        with files.whole(file) as part:
            faiss.write_index(self.index, str(part))

    def add(self, ids: np.ndarray, descriptors: np.ndarray) -> None:
        """Add a block of images: (images,) int64 new ids, and (images, dimensions) descriptors of length 1."""
        for start in range(0, len(ids), BLOCK):
            block = slice(start, start + BLOCK)
            self.index.add_with_ids(descriptors[block].astype(np.float32), ids[block])

    def search(self, descriptor: np.ndarray, count: int, exclude: Set[int] = frozenset()) -> list[tuple[int, float]]:
        """The `count` most similar images, as (id, cosine similarity), best first, without the excluded ones."""
        ids, similarities = self.search_many(descriptor[None], count + len(exclude))
        pairs = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
        return [(image, similarity) for image, similarity in pairs if image >= 0 and image not in exclude][:count]

    def search_many(self, descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for (queries, dimensions): ids (queries, count) int64, -1 for none, and similarities."""
        similarities, ids = self.index.search(descriptors.astype(np.float32), count)
        return ids, similarities


def build(ids: np.ndarray, descriptors: np.ndarray, options: str) -> FaissIndex:
    """An index that the factory string `options` describes: see models.collection.vector_index.Kind."""
    return FaissIndex.trained(ids, descriptors, options)


def load(file: Path) -> FaissIndex:
    """An index that `save` wrote. Raises WrongUse for a file that holds none."""
    return FaissIndex.load(file)

"""An exact vector index in NumPy: a kind of models.collection.vector_index in one file."""

import zipfile
from collections.abc import Set
from pathlib import Path

import numpy as np

from utils import files
from utils.errors import WrongUse


class PlainIndex:
    """Compares a query with every descriptor. Fulfils models.collection.vector_index.VectorIndex."""

    def __init__(self, ids: np.ndarray, descriptors: np.ndarray):
        self.ids, self.descriptors = ids.astype(np.int64), descriptors.astype(np.float32)

    def add(self, ids: np.ndarray, descriptors: np.ndarray) -> None:
        self.ids = np.concatenate([self.ids, ids])
        self.descriptors = np.concatenate([self.descriptors, descriptors.astype(np.float32)])

    def search(self, descriptor: np.ndarray, count: int, exclude: Set[int] = frozenset()) -> list[tuple[int, float]]:
        ids, similarities = self.search_many(descriptor[None], count + len(exclude))
        pairs = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
        return [(image, similarity) for image, similarity in pairs if image >= 0 and image not in exclude][:count]

    def search_many(self, descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        # One query at a time, because the last digits of a product depend on how many are multiplied at once.
        rows = [self.descriptors @ descriptor.astype(np.float32) for descriptor in descriptors]
        ids = np.full((len(rows), count), -1, np.int64)
        similarities = np.full((len(rows), count), -np.inf, np.float32)
        for number, row in enumerate(rows):
            best = np.argsort(-row, kind="stable")[:count]
            ids[number, : len(best)], similarities[number, : len(best)] = self.ids[best], row[best]
        return ids, similarities

    def save(self, file: Path) -> None:
        with files.whole(file) as part, part.open("wb") as target:
            np.savez(target, ids=self.ids, descriptors=self.descriptors)


def build(ids: np.ndarray, descriptors: np.ndarray, options: str) -> PlainIndex:
    if options:
        raise WrongUse(f"RETRIEVAL_INDEX=plain:{options}: the plain index has no options.")
    return PlainIndex(ids, descriptors)


def load(file: Path) -> PlainIndex:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return PlainIndex(arrays["ids"], arrays["descriptors"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise WrongUse(f"{file} is not a vector index: delete it, and it will be rebuilt.") from None

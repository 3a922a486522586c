"""The vector index: which descriptors are most similar to one?"""

from collections.abc import Set

import faiss
import numpy as np

from utils.errors import WrongUse


class Index:
    """Searches by cosine similarity. Safe to call from several threads."""

    def __init__(self, ids: np.ndarray, descriptors: np.ndarray, factory: str):
        """ids: (images,) int64; descriptors: (images, dimensions) float of length 1.

        factory: a FAISS factory string; "SQfp16" compares with every descriptor, exactly in half precision.
        Raises WrongUse for a factory string that FAISS does not know or cannot train on these descriptors.
        """
        self.ids = ids
        try:
            self.faiss = faiss.index_factory(descriptors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            vectors = descriptors.astype(np.float32)
            self.faiss.train(vectors)
            self.faiss.add(vectors)
        except RuntimeError as problem:
            raise WrongUse(f"RETRIEVAL_INDEX={factory} does not work here: {str(problem).splitlines()[-1]}.") from None

    def search(self, descriptor: np.ndarray, count: int, exclude: Set[int] = frozenset()) -> list[tuple[int, float]]:
        """The `count` most similar images as (id, cosine similarity), best first, without the excluded ones."""
        similarities, places = self.faiss.search(descriptor[None].astype(np.float32), count + len(exclude))
        found = [
            (int(self.ids[place]), float(similarity))
            for place, similarity in zip(places[0], similarities[0], strict=True)
            if place >= 0
        ]
        return [(image, similarity) for image, similarity in found if image not in exclude][:count]

"""PCA whitening of class vectors, and their sum: the descriptor."""

from dataclasses import dataclass

import numpy as np

from models.description.pooling import normalised
from utils.errors import WrongUse

WANTED = 5120  # vectors to fit the whitening on: ten for each of 512 channels, five for each of 1,024


@dataclass(frozen=True)
class Whitening:
    """Takes the mean off and projects on principal components, each scaled to variance 1."""

    mean: np.ndarray  # (channels,) float32
    projection: np.ndarray  # (channels, dimensions) float32

    def descriptor(self, vectors: np.ndarray) -> np.ndarray:
        """The descriptor of one image: each vector whitened, l2-normalised, summed, l2-normalised again.

        vectors: (vectors, channels), as a pooling returns them. Returns (dimensions,) float32 of length 1,
        or of zeros for a picture without any feature.
        """
        used = vectors[np.any(vectors != 0, axis=1)].astype(np.float32)
        return normalised(normalised((used - self.mean) @ self.projection).sum(0))


def fit(vectors: np.ndarray, dimensions: int) -> Whitening:
    """Fit on vectors of many images (Jegou & Chum 2012).

    vectors: (vectors, channels) float. Directions in which they do not differ are left out, so there may be fewer
    dimensions than asked for. Raises WrongUse where they do not differ at all.
    """
    mean = vectors.mean(0, dtype=np.float64)
    centred = vectors - mean
    variances, components = np.linalg.eigh(centred.T @ centred / len(vectors))
    order = np.argsort(-variances)[:dimensions]
    order = order[variances[order] > max(1e-7 * variances.max(), 1e-12)]
    if not len(order):
        raise WrongUse(
            "All pictures look the same to the network, so the whitening cannot be fitted: add other pictures."
        )
    projection = components[:, order] / np.sqrt(variances[order])
    return Whitening(mean.astype(np.float32), projection.astype(np.float32))


def vectors_each(images: int) -> int:
    """How many class vectors of each of `images` images to fit on, the first ones.

    One, as published (Jimenez et al. 2017), where that makes enough; a smaller collection adds the vectors of the next
    classes, because the spread of so many channels cannot be told from a few hundred vectors.
    """
    return -(-WANTED // images)

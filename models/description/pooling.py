"""From feature maps to vectors: class activation maps and the poolings of image retrieval.

Every pooling takes the non-negative features of one image, (height, width, channels) float32 (`cam_gem` takes those of
several layers), and returns (vectors, channels) float32, each vector of length 1 (or 0 if all features are zero). If
there are several vectors per image, the most important is first, that of the most probable or most frequent class, or
of the whole image: the whitening is fitted on it.
"""

from collections.abc import Sequence

import cv2
import numpy as np

LEVELS = {"cam_gem": ("fine", "coarse")}  # of the network (see models/description/network.py); all others: coarse
OF_COLLECTION = ("cam_gem",)  # poolings whose classes are the same for all images, not each image's own
POWER = 3.0  # of generalised means; Radenovic et al. 2018 learned 2.9


def levels(name: str) -> tuple[str, ...]:
    """The levels of the network that a pooling needs."""
    return LEVELS.get(name, ("coarse",))


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Each vector (along the last axis) divided by its l2 length; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def class_maps(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """CAM_c = sum_k w_kc A_k, negative values set to 0, each divided by its maximum (Jimenez et al. 2017, eq. 1).

    activations: (height, width, channels) float32; weights: (classes, channels) float32.
    Returns (classes, height, width) float32 in 0..1; a map without a positive value is 0 everywhere.
    """
    height, width, channels = activations.shape
    maps = np.maximum(weights @ activations.reshape(-1, channels).T, 0)
    highest = maps.max(1, keepdims=True)
    return (maps / np.where(highest > 0, highest, 1)).reshape(-1, height, width)


def attention(maps: np.ndarray) -> np.ndarray:
    """Where the network looked: the mean of class maps, stretched to 0..255; 0 everywhere if the mean is constant.

    maps: (classes, height, width) float32, as `class_maps` makes them. Returns (height, width) uint8.
    """
    mean = maps.mean(0)
    above = mean - mean.min()
    return np.rint(255 * above / (above.max() or 1)).astype(np.uint8)


def channel_weights(features: np.ndarray) -> np.ndarray:
    """log(sum_j Q_j / Q_k), Q_k the share of positions where channel k is not 0 (CroW, Kalantidis et al. 2016).

    Rare channels get a higher weight; a channel that is 0 everywhere gets weight 0. Returns (channels,) float32.
    """
    share = (features > 0).mean((0, 1), dtype=np.float32)
    rarity = np.where(share > 0, share.sum() / np.where(share > 0, share, 1), 1)  # 1 counts log(1) = 0
    return np.log(rarity).astype(np.float32)


def cam(features: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """One vector per class: features weighted by the class map, summed, times channel weights (Jimenez et al. 2017).

    maps: (classes, height, width), most probable class first.
    """
    flat = features.reshape(-1, features.shape[-1])
    sums = maps.reshape(len(maps), -1) @ flat
    return normalised(sums * channel_weights(features))


def cam_gem(layers: Sequence[np.ndarray], maps: np.ndarray, power: float = POWER) -> np.ndarray:
    """One vector per class: generalised means of the features of several layers, weighted by the class map.

    The maps are those of Jimenez et al. 2017, and the mean over the positions of a map m is that of GeM (Radenovic et
    al. 2018): (sum m f^p / sum m)^(1/p). It gives features that are strong somewhere more weight than features that are
    weak everywhere. Finer layers keep what distinguishes one work from another. The layers' vectors, each of length 1,
    are concatenated.

    The classes are the most frequent ones of the collection (Jimenez et al. 2017, section 4.3), the same for every
    image: so vectors of the same class are compared, and a class has the same weight in every image.

    layers: (n height, n width, channels) each, with an integer n; surplus rows and columns are ignored.
    maps: (classes, height, width). Returns (classes, channels of all layers).
    """
    _, height, width = maps.shape
    flat = maps.reshape(len(maps), -1)
    vectors = []
    for features in layers:
        rows, columns = features.shape[0] // height, features.shape[1] // width
        whole = features[: rows * height, : columns * width].reshape(rows * height, -1)
        powers = cv2.pow(np.ascontiguousarray(whole), power)  # several times as fast as NumPy's
        means = powers.reshape(height, rows, width, columns, -1).mean((1, 3))
        vectors.append(normalised((flat @ means.reshape(height * width, -1)) ** (1 / power)))
    return normalised(np.concatenate(vectors, axis=1))


def crow(features: np.ndarray) -> np.ndarray:
    """Sums weighted by position and by channel (CroW, Kalantidis et al. 2016, with a = b = 2)."""
    total = features.sum(-1)
    length = np.linalg.norm(total)
    spatial = np.sqrt(total / length) if length > 0 else total
    return normalised((features * spatial[..., None]).sum((0, 1)) * channel_weights(features))[None]


def spoc(features: np.ndarray) -> np.ndarray:
    """Sums over space (SPoC without the centre prior, Babenko & Lempitsky 2015)."""
    return normalised(features.sum((0, 1)))[None]


def mac(features: np.ndarray) -> np.ndarray:
    """Maxima over space (MAC, Tolias et al. 2016)."""
    return normalised(features.max((0, 1)))[None]


def gem(features: np.ndarray, power: float = POWER) -> np.ndarray:
    """Generalised means over space (GeM, Radenovic et al. 2018)."""
    return normalised((features**power).mean((0, 1)) ** (1 / power))[None]


def rmac(features: np.ndarray, levels: int = 3) -> np.ndarray:
    """Maxima of square regions at several scales, the whole image first (R-MAC, Tolias et al. 2016).

    At level l, regions have the side 2 min(height, width) / (l + 1); there are l of them along the shorter side, and
    along the longer one as many as make neighbours overlap by about 40 %.
    """
    height, width, _ = features.shape
    vectors = [mac(features)[0]]
    shorter = min(height, width)
    extra = _extra_regions(height, width)
    for level in range(1, levels + 1):
        side = max(1, 2 * shorter // (level + 1))
        rows, columns = (level, level + extra) if width >= height else (level + extra, level)
        for top in _starts(height - side, rows):
            vectors += [
                mac(features[top : top + side, left : left + side])[0] for left in _starts(width - side, columns)
            ]
    return np.stack(vectors)


def _extra_regions(height: int, width: int) -> int:
    """How many more regions there are along the longer side than along the shorter, for an overlap of about 40 %."""
    if height == width:
        return 0
    shorter, longer = sorted((height, width))
    overlaps = [(shorter**2 - shorter * (longer - shorter) / extra) / shorter**2 for extra in range(1, 7)]
    return 1 + int(np.argmin(np.abs(np.array(overlaps) - 0.4)))


def _starts(room: int, count: int) -> list[int]:
    """`count` starting positions spread evenly over 0..room; a single one is in the middle."""
    return [room // 2] if count == 1 else [i * room // (count - 1) for i in range(count)]

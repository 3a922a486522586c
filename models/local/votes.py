"""Votes of local features: the images that many of a query's keypoints resemble, wherever on the query they are.

A descriptor of the whole query says what most of it shows, which may be the wall. Keypoints know nothing of the whole,
so they also lead to small works, and to several. An inverted file holds the keypoints of all images (FAISS). Each
keypoint of a query looks up its nearest ones and votes for their images; and votes count together only if they agree on
rotation and change of scale (weak geometric consistency: Jegou, Douze & Schmid 2008). Which candidate is right is for
re-ranking to decide.
"""

import secrets
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from models.collection.features import Features
from models.collection.store import Store
from models.local.extractor import Extractor
from models.local.kinds import kind_of
from utils import files
from utils.errors import WrongUse

Index = Any  # faiss.IndexIVF of numbers or faiss.IndexBinaryIVF of bits: FAISS's types do not know their lists

NEIGHBOURS = 10  # keypoints of the collection for which a keypoint of the query votes
PROBED = 4  # lists that are searched for them
PER_LIST = 4096  # keypoints in a list of the inverted file, on average
SAMPLE = 16  # keypoints a list on which the lists' centres are learned
ROUNDS = 4  # of k-means, which learns them
MANY = 8192  # lists; with more, the nearest centres are found through a graph (HNSW) rather than one by one
BLOCK = 1024  # images that are indexed at a time

# A keypoint's label in the index: the image's id, and its angle and size in steps.
ANGLES, SIZES = 64, 64  # steps: of 360/64 degrees, and of a quarter of an octave
COARSE_ANGLE, COARSE_SIZE = 4, 4  # steps in one bin of votes that agree; neighbouring bins count as well


class Votes:
    """The index of a collection's keypoints. Safe to ask from several threads."""

    def __init__(self, index: Index, kind: type[Extractor]):
        self.index, self.kind = index, kind
        index.nprobe = min(PROBED, index.nlist)

    @classmethod
    def reading(cls, store: Store) -> "Votes":
        """The index that belongs to the store; its file is mapped into memory, not read.

        Raises WrongUse if there is none, or if it is damaged.
        """
        name, kind = store.get_meta("votes"), kind_of(store.get_meta("local_features")["kind"])
        if not name:
            raise WrongUse(f"{store.path.parent} has no index of keypoints: run pre_compute_descriptor.py --update.")
        return cls(_read(store.path.parent / name, kind, faiss.IO_FLAG_MMAP), kind)

    def candidates(self, query: Features, count: int, among: Container[int]) -> list[tuple[int, float]]:
        """The `count` images with most votes, as (id, votes), best first.

        among: the ids that may be in the answer. The votes of an image are its share of all votes, 0..1.
        """
        if query.kind != self.kind.kind or not len(query.descriptors) or not self.index.ntotal:
            return []
        distances, labels = self.index.search(_searchable(query, self.kind), NEIGHBOURS + 1)
        images, weights = tally(query, distances.astype(np.float32), labels)
        best = np.argsort(-weights, kind="stable")
        ranked = ((int(images[place]), float(weights[place])) for place in best)
        return [(image, weight) for image, weight in ranked if image in among][:count]


def tally(query: Features, distances: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images that get votes, (images,) int64, and their votes, (images,) float64, 0..1.

    distances, labels: (keypoints, neighbours + 1), of each keypoint's nearest ones; label -1 for none. The last
    neighbour is the measure: the nearer the others are in proportion, the more their votes weigh.
    """
    worth = 1 - distances[:, :-1] / np.maximum(distances[:, -1:], 1e-9)
    keypoint, neighbour = np.nonzero((labels[:, :-1] >= 0) & (labels[:, -1:] >= 0) & (worth > 0))
    label, worth = labels[keypoint, neighbour], worth[keypoint, neighbour]
    image, turn, growth = label >> 12, label >> 6 & 63, label & 63
    # One keypoint has one vote for an image, however often its texture is repeated there: the nearest one's.
    _, first = np.unique(keypoint * (image.max(initial=0) + 1) + image, return_index=True)
    keypoint, image, worth, turn, growth = (each[first] for each in (keypoint, image, worth, turn, growth))
    own_turn, own_growth = _steps(query)
    turn, growth = (turn - own_turn[keypoint]) % ANGLES, growth - own_growth[keypoint] + SIZES
    images, row = np.unique(image, return_inverse=True)
    turned = _histogram(row, turn // COARSE_ANGLE, worth, (len(images), ANGLES // COARSE_ANGLE))
    turned = turned + np.roll(turned, 1, axis=1) + np.roll(turned, -1, axis=1)  # around the circle
    grown = _histogram(row, 1 + growth // COARSE_SIZE, worth, (len(images), 2 + 2 * SIZES // COARSE_SIZE))
    grown = grown[:, :-2] + grown[:, 1:-1] + grown[:, 2:]
    agreed = np.minimum(turned.max(axis=1, initial=0), grown.max(axis=1, initial=0))
    return images, agreed / max(len(query.keypoints), 1)


def _histogram(row: np.ndarray, column: np.ndarray, weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(row * shape[1] + column, weights, shape[0] * shape[1]).reshape(shape)


def _steps(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """The angle, 0..63, and the size, 0..63, of each keypoint, in steps: (keypoints,) int64."""
    angles = np.floor(features.keypoints[:, 3] * (ANGLES / 360)).astype(np.int64) % ANGLES
    sizes = np.round(4 * np.log2(np.maximum(features.keypoints[:, 2], 0.25))).astype(np.int64) + 8
    return angles, np.clip(sizes, 0, SIZES - 1)


# Building


def update(store: Store, keypoints: int, changed: set[int] | None) -> bool:
    """Bring the index up to date with the local features in the store, which is open for writing.

    keypoints: of an image that are indexed, at most. changed: images whose local features are new since the last
    update; None if that is not known. What the index lacks is added, what is gone is taken out; it is built anew where
    there is none, or none that fits.
    Returns whether anything was written. A new file replaces the old one, which engines may go on using.
    """
    folder, features = store.path.parent, store.get_meta("local_features")
    kind, settings = kind_of(features["kind"]), {**features, "indexed": keypoints}
    have = np.array(store.with_features(), np.int64)
    there = None
    if changed is not None and store.get_meta("votes") and store.get_meta("votes_of") == settings:
        there = _images_of(folder / store.get_meta("votes"), kind, len(have) * keypoints)
    if there is None or changed is None:
        index, new = _trained(store, kind, keypoints, have), have
    else:
        again = np.array(sorted(changed), np.int64)
        gone, new = np.union1d(np.setdiff1d(there, have), again), np.setdiff1d(have, np.setdiff1d(there, again))
        if not len(gone) and not len(new):
            return False
        index = _read(folder / store.get_meta("votes"), kind)  # only now: it takes as much memory as its file
        _take_out(index, gone)
    for ids in _blocks(new):
        descriptors, labels = _indexed(store, ids, kind, keypoints)
        index.add_with_ids(descriptors, labels)
    name = f"votes-{secrets.token_hex(4)}.faiss"
    with files.whole(folder / name) as part:
        write = faiss.write_index_binary if kind.binary else faiss.write_index
        write(index, str(part))
    store.set_meta(votes=name, votes_of=settings, votes_pending=False)
    for old in folder.glob("votes-*.faiss*"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return True


def _blocks(ids: np.ndarray) -> Iterator[np.ndarray]:
    return (ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK))


def _trained(store: Store, kind: type[Extractor], keypoints: int, images: np.ndarray) -> Index:
    """An empty index whose lists suit the keypoints of these images: (images,) int64 ids."""
    lists = _lists(len(images) * keypoints)
    several = images[:: max(1, len(images) * keypoints // (lists * SAMPLE))]
    parts = [_indexed(store, ids, kind, keypoints)[0] for ids in _blocks(several)]
    sample = np.concatenate([np.zeros((0, kind.width), _type_of(kind)), *parts])
    lists = max(1, min(lists, len(sample)))
    centres = f"IVF{lists}_HNSW32" if lists > MANY else f"IVF{lists}"
    index: Index = (
        faiss.index_binary_factory(8 * kind.width, f"B{centres}")
        if kind.binary
        else faiss.index_factory(kind.width, f"{centres},SQ8")
    )
    index.cp.niter, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = ROUNDS, 1, 2 * SAMPLE
    index.train(sample if len(sample) else np.zeros((1, kind.width), _type_of(kind)))
    return index


def _lists(keypoints: int) -> int:
    """How many lists an index of so many keypoints has: a power of two."""
    return 1 << max(0, round(np.log2(max(keypoints, 1) / PER_LIST)))


def _indexed(store: Store, images: np.ndarray, kind: type[Extractor], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors, (keypoints, width), and labels, (keypoints,) int64, of what is indexed of these images.

    Of an image with more than `most` keypoints every second, third, ... is taken, which keeps all sizes.
    """
    descriptors, labels = [np.zeros((0, kind.width), _type_of(kind))], [np.zeros(0, np.int64)]
    for image, features in zip(images.tolist(), store.features(images.tolist()), strict=True):
        if features is None or not len(features.descriptors):
            continue
        every = slice(None, None, -(-len(features.descriptors) // most))
        angles, sizes = _steps(features)
        descriptors.append(_searchable(features, kind)[every])
        labels.append(image << 12 | angles[every] << 6 | sizes[every])
    return np.concatenate(descriptors), np.concatenate(labels)


def _searchable(features: Features, kind: type[Extractor]) -> np.ndarray:
    """The descriptors as the index takes them: bits as bytes, other numbers as float32."""
    return np.ascontiguousarray(features.descriptors, _type_of(kind))


def _type_of(kind: type[Extractor]) -> type[np.generic]:
    return np.uint8 if kind.binary else np.float32


# The index as a file and as lists


def _read(file: Path, kind: type[Extractor], flags: int = 0) -> Index:
    """Raises WrongUse for a file that is missing or holds no such index."""
    try:
        index = (faiss.read_index_binary if kind.binary else faiss.read_index)(str(file), flags)
    except RuntimeError:
        index = None
    if not isinstance(index, faiss.IndexBinaryIVF if kind.binary else faiss.IndexIVF):
        raise WrongUse(f"{file} is damaged or missing: run pre_compute_descriptor.py --update, which builds it anew.")
    return index


def _labels(index: Index, place: int) -> np.ndarray:
    """A copy of the labels in one list, (keypoints,) int64."""
    size = index.invlists.list_size(place)
    return faiss.rev_swig_ptr(index.invlists.get_ids(place), size).copy() if size else np.zeros(0, np.int64)


def _images_of(file: Path, kind: type[Extractor], keypoints: int) -> np.ndarray | None:
    """The ids of the images in an index that may be changed: (images,) int64, ascending.

    None if there is no index in the file, or if its lists suit a collection of another size. The file is only mapped.
    """
    try:
        index = _read(file, kind, faiss.IO_FLAG_MMAP)
    except WrongUse:
        return None
    if not _lists(keypoints) / 2 <= index.nlist <= _lists(keypoints) * 2:
        return None
    found = [np.unique(_labels(index, place) >> 12) for place in range(index.nlist)]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _take_out(index: Index, images: np.ndarray) -> None:
    """Remove the keypoints of these images."""
    for place in range(index.nlist):
        labels = _labels(index, place)
        keep = ~np.isin(labels >> 12, images)
        if keep.all():
            continue
        width = index.invlists.code_size
        codes = faiss.rev_swig_ptr(index.invlists.get_codes(place), len(labels) * width).reshape(-1, width)[keep]
        labels = labels[keep]
        index.ntotal -= int((~keep).sum())
        if len(labels):
            codes = np.ascontiguousarray(codes)
            index.invlists.update_entries(place, 0, len(labels), faiss.swig_ptr(labels), faiss.swig_ptr(codes))
        index.invlists.resize(place, len(labels))

"""The raw vectors of pictures that benchmarks/accuracy.py makes descriptors of: networks, poolings, views, files."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from config import Settings
from models.collection.reading import Reading
from models.description import pooling
from models.description.backend import best_precision
from models.description.describer import Describer
from models.description.filling import CLASSES_SAMPLE, most_frequent_classes
from models.description.network import Network
from models.description.recipe import Recipe
from models.description.vgg16 import PoolingHead
from models.evaluation.queries import Query, picture_of
from models.local.detection import quadrilaterals, straighten, without_frame
from models.training.teacher import MEAN as TEACHER_MEAN
from models.training.teacher import Teacher
from utils.files import whole
from utils.script import progress

POWERS = (1, 2, 3, 4, 5)  # of generalised means
CLASSES = 64  # class vectors of most poolings
MOST_CLASSES = 128  # of one
BOXES = 16  # regions of each image for the re-ranking by boxes, one a class
BOX = 0.3  # of a class map's maximum, above which a position belongs to its box
CHUNK = 256  # pictures in a file of raw vectors
BATCH = 4  # pictures in one pass of the network

Layers = tuple[np.ndarray, np.ndarray, np.ndarray]  # (height, width, channels): two layers of features, activations


def poolings(head, frequent: np.ndarray) -> dict[str, Callable[[Layers], np.ndarray]]:
    """All that variants are made of, by name: from the layers of one picture to (vectors, channels).

    head: of the network. frequent: the classes that the collection shows most often.
    """

    def maps(activations: np.ndarray, wanted: int | np.ndarray) -> np.ndarray:
        return pooling.class_maps(activations, head.classes(activations, wanted)[1])

    def boxes(both: Sequence[np.ndarray], activations: np.ndarray) -> np.ndarray:
        return np.concatenate([_box(both, one) for one in maps(activations, frequent[:BOXES])])

    return {
        "cam": lambda block4, block5, last: pooling.cam(block5, maps(last, CLASSES)),
        **{
            f"cam_gem {power}": lambda block4, block5, last, power=power: pooling.cam_gem(
                [block5], maps(last, CLASSES), power
            )
            for power in POWERS
        },
        "cam_gem block4": lambda block4, block5, last: pooling.cam_gem([block4], maps(last, CLASSES)),
        "cam_gem both": lambda block4, block5, last: pooling.cam_gem([block4, block5], maps(last, CLASSES)),
        "frequent": lambda block4, block5, last: pooling.cam_gem([block4, block5], maps(last, frequent)),
        "boxes": lambda block4, block5, last: boxes([block4, block5], last),
        "spoc": lambda block4, block5, last: pooling.spoc(block5),
        "mac": lambda block4, block5, last: pooling.mac(block5),
        "crow": lambda block4, block5, last: pooling.crow(block5),
        **{f"gem {power}": lambda block4, block5, last, power=power: pooling.gem(block5, power) for power in POWERS},
        "gem block4": lambda block4, block5, last: pooling.gem(block4),
        "gem cam_conv": lambda block4, block5, last: pooling.gem(last),
        "rmac": lambda block4, block5, last: pooling.rmac(block5),
        "rmac block4": lambda block4, block5, last: pooling.rmac(block4),
        "classes": lambda block4, block5, last: head.classes(last, MOST_CLASSES)[0][None],
    }


def _box(layers: Sequence[np.ndarray], class_map: np.ndarray) -> np.ndarray:
    """Generalised means within the box around all that a class map is sure of; of all, where that is nothing."""
    rows, columns = np.nonzero(class_map >= BOX) if class_map.any() else np.indices(class_map.shape).reshape(2, -1)
    box = np.zeros_like(class_map)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    return pooling.cam_gem(layers, box[None])


class TeacherNetwork:
    """The teacher, called as `models.description.network.Network` is: two layers of stride 16, and its last maps."""

    def __init__(self, path: Path):
        self.precision = best_precision()
        teacher = Teacher(path, self.precision)
        self.maps, self.head = teacher.maps, PoolingHead(teacher.kernel, teacher.bias)

    def __call__(self, pictures: np.ndarray) -> Layers:
        *_, block4, block5, last = self.maps.predict_on_batch(pictures.astype(np.float32) - TEACHER_MEAN)
        last = np.asarray(last, np.float32).repeat(2, axis=1).repeat(2, axis=2)  # from stride 32 to the others' 16
        return np.asarray(block4, np.float32), np.asarray(block5, np.float32), last


def views(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The views of a query that variants may use: the whole, turned, and the paintings that can be made out on it."""
    yield "whole", pixels
    for quarters in (1, 2, 3):
        yield f"turned {quarters}", np.rot90(pixels, quarters)
    for number, corners in enumerate(quadrilaterals(pixels, most=2)):
        yield f"painting {number}", straighten(pixels, without_frame(corners))


@dataclass(frozen=True)
class RawDescriber:
    """The raw vectors of pictures, from one pass of the network."""

    network: Network
    size: str
    names: tuple[str, ...]  # of the raw vectors, as in `poolings`
    reading: Reading
    settings: Settings
    frequent: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # classes, whatever a picture shows

    def pixels(self, query: Query) -> np.ndarray:
        """(height, width, 3) uint8 BGR."""
        picture, _ = picture_of(query, self.settings)
        return self.reading.decode(picture) if isinstance(picture, Path) else picture

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """The network's input."""
        return Describer(self.network, Recipe("", "", CLASSES, 512, self.size)).prepare(pixels)

    @cached_property
    def made(self) -> dict[str, Callable[[Layers], np.ndarray]]:
        """The poolings that are asked for, by name."""
        every = poolings(self.network.head, self.frequent)
        return {name: every[name] for name in self.names}

    def raw(self, *layers: np.ndarray) -> dict[str, np.ndarray]:
        """All vectors of one picture by name, (vectors, channels) float16 each; "classes" are numbers."""
        found = {name: make(*layers) for name, make in self.made.items()}
        return {name: array if name == "classes" else array.astype(np.float16) for name, array in found.items()}

    def of(self, prepared: Sequence[np.ndarray], pool: ThreadPoolExecutor) -> list[dict[str, np.ndarray]]:
        """The raw vectors of pictures of any orientation, in their order."""
        found: list = [None] * len(prepared)
        for shape in {picture.shape for picture in prepared}:
            places = [place for place, picture in enumerate(prepared) if picture.shape == shape]
            for start in range(0, len(places), BATCH):
                part = places[start : start + BATCH]
                outputs = self.network(np.stack([prepared[place] for place in part]))
                for place, raw in zip(part, pool.map(self.raw, *outputs), strict=True):
                    found[place] = raw
        return found


class Raw:
    """The raw vectors of many pictures, read from files when they are asked for."""

    def __init__(self, files: list[Path]):
        self.files = [np.load(file, allow_pickle=False) for file in files]
        self.names, self.views = (np.concatenate([file[of] for file in self.files]) for of in ("names", "views"))
        self.kept: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """(pictures, vectors, channels) float16."""
        if name not in self.kept:
            self.kept[name] = np.concatenate([file[name] for file in self.files])
        return self.kept[name]


def extract(pictures: Sequence[Query], every_view: bool, describer: RawDescriber, folder: Path, what: str) -> Raw:
    """The raw vectors of pictures. Those of a chunk that are kept are not computed again; others join them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with ThreadPoolExecutor() as pool, progress(total=len(pictures), what=what) as bar:
        for start in range(0, len(pictures), CHUNK):
            part = pictures[start : start + CHUNK]
            files.append(folder / f"{what.lower().replace(' ', '-')}-{start:06}.npz")
            kept = _kept(files[-1])
            lacking = tuple(name for name in describer.names if name not in kept)
            if lacking:
                _extract_part(part, every_view, replace(describer, names=lacking), pool, files[-1], kept, bar)
            else:
                bar.update(len(part))
    return Raw(files)


def _kept(file: Path) -> dict[str, np.ndarray]:
    """The vectors in a file that may not be there, each read when it is asked for."""
    return np.load(file, allow_pickle=False) if file.is_file() else {}


def _extract_part(
    part,
    every_view: bool,
    describer: RawDescriber,
    pool: ThreadPoolExecutor,
    file: Path,
    kept: dict[str, np.ndarray],
    bar,
) -> None:
    rows, names, shown = [], [], []
    for start in range(0, len(part), 2 * BATCH):
        some = part[start : start + 2 * BATCH]
        prepared = []
        for query, pixels in zip(some, pool.map(describer.pixels, some), strict=True):
            for view, seen in views(pixels) if every_view else [("whole", pixels)]:
                prepared.append(describer.prepare(seen))
                names.append(query.name)
                shown.append(view)
        rows += describer.of(prepared, pool)
        bar.update(len(some))
    found = {"names": names, "views": shown} | {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    with whole(file, ending=".npz") as part:
        np.savez(part, **{**kept, **found})


def frequent_classes(describer: RawDescriber, pictures: Sequence[Query], file: Path) -> np.ndarray:
    """The classes that a sample of the images shows most often, as train.py finds them; `file` keeps them."""
    if not file.is_file():
        drawn = np.random.default_rng(0).permutation(len(pictures))[:CLASSES_SAMPLE]
        sample = progress([pictures[i] for i in drawn], what="Frequent classes")
        inputs = (describer.prepare(describer.pixels(query))[None] for query in sample)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, most_frequent_classes(describer.network, inputs, MOST_CLASSES), allow_pickle=False)
    return np.load(file, allow_pickle=False)

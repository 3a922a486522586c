"""Compares descriptors: which puts the right work first, at what cost.

Examples:
  python benchmarks/museum.py && python benchmarks/accuracy.py
  python benchmarks/accuracy.py --every 3                  a third of the museum's distractors
  python benchmarks/accuracy.py --size 384x288             another input of the network
  python benchmarks/accuracy.py --weights untrained        a network that has learned nothing, to compare with
  python benchmarks/accuracy.py --only published "GeM 3 within class maps"

The columns are the museum's five sets of queries among its gallery and the distractors (RETRIEVAL_DATA, linked by
benchmarks/museum.py), transformed copies of that collection's images, and the demonstration's photographs among its own
paintings. Each picture passes the network once, and the raw vectors of all poolings are kept in OUTPUT, a file a few
hundred pictures: a run that was interrupted goes on there, and a further variant costs seconds.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from config import Settings
from models import pooling, verdict, weights, whitening
from models.answer import Evidence
from models.detection import quadrilaterals, straighten, without_frame
from models.local_features import Finder
from models.network import Network, vgg16_cam
from models.pooling import normalised
from models.reading import Reading
from models.verification import match, verify
from utils import images, script, transforms
from utils.errors import WrongUse
from utils.script import progress
from utils.store import Store

LAYERS = ("block4_conv3", "block5_conv1")
POWERS = (1, 2, 3, 4, 5)
CLASSES = 128  # class maps of which vectors are kept
FREQUENT = 64  # classes that the collection shows most often
SAMPLE = 128  # images that say which classes those are
BOXES = 16  # regions of each image for the re-ranking by boxes, one a class
BOX = 0.3  # of a class map's maximum, above which a position belongs to its box
CHUNK = 256  # pictures in a file of raw vectors
BATCH = 4  # pictures in one pass of the network
SETS = ("crops", "walls", "pairs", "mixed", "noisy")
COPIES = 100  # images of which a transformed copy is asked for
SHORTLIST = 100
DRAWS = 2000  # of the bootstrap


# Pictures


@dataclass(frozen=True)
class Picture:
    """A picture to describe: a file, transformed where there is a seed."""

    path: Path
    name: str  # of the image, or of the query
    seed: int | None = None


@dataclass(frozen=True)
class Collection:
    """Images, and sets of queries with what is relevant."""

    name: str
    images: list[Picture]
    sets: dict[str, dict[str, frozenset[str]]]  # set -> query -> names of relevant images
    queries: dict[str, list[Picture]]  # set -> its queries
    store: Path  # folder of the store that holds the images' local features


def museum(settings, every: int) -> Collection:
    """The museum's gallery with each `every`-th distractor."""
    output = Path("output/museum")
    files = sorted(path for path in (output / "images").rglob("*.jpg"))
    if not files:
        raise WrongUse(f"There is nothing in {output / 'images'}: run python benchmarks/museum.py first.")
    gallery = [path for path in files if path.parent.name == "gallery"]
    kept = gallery + [path for path in files if path.parent.name != "gallery"][::every]
    names = {path: path.relative_to(output / "images").as_posix() for path in kept}
    sets, queries = {}, {}
    for name in SETS:
        folder = settings.data / "museum" / "queries" / name
        sets[name] = {
            f"{name}/{query}": frozenset(f"gallery/{image}" for image in relevant)
            for query, relevant in _truth(folder).items()
            if relevant
        }
        queries[name] = [Picture(folder / query.split("/")[1], query) for query in sets[name]]
    drawn = np.random.default_rng(0).permutation(len(kept))[:COPIES]
    queries["copies"] = [Picture(kept[i], f"copy of {names[kept[i]]}", seed=int(i)) for i in drawn]
    sets["copies"] = {f"copy of {names[kept[i]]}": frozenset({names[kept[i]]}) for i in drawn}
    return Collection("museum", [Picture(path, name) for path, name in names.items()], sets, queries, output)


def demonstration() -> Collection:
    """What demo.sh paints."""
    folder = Path("dataset/demo")
    files = sorted((folder / "images").rglob("*.jpg"))
    if not files:
        raise WrongUse(f"There is nothing in {folder / 'images'}: run ./demo.sh --no-serve first.")
    shown = {query: relevant for query, relevant in _truth(folder / "queries").items() if relevant}
    pictures = [Picture(folder / "queries" / query, query) for query in shown]
    named = [Picture(path, path.relative_to(folder / "images").as_posix()) for path in files]
    wanted = {query: frozenset(relevant) for query, relevant in shown.items()}
    return Collection("demonstration", named, {"demo": wanted}, {"demo": pictures}, Path("output/demo"))


def _truth(folder: Path) -> dict[str, list[str]]:
    with (folder / "ground_truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["query"]: row["relevant"].split() for row in csv.DictReader(file)}


def views(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The views of a query that variants may use: the whole, turned, and the paintings that can be made out on it."""
    yield "whole", pixels
    for quarters in (1, 2, 3):
        yield f"turned {quarters}", np.rot90(pixels, quarters)
    for number, corners in enumerate(quadrilaterals(pixels, most=2)):
        yield f"painting {number}", straighten(pixels, without_frame(corners))


# Raw vectors


class Extractor:
    """The raw vectors of all poolings of a picture, from one pass of the network."""

    def __init__(self, model, size: str, settings, frequent: np.ndarray | None = None):
        self.network = Network(model, settings.precision, LAYERS)
        self.long, self.short = (int(side) for side in size.split("x"))
        self.reading = Reading.of(Path(), settings)
        self.frequent = frequent

    def prepared(self, pixels: np.ndarray) -> np.ndarray:
        horizontal = pixels.shape[1] >= pixels.shape[0]
        sides = (self.short, self.long) if horizontal else (self.long, self.short)
        return images.stretch(pixels, *sides)

    def pixels(self, picture: Picture) -> np.ndarray:
        pixels = self.reading.decode(picture.path)
        return pixels if picture.seed is None else transforms.disturb(pixels, np.random.default_rng(picture.seed))[0]

    def raw(self, block4: np.ndarray, block5: np.ndarray, activations: np.ndarray) -> dict[str, np.ndarray]:
        """All vectors of one picture by name, (vectors, channels) float16 each."""
        best, kernel = self.network.head.classes(activations, CLASSES)
        maps = pooling.class_maps(activations, kernel)
        found = {}
        for layer, features in (("block4", _cells(block4)), ("block5", block5[None])):
            found[f"channel weights {layer}"] = pooling.channel_weights(np.concatenate(list(features)))[None]
            for power in POWERS if layer == "block5" else (1, 3):
                means = (features**power).mean(0)
                found[f"cam {power} {layer}"] = _rooted(maps.reshape(len(maps), -1) @ means.reshape(-1, 512), power)
                found[f"gem {power} {layer}"] = _rooted(means.mean((0, 1))[None], power)
            found[f"mac {layer}"] = pooling.mac(features.max(0))
        found["gem 3 cam"] = pooling.gem(activations)
        found["crow block5"], found["rmac block5"] = pooling.crow(block5), pooling.rmac(block5)
        cubes = np.concatenate([(_cells(block4) ** 3).mean(0), block5**3], -1)
        found["boxes"] = np.stack([_rooted(_boxed(cubes, map)[None], 3)[0] for map in maps[:BOXES]])
        if self.frequent is not None:
            fixed = pooling.class_maps(activations, self.network.head.kernel[:, self.frequent].T)
            found["frequent"] = _rooted(fixed.reshape(len(fixed), -1) @ cubes.reshape(-1, cubes.shape[-1]), 3)
        return {name: array.astype(np.float16) for name, array in found.items()} | {"classes": best[None]}

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


def _cells(features: np.ndarray) -> np.ndarray:
    """(2 h, 2 w, channels) -> (4, h, w, channels): the four positions behind each one of the next block."""
    return np.stack([features[row::2, column::2] for row in (0, 1) for column in (0, 1)])


def _rooted(sums: np.ndarray, power: float) -> np.ndarray:
    return normalised(np.maximum(sums, 0) ** (1 / power))


def _boxed(features: np.ndarray, map: np.ndarray) -> np.ndarray:
    """The mean of features within the box around all that a class map is sure of."""
    rows, columns = np.nonzero(map >= BOX)
    if not len(rows):
        return features.mean((0, 1))
    return features[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean((0, 1))


class Raw:
    """The raw vectors of many pictures, read from files when they are asked for."""

    def __init__(self, files: list[Path]):
        self.files = [np.load(file, allow_pickle=False) for file in files]
        self.names = np.concatenate([file["names"] for file in self.files])
        self.views = np.concatenate([file["views"] for file in self.files])
        self.kept: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """(pictures, vectors, channels) float16."""
        if name not in self.kept:
            self.kept[name] = np.concatenate([file[name] for file in self.files])
        return self.kept[name]


def extract(pictures: list[Picture], every_view: bool, extractor: Extractor, folder: Path, what: str) -> Raw:
    """The raw vectors of pictures; a chunk that is there is not computed again."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with ThreadPoolExecutor() as pool, progress(total=len(pictures), what=what) as bar:
        for start in range(0, len(pictures), CHUNK):
            part = pictures[start : start + CHUNK]
            files.append(folder / f"{what.lower().replace(' ', '-')}-{start:06}.npz")
            if not files[-1].is_file():
                _extract_part(part, every_view, extractor, pool, files[-1], bar)
            else:
                bar.update(len(part))
    return Raw(files)


def _extract_part(part, every_view: bool, extractor: Extractor, pool: ThreadPoolExecutor, file: Path, bar) -> None:
    rows, names, shown = [], [], []
    for start in range(0, len(part), 2 * BATCH):
        some = part[start : start + 2 * BATCH]
        prepared = []
        for picture, pixels in zip(some, pool.map(extractor.pixels, some), strict=True):
            for view, seen in views(pixels) if every_view else [("whole", pixels)]:
                prepared.append(extractor.prepared(seen))
                names.append(picture.name)
                shown.append(view)
        rows += extractor.of(prepared, pool)
        bar.update(len(some))
    new = file.with_suffix(".new.npz")
    np.savez(new, names=names, views=shown, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    new.replace(file)


def frequent_classes(extractor: Extractor, pictures: list[Picture], file: Path) -> np.ndarray:
    """The classes that a sample of the images shows most often among their 16 most probable ones; `file` keeps them."""
    if file.is_file():
        return np.load(file, allow_pickle=False)
    sample = [pictures[i] for i in np.random.default_rng(0).permutation(len(pictures))[:SAMPLE]]
    counts = np.zeros(extractor.network.head.kernel.shape[1])
    for picture in progress(sample, what="Frequent classes"):
        *_, activations = extractor.network(extractor.prepared(extractor.pixels(picture))[None])
        best, _ = extractor.network.head.classes(activations[0], 16)
        counts[best] += 1
    found = np.argsort(-counts, kind="stable")[:FREQUENT]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, found, allow_pickle=False)
    return found


# Variants


@dataclass(frozen=True)
class Variant:
    """A way from raw vectors to a ranking."""

    parts: tuple[str, ...]  # names of raw vectors; several are joined channel by channel
    classes: int | None = None  # of the vectors, the first so many (all)
    dimensions: int = 512
    power: float = 1.0  # of the whitening; 0: a rotation only
    weighted: bool = False  # by the channel weights of CroW
    views: tuple[str, ...] = ("whole",)  # of the query: the best of their similarities counts
    expansion: int = 0  # nearest images whose mean joins the query (average query expansion)
    augmentation: int = 0  # nearest images that join each image of the collection
    online: int = 0  # the query's most probable of the frequent classes that are compared (Jimenez et al. 2017, 4.3)
    boxes: bool = False  # re-rank the shortlist by boxes around what the class maps show

    def vectors(self, raw: Raw) -> np.ndarray:
        """(pictures, vectors, channels) float32."""
        parts = [raw[part][:, : self.classes].astype(np.float32) for part in self.parts]
        if self.weighted:
            parts = [
                normalised(part * raw[f"channel weights {name.split()[-1]}"])
                for name, part in zip(self.parts, parts, strict=True)
            ]
        return np.concatenate(parts, -1)


JOINED = ("cam 3 block4", "cam 3 block5")
TURNED = ("whole", "turned 1", "turned 2", "turned 3")
SEEN = ("whole", "painting 0", "painting 1")

VARIANTS = {
    "published: sums within class maps": Variant(("cam 1 block5",), 64, weighted=True),
    **{f"GeM {power} within class maps": Variant((f"cam {power} block5",), 64) for power in POWERS},
    "GeM 3 within class maps, block4_conv3": Variant(("cam 3 block4",), 64),
    "GeM 3 within class maps, both layers": Variant(JOINED, 64),
    **{f"... {classes} classes": Variant(JOINED, classes) for classes in (1, 8, 16, 32, 128)},
    **{f"... {dimensions} dimensions": Variant(JOINED, 64, dimensions) for dimensions in (128, 256)},
    **{f"... whitening power {power}": Variant(JOINED, 64, power=power) for power in (0.0, 0.5, 0.75)},
    "... query in four orientations": Variant(JOINED, 64, views=TURNED),
    "... and detected paintings": Variant(JOINED, 64, views=SEEN),
    "... query expansion by 2": Variant(JOINED, 64, expansion=2),
    "... database augmentation by 2": Variant(JOINED, 64, augmentation=2),
    "... boxes re-rank": Variant(JOINED, 64, boxes=True),
    "... the collection's frequent classes": Variant(("frequent",)),
    "... the query's 16 of them (online)": Variant(("frequent",), online=16),
    "SPoC": Variant(("gem 1 block5",)),
    "MAC": Variant(("mac block5",)),
    "CroW": Variant(("crow block5",)),
    "R-MAC": Variant(("rmac block5",)),
    **{f"GeM {power}": Variant((f"gem {power} block5",)) for power in POWERS[1:]},
    "GeM 3, both layers": Variant(("gem 3 block4", "gem 3 block5")),
    "GeM 3, both layers and cam_conv": Variant(("gem 3 block4", "gem 3 block5", "gem 3 cam")),
}


@dataclass
class Ranker:
    """One variant over one collection."""

    variant: Variant
    raw: Raw  # of the images
    frequent: np.ndarray  # (classes,) those whose vectors `raw["frequent"]` holds

    @cached_property
    def whitening(self) -> whitening.Whitening:
        vectors = self.variant.vectors(self.raw)
        each = whitening.vectors_each(len(vectors))
        flat = vectors[:, :each].reshape(-1, vectors.shape[-1])
        fitted = whitening.fit(flat, self.variant.dimensions)
        lengths = np.linalg.norm(fitted.projection, axis=0)  # 1 / standard deviation of each component
        return whitening.Whitening(fitted.mean, fitted.projection * lengths ** (self.variant.power - 1))

    def whitened(self, vectors: np.ndarray) -> np.ndarray:
        """Each vector whitened and l2-normalised; those without features are zero."""
        there = np.any(vectors != 0, axis=-1, keepdims=True)
        return normalised((vectors - self.whitening.mean) @ self.whitening.projection) * there

    def descriptors(self, raw: Raw, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(pictures, dimensions) float32."""
        vectors = self.variant.vectors(raw)[rows]
        parts = [self.whitened(part).sum(1) for part in np.array_split(vectors, max(1, len(vectors) // CHUNK))]
        return normalised(np.concatenate(parts))

    @cached_property
    def collection(self) -> np.ndarray:
        found = self.descriptors(self.raw)
        if self.variant.augmentation:
            nearest = np.argsort(-(found @ found.T), axis=1)[:, : self.variant.augmentation + 1]
            found = normalised(found[nearest].mean(1))
        return found

    def similarities(self, raw: Raw, rows: np.ndarray) -> np.ndarray:
        """(images,) float32: of one query, whose views are at `rows` of its raw vectors."""
        if self.variant.online:
            return self._online(raw, rows[0])
        query = self.descriptors(raw, rows)
        if self.variant.expansion:
            nearest = np.argsort(-(self.collection @ query[0]))[: self.variant.expansion]
            query = normalised((query[:1] + self.collection[nearest].sum(0)) / (1 + len(nearest)))
        found = (self.collection @ query.T).max(1)
        return self._by_boxes(raw, rows[0], found) if self.variant.boxes else found

    @cached_property
    def _fixed(self) -> np.ndarray:
        return self.whitened(self.variant.vectors(self.raw))

    def _online(self, raw: Raw, row: int) -> np.ndarray:
        """Only the classes that the query shows are added up, in the query and in the collection alike."""
        query = self.whitened(self.variant.vectors(raw)[row])
        order = {int(number): place for place, number in enumerate(raw["classes"][row, 0])}
        probable = sorted(range(len(self.frequent)), key=lambda i: order.get(int(self.frequent[i]), CLASSES))
        chosen = probable[: self.variant.online]
        return normalised(self._fixed[:, chosen].sum(1)) @ normalised(query[chosen].sum(0))

    def _by_boxes(self, raw: Raw, row: int, similarities: np.ndarray) -> np.ndarray:
        """The shortlist by the best of whole and boxes, in front of all others (after Jimenez et al. 2017, 4.4)."""
        query = normalised(self.whitened(self.variant.vectors(raw)[row]).sum(0))
        shortlist = np.argsort(-similarities)[:SHORTLIST]
        boxes = self.whitened(self.raw["boxes"][shortlist].astype(np.float32)) @ query
        found = similarities.copy()
        found[shortlist] = 2 + similarities[shortlist] + boxes.max(1)
        return found


# Measures


@dataclass
class Measured:
    """What one variant reaches on one set of queries."""

    before: list[int] = field(default_factory=list)  # rank of the first relevant image of each query
    precision: list[float] = field(default_factory=list)  # average precision of each query
    after: list[int] = field(default_factory=list)  # as `before`, after re-ranking of the shortlist

    def cell(self) -> str:
        ranks = np.array(self.before)
        recalls = "/".join(f"{(ranks <= k).mean():.2f}".replace("0.", ".") for k in (1, 10, 100))
        return f"{recalls} {np.mean(self.precision):.2f} {(np.array(self.after) <= 1).mean():.2f}"


class Verifier:
    """Inliers of queries with works, each pair computed once for all variants."""

    def __init__(self, collection: Collection, settings):
        store = Store.reading(collection.store)
        self.ids = {stamp.path: image for image, stamp in store.images().items()}
        self.store = store
        self.finder = Finder(store.get_meta("local_features")["kind"], settings.query_keypoints, settings.query_side)
        self.inliers: dict[tuple[str, str], int] = {}
        self.queries: dict[str, object] = {}

    def evidence(self, query: Picture, works: Sequence[str], extractor: Extractor) -> list[int]:
        """The inliers that a query has with each of these works."""
        if query.name not in self.queries:
            self.queries[query.name] = self.finder.find(extractor.pixels(query))
        shown = self.queries[query.name]
        lacking = [work for work in works if (query.name, work) not in self.inliers]
        known = self.store.features([self.ids[work] for work in lacking])
        for work, features, matches in zip(lacking, known, match(shown, known) if known else [], strict=True):
            self.inliers[query.name, work] = verify(shown, features, matches).inliers
        return [self.inliers[query.name, work] for work in works]


def measured(ranker: Ranker, collection: Collection, queries: dict[str, Raw], verifier: Verifier, extractor):
    """What a variant reaches on each set of a collection."""
    found = {}
    names = ranker.raw.names
    for name, wanted in collection.sets.items():
        raw, found[name] = queries[name], Measured()
        for picture in collection.queries[name]:
            rows = np.flatnonzero((raw.names == picture.name) & np.isin(raw.views, ranker.variant.views))
            similarities = ranker.similarities(raw, rows)
            order = np.argsort(-similarities, kind="stable")
            places = np.flatnonzero(np.isin(names[order], list(wanted[picture.name]))) + 1
            found[name].before.append(int(places[0]))
            found[name].precision.append(float(np.mean(np.arange(1, len(places) + 1) / places)))
            shortlist = order[:SHORTLIST]
            inliers = verifier.evidence(picture, names[shortlist].tolist(), extractor)
            pairs = zip(similarities[shortlist], inliers, strict=True)
            scores = [verdict.score(similarity, Evidence(inliers=count)) for similarity, count in pairs]
            again = shortlist[np.argsort(-np.array(scores), kind="stable")]
            right = np.flatnonzero(np.isin(names[again], list(wanted[picture.name])))
            found[name].after.append(int(right[0]) + 1 if len(right) else len(names))
    return found


def gain(one: Sequence[float], other: Sequence[float]) -> str:
    """How much higher the mean of `one` is than that of `other`, query by query, with its 95 % interval (bootstrap)."""
    differences = np.array(one) - np.array(other)
    drawn = np.random.default_rng(0).integers(0, len(differences), (DRAWS, len(differences)))
    low, high = np.percentile(differences[drawn].mean(1), [2.5, 97.5])
    return f"{differences.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    collections = [museum(settings, options.every), demonstration()]
    model = untrained() if options.weights == "untrained" else weights.load(options.weights)
    plain = Extractor(model, options.size, settings)
    rows: dict[str, dict[str, Measured]] = {name: {} for name in options.only or VARIANTS}
    for collection in collections:
        folder = options.output / f"{weights.digest(model)[:8]}-{options.size}" / collection.name
        if collection.name == "museum":
            folder = folder.with_name(f"museum-{options.every}")
        frequent = frequent_classes(plain, collection.images, folder / "frequent.npy")
        extractor = Extractor(model, options.size, settings, frequent)
        queries = {
            name: extract(pictures, True, extractor, folder, f"Queries {name}")
            for name, pictures in collection.queries.items()
        }
        raw = extract(collection.images, False, extractor, folder, f"Images of the {collection.name}")
        verifier = Verifier(collection, settings)
        for name in progress(list(rows), what="Variants"):
            ranker = Ranker(VARIANTS[name], raw, frequent)
            rows[name] |= measured(ranker, collection, queries, verifier, extractor)
    print(measure.machine())
    print("Each cell: recall@1/@10/@100 and mAP before re-ranking, recall@1 after re-ranking of the best 100.")
    print(table(rows))


def table(rows: dict[str, dict[str, Measured]]) -> str:
    """A row a variant, a column a set, and what the mean average precision of all queries gains on the first row."""
    first = next(iter(rows.values()))
    lines = []
    for name, found in rows.items():
        precision, of_first = ([p for one in its.values() for p in one.precision] for its in (found, first))
        lines.append([name, *(one.cell() for one in found.values()), gain(precision, of_first)])
    return measure.table(["variant", *first, "mAP gained"], lines)


def untrained():
    """A VGG16-CAM with seeded random weights (He et al. 2015)."""
    model = vgg16_cam()
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            spread = (2 / np.prod(kernel.shape[:-1])) ** 0.5
            layer.set_weights([generator.normal(0, spread, kernel.shape).astype(np.float32), bias])
    return model


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default=Path("output/accuracy"), metavar="DIR", help="(%(default)s)")
    add("--weights", default="bundled", metavar="NAME", help="bundled, untrained or a file (%(default)s)")
    add("--size", default="512x384", metavar="WxH", help="of the network's input (%(default)s)")
    add("--every", type=script.positive, default=1, metavar="N", help="each N-th distractor (%(default)s)")
    add("--only", nargs="+", choices=VARIANTS, metavar="VARIANT", help="these rows: the first is compared with (all)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

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
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from benchmarks.museum import SETS, folder_of
from config import Settings
from models import evaluation, pooling, verdict, weights, whitening
from models.answer import Evidence
from models.descriptors import Describer
from models.detection import quadrilaterals, straighten, without_frame
from models.evaluation import Query
from models.local_features import Finder
from models.network import Network, vgg16_cam
from models.pooling import normalised
from models.reading import Reading
from models.recipe import Recipe
from models.verification import match, verify
from utils import metrics, script
from utils.script import progress
from utils.store import Features, Store

LAYERS = ("block4_conv3", "block5_conv1")
POWERS = (1, 2, 3, 4, 5)
CLASSES = 64  # class vectors of most variants
MOST_CLASSES = 128  # of one
FREQUENT = 64  # classes that the collection shows most often
SAMPLE = 128  # images that say which classes those are
BOXES = 16  # regions of each image for the re-ranking by boxes, one a class
BOX = 0.3  # of a class map's maximum, above which a position belongs to its box
CHUNK = 256  # pictures in a file of raw vectors
BATCH = 4  # pictures in one pass of the network
COPIES = 100  # images of which a transformed copy is asked for
SHORTLIST = 100
DRAWS = 2000  # of the bootstrap


# Pictures


@dataclass(frozen=True)
class Collection:
    """Images, and sets of queries."""

    name: str
    images: dict[int, Query]  # id in the store -> the picture as it is
    queries: dict[str, list[Query]]  # by set; those that show something in the collection
    store: Store

    @classmethod
    def of(cls, name: str, store: Store, dataset: Path, paths: dict[int, str], sets: dict[str, list[Query]]):
        """paths: of the images that take part, relative to the dataset."""
        pictures = {image: Query(path, dataset / path) for image, path in paths.items()}
        return cls(name, pictures, {of: [query for query in its if query.expected] for of, its in sets.items()}, store)


def museum(settings, every: int) -> Collection:
    """The museum's gallery with each `every`-th distractor. Raises WrongUse where benchmarks/museum.py was not run."""
    output, queries = Path("output/museum"), folder_of(settings) / "queries"
    store = Store.reading(output)
    paths = dict(sorted(_paths(store).items(), key=lambda its: its[1]))
    distractors = [image for image, path in paths.items() if not path.startswith("gallery/")]
    left_out = set(distractors) - set(distractors[::every])
    kept = {image: path for image, path in paths.items() if image not in left_out}
    sets = {name: evaluation.folder_queries(queries / name, None, kept) for name in SETS}
    drawn = {"sample": COPIES, "copies": 1, "absent": 0, "seed": 0}
    sets["copies"] = evaluation.transformed_queries(output / "images", kept, lambda image: set(), **drawn)
    return Collection.of(f"museum-{every}", store, output / "images", kept, sets)


def demonstration() -> Collection:
    """What demo.sh paints. Raises WrongUse where it was not run."""
    folder, store = Path("dataset/demo"), Store.reading(Path("output/demo"))
    paths = _paths(store)
    sets = {"demo": evaluation.folder_queries(folder / "queries", None, paths)}
    return Collection.of("demonstration", store, folder / "images", paths, sets)


def _paths(store: Store) -> dict[int, str]:
    return {image: stamp.path for image, stamp in store.images().items()}


def views(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The views of a query that variants may use: the whole, turned, and the paintings that can be made out on it."""
    yield "whole", pixels
    for quarters in (1, 2, 3):
        yield f"turned {quarters}", np.rot90(pixels, quarters)
    for number, corners in enumerate(quadrilaterals(pixels, most=2)):
        yield f"painting {number}", straighten(pixels, without_frame(corners))


# Raw vectors


@dataclass(frozen=True)
class Extractor:
    """The raw vectors of all poolings of a picture, from one pass of the network."""

    describer: Describer
    reading: Reading
    settings: Settings
    frequent: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # classes, whatever the picture shows

    def pixels(self, query: Query) -> np.ndarray:
        """(height, width, 3) uint8 BGR."""
        picture, _ = evaluation.shown(query, self.settings)
        return self.reading.decode(picture) if isinstance(picture, Path) else picture

    def raw(self, block4: np.ndarray, block5: np.ndarray, activations: np.ndarray) -> dict[str, np.ndarray]:
        """All vectors of one picture by name, (vectors, channels) float16 each; and its "classes", best first."""
        head, both = self.describer.network.head, (block4, block5)
        classes, kernel = head.classes(activations, MOST_CLASSES)
        maps = pooling.class_maps(activations, kernel)
        own, frequent = maps[:CLASSES], pooling.class_maps(activations, head.kernel[:, self.frequent].T)
        found = {
            "cam": pooling.cam(block5, own),
            **{f"cam_gem {power}": pooling.cam_gem([block5], own, power) for power in POWERS},
            "cam_gem block4": pooling.cam_gem([block4], own),
            "cam_gem both": pooling.cam_gem(both, maps),
            "frequent": pooling.cam_gem(both, frequent),
            "boxes": np.concatenate([_box(both, map) for map in maps[:BOXES]]),
            **{f"gem {power}": pooling.gem(block5, power) for power in POWERS[1:]},
            "gem block4": pooling.gem(block4),
            "gem cam_conv": pooling.gem(activations),
            **{name: getattr(pooling, name)(block5) for name in ("spoc", "mac", "crow", "rmac")},
        }
        return {name: array.astype(np.float16) for name, array in found.items()} | {"classes": classes[None]}

    def of(self, prepared: Sequence[np.ndarray], pool: ThreadPoolExecutor) -> list[dict[str, np.ndarray]]:
        """The raw vectors of pictures of any orientation, in their order."""
        found: list = [None] * len(prepared)
        for shape in {picture.shape for picture in prepared}:
            places = [place for place, picture in enumerate(prepared) if picture.shape == shape]
            for start in range(0, len(places), BATCH):
                part = places[start : start + BATCH]
                outputs = self.describer.network(np.stack([prepared[place] for place in part]))
                for place, raw in zip(part, pool.map(self.raw, *outputs), strict=True):
                    found[place] = raw
        return found


def _box(layers: Sequence[np.ndarray], map: np.ndarray) -> np.ndarray:
    """Generalised means within the box around all that a class map is sure of; of all, where that is nothing."""
    rows, columns = np.nonzero(map >= BOX) if map.any() else np.indices(map.shape).reshape(2, -1)
    box = np.zeros_like(map)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    return pooling.cam_gem(layers, box[None])


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


def extract(pictures: Sequence[Query], every_view: bool, extractor: Extractor, folder: Path, what: str) -> Raw:
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
        for query, pixels in zip(some, pool.map(extractor.pixels, some), strict=True):
            for view, seen in views(pixels) if every_view else [("whole", pixels)]:
                prepared.append(extractor.describer.prepare(seen))
                names.append(query.name)
                shown.append(view)
        rows += extractor.of(prepared, pool)
        bar.update(len(some))
    new = file.with_suffix(".new.npz")
    np.savez(new, names=names, views=shown, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    new.replace(file)


def frequent_classes(extractor: Extractor, pictures: Sequence[Query], file: Path) -> np.ndarray:
    """The classes that a sample of the images shows most often among their 16 most probable ones; `file` keeps them."""
    if file.is_file():
        return np.load(file, allow_pickle=False)
    sample = [pictures[i] for i in np.random.default_rng(0).permutation(len(pictures))[:SAMPLE]]
    describer = extractor.describer
    counts = np.zeros(len(describer.network.head.bias))
    for query in progress(sample, what="Frequent classes"):
        *_, activations = describer.network(describer.prepare(extractor.pixels(query))[None])
        best, _ = describer.network.head.classes(activations[0], 16)
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
    views: tuple[str, ...] = ("whole",)  # of the query: the best of their similarities counts
    expansion: int = 0  # nearest images whose mean joins the query (average query expansion)
    augmentation: int = 0  # nearest images that join each image of the collection
    online: int = 0  # the query's most probable of the frequent classes that are compared (Jimenez et al. 2017, 4.3)
    boxes: bool = False  # re-rank the shortlist by boxes around what the class maps show

    def vectors(self, raw: Raw) -> np.ndarray:
        """(pictures, vectors, channels) float32."""
        return np.concatenate([raw[part][:, : self.classes].astype(np.float32) for part in self.parts], -1)


BOTH = ("cam_gem both",)
TURNED = ("whole", "turned 1", "turned 2", "turned 3")
SEEN = ("whole", "painting 0", "painting 1")

VARIANTS = {
    "published: sums within class maps": Variant(("cam",)),
    **{f"GeM {power} within class maps": Variant((f"cam_gem {power}",)) for power in POWERS},
    "GeM 3 within class maps, block4_conv3": Variant(("cam_gem block4",)),
    "GeM 3 within class maps, both layers": Variant(BOTH, CLASSES),
    **{f"... {classes} classes": Variant(BOTH, classes) for classes in (1, 8, 16, 32, MOST_CLASSES)},
    **{f"... {dimensions} dimensions": Variant(BOTH, CLASSES, dimensions) for dimensions in (128, 256)},
    **{f"... whitening power {power}": Variant(BOTH, CLASSES, power=power) for power in (0.0, 0.5, 0.75)},
    "... query in four orientations": Variant(BOTH, CLASSES, views=TURNED),
    "... and detected paintings": Variant(BOTH, CLASSES, views=SEEN),
    "... query expansion by 2": Variant(BOTH, CLASSES, expansion=2),
    "... database augmentation by 2": Variant(BOTH, CLASSES, augmentation=2),
    "... boxes re-rank": Variant(BOTH, CLASSES, boxes=True),
    "... the collection's frequent classes": Variant(("frequent",)),
    "... the query's 16 of them (online)": Variant(("frequent",), online=16),
    "SPoC": Variant(("spoc",)),
    "MAC": Variant(("mac",)),
    "CroW": Variant(("crow",)),
    "R-MAC": Variant(("rmac",)),
    **{f"GeM {power}": Variant((f"gem {power}",)) for power in POWERS[1:]},
    "GeM 3, both layers": Variant(("gem block4", "gem 3")),
    "GeM 3, both layers and cam_conv": Variant(("gem block4", "gem 3", "gem cam_conv")),
}


@dataclass
class Ranker:
    """One variant over one collection."""

    variant: Variant
    raw: Raw  # of the images
    frequent: np.ndarray  # (classes,) those whose vectors `raw["frequent"]` holds

    @cached_property
    def fitted(self) -> whitening.Whitening:
        """The whitening, of the variant's power."""
        vectors = self.variant.vectors(self.raw)
        each = whitening.vectors_each(len(vectors))
        flat = vectors[:, :each].reshape(-1, vectors.shape[-1])
        fitted = whitening.fit(flat, self.variant.dimensions)
        lengths = np.linalg.norm(fitted.projection, axis=0)  # 1 / standard deviation of each component
        return whitening.Whitening(fitted.mean, fitted.projection * lengths ** (self.variant.power - 1))

    def whitened(self, vectors: np.ndarray) -> np.ndarray:
        """Each vector whitened and l2-normalised; those without features are zero."""
        there = np.any(vectors != 0, axis=-1, keepdims=True)
        return normalised((vectors - self.fitted.mean) @ self.fitted.projection) * there

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
        probable = sorted(range(len(self.frequent)), key=lambda i: order.get(int(self.frequent[i]), MOST_CLASSES))
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

    before: list[int | None] = field(default_factory=list)  # rank of the first relevant image of each query
    precision: list[float] = field(default_factory=list)  # average precision of each query
    after: list[int | None] = field(default_factory=list)  # as `before`, after re-ranking of the shortlist

    def cell(self) -> str:
        recalls = "/".join(f"{metrics.recall_at(k, self.before):.2f}".replace("0.", ".") for k in evaluation.CUTS)
        return f"{recalls} {np.mean(self.precision):.2f} {metrics.recall_at(1, self.after):.2f}"


class Verifier:
    """Inliers of queries with works, each pair computed once for all variants."""

    def __init__(self, collection: Collection, extractor: Extractor):
        self.store, self.extractor, settings = collection.store, extractor, extractor.settings
        kind = self.store.get_meta("local_features")["kind"]
        self.finder = Finder(kind, settings.query_keypoints, settings.query_side)
        self.inliers: dict[tuple[str, int], int] = {}
        self.features: dict[str, Features] = {}  # of queries

    def evidence(self, query: Query, works: Sequence[int]) -> list[int]:
        """The inliers that a query has with each of these works, by their ids."""
        if query.name not in self.features:
            self.features[query.name] = self.finder.find(self.extractor.pixels(query))
        shown = self.features[query.name]
        lacking = [work for work in works if (query.name, work) not in self.inliers]
        known = self.store.features(lacking)
        for work, features, matches in zip(lacking, known, match(shown, known) if known else [], strict=True):
            self.inliers[query.name, work] = verify(shown, features, matches).inliers
        return [self.inliers[query.name, work] for work in works]


def measured(
    ranker: Ranker, collection: Collection, queries: dict[str, Raw], verifier: Verifier
) -> dict[str, Measured]:
    """What a variant reaches on each set of a collection."""
    found = {}
    ids = np.array(list(collection.images))
    for name, its in collection.queries.items():
        raw, found[name] = queries[name], Measured()
        for query in its:
            rows = np.flatnonzero((raw.names == query.name) & np.isin(raw.views, ranker.variant.views))
            similarities = ranker.similarities(raw, rows)
            order = np.argsort(-similarities, kind="stable")
            ranking = ids[order].tolist()
            found[name].before.append(metrics.first_rank(ranking, query.expected))
            found[name].precision.append(metrics.average_precision(ranking, query.expected))
            inliers = verifier.evidence(query, ranking[:SHORTLIST])
            pairs = zip(similarities[order[:SHORTLIST]], inliers, strict=True)
            scores = [verdict.score(similarity, Evidence(inliers=count)) for similarity, count in pairs]
            again = [ranking[place] for place in np.argsort(-np.array(scores), kind="stable")]
            found[name].after.append(metrics.first_rank(again, query.expected))
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
    recipe = Recipe(options.weights, "cam", CLASSES, 512, options.size)
    recipe.sides()  # wrong use is told before the weights are loaded
    collections = [museum(settings, options.every), demonstration()]
    model = untrained() if options.weights == "untrained" else weights.load(options.weights)
    plain = Extractor(
        Describer(Network(model, settings.precision, LAYERS), recipe), Reading.of(Path(), settings), settings
    )
    rows: dict[str, dict[str, Measured]] = {name: {} for name in options.only or VARIANTS}
    for collection in collections:
        folder = options.output / f"{weights.digest(model)[:8]}-{options.size}" / collection.name
        pictures = list(collection.images.values())
        extractor = replace(plain, frequent=frequent_classes(plain, pictures, folder / "frequent.npy"))
        queries = {
            name: extract(its, True, extractor, folder, f"Queries {name}") for name, its in collection.queries.items()
        }
        raw = extract(pictures, False, extractor, folder, "Images")
        verifier = Verifier(collection, extractor)
        for name in progress(list(rows), what="Variants"):
            rows[name] |= measured(Ranker(VARIANTS[name], raw, extractor.frequent), collection, queries, verifier)
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

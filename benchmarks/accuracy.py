"""Compares descriptors: which puts the right work first, at what cost.

Examples:
  ./demo.sh --no-serve && python benchmarks/museum.py && python benchmarks/accuracy.py
  python benchmarks/accuracy.py --beside untrained googlenet.npz      other networks in the same table
  python benchmarks/accuracy.py --every 3                             a third of the museum's distractors
  python benchmarks/accuracy.py --only published default              these variants of the weights that ship

The columns are the museum's five sets of queries among its gallery and the distractors (RETRIEVAL_DATA, linked by
benchmarks/museum.py), transformed copies of that collection's images, and the demonstration's photographs among its own
paintings. Each picture passes each network once a run, and the raw vectors are kept in OUTPUT, a file a few hundred
pictures: a run that was interrupted goes on there, and a further variant of the same vectors costs seconds.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from benchmarks.museum import SETS, folder_of
from benchmarks.raw_vectors import (
    BOXES,
    CHUNK,
    CLASSES,
    MOST_CLASSES,
    POWERS,
    Raw,
    RawDescriber,
    TeacherNetwork,
    extract,
    frequent_classes,
)
from config import Settings
from models.answer import Evidence
from models.collection.features import Features
from models.collection.reading import Reading
from models.collection.store import Store
from models.description import weights, whitening
from models.description.network import Network
from models.description.pooling import normalised
from models.description.vgg16 import VGG16
from models.description.vgg16_model import vgg16_cam
from models.evaluation import metrics
from models.evaluation.queries import Query, folder_queries, transformed_queries
from models.evaluation.summary import CUTS
from models.local.kinds import kind_of
from models.local.matching import match
from models.local.verification import verify
from models.verdict.ranking import score
from utils import script
from utils.script import progress

LAYERS = ("fine", "coarse")
SIZE, HALF = "512x384", "256x192"  # of the network's input
COPIES = 100  # images of which a transformed copy is asked for
SHORTLIST = 100
DRAWS = 2000  # of the bootstrap
TIMED = 7  # rounds whose median is the cost of a step


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
        name += "-" + hashlib.sha256("\n".join(paths.values()).encode()).hexdigest()[:8]  # of others, nothing is taken
        return cls(
            name, pictures, {of: [query for query in group if query.expected] for of, group in sets.items()}, store
        )


def museum(settings: Settings, every: int) -> Collection:
    """The museum's gallery with each `every`-th distractor. Raises WrongUse where benchmarks/museum.py was not run."""
    output, queries = Path("output/museum"), folder_of(settings) / "queries"
    store = Store.reading(output)
    paths = dict(sorted(_paths(store).items(), key=lambda group: group[1]))
    distractors = [image for image, path in paths.items() if not path.startswith("gallery/")]
    left_out = set(distractors) - set(distractors[::every])
    kept = {image: path for image, path in paths.items() if image not in left_out}
    sets = {name: folder_queries(queries / name, None, kept) for name in SETS}
    drawn = {"sample": COPIES, "copies": 1, "absent": 0, "seed": 0}
    sets["copies"] = transformed_queries(output / "images", kept, lambda _: set(), **drawn)
    return Collection.of(f"museum-{every}", store, output / "images", kept, sets)


def demonstration() -> Collection:
    """What demo.sh paints. Raises WrongUse where it was not run."""
    folder, store = Path("dataset/demo"), Store.reading(Path("output/demo"))
    paths = _paths(store)
    sets = {"demo": folder_queries(folder / "queries", None, paths)}
    return Collection.of("demonstration", store, folder / "images", paths, sets)


def _paths(store: Store) -> dict[int, str]:
    return {image: stamp.path for image, stamp in store.images().items()}


# Variants


@dataclass(frozen=True)
class Variant:
    """A way from raw vectors to a ranking."""

    parts: tuple[str, ...] = ("frequent",)  # names of raw vectors; several are joined channel by channel
    classes: int | None = CLASSES  # of the vectors, the first so many (all)
    dimensions: int = 512
    power: float = 1.0  # of the whitening; 0: a rotation only
    in_turn: bool = False  # whitening fitted on vectors of all classes in turn, instead of on each image's first
    sizes: tuple[str, ...] = (SIZE,)  # of the network's input; of several, the vectors are averaged
    views: tuple[str, ...] = ("whole",)  # of the query: the best of their similarities counts
    expansion: int = 0  # nearest images whose mean joins the query (average query expansion)
    augmentation: int = 0  # nearest images that join each image of the collection
    online: int = 0  # the query's most probable of the classes that are compared (Jimenez et al. 2017, 4.3)
    boxes: bool = False  # re-rank the shortlist by boxes around what the class maps show
    network: str = "bundled"

    def vectors(self, raws: dict[str, Raw], rows: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """(pictures, vectors, channels) float32. raws, rows: by size; rows: those that are wanted (all)."""
        of_sizes = []
        for size in self.sizes:
            wanted = slice(None) if rows is None else rows[size]
            parts = [raws[size][part][wanted, : self.classes].astype(np.float32) for part in self.parts]
            of_sizes.append(np.concatenate(parts, -1))
        return of_sizes[0] if len(of_sizes) == 1 else normalised(np.mean(of_sizes, axis=0))

    def raw_names(self) -> set[str]:
        """All raw vectors that it is made of."""
        return {*self.parts, *(["classes"] if self.online else []), *(["boxes"] if self.boxes else [])}

    def bytes(self) -> int:
        """What is kept of an image, in half precision."""
        vectors = CLASSES if self.online else 1 + BOXES if self.boxes else 1
        return 2 * self.dimensions * vectors


TURNED = ("whole", "turned 1", "turned 2", "turned 3")
SEEN = ("whole", "painting 0", "painting 1")
PUBLISHED = Variant(("cam",))

VARIANTS = {
    "published": PUBLISHED,  # sums within class maps
    **{f"GeM {power} within class maps": Variant((f"cam_gem {power}",)) for power in POWERS},
    "GeM 3 within class maps, block4_conv3": Variant(("cam_gem block4",)),
    "GeM 3 within class maps, both layers": Variant(("cam_gem both",)),
    "default": Variant(),  # the same within the maps of the classes that the collection shows most often
    **{f"default, {classes} classes": Variant(classes=classes) for classes in (1, 8, 16, 32, MOST_CLASSES)},
    "default, the query's 16 classes (online)": Variant(online=16),
    "default, whitened on all classes in turn": Variant(in_turn=True),
    **{f"default, {dimensions} dimensions": Variant(dimensions=dimensions) for dimensions in (128, 256)},
    **{f"default, whitening power {power}": Variant(power=power) for power in (0.0, 0.5, 0.75)},
    f"default, {HALF}": Variant(sizes=(HALF,)),
    f"default, {SIZE} and {HALF}": Variant(sizes=(SIZE, HALF)),
    "default, query in four orientations": Variant(views=TURNED),
    "default, detected paintings too": Variant(views=SEEN),
    "default, query expansion by 2": Variant(expansion=2),
    "default, database augmentation by 2": Variant(augmentation=2),
    "default, boxes re-rank": Variant(boxes=True),
    "SPoC": Variant(("spoc",)),
    "MAC": Variant(("mac",)),
    "CroW": Variant(("crow",)),
    "R-MAC": Variant(("rmac",)),
    "R-MAC, both layers": Variant(("rmac block4", "rmac")),
    **{f"GeM {power}": Variant((f"gem {power}",)) for power in POWERS[1:]},
    "GeM 3, both layers": Variant(("gem block4", "gem 3")),
    "GeM 3, both layers and cam_conv": Variant(("gem block4", "gem 3", "gem cam_conv")),
}


def beside(networks: Sequence[str]) -> dict[str, Variant]:
    """The published and the default descriptor of other networks."""
    return {
        f"{Path(network).stem}, {name}": Variant(group.parts, network=network)
        for network in networks
        for name, group in (("published", PUBLISHED), ("default", Variant()))
    }


@dataclass
class Ranker:
    """One variant over one collection."""

    variant: Variant
    raws: dict[str, Raw]  # of the images, by size
    frequent: np.ndarray  # (classes,) those whose vectors raw "frequent" holds

    @cached_property
    def fitted(self) -> whitening.Whitening:
        """The whitening, of the variant's power."""
        vectors = self.variant.vectors(self.raws)
        each = whitening.vectors_each(len(vectors))
        first = each * self.variant.in_turn  # of the first image; each other begins so many further on
        flat = np.concatenate([np.roll(group, -first * k, axis=0)[:each] for k, group in enumerate(vectors)])
        fitted = whitening.fit(flat, self.variant.dimensions)
        lengths = np.linalg.norm(fitted.projection, axis=0)  # 1 / standard deviation of each component
        return whitening.Whitening(fitted.mean, fitted.projection * lengths ** (self.variant.power - 1))

    def whitened(self, vectors: np.ndarray) -> np.ndarray:
        """Each vector whitened and l2-normalised; those without features are zero."""
        there = np.any(vectors != 0, axis=-1, keepdims=True)
        return normalised((vectors - self.fitted.mean) @ self.fitted.projection) * there

    def descriptors(self, vectors: np.ndarray) -> np.ndarray:
        """(pictures, dimensions) float32 of (pictures, vectors, channels)."""
        parts = [self.whitened(part).sum(1) for part in np.array_split(vectors, max(1, len(vectors) // CHUNK))]
        return normalised(np.concatenate(parts))

    @cached_property
    def collection(self) -> np.ndarray:
        found = self.descriptors(self.variant.vectors(self.raws))
        if self.variant.augmentation:
            nearest = np.argsort(-(found @ found.T), axis=1)[:, : self.variant.augmentation + 1]
            found = normalised(found[nearest].mean(1))
        return found

    def similarities(self, vectors: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
        """(images,) float32: of one query.

        vectors: (views, vectors, channels). classes: the most probable ones of the query, if the variant is online.
        """
        if classes is not None:
            return self._online(self.whitened(vectors[0]), classes)
        query = self.descriptors(vectors)
        if self.variant.expansion:
            nearest = np.argsort(-(self.collection @ query[0]))[: self.variant.expansion]
            query = normalised((query[:1] + self.collection[nearest].sum(0)) / (1 + len(nearest)))
        found = (self.collection @ query.T).max(1)
        return self._by_boxes(query[0], found) if self.variant.boxes else found

    @cached_property
    def _fixed(self) -> np.ndarray:
        return self.whitened(self.variant.vectors(self.raws))

    def _online(self, query: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Only the classes that the query shows are added up, in the query and in the collection alike."""
        order = {int(number): place for place, number in enumerate(classes)}
        probable = sorted(range(CLASSES), key=lambda i: order.get(int(self.frequent[i]), MOST_CLASSES))
        chosen = probable[: self.variant.online]
        return normalised(self._fixed[:, chosen].sum(1)) @ normalised(query[chosen].sum(0))

    def _by_boxes(self, query: np.ndarray, similarities: np.ndarray) -> np.ndarray:
        """The shortlist by the best of whole and boxes, in front of all others (after Jimenez et al. 2017, 4.4)."""
        shortlist = np.argsort(-similarities)[:SHORTLIST]
        boxes = self.whitened(self.raws[SIZE]["boxes"][shortlist].astype(np.float32)) @ query
        found = similarities.copy()
        found[shortlist] = 2 + similarities[shortlist] + boxes.max(1)
        return found


# Measures


@dataclass
class Rankings:
    """Where the right works came in the rankings of several queries."""

    ranks: list[int | None] = field(default_factory=list)  # of the first relevant image of each query
    precisions: list[float] = field(default_factory=list)  # average precision of each query

    def add(self, ranking: list[int], expected: frozenset[int]) -> None:
        """The ranking of one more query."""
        self.ranks.append(metrics.first_rank(ranking, expected))
        self.precisions.append(metrics.average_precision(ranking, expected))

    def cell(self) -> str:
        """recall@1/@10/@100 and mAP."""
        recalls = "/".join(f"{metrics.recall_at(k, self.ranks):.2f}" for k in CUTS)
        return f"{recalls} {np.mean(self.precisions):.2f}".replace("0.", ".")


@dataclass
class Measured:
    """What one variant reaches on one set of queries."""

    before: Rankings = field(default_factory=Rankings)
    after: Rankings = field(default_factory=Rankings)  # after re-ranking of the shortlist, of which it consists
    seconds: list[float] = field(default_factory=list)  # from the raw vectors of each query to its similarities


class Verifier:
    """Inliers of queries with works, each pair computed once for all variants."""

    def __init__(self, collection: Collection, describer: RawDescriber):
        self.store, self.describer, settings = collection.store, describer, describer.settings
        kind = self.store.get_meta("local_features")["kind"]
        self.local = kind_of(kind)(settings.query_keypoints, settings.query_side)
        self.inliers: dict[tuple[Query, int], int] = {}
        self.features: dict[Query, Features] = {}

    def evidence(self, query: Query, works: Sequence[int]) -> list[int]:
        """The inliers that a query has with each of these works, by their ids."""
        if query not in self.features:  # not by its name: another set has pictures of the same names
            self.features[query] = self.local.extract(self.describer.pixels(query))
        shown = self.features[query]
        lacking = [work for work in works if (query, work) not in self.inliers]
        known = self.store.features(lacking)
        for work, features, matches in zip(lacking, known, match(shown, known) if known else [], strict=True):
            self.inliers[query, work] = verify(shown, features, matches).inliers
        return [self.inliers[query, work] for work in works]


def measured(
    ranker: Ranker, collection: Collection, queries: dict[str, dict[str, Raw]], verifier: Verifier
) -> dict[str, Measured]:
    """What a variant reaches on each set of a collection. queries: the raw vectors of each set, by size."""
    found = {}
    ids = np.array(list(collection.images))
    for name, group in collection.queries.items():
        raws, found[name] = queries[name], Measured()
        for query in group:
            rows = {size: _rows(raws[size], query, ranker.variant.views) for size in ranker.variant.sizes}
            classes = raws[SIZE]["classes"][rows[SIZE][0], 0] if ranker.variant.online else None
            vectors = ranker.variant.vectors(raws, rows)
            seconds, similarities = measure.timed(ranker.similarities, vectors, classes)
            order = np.argsort(-similarities, kind="stable")
            ranking = ids[order].tolist()
            inliers = verifier.evidence(query, ranking[:SHORTLIST])
            pairs = zip(similarities[order[:SHORTLIST]], inliers, strict=True)
            scores = [score(similarity, Evidence(inliers=count)) for similarity, count in pairs]
            again = [ranking[place] for place in np.argsort(-np.array(scores), kind="stable")]
            found[name].before.add(ranking, query.expected)
            found[name].after.add(again, query.expected)
            found[name].seconds.append(seconds)
    return found


def _rows(raw: Raw, query: Query, views: Sequence[str]) -> np.ndarray:
    return np.flatnonzero((raw.names == query.name) & np.isin(raw.views, views))


def gain(one: Sequence[float], other: Sequence[float]) -> str:
    """How much higher the mean of `one` is than that of `other`, query by query, with its 95 % interval (bootstrap)."""
    differences = np.array(one) - np.array(other)
    drawn = np.random.default_rng(0).integers(0, len(differences), (DRAWS, len(differences)))
    low, high = np.percentile(differences[drawn].mean(1), [2.5, 97.5])
    return f"{differences.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    rows = {name: VARIANTS[name] for name in options.only or VARIANTS} | beside(options.beside)
    collections = [museum(settings, options.every), demonstration()]
    found: dict[str, dict[str, Measured]] = {name: {} for name in rows}
    costs: dict[tuple[str, str, str], float] = {}
    for network in dict.fromkeys(variant.network for variant in rows.values()):
        its = {name: variant for name, variant in rows.items() if variant.network == network}
        digest, opened = open_network(network, settings)
        for collection in collections:
            folder = options.output / digest / collection.name
            extractors = _extractors(opened, its.values(), collection, folder, settings)
            _measure(its, collection, extractors, folder, found)
        costs |= {(network, *key): value for key, value in seconds(extractors, collection).items()}
    print(measure.machine())
    print(
        "Each cell: recall@1/@10/@100 and mAP; mAP gained: over all queries, on the first row, with its 95 % interval."
    )
    for when in ("before", "after"):
        print(f"\n{when.capitalize()} re-ranking of the best {SHORTLIST}:\n\n{table(rows, found, costs, when)}")


def open_network(name: str, settings: Settings) -> tuple[str, Network]:
    """What tells the network's weights from others, and the network. Raises WrongUse and Failed."""
    if name.endswith(".npz"):
        teacher = TeacherNetwork(Path(name))
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:8], teacher
    model = untrained() if name == "untrained" else weights.load(name)
    return weights.digest(model)[:8], VGG16(model, settings.precision, LAYERS)


def _extractors(network, variants, collection: Collection, folder: Path, settings: Settings) -> dict[str, RawDescriber]:
    """By size of the network's input."""
    extractors = {}
    for size in dict.fromkeys(size for variant in variants for size in variant.sizes):
        names = set().union(*(variant.raw_names() for variant in variants if size in variant.sizes))
        plain = RawDescriber(network, size, tuple(sorted(names)), Reading.of(Path(), settings), settings)
        frequent = frequent_classes(plain, list(collection.images.values()), folder / "frequent.npy")
        extractors[size] = replace(plain, frequent=frequent)
    return extractors


def _measure(variants: dict[str, Variant], collection: Collection, extractors, folder: Path, found: dict) -> None:
    """Add to `found` what each variant reaches on each set of the collection."""
    queries: dict[str, dict[str, Raw]] = {name: {} for name in collection.queries}
    raws = {}
    for size, describer in extractors.items():
        several = any(len(variant.views) > 1 for variant in variants.values() if size in variant.sizes)
        for name, group in collection.queries.items():
            what = f"Queries {name}, views" if several else f"Queries {name}"
            queries[name][size] = extract(group, several, describer, folder / size, what)
        raws[size] = extract(list(collection.images.values()), False, describer, folder / size, "Images")
    verifier = Verifier(collection, next(iter(extractors.values())))
    for name, variant in progress(list(variants.items()), what="Variants"):
        ranker = Ranker(variant, raws, extractors[variant.sizes[0]].frequent)
        found[name] |= measured(ranker, collection, queries, verifier)


def seconds(extractors: dict[str, RawDescriber], collection: Collection) -> dict[tuple[str, str], float]:
    """The median seconds that a picture takes, by size and pooling; of pooling "", the pass of the network."""
    query = next(iter(collection.images.values()))
    steps: dict[tuple[str, str], Callable[[], float]] = {}
    for size, describer in extractors.items():
        prepared = describer.prepare(describer.pixels(query))[None]
        layers = [layer[0] for layer in describer.network(prepared)]
        steps[size, ""] = partial(_seconds, describer.network, prepared)
        steps |= {(size, name): partial(_seconds, make, *layers) for name, make in describer.poolings.items()}
    return measure.alternating(steps, TIMED)


def _seconds(function: Callable, *arguments) -> float:
    return measure.timed(function, *arguments)[0]


def cost(variant: Variant, group: dict[str, Measured], costs: dict[tuple[str, str, str], float]) -> float:
    """Seconds a query: network and pooling of each view at each size, and the ranking."""
    steps = ["", *variant.parts]
    passes = sum(costs[variant.network, size, step] for size in variant.sizes for step in steps)
    return len(variant.views) * passes + float(np.median([s for one in group.values() for s in one.seconds]))


def table(rows: dict[str, Variant], found: dict[str, dict[str, Measured]], costs: dict, when: str) -> str:
    """A row a variant: a column a set, what mAP over all queries gains on the first row, and what it costs.

    when: before or after, of the re-ranking.
    """
    rankings = {name: {of: getattr(one, when) for of, one in group.items()} for name, group in found.items()}
    first = next(iter(rankings.values()))
    lines = []
    for name, group in rankings.items():
        precisions, of_first = ([p for one in each.values() for p in one.precisions] for each in (group, first))
        cells = [one.cell() for one in group.values()]
        kept = [str(rows[name].dimensions), str(rows[name].bytes()), f"{cost(rows[name], found[name], costs):.3f}"]
        lines.append([name, *cells, gain(precisions, of_first), *kept])
    heads = ["variant", *first, "mAP gained", "dimensions", "bytes an image", "seconds a query"]
    return measure.table(heads, lines)


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
    add(
        "--beside",
        nargs="+",
        default=[],
        metavar="NETWORK",
        help="untrained, weights, or a teacher's .npz: two rows each",
    )
    add("--every", type=script.positive, default=1, metavar="N", help="each N-th distractor (%(default)s)")
    add("--only", nargs="+", choices=VARIANTS, metavar="VARIANT", help="these rows: the first is compared with (all)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

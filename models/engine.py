"""The engine: the one way from a picture to an answer, for batch test and site alike."""

import importlib.metadata
import platform
from collections.abc import Container, Iterator, Sequence, Set
from pathlib import Path

import numpy as np

from config import Settings
from models.answer import Answer, Evidence, Grounds, Verdict
from models.collection import vector_index
from models.collection.features import Features
from models.collection.reading import Reading
from models.collection.store import Store
from models.description import pooling
from models.description.describer import Describer, load_classes
from models.description.filling import whitening_of
from models.description.recipe import Recipe, fingerprint
from models.local.kinds import kind_of
from models.local.verification import examine
from models.local.votes import Votes
from models.question import Question, Stopwatch
from models.verdict.calibration import stamp_of
from models.verdict.grounds import GROUNDS
from models.verdict.judge import Judge
from models.verdict.rules import TWINS
from utils.errors import WrongUse

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "faiss-cpu", "pillow")


class Engine:
    """A collection as of when the engine read it, ready for queries. Safe to call from several threads.

    Only local features are read from the store at query time: if a step changes the store meanwhile, an image may have
    lost them, and is then ranked by similarity alone. `refreshed` returns an engine with the changes.
    """

    def __init__(
        self, store: Store, reading: Reading, describer: Describer, settings: Settings, last: Judge | None = None
    ):
        """Read the collection from the store, and the calibration. Raises WrongUse if a step has to be run first.

        last: the previous judge, which is kept while verdict.json cannot be used.
        """
        self.store, self.reading, self.describer, self.settings = store, reading, describer, settings
        self.dataset = reading.dataset
        with store.snapshot() as now:
            _check_ready(now)
            self.version = now.version()
            self.whitening = whitening_of(now)
            descriptors = now.descriptors()
            self.images = {image: stamp.path for image, stamp in now.images().items()}
            kind = now.get_meta("local_features")["kind"]
            self.votes = Votes.reading(now)
            self.fingerprint = fingerprint(now) | settings.shaping_answers() | {"grounds": GROUNDS}
        self.index = vector_index.build(*descriptors, settings.index)
        self.extractor = kind_of(kind)(settings.query_keypoints, settings.query_side)
        self.judge = Judge.of(store.path.parent, self.fingerprint, last)
        self.versions = _versions() | {"precision": describer.network.precision}

    @classmethod
    def open(cls, output: Path, dataset: Path, settings: Settings) -> "Engine":
        """The engine for the collection in the folder `output`, whose pictures are in `dataset`.

        Raises WrongUse if a step has to be run first, or if the store was made with other weights than are there now;
        Failed if the weights cannot be downloaded.
        """
        store = Store.reading(output)
        _check_ready(store)  # now: loading the weights takes seconds
        describer = Describer.open(Recipe(**store.get_meta("recipe")), store, settings.precision)
        engine = cls(store, Reading.of(dataset, settings), describer, settings)
        engine._warm_up()
        return engine

    def is_current(self) -> bool:
        """Whether store and verdict.json are still as this engine read them.

        Takes microseconds, so it can be called often.
        """
        same_judge = stamp_of(self.store.path.parent) == self.judge.stamp
        return same_judge and self.store.is_in_place() and self.store.version() == self.version

    def refreshed(self) -> "Engine":
        """An engine for store and verdict.json as they are now; this one stays usable, for queries in progress.

        The two share what has not changed: the network, and the open file unless it was replaced.
        Raises as `open` does, for instance while a step is still filling a new store: then keep this engine and try
        again later.
        """
        store = self.store.reread()
        _check_ready(store)
        describer = self._describer_of(store)
        engine = Engine(store, self.reading, describer, self.settings, self.judge)
        if (describer.network, describer.recipe) != (self.describer.network, self.describer.recipe):
            engine._warm_up()
        return engine

    def _describer_of(self, store: Store) -> Describer:
        """The describer for another state of the store; with this engine's network if the recipe allows it."""
        recipe = Recipe(**store.get_meta("recipe"))
        same = all(store.get_meta(name) == self.fingerprint[name] for name in ("weights_digest", "method"))
        same = same and recipe.network == self.describer.recipe.network
        if same and pooling.levels(recipe.pooling) == pooling.levels(self.describer.recipe.pooling):
            return Describer(self.describer.network, recipe, self.describer.digest, load_classes(store))
        return Describer.open(recipe, store, self.settings.precision)

    @property
    def thresholds(self) -> dict:
        """The thresholds of the verdict, as plain JSON data."""
        return self.judge.rule.to_json()

    @property
    def calibration(self) -> dict:
        """How the verdict is decided: see `models.verdict.judge.Judge.to_json`."""
        return self.judge.to_json()

    def ask(self, picture: Path | bytes | np.ndarray, exclude: Set[int] = frozenset()) -> Answer:
        """Find the work that a picture shows.

        Candidates are the images most similar to the whole picture, and those that most of its local features vote
        for. If none of them is the work, the engine also describes the paintings detected in the picture, because in a
        photograph with much wall the wall dominates the descriptor, and finally compares the likeliest works more
        closely. So a picture that leads nowhere takes longer.

        picture: a file, its content, or (height, width, 3) uint8 BGR. exclude: ids that must not be in the answer.
        Raises ImageProblem for a picture that cannot be read.
        """
        return Question(self, picture, exclude).answer()

    def similar(self, image: int, count: int) -> list[tuple[int, float]]:
        """The `count` images most similar to an image of the collection, excluding it: (id, cosine), best first.

        Raises KeyError for an unknown image.
        """
        descriptor = self.store.descriptor(image) if image in self.images else None
        if descriptor is None:
            raise KeyError(image)
        return self.index.search(descriptor, count, exclude={image})

    def twins(self, image: int) -> set[int]:
        """Other images of the collection that show the same work, or a large part of it: copies, details.

        Only the most similar images are considered. Raises KeyError for an unknown image, ImageProblem if the picture
        cannot be read.
        """
        others = dict(self.similar(image, self.settings.shortlist))
        features = self.extractor.extract(self.pixels(self.dataset / self.images[image]))
        twins = set()
        for other, (_, evidence) in self.examine(features, list(others), others).items():
            area = max(evidence.query_area, evidence.work_area)  # a detail covers little of the whole
            grounds = Grounds(others[other], inliers=evidence.inliers, work_area=area)
            if TWINS.decide(grounds) is Verdict.FOUND:
                twins.add(other)
        return twins

    def pixels(self, picture: Path | bytes | np.ndarray) -> np.ndarray:
        """A picture's pixels: (height, width, 3) uint8 BGR. Raises ImageProblem."""
        return picture if isinstance(picture, np.ndarray) else self.reading.decode(picture)

    def describe(self, views: list[np.ndarray], stopwatch: Stopwatch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Descriptor, (dimensions,) float32, and class maps of views that are all horizontal or all vertical."""
        with stopwatch.stage("network"):
            outputs = self.describer.network(np.stack([self.describer.prepare(view) for view in views]))
        for *layers, activations in zip(*outputs, strict=True):
            with stopwatch.stage("pooling"):
                maps = self.describer.class_maps(activations)
                descriptor = self.whitening.descriptor(self.describer.pool(layers, activations, maps))
            yield descriptor, maps

    def similarities(self, descriptor: np.ndarray, images: Sequence[int]) -> dict[int, float]:
        """The cosine similarity of each image to a descriptor, (dimensions,); of those that still have one."""
        stored = {image: self.store.descriptor(image) for image in images}
        return {
            image: float(other.astype(np.float32) @ descriptor) for image, other in stored.items() if other is not None
        }

    def examine(
        self, query: Features, images: Sequence[int], likely: Container[int]
    ) -> dict[int, tuple[tuple[int, int], Evidence]]:
        """For each image the frame, and for the likely ones the evidence that the query shows it.

        Nearly all time is spent on comparing descriptors, and nearly all images of a shortlist are wrong.

        An image without local features of the query's kind gets an empty frame and no evidence: a step that is just
        changing the store may have deleted them.
        """
        works = dict(zip(images, self.store.features(images), strict=True))
        known = {image: work for image, work in works.items() if work and work.kind == query.kind}
        matched = [image for image in known if image in likely]
        evidence = dict(zip(matched, examine(query, [known[image] for image in matched]), strict=True))
        return {
            image: (known[image].frame if image in known else (0, 0), evidence.get(image, Evidence()))
            for image in images
        }

    def _warm_up(self) -> None:
        """Describe one picture in each orientation: the first pass of a graph takes several times as long as others."""
        long, short = self.describer.recipe.sides()
        for height, width in ((long, short), (short, long)):
            list(self.describe([np.zeros((height, width, 3), np.uint8)], Stopwatch()))


def _check_ready(store: Store) -> None:
    """Raises WrongUse if the steps that an engine needs have not been run."""
    if not store.get_meta("complete"):
        raise WrongUse(f"{store.path} is not complete: run train.py again; it continues where it stopped.")
    if not store.count("features"):
        raise WrongUse(f"{store.path} has no local features: run pre_compute_descriptor.py.")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions

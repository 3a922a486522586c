"""The engine: the one way from a picture to an answer, for the batch test and the site alike."""

import importlib.metadata
import platform
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models import verdict
from models.answer import STAGES, Answer, Candidate, Evidence, Verdict
from models.describing import load_whitening
from models.descriptors import Describer
from models.detection import quadrilaterals, straighten, without_frame
from models.local_features import Finder
from models.reading import Reading
from models.recipe import Recipe, fingerprint
from models.verdict import Thresholds
from models.verification import examine
from utils.errors import WrongUse
from utils.index import Index
from utils.store import Features, Store

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "faiss-cpu", "pillow")


class Engine:
    """A collection, ready to be asked. Safe to call from several threads."""

    def __init__(self, store: Store, reading: Reading, describer: Describer, settings):
        self.store, self.reading, self.describer, self.settings = store, reading, describer, settings
        self.dataset = reading.dataset
        self.whitening = load_whitening(store)
        self.index = Index(*store.descriptors(), settings.index)
        self.images = {image: stamp.path for image, stamp in store.images().items()}
        self.finder = Finder(store.get_meta("local_features")["kind"], settings.query_keypoints, settings.query_side)
        self.judge = Thresholds()
        self.fingerprint = fingerprint(store)
        self.versions = _versions() | {"precision": describer.network.precision}

    @classmethod
    def open(cls, output: Path, dataset: Path, settings) -> "Engine":
        """The engine for the collection in the folder `output`, whose pictures are in `dataset`.

        settings: a config.Settings. Raises WrongUse where a step has to be run first, or where the store was made with
        other weights than there are now; Failed where the weights cannot be had.
        """
        store = Store.reading(output)
        if not store.get_meta("complete"):
            raise WrongUse(f"{store.path} is not complete: run train.py again; it goes on where it stopped.")
        if not store.count("features"):
            raise WrongUse(f"{store.path} has no local features: run pre_compute_descriptor.py.")
        describer = Describer.open(Recipe(**store.get_meta("recipe")), store, settings.precision)
        engine = cls(store, Reading.of(dataset, settings), describer, settings)
        engine._warm_up()
        return engine

    @property
    def thresholds(self) -> dict:
        """What the verdict asks for, as JSON can hold it."""
        return asdict(self.judge)

    def ask(self, picture: Path | bytes | np.ndarray, exclude: Set[int] = frozenset()) -> Answer:
        """What the picture shows.

        Where the picture as a whole does not lead to a work, the engine looks again at the paintings it can make out
        on it: on a photograph with much wall, the wall has its share in the descriptor.

        picture: a file, its content, or (height, width, 3) uint8 BGR. exclude: ids that must not be in the answer.
        Raises ImageProblem for a picture that cannot be read.
        """
        seconds = dict.fromkeys(STAGES, 0.0)
        with _stage(seconds, "decode"):
            pixels = picture if isinstance(picture, np.ndarray) else self.reading.decode(picture)
        with _stage(seconds, "features"):
            query = self.finder.find(pixels)
        candidates: dict[int, Candidate] = {}
        decided = self._look(pixels, query, candidates, exclude, seconds)
        if decided is not Verdict.FOUND:
            with _stage(seconds, "detection"):
                outlines = quadrilaterals(pixels, most=self.settings.second_looks)
            for corners in outlines:
                decided = self._look(straighten(pixels, without_frame(corners)), query, candidates, exclude, seconds)
                if decided is Verdict.FOUND:
                    break
        before = sorted(candidates.values(), key=lambda candidate: -candidate.similarity)
        after = sorted(before, key=lambda candidate: -candidate.score)
        return Answer(decided, before, after, len(query.keypoints), query.frame, seconds)

    def _look(
        self,
        view: np.ndarray,
        query: Features,
        candidates: dict[int, Candidate],
        exclude: Set[int],
        seconds: dict[str, float],
    ) -> Verdict:
        """Add what the index finds similar to a view of the query, with evidence; returns the verdict so far.

        A view is the picture or a part of it; the local features are always those of the whole picture.
        """
        with _stage(seconds, "network"):
            features, activations = self.describer.network(self.describer.prepare(view)[None])
        with _stage(seconds, "pooling"):
            descriptor = self.whitening.descriptor(self.describer.pool(features[0], activations[0]))
        with _stage(seconds, "search"):
            found = dict(self.index.search(descriptor, self.settings.shortlist, exclude))
        with _stage(seconds, "reranking"):
            examined = self._examine(query, [image for image in found if image not in candidates])
            for image, similarity in found.items():
                if image in examined:
                    frame, evidence = examined[image]
                else:
                    frame, evidence = candidates[image].frame, candidates[image].evidence
                    similarity = max(similarity, candidates[image].similarity)
                score = verdict.score(similarity, evidence)
                candidates[image] = Candidate(image, self.images[image], similarity, frame, evidence, score)
        if not candidates:
            return Verdict.NOT_FOUND
        best = max(candidates.values(), key=lambda candidate: candidate.score)
        return verdict.decide(best.similarity, best.evidence, self.judge)

    def _examine(self, query: Features, images: list[int]) -> dict[int, tuple[tuple[int, int], Evidence]]:
        """For each image its frame and the evidence that the query shows it; none without local features."""
        works = dict(zip(images, self.store.features(images), strict=True))
        known = {image: work for image, work in works.items() if work}
        evidence = dict(zip(known, examine(query, list(known.values())), strict=True))
        return {image: (work.frame, evidence[image]) if work else ((0, 0), Evidence()) for image, work in works.items()}

    def _warm_up(self) -> None:
        """Ask once in each orientation: the first pass of a graph costs several times as much as the next."""
        long, short = self.describer.recipe.sides()
        for height, width in ((short, long), (long, short)):
            self.ask(np.zeros((height, width, 3), np.uint8))


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - started


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

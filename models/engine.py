"""The engine: the one way from a picture to an answer, for the batch test and the site alike."""

import importlib.metadata
import platform
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.answer import STAGES, Answer, Candidate, Evidence, Grounds, Verdict
from models.collection.reading import Reading
from models.collection.store import Features, Store
from models.collection.vector_index import Index
from models.description import pooling
from models.description.describer import Describer, load_classes
from models.description.filling import load_whitening
from models.description.recipe import Recipe, fingerprint
from models.local.agreement import agreement
from models.local.detection import clockwise, quadrilaterals, straighten, without_frame
from models.local.features import Finder, in_frame
from models.local.verification import examine, match, verify
from models.verdict.calibration import stamp_of
from models.verdict.grounds import grounds_of
from models.verdict.judge import Judge
from models.verdict.ranking import score
from models.verdict.rules import LED_SOMEWHERE, TWINS
from utils import images
from utils.errors import WrongUse
from utils.images import ImageProblem

# Where no look led to a work, the likeliest ones are compared with the picture by other local features, which blurred
# pictures and drawings of a few lines have, too. They are found on the spot, so a store need not hold them.
CLOSER = Finder("sift", keypoints=1000, side=512)
LIKELIEST = 10  # candidates that are looked at so

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "faiss-cpu", "pillow")


class Engine:
    """A collection as it was when the engine read it, ready to be asked. Safe to call from several threads.

    Only local features are read from the store at each question: where a step changes the store meanwhile, an image may
    have lost them, and is then ranked by similarity alone. `refreshed` takes in what has changed.
    """

    def __init__(self, store: Store, reading: Reading, describer: Describer, settings, last: Judge | None = None):
        """Reads the collection out of the store, and who judges. Raises WrongUse where a step has to be run first.

        last: the judge so far, for as long as verdict.json cannot be used.
        """
        self.store, self.reading, self.describer, self.settings = store, reading, describer, settings
        self.dataset = reading.dataset
        with store.snapshot() as now:
            _check_ready(now)
            self.version = now.version()
            self.whitening = load_whitening(now)
            descriptors = now.descriptors()
            self.images = {image: stamp.path for image, stamp in now.images().items()}
            kind = now.get_meta("local_features")["kind"]
            self.fingerprint = fingerprint(now)
        self.index = Index(*descriptors, settings.index)
        self.finder = Finder(kind, settings.query_keypoints, settings.query_side)
        self.judge = Judge.of(store.path.parent, self.fingerprint, last)
        self.versions = _versions() | {"precision": describer.network.precision}

    @classmethod
    def open(cls, output: Path, dataset: Path, settings) -> "Engine":
        """The engine for the collection in the folder `output`, whose pictures are in `dataset`.

        settings: a config.Settings. Raises WrongUse where a step has to be run first, or where the store was made with
        other weights than there are now; Failed where the weights cannot be had.
        """
        store = Store.reading(output)
        _check_ready(store)  # now: loading the weights takes seconds
        describer = Describer.open(Recipe(**store.get_meta("recipe")), store, settings.precision)
        engine = cls(store, Reading.of(dataset, settings), describer, settings)
        engine._warm_up()
        return engine

    def is_current(self) -> bool:
        """Whether store and verdict.json are still as this engine read them.

        Takes microseconds: ask as often as you like.
        """
        same_judge = stamp_of(self.store.path.parent) == self.judge.stamp
        return same_judge and self.store.is_in_place() and self.store.version() == self.version

    def refreshed(self) -> "Engine":
        """An engine for store and verdict.json as they are now; this one stays as it is, for what is under way.

        What has not changed is shared: the network, and the open file where it was not replaced by another.
        Raises as `open` does, for instance while a step that makes a new store has not ended: then go on with this
        engine, and try again later.
        """
        store = self.store.reread()
        _check_ready(store)
        describer = self._describer_of(store)
        engine = Engine(store, self.reading, describer, self.settings, self.judge)
        if (describer.network, describer.recipe) != (self.describer.network, self.describer.recipe):
            engine._warm_up()
        return engine

    def _describer_of(self, store: Store) -> Describer:
        """The describer for another state of the store, with this engine's network if it was made with that."""
        recipe = Recipe(**store.get_meta("recipe"))
        same = all(store.get_meta(name) == self.fingerprint[name] for name in ("weights_digest", "method"))
        if same and pooling.layers(recipe.pooling) == pooling.layers(self.describer.recipe.pooling):
            return Describer(self.describer.network, recipe, self.describer.digest, load_classes(store))
        return Describer.open(recipe, store, self.settings.precision)

    @property
    def thresholds(self) -> dict:
        """What the verdict asks for, as JSON can hold it."""
        return self.judge.rule.to_json()

    @property
    def calibration(self) -> dict:
        """Who decides: see `models.verdict.judge.Judge.to_json`."""
        return self.judge.to_json()

    def ask(self, picture: Path | bytes | np.ndarray, exclude: Set[int] = frozenset()) -> Answer:
        """What the picture shows.

        Where the picture as a whole does not lead to a work, the engine looks again at the paintings it can make out
        on it, for on a photograph with much wall the wall has its share in the descriptor; and at the picture turned,
        for the network knows things upright; and more closely at the likeliest works. So a picture that leads nowhere
        takes several times as long.

        picture: a file, its content, or (height, width, 3) uint8 BGR. exclude: ids that must not be in the answer.
        Raises ImageProblem for a picture that cannot be read.
        """
        seconds = dict.fromkeys(STAGES, 0.0)
        with _stage(seconds, "decode"):
            pixels = self._pixels(picture)
        with _stage(seconds, "features"):
            query = self.finder.find(pixels)
        candidates: dict[int, Candidate] = {}
        attention = None
        for descriptor, maps, count in self._looks(pixels, seconds):
            if attention is None:
                attention = pooling.attention(maps)
            self._look_up(descriptor, count, query, candidates, exclude, seconds)
            after, grounds = self._ranked(pixels, query, candidates, seconds)
            if LED_SOMEWHERE.decide(grounds) is Verdict.FOUND:
                break
        else:
            self._look_closer(pixels, query.frame, candidates, seconds)
            after, grounds = self._ranked(pixels, query, candidates, seconds)
        return Answer(
            self.judge.rule.decide(grounds) if after else Verdict.NOT_FOUND,
            _by_similarity(candidates),
            after,
            len(query.keypoints),
            query.frame,
            seconds,
            attention,
            grounds,
            self.judge.rule.probability(grounds) if after else None,
        )

    def similar(self, image: int, count: int) -> list[tuple[int, float]]:
        """The `count` images most similar to one of the collection, without itself: (id, cosine), best first.

        Raises KeyError for an image that is not there.
        """
        descriptor = self.store.descriptor(image) if image in self.images else None
        if descriptor is None:
            raise KeyError(image)
        return self.index.search(descriptor, count, exclude={image})

    def twins(self, image: int) -> set[int]:
        """Other images that show the same work as one of the collection, or a good part of it: copies, details.

        They are looked for among the most similar ones. Raises KeyError for an image that is not there, ImageProblem
        where its picture cannot be read.
        """
        others = dict(self.similar(image, self.settings.shortlist))
        shown = self.finder.find(self._pixels(self.dataset / self.images[image]))
        found = set()
        for other, (_, evidence) in self._examine(shown, list(others)).items():
            area = max(evidence.query_area, evidence.work_area)  # a detail covers little of the whole
            grounds = Grounds(others[other], inliers=evidence.inliers, work_area=area)
            if TWINS.decide(grounds) is Verdict.FOUND:
                found.add(other)
        return found

    def outlines(self, picture: Path | bytes | np.ndarray, most: int = 6) -> list[np.ndarray]:
        """Where paintings could be on a photograph, largest first: for a person to choose from.

        Returns at most `most` arrays (4, 2) float32 of x, y, clockwise from the upper left, in pixels of the frame that
        `ask` would answer with. Raises ImageProblem for a picture that cannot be read.
        """
        pixels = self._pixels(picture)
        return [corners / self._scale(pixels) for corners in quadrilaterals(pixels, most)]

    def straightened(self, picture: Path | bytes | np.ndarray, corners: np.ndarray) -> np.ndarray:
        """What lies within four corners of a photograph, seen from the front: a picture to ask for.

        corners: (4, 2) finite x, y in any order, in pixels of the frame, as `outlines` gives them; what is outside of
        the picture is left out. Returns (height, width, 3) uint8 BGR, as finely as the picture was read.
        Raises ImageProblem for a picture that cannot be read, and for corners with too little between them.
        """
        pixels = self._pixels(picture)
        height, width = pixels.shape[:2]
        inside = np.clip(np.asarray(corners, np.float32) * self._scale(pixels), 0, (width, height))
        part = straighten(pixels, clockwise(inside.astype(np.float32)))
        if min(part.shape[:2]) < self.reading.min_side:
            raise ImageProblem("too small a part of the picture")
        return part

    def _pixels(self, picture: Path | bytes | np.ndarray) -> np.ndarray:
        return picture if isinstance(picture, np.ndarray) else self.reading.decode(picture)

    def _scale(self, pixels: np.ndarray) -> float:
        """Pixels of a picture as it was read for one of its frame."""
        return max(1.0, max(pixels.shape[:2]) / self.settings.query_side)

    def _looks(self, pixels: np.ndarray, seconds: dict[str, float]) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Descriptor and class maps of one view of the picture after the other, and how many candidates to look at.

        What nobody asks for is not computed. The whole picture; the same with many more candidates, which takes no
        longer than another view; the paintings that can be made out on it; the whole upside down and on its sides.
        """
        usual, many = self.settings.shortlist, self.settings.long_shortlist
        whole, *_ = self._described([pixels], seconds)
        yield *whole, usual
        if many > usual and len(self.images) > usual:
            yield *whole, many
        yield from ((*view, usual) for view in self._other_views(pixels, seconds))

    def _other_views(self, pixels: np.ndarray, seconds: dict[str, float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with _stage(seconds, "detection"):
            outlines = quadrilaterals(pixels, most=self.settings.second_looks)
        for corners in outlines:
            yield from self._described([straighten(pixels, without_frame(corners))], seconds)
        yield from self._described([np.rot90(pixels, 2)], seconds)
        yield from self._described([np.rot90(pixels, 1), np.rot90(pixels, 3)], seconds)

    def _described(self, views: list[np.ndarray], seconds: dict[str, float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Descriptor, (dimensions,) float32, and class maps of views that are all horizontal or all vertical."""
        with _stage(seconds, "network"):
            outputs = self.describer.network(np.stack([self.describer.prepare(view) for view in views]))
        for *layers, activations in zip(*outputs, strict=True):
            with _stage(seconds, "pooling"):
                maps = self.describer.class_maps(activations)
                descriptor = self.whitening.descriptor(self.describer.pool(layers, activations, maps))
            yield descriptor, maps

    def _look_up(
        self,
        descriptor: np.ndarray,
        count: int,
        query: Features,
        candidates: dict[int, Candidate],
        exclude: Set[int],
        seconds: dict[str, float],
    ) -> None:
        """Add the `count` images most similar to a view of the query, with evidence.

        descriptor: of the view. The local features are always those of the whole picture.
        """
        with _stage(seconds, "search"):
            found = dict(self.index.search(descriptor, count, exclude))
        with _stage(seconds, "reranking"):
            examined = self._examine(query, [image for image in found if image not in candidates])
            for image, similarity in found.items():
                known = candidates.get(image)
                if known is None:
                    candidates[image] = self._candidate(image, similarity, *examined[image])
                elif similarity > known.similarity:
                    better = score(similarity, known.evidence)
                    candidates[image] = replace(known, similarity=similarity, score=better)

    def _look_closer(
        self, pixels: np.ndarray, frame: tuple[int, int], candidates: dict[int, Candidate], seconds: dict[str, float]
    ) -> None:
        """Compare the picture with the likeliest candidates by local features of another kind, where they have any.

        Evidence is replaced by better one, in the pixels of the same frames.
        """
        with _stage(seconds, "reranking"):
            query = in_frame(CLOSER.find(pixels), frame)
            known = [candidate for candidate in _by_similarity(candidates) if min(candidate.frame)]
            for candidate in known[:LIKELIEST]:
                try:
                    work = in_frame(CLOSER.find(self._pixels(self.dataset / candidate.path)), candidate.frame)
                except ImageProblem:  # it has gone from the dataset since
                    continue
                evidence = verify(query, work, match(query, [work])[0])
                if evidence.inliers > candidate.evidence.inliers:
                    found = self._candidate(candidate.id, candidate.similarity, candidate.frame, evidence)
                    candidates[candidate.id] = found

    def _candidate(self, image: int, similarity: float, frame: tuple[int, int], evidence: Evidence) -> Candidate:
        return Candidate(image, self.images[image], similarity, frame, evidence, score(similarity, evidence))

    def _ranked(
        self, pixels: np.ndarray, query: Features, candidates: dict[int, Candidate], seconds: dict[str, float]
    ) -> tuple[list[Candidate], Grounds]:
        """The candidates by score, best first, and what speaks for and against the first."""
        after = sorted(_by_similarity(candidates), key=lambda candidate: -candidate.score)
        if after and after[0].agreement is None:
            with _stage(seconds, "reranking"):
                after[0] = replace(after[0], agreement=self._agreement(pixels, query.frame, after[0]))
            candidates[after[0].id] = after[0]
        return after, grounds_of(after, len(query.keypoints))

    def _examine(self, query: Features, images: list[int]) -> dict[int, tuple[tuple[int, int], Evidence]]:
        """For each image its frame and the evidence that the query shows it; none without local features."""
        works = dict(zip(images, self.store.features(images), strict=True))
        width = query.descriptors.shape[1]  # another one where the store has got local features of another kind since
        known = {image: work for image, work in works.items() if work and work.descriptors.shape[1] == width}
        evidence = dict(zip(known, examine(query, list(known.values())), strict=True))
        return {
            image: (known[image].frame, evidence[image]) if image in known else ((0, 0), Evidence()) for image in images
        }

    def _agreement(self, pixels: np.ndarray, frame: tuple[int, int], candidate: Candidate) -> float:
        """How well the picture agrees with a candidate all over, 0..1; 0 where the two cannot be compared."""
        evidence = candidate.evidence
        if evidence.homography is None:
            return 0.0
        try:
            work = self._pixels(self.dataset / candidate.path)
        except ImageProblem:  # it has gone from the dataset since
            return 0.0
        shown, known = images.stretch(pixels, *frame), images.stretch(work, *candidate.frame)
        return agreement(shown, known, evidence.homography, evidence.work_points)

    def _warm_up(self) -> None:
        """Describe once in each orientation: the first pass of a graph costs several times as much as the next."""
        long, short = self.describer.recipe.sides()
        for height, width in ((long, short), (short, long)):
            list(self._described([np.zeros((height, width, 3), np.uint8)], dict.fromkeys(STAGES, 0.0)))


def _by_similarity(candidates: dict[int, Candidate]) -> list[Candidate]:
    return sorted(candidates.values(), key=lambda candidate: -candidate.similarity)


def _check_ready(store: Store) -> None:
    """Raises WrongUse where the steps that an engine needs have not been done."""
    if not store.get_meta("complete"):
        raise WrongUse(f"{store.path} is not complete: run train.py again; it goes on where it stopped.")
    if not store.count("features"):
        raise WrongUse(f"{store.path} has no local features: run pre_compute_descriptor.py.")


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

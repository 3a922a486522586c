"""Times one query, the network left out, against the procedure of the thesis behind the project written plainly.

Examples:
  python benchmarks/thesis.py
  python benchmarks/thesis.py --queries 3 --candidates 20 --size 256x192      a quick look

Both sides describe by the recipe published in 2017 (`train.py --pooling cam`), and get the same pictures, the same
feature maps and the same collection of 43,690 descriptors, in turn, in one run; both descriptors have to be the same
and both have to put the same work first. The plain side: Python loops over channels and classes, a full sort of all
similarities, 500 ORB features of query and works as floating-point numbers, a FLANN kd-tree index built for each
candidate, the ratio test in a loop, RANSAC. Our side is the engine's code with its settings, so it looks for more
keypoints in the query. The local features of the works are found beforehand.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from config import Settings
from models.collection import vector_index
from models.collection.features import Features
from models.collection.reading import Reading
from models.description import weights, whitening
from models.description.describer import Describer
from models.description.pooling import normalised
from models.description.recipe import Recipe
from models.description.vgg16 import VGG16
from models.description.whitening import Whitening
from models.local.orb import Orb
from models.local.verification import examine
from models.verdict.ranking import score
from utils import images, script, transforms

STAGES = ("class maps and vectors", "whitening", "search", "local features", "re-ranking")
ORB_KEYPOINTS = 500
RATIO = 0.7


@dataclass
class Works:
    """The collection both sides search, and what both know of the candidates."""

    descriptors: np.ndarray  # (collection, dimensions) float32; the candidates come first
    whitening: Whitening
    features: list[Features]  # of each candidate


@dataclass
class Query:
    picture: np.ndarray  # (height, width, 3) uint8 BGR
    features: np.ndarray  # (height, width, 512) float32, of the network
    activations: np.ndarray  # (height, width, 1024) float32
    place: int  # of the candidate it shows


class Ours:
    """The engine's code."""

    def __init__(self, describer: Describer, works: Works, settings: Settings):
        self.describer, self.works, self.settings = describer, works, settings
        self.index = vector_index.build(np.arange(len(works.descriptors)), works.descriptors, settings.index)
        self.extractor = Orb(settings.query_keypoints, settings.query_side)

    def ask(self, query: Query) -> tuple[dict[str, float], np.ndarray, int]:
        """Seconds a stage, the descriptor, and the place of the work that comes first."""
        seconds = {}
        seconds[STAGES[0]], vectors = measure.timed(self.describer.pool, query.features, query.activations)
        seconds[STAGES[1]], descriptor = measure.timed(self.works.whitening.descriptor, vectors)
        seconds[STAGES[2]], _ = measure.timed(self.index.search, descriptor, self.settings.shortlist)
        seconds[STAGES[3]], query_features = measure.timed(self.extractor.extract, query.picture)
        seconds[STAGES[4]], scores = measure.timed(self._scores, query_features, descriptor)
        return seconds, descriptor, int(np.argmax(scores))

    def _scores(self, query_features: Features, descriptor: np.ndarray) -> list[float]:
        candidates = self.works.features
        similarities = self.works.descriptors[: len(candidates)] @ descriptor
        evidence = examine(query_features, candidates)
        return [score(s, proof) for s, proof in zip(similarities, evidence, strict=True)]


class Plain:
    """The thesis's procedure, as one would write it down the first time."""

    def __init__(self, describer: Describer, works: Works, settings: Settings):
        self.works, self.settings, self.head = works, settings, describer.network.head
        self.classes = describer.recipe.classes
        self.extractor = Orb(ORB_KEYPOINTS, settings.query_side)

    def ask(self, query: Query) -> tuple[dict[str, float], np.ndarray, int]:
        seconds = {}
        seconds[STAGES[0]], vectors = measure.timed(self._vectors, query.features, query.activations)
        seconds[STAGES[1]], descriptor = measure.timed(self._descriptor, vectors)
        seconds[STAGES[2]], _ = measure.timed(self._search, descriptor)
        seconds[STAGES[3]], query_features = measure.timed(self.extractor.extract, query.picture)
        seconds[STAGES[4]], inliers = measure.timed(self._inliers, query_features)
        return seconds, descriptor, int(np.argmax(inliers))

    def _vectors(self, features: np.ndarray, activations: np.ndarray) -> np.ndarray:
        """The formulas are those of models/description/pooling.py."""
        best = self._best_classes(activations)
        features = np.ascontiguousarray(features.transpose(2, 0, 1))
        activations = np.ascontiguousarray(activations.transpose(2, 0, 1))
        channel_weights = self._channel_weights(features)
        vectors = np.zeros((len(best), len(features)), np.float32)
        for k, number in enumerate(best):
            cam = np.zeros(activations.shape[1:], np.float32)
            for channel in range(len(activations)):
                cam += self.head.kernel[channel, number] * activations[channel]
            cam /= cam.max()
            cam[cam < 0] = 0
            for f in range(len(features)):
                vectors[k, f] = (features[f] * cam).sum() * channel_weights[f]
            vectors[k] /= np.linalg.norm(vectors[k])
        return vectors

    def _best_classes(self, activations: np.ndarray) -> np.ndarray:
        scores = activations.mean((0, 1)) @ self.head.kernel + self.head.bias
        return np.argsort(-scores)[: self.classes]

    def _channel_weights(self, features: np.ndarray) -> list[float]:
        shares = [np.count_nonzero(channel) / channel.size for channel in features]
        return [np.log(sum(shares) / share) if share else 0.0 for share in shares]

    def _descriptor(self, vectors: np.ndarray) -> np.ndarray:
        total = np.zeros(self.works.whitening.projection.shape[1], np.float32)
        for vector in vectors:
            whitened = (vector - self.works.whitening.mean) @ self.works.whitening.projection
            total += whitened / np.linalg.norm(whitened)
        return total / np.linalg.norm(total)

    def _search(self, descriptor: np.ndarray) -> np.ndarray:
        return np.argsort(-(self.works.descriptors @ descriptor))[: self.settings.shortlist]

    def _inliers(self, query_features: Features) -> list[int]:
        return [self._verified(query_features, candidate) for candidate in self.works.features]

    def _verified(self, query_features: Features, candidate: Features) -> int:
        if len(query_features.descriptors) < 2 or len(candidate.descriptors) < 2:
            return 0
        matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 5}, {"checks": 50})
        matcher.add([candidate.descriptors.astype(np.float32)])
        matcher.train()
        good = []
        for first, second in matcher.knnMatch(query_features.descriptors.astype(np.float32), k=2):
            if first.distance < RATIO * second.distance:
                good.append(first)
        if len(good) < 4:
            return 0
        query_points = np.float32([query_features.keypoints[match.queryIdx, :2] for match in good])
        work_points = np.float32([candidate.keypoints[match.trainIdx, :2] for match in good])
        _, mask = cv2.findHomography(query_points, work_points, cv2.RANSAC, 5.0)
        return 0 if mask is None else int(mask.sum())


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    recipe = Recipe("bundled", "cam", 64, 512, options.size or settings.size)
    settings = replace(settings, shortlist=options.candidates)
    with tempfile.TemporaryDirectory() as scratch:
        folder, names = measure.gallery(settings, options.candidates, Path(scratch))
        reading = Reading.of(folder, settings)
        pictures = [reading.decode(folder / name) for name in names]
    describer = Describer(VGG16(weights.load("bundled"), settings.precision), recipe)
    works = _collect(describer, pictures, options.collection, settings)
    queries = [_query(describer, pictures, number) for number in range(options.queries)]
    sides = {"plain": Plain(describer, works, settings), "ours": Ours(describer, works, settings)}
    seconds = {name: {stage: [] for stage in STAGES} for name in sides}
    for side in sides.values():
        side.ask(queries[0])  # what only the first call costs
    for query in queries:
        answers = {}
        for name, side in sides.items():
            time.sleep(measure.REST)
            spent, *answers[name] = side.ask(query)
            for stage in STAGES:
                seconds[name][stage].append(spent[stage])
        (plain, plain_first), (ours, ours_first) = answers["plain"], answers["ours"]
        assert plain @ ours > 0.999, f"the descriptors differ: their cosine is {plain @ ours}"
        assert plain_first == ours_first == query.place, f"{plain_first}, {ours_first} came first, not {query.place}"
    print(
        f"{measure.machine()}; {options.collection} descriptors, {len(pictures)} candidates, {options.queries} queries"
    )
    print(_report(seconds))


def _collect(describer: Describer, pictures: list[np.ndarray], count: int, settings: Settings) -> Works:
    """The candidates' descriptors and local features, and as many other descriptors as make up the collection."""
    vectors = []
    for picture in script.progress(pictures, what="Describing", unit=" works"):
        features, activations = describer.network(describer.prepare(picture)[None])
        vectors.append(describer.pool([features[0]], activations[0]))
    fitted = whitening.fit(np.concatenate(vectors), describer.recipe.dimensions)
    known = np.stack([fitted.descriptor(found) for found in vectors])
    others = np.random.default_rng(0).standard_normal((max(0, count - len(known)), known.shape[1]), np.float32)
    extractor = Orb(ORB_KEYPOINTS, settings.feature_side)
    return Works(
        np.concatenate([known, normalised(others)]), fitted, [extractor.extract(picture) for picture in pictures]
    )


def _query(describer: Describer, pictures: list[np.ndarray], number: int) -> Query:
    """A visitor's photograph of one of the works: seen obliquely and in other light."""
    place = number * 7 % len(pictures)
    picture, _ = transforms.disturb(images.fit(pictures[place], 800), np.random.default_rng(number))
    features, activations = describer.network(describer.prepare(picture)[None])
    return Query(picture, features[0], activations[0], place)


def _report(seconds: dict[str, dict[str, list[float]]]) -> str:
    rows = []
    for stage in STAGES:
        plain, ours = (statistics.median(seconds[name][stage]) for name in ("plain", "ours"))
        rows.append([stage, f"{plain:.4f}", f"{ours:.4f}", f"{plain / ours:.1f}"])
    plain, ours = (statistics.median(map(sum, zip(*seconds[name].values(), strict=True))) for name in ("plain", "ours"))
    rows.append(["everything but the network", f"{plain:.4f}", f"{ours:.4f}", f"{plain / ours:.1f}"])
    return measure.table(["stage", "thesis, seconds", "ours, seconds", "times faster"], rows)


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--queries", type=script.positive, default=9, metavar="N", help="medians are over these (%(default)s)")
    add("--candidates", type=script.positive, default=100, metavar="N", help="to re-rank (%(default)s)")
    add("--collection", type=script.positive, default=43690, metavar="N", help="descriptors to search (%(default)s)")
    add("--size", metavar="WxH", help="pixels of a horizontal picture in the network (the setting's)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

"""One query in progress: a picture, the candidates so far, and the attempts that lead to the answer."""

import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from config import Settings
from models.answer import STAGES, Answer, Candidate, Evidence, Grounds, Verdict
from models.collection.features import Features
from models.collection.vector_index import VectorIndex
from models.description import pooling
from models.local.agreement import agreement
from models.local.detection import quadrilaterals, straighten, without_frame
from models.local.extractor import Extractor, in_frame
from models.local.matching import match
from models.local.sift import Sift
from models.local.verification import verify
from models.verdict.grounds import grounds_of
from models.verdict.judge import Judge
from models.verdict.ranking import score
from models.verdict.rules import LED_SOMEWHERE
from utils import images
from utils.images import ImageProblem

# If no attempt led to a work, the likeliest candidates are compared by other local features, which blurred pictures and
# sparse drawings have as well. They are extracted at query time, so they need not be stored.
CLOSER = Sift(keypoints=1000, side=512)
LIKELIEST = 10  # candidates that are compared more closely


class Stopwatch:
    """The seconds that a query takes, by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a stage, one of STAGES."""
        started = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - started


class Answering(Protocol):
    """What a question needs of an engine: see models.engine.Engine."""

    settings: Settings
    dataset: Path
    images: dict[int, str]
    index: VectorIndex
    extractor: Extractor
    judge: Judge

    def pixels(self, picture: Path | bytes | np.ndarray) -> np.ndarray: ...

    def describe(self, views: list[np.ndarray], stopwatch: Stopwatch) -> Iterator[tuple[np.ndarray, np.ndarray]]: ...

    def examine(self, query: Features, images: list[int]) -> dict[int, tuple[tuple[int, int], Evidence]]: ...


class Question:
    """A query to an engine. Construct one, and call `answer` once."""

    def __init__(self, engine: Answering, picture: Path | bytes | np.ndarray, exclude: Set[int] = frozenset()):
        """picture, exclude: as in Engine.ask. Raises ImageProblem for a picture that cannot be read."""
        self.engine, self.exclude, self.stopwatch = engine, exclude, Stopwatch()
        with self.stopwatch.stage("decode"):
            self.pixels = engine.pixels(picture)
        with self.stopwatch.stage("features"):
            self.features = engine.extractor.extract(self.pixels)
        self.candidates: dict[int, Candidate] = {}
        self.ranking: list[Candidate] = []  # the candidates by score, best first
        self.grounds = Grounds()  # for and against the first of them

    def answer(self) -> Answer:
        """Make one attempt after the other, until one leads to a work or none is left."""
        [(whole, maps)] = self._described([self.pixels])
        for descriptor, count in self._looks(whole):
            self._look_up(descriptor, count)
            self._rank()
            if LED_SOMEWHERE.decide(self.grounds) is Verdict.FOUND:
                break
        else:
            self._look_closer()
            self._rank()
        rule = self.engine.judge.rule
        return Answer(
            rule.decide(self.grounds) if self.ranking else Verdict.NOT_FOUND,
            self._by_similarity(),
            self.ranking,
            len(self.features.keypoints),
            self.features.frame,
            self.stopwatch.seconds,
            pooling.attention(maps),
            self.grounds,
            rule.probability(self.grounds) if self.ranking else None,
        )

    # Looks

    def _looks(self, whole: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """The descriptor of one view of the picture after the other, with the length of the shortlist.

        Each is computed only when it is needed. The views: the whole picture; the same with a much longer shortlist,
        which takes no longer than another view; the paintings detected in it; the whole upside down and sideways.

        whole: the descriptor of the whole picture.
        """
        settings = self.engine.settings
        yield whole, settings.shortlist
        if settings.long_shortlist > settings.shortlist and len(self.engine.images) > settings.shortlist:
            yield whole, settings.long_shortlist
        yield from ((descriptor, settings.shortlist) for descriptor, _ in self._other_views())

    def _other_views(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with self.stopwatch.stage("detection"):
            outlines = quadrilaterals(self.pixels, most=self.engine.settings.second_looks)
        for corners in outlines:
            yield from self._described([straighten(self.pixels, without_frame(corners))])
        yield from self._described([np.rot90(self.pixels, 2)])
        yield from self._described([np.rot90(self.pixels, 1), np.rot90(self.pixels, 3)])

    def _described(self, views: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self.engine.describe(views, self.stopwatch)

    def _look_up(self, descriptor: np.ndarray, count: int) -> None:
        """Add the `count` images most similar to a view of the picture to the candidates, with their evidence.

        descriptor: of the view. The local features are always those of the whole picture.
        """
        with self.stopwatch.stage("search"):
            similar = dict(self.engine.index.search(descriptor, count, self.exclude))
        with self.stopwatch.stage("reranking"):
            new = [image for image in similar if image not in self.candidates]
            examined = self.engine.examine(self.features, new)
            for image, similarity in similar.items():
                known = self.candidates.get(image)
                if known is None:
                    self.candidates[image] = self._candidate(image, similarity, *examined[image])
                elif similarity > known.similarity:
                    better = score(similarity, known.evidence)
                    self.candidates[image] = replace(known, similarity=similarity, score=better)

    def _look_closer(self) -> None:
        """Compare the picture with the likeliest candidates by local features of another kind.

        Better evidence replaces the existing one, in pixels of the same frames.
        """
        with self.stopwatch.stage("reranking"):
            query = in_frame(CLOSER.extract(self.pixels), self.features.frame)
            likeliest = [candidate for candidate in self._by_similarity() if min(candidate.frame)][:LIKELIEST]
            for candidate in likeliest:
                work = self._work(candidate)
                if work is None:
                    continue
                features = in_frame(CLOSER.extract(work), candidate.frame)
                evidence = verify(query, features, match(query, [features])[0])
                if evidence.inliers > candidate.evidence.inliers:
                    better = self._candidate(candidate.id, candidate.similarity, candidate.frame, evidence)
                    self.candidates[candidate.id] = better

    # Candidates

    def _candidate(self, image: int, similarity: float, frame: tuple[int, int], evidence: Evidence) -> Candidate:
        path = self.engine.images[image]
        return Candidate(image, path, similarity, frame, evidence, score(similarity, evidence))

    def _by_similarity(self) -> list[Candidate]:
        return sorted(self.candidates.values(), key=lambda candidate: -candidate.similarity)

    def _rank(self) -> None:
        """Sort the candidates by score, and compute the grounds for the first."""
        self.ranking = sorted(self._by_similarity(), key=lambda candidate: -candidate.score)
        if self.ranking and self.ranking[0].agreement is None:
            with self.stopwatch.stage("reranking"):
                first = replace(self.ranking[0], agreement=self._agreement(self.ranking[0]))
            self.ranking[0] = self.candidates[first.id] = first
        self.grounds = grounds_of(self.ranking, len(self.features.keypoints))

    def _agreement(self, candidate: Candidate) -> float:
        """How well the picture agrees with a candidate pixel by pixel, 0..1; 0 if the two cannot be compared."""
        evidence = candidate.evidence
        if evidence.homography is None:
            return 0.0
        work = self._work(candidate)
        if work is None:
            return 0.0
        query, work = images.stretch(self.pixels, *self.features.frame), images.stretch(work, *candidate.frame)
        return agreement(query, work, evidence.homography, evidence.work_points)

    def _work(self, candidate: Candidate) -> np.ndarray | None:
        """The candidate's picture; None if it has since been removed from the dataset."""
        try:
            return self.engine.pixels(self.engine.dataset / candidate.path)
        except ImageProblem:
            return None

"""One query in progress: a picture, the candidates so far, and the attempts that lead to the answer."""

import time
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from config import Settings
from models.answer import STAGES, Answer, Candidate, Evidence, Grounds, Sighting, Verdict
from models.collection.features import Features
from models.collection.vector_index import VectorIndex
from models.description import pooling
from models.local.agreement import agreement
from models.local.detection import paintings, quadrilaterals, straighten, without_frame
from models.local.extractor import Extractor, in_frame
from models.local.matching import match
from models.local.outlines import of_work, same_place
from models.local.sift import Sift
from models.local.verification import verify
from models.local.votes import Votes
from models.verdict.grounds import grounds_of
from models.verdict.judge import Judge
from models.verdict.ranking import score
from models.verdict.rules import LED_SOMEWHERE
from utils import images
from utils.images import ImageProblem

TILES = 4  # parts of each side of a picture, each with its own share of the keypoints
# Of the candidates that come of one look, so many are compared with the picture keypoint by keypoint.
MOST_VOTED, MOST_SIMILAR = 32, 12
# If no attempt led to a work, the likeliest candidates are compared by other local features, which blurred pictures and
# sparse drawings have as well. They are extracted at query time, so they need not be stored.
CLOSER = Sift(keypoints=1000, side=512)
LIKELIEST = 10  # candidates that are compared more closely
MOST_WORKS = 24  # that an answer tells of one picture


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
    votes: Votes
    extractor: Extractor
    judge: Judge

    def pixels(self, picture: Path | bytes | np.ndarray) -> np.ndarray: ...

    def describe(self, views: list[np.ndarray], stopwatch: Stopwatch) -> Iterator[tuple[np.ndarray, np.ndarray]]: ...

    def similarities(self, descriptor: np.ndarray, images: Sequence[int]) -> dict[int, float]: ...

    def examine(
        self, query: Features, images: Sequence[int], likely: Container[int]
    ) -> dict[int, tuple[tuple[int, int], Evidence]]: ...


class Question:
    """A query to an engine. Construct one, and call `answer` once."""

    def __init__(self, engine: Answering, picture: Path | bytes | np.ndarray, exclude: Set[int] = frozenset()):
        """picture, exclude: as in Engine.ask. Raises ImageProblem for a picture that cannot be read."""
        self.engine, self.exclude, self.stopwatch = engine, exclude, Stopwatch()
        with self.stopwatch.stage("decode"):
            self.pixels = engine.pixels(picture)
        with self.stopwatch.stage("features"):
            self.features = engine.extractor.extract(self.pixels, TILES)
        self.candidates: dict[int, Candidate] = {}
        self.ranking: list[Candidate] = []  # the candidates by score, best first
        self.grounds = Grounds()  # for and against the first of them

    def answer(self) -> Answer:
        """Look at the picture in one way after the other, until one leads to a work or none is left."""
        [(whole, maps)] = self._described([self.pixels])
        self._look_up(whole, self._voted())
        self._rank()
        for look in (self._look_at_paintings, self._look_closer):
            if LED_SOMEWHERE.decide(self.grounds) is Verdict.FOUND:
                break
            look()
            self._rank()
        rule = self.engine.judge.rule
        works = self._works()
        return Answer(
            verdict=rule.decide(self.grounds) if self.ranking else Verdict.NOT_FOUND,
            before=self._by_similarity(),
            after=self.ranking,
            keypoints=len(self.features.keypoints),
            frame=self.features.frame,
            seconds=self.stopwatch.seconds,
            attention=pooling.attention(maps),
            grounds=self.grounds,
            probability=rule.probability(self.grounds) if self.ranking else None,
            works=works,
            unknown=self._unknown(works),
        )

    # Looks

    def _voted(self) -> dict[int, float]:
        """The images with most votes of the picture's local features, and these votes."""
        if not self.engine.settings.voted:
            return {}
        with self.stopwatch.stage("votes"):
            among = self.engine.images.keys() - self.exclude
            return dict(self.engine.votes.candidates(self.features, self.engine.settings.voted, among))

    def _look_at_paintings(self) -> None:
        """Describe the paintings that are detected in the picture, those of one orientation in one pass."""
        with self.stopwatch.stage("detection"):
            outlines = quadrilaterals(self.pixels, most=self.engine.settings.second_looks)
            views = [straighten(self.pixels, without_frame(corners)) for corners in outlines]
        horizontal = [view for view in views if view.shape[1] >= view.shape[0]]
        vertical = [view for view in views if view.shape[1] < view.shape[0]]
        for alike in filter(None, (horizontal, vertical)):
            for descriptor, _ in self._described(alike):
                self._look_up(descriptor)

    def _described(self, views: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self.engine.describe(views, self.stopwatch)

    def _look_up(self, descriptor: np.ndarray, voted: Mapping[int, float] = MappingProxyType({})) -> None:
        """Add the images most similar to a view of the picture, and those voted for, to the candidates.

        descriptor: of the view. voted: image -> votes. The local features are always those of the whole picture.
        """
        engine = self.engine
        with self.stopwatch.stage("search"):
            similar = dict(engine.index.search(descriptor, engine.settings.shortlist, self.exclude))
            others = [image for image in (*self.candidates, *voted) if image not in similar]
            similar |= engine.similarities(descriptor, others)
        with self.stopwatch.stage("reranking"):
            new = [image for image in similar if image not in self.candidates]
            likely = {*list(voted)[:MOST_VOTED], *new[:MOST_SIMILAR]}  # both are best first
            examined = engine.examine(self.features, new, likely)
            for image, similarity in similar.items():
                known = self.candidates.get(image)
                if known is None:
                    self.candidates[image] = self._candidate(image, similarity, *examined[image], voted.get(image, 0.0))
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
                    better = score(candidate.similarity, evidence)
                    self.candidates[candidate.id] = replace(candidate, evidence=evidence, score=better, agreement=None)

    # Candidates

    def _candidate(
        self, image: int, similarity: float, frame: tuple[int, int], evidence: Evidence, votes: float
    ) -> Candidate:
        path = self.engine.images[image]
        return Candidate(image, path, similarity, frame, evidence, score(similarity, evidence), votes)

    def _by_similarity(self) -> list[Candidate]:
        return sorted(self.candidates.values(), key=lambda candidate: -candidate.similarity)

    def _rank(self) -> None:
        """Sort the candidates by score, and compute the grounds for the first."""
        self.ranking = sorted(self._by_similarity(), key=lambda candidate: -candidate.score)
        if self.ranking:
            self.ranking[0] = self._compared(self.ranking[0])
        self.grounds = grounds_of(self.ranking, len(self.features.keypoints))

    def _compared(self, candidate: Candidate) -> Candidate:
        """The candidate with its agreement, which is computed only once."""
        if candidate.agreement is None:
            with self.stopwatch.stage("reranking"):
                candidate = replace(candidate, agreement=self._agreement(candidate))
            self.candidates[candidate.id] = candidate
        return candidate

    # All works

    def _works(self) -> list[Sighting]:
        """Every work that the picture shows, surest first.

        The best candidate explains the part of the picture that its outline covers: the candidates that lie there as
        well are its rivals, and none of them is told. Then the same is asked of the rest.
        """
        rule, works = self.engine.judge.rule, list[Sighting]()
        places = {candidate.id: of_work(candidate.evidence, candidate.frame) for candidate in self.ranking}
        rest = {candidate.id: candidate for candidate in self.ranking}
        for candidate in self.ranking:
            place = places[candidate.id]
            # What is no more than similar may be the first work, but nobody could say where another one is.
            if candidate.id not in rest or (works and place is None):
                continue
            first = self._compared(rest.pop(candidate.id))
            grounds = grounds_of([first, *rest.values()], len(self.features.keypoints))
            verdict = rule.decide(grounds)
            if verdict is Verdict.NOT_FOUND or len(works) == MOST_WORKS:
                break
            works.append(Sighting(first, verdict, grounds, rule.probability(grounds), place))
            rest = {image: other for image, other in rest.items() if not same_place(place, places[image])}
        return works

    def _unknown(self, works: list[Sighting]) -> list[np.ndarray]:
        """The outlines of what looks like a work where none of these is."""
        with self.stopwatch.stage("detection"):
            shrunk = images.stretch(self.pixels, *self.features.frame)
            detected = paintings(shrunk)
        return [corners for corners in detected if not any(same_place(corners, work.outline) for work in works)]

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

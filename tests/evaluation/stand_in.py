"""An engine that gives hand-made answers, and what its answers are made of."""

import csv
from pathlib import Path

import cv2
import numpy as np

from config import Settings
from models.answer import Answer, Candidate, Evidence, Sighting, Verdict
from models.evaluation.queries import folder_queries
from models.evaluation.run import evaluate
from models.verdict.grounds import grounds_of

STAGES = ["decode", "network", "pooling", "search", "features", "votes", "reranking", "detection"]


class StandIn:
    """Gives hand-made answers: `answers` maps a query's file name, or "" for any other picture, to one."""

    def __init__(self, dataset: Path, images: dict[int, str], answers: dict):
        self.dataset, self.images, self.answers = dataset, images, answers
        self.fingerprint = {"weights": "none", "dimensions": 512}
        self.thresholds = {"similarity": 0.5, "inliers": 12}
        self.calibration = {"sentence": "Calibrated on a <run>.", "calibrated": True}
        self.versions = {"numpy": np.__version__}
        self.asked = []  # (file name, excluded ids)

    def twins(self, image):
        return set()

    def ask(self, picture, exclude=frozenset()):
        name = picture.name if isinstance(picture, Path) else ""
        self.asked.append((name, exclude))
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer(self, exclude) if callable(answer) else answer


def candidate(engine_images, image, similarity=0.8, inliers=30, score=1.0):
    points = np.float32([[10, 10], [40, 12], [38, 44]])
    evidence = Evidence(40, inliers, np.eye(3), 0.25, 0.5, points, points)
    return Candidate(image, engine_images[image], similarity, (60, 80), evidence, score)


SAID = {Verdict.FOUND: 0.95, Verdict.MAYBE: 0.5, Verdict.NOT_FOUND: 0.05}  # probabilities


def answer(verdict, before, after=None, others=()):
    """others: further works that are told as found, besides the first."""
    after = after or before
    grounds = grounds_of(after, 123)
    said = SAID[verdict] if after else None
    stages = dict.fromkeys(STAGES, 0.25)
    works = [Sighting(one, verdict, grounds, said, None) for one in after[:1] if verdict is not Verdict.NOT_FOUND]
    works += [Sighting(one, Verdict.FOUND, grounds_of([one], 123), 0.95, None) for one in others]
    return Answer(verdict, before, after, 123, (60, 80), stages, grounds=grounds, probability=said, works=works)


def paint(path: Path, seed: int):
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    _, data = cv2.imencode(".png", cv2.resize(small, (80, 60), interpolation=cv2.INTER_CUBIC))
    path.write_bytes(data.tobytes())


IMAGES = {1: "a/one.png", 2: "a/two.png", 5: "b/<three> & four.png", 8: "b/five.png"}


def run(engine, folder, place, settings=None):
    """Ask for the pictures of a folder."""
    queries = folder_queries(folder, None, engine.images)
    return evaluate(engine, queries, place, settings or Settings())


def alone(image):
    """No image has a twin."""
    return set()


def rows(place):
    """queries.csv without the one column that is measured anew each time."""
    with (place / "queries.csv").open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]

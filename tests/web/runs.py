"""A run as test_with_statistics.py writes it, of answers that are made up, and a calibration for it."""

import math
from dataclasses import asdict, replace
from pathlib import Path

from models.answer import STAGES, Grounds
from models.evaluation import records
from models.evaluation.queries import Query, folder_of
from models.evaluation.records import Record
from models.evaluation.summary import summarise
from models.verdict.calibration import FEATURES, Calibration
from models.verdict.rules import BY_HAND

# What is expected (None: not in the collection), what came first before and after re-ranking, with which evidence:
# (expected, first before, first after, similarity, inliers, area, agreement, seconds). Numbers are places in the list
# of works.
ANSWERS = [
    (0, 0, 0, 0.90, 120, 0.50, 0.90, 0.1),  # found, right
    (1, 2, 1, 0.40, 40, 0.30, 0.50, 0.2),  # found by many inliers, right, and wrong before
    (2, 2, 2, 0.30, 12, 0.01, 0.30, 0.3),  # on a spot: not sure, right
    (3, 3, 3, 0.20, 3, 0.00, 0.00, 0.4),  # missed
    (4, 4, 5, 0.35, 11, 0.04, 0.60, 0.5),  # found, but another work; right before
    (None, 6, 6, 0.75, 10, 0.02, 0.70, 0.6),  # false found
    (None, 7, 7, 0.10, 0, 0.00, 0.00, 0.7),  # not found, and rightly
]


def record(works: list[str], number: int, answer: tuple) -> Record:
    """The record of one answer. works: paths of the collection."""
    expected, before, after, similarity, inliers, area, agreement, seconds = answer
    grounds = Grounds(
        similarity=similarity,
        inliers=inliers,
        matches=inliers + 5,
        work_area=area,
        agreement=agreement,
        keypoints=300,
    )
    verdict = BY_HAND.decide(grounds).value
    if expected is None:
        result = "false found" if verdict == "found" else "right"
    else:
        result = "wrong first" if after != expected else "missed" if verdict == "not found" else "right"
    return Record(
        file=f"photo {number}.jpg",
        group=f"photo {number}.jpg",
        expected=[] if expected is None else [works[expected]],
        result=result,
        verdict=verdict,
        first_before=works[before],
        first_after=works[after],
        first_after_score=similarity + inliers / 10,
        rank_before=None if expected is None else 1 if before == expected else 2,
        rank_after=None if expected is None else 1 if after == expected else 2,
        precision_before=0.5,
        precision_after=0.5,
        seconds=seconds,
        stages=dict.fromkeys(STAGES, seconds / len(STAGES)),
        **asdict(grounds),
    )


def write(output: Path, engine, name: str = "museum", folder: Path | None = None, **changes) -> Path:
    """The folder of a run over ANSWERS. folder: of its queries' pictures. changes: to every record."""
    works = sorted(engine.images.values())
    answered = [replace(record(works, *both), **changes) for both in enumerate(ANSWERS, start=1)]
    answered.append(Record(file="broken.jpg", skipped="the picture is damaged"))
    place = output / "statistics" / name
    place.mkdir(parents=True)
    queries = [Query(found.file, (folder or output) / found.file) for found in answered]
    records.write(place, summarise(answered, engine) | {"queries_folder": folder_of(queries)}, answered)
    return place


def calibration(engine, found: float = 0.9, maybe: float = 0.5) -> Calibration:
    """One whose log-odds are twice the logarithm of 1 + matches, less 4: so matches alone decide."""
    names = list(FEATURES)
    return Calibration(
        features=names,
        means=[0.0] * len(names),
        deviations=[1.0] * len(names),
        coefficients=[2.0 if name == "log matches" else 0.0 for name in names],
        intercept=-4.0,
        found=found,
        maybe=maybe,
        operating_point="made up",
        measured={},
        runs=["museum"],
        fingerprint=engine.fingerprint,
        date="2026-11-24T08:30:00Z",
    )


def log_odds(inliers: int) -> float:
    """What that calibration says of an answer; each has five matches more than inliers."""
    return 2 * math.log1p(inliers + 5) - 4

"""The calibrated verdict: a logistic regression on the grounds, with thresholds on its probability.

`models.evaluation.fit_calibration` fits it; OUTPUT/verdict.json keeps it.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.answer import Grounds, Verdict
from models.local.verification import STRETCH, TILT
from models.verdict.grounds import CHANCE
from utils import files
from utils.statistics import wilson

NAME = "verdict.json"
FORMAT = 4  # of verdict.json; counted up when FEATURES or the meaning of a field changes
Numbers = TypeVar("Numbers", float, np.ndarray)

# What the regression is fitted on: name -> how it is computed from the grounds. Counts and factors enter as logarithms,
# because the first inlier says more than the hundredth; the inlier ratio enters as the lower end of its confidence
# interval, because a ratio of few matches says little; a correlation enters as the share of variance that it explains.
# Having no homography counts as having the worst that is still sane. The keypoints of the query are left out: they say
# how much could be seen, not what was, and with them the regression predicts unseen works less well.
FEATURES: dict[str, Callable[[Grounds], float]] = {
    "similarity": lambda grounds: grounds.similarity,
    "normalised similarity": lambda grounds: grounds.normalised,
    "margin": lambda grounds: grounds.margin,
    "log matches": lambda grounds: math.log1p(grounds.matches),
    "log inliers above chance": lambda grounds: math.log1p(max(0, grounds.inliers - CHANCE)),
    "inlier ratio at least": lambda grounds: _at_least(grounds.inliers, grounds.matches),
    "root of query area": lambda grounds: math.sqrt(grounds.query_area),
    "root of work area": lambda grounds: math.sqrt(grounds.work_area),
    "log stretch": lambda grounds: math.log(grounds.stretch if grounds.inliers else STRETCH),
    "log tilt": lambda grounds: math.log(grounds.tilt if grounds.inliers else TILT),
    "explained share": lambda grounds: grounds.agreement**2,
}


class Damaged(Exception):
    """A verdict.json that cannot be used, with a sentence that says why."""


@dataclass(frozen=True)
class Calibration:
    """A fitted regression with its thresholds; what verdict.json holds."""

    features: list[str]
    means: list[float]  # of each feature in the examples
    deviations: list[float]  # standard deviations, the same
    coefficients: list[float]  # of the standardised features
    intercept: float
    found: float  # probability from which on the verdict is "found"
    maybe: float  # ... and below which it is "not found"
    operating_point: str  # what `found` was chosen for
    measured: dict  # by cross-validation: see `models.evaluation.fit_calibration.measure`
    runs: list[str]  # names of the runs that it was fitted on
    fingerprint: dict  # of the store that answered
    date: str  # UTC, as 2026-11-24T08:30:00Z
    format: int = FORMAT

    def probability(self, grounds: Grounds) -> float:
        """The probability that the first candidate is right, 0..1."""
        standardised = (features(grounds) - self.means) / self.deviations
        return float(sigmoid(standardised @ np.array(self.coefficients) + self.intercept))

    def decide(self, grounds: Grounds) -> Verdict:
        """The verdict on the first candidate after re-ranking."""
        return Verdict(verdict_of(self.probability(grounds), self.found, self.maybe))

    def to_json(self) -> dict:
        """The thresholds, as JSON can hold them."""
        return {"found_probability": self.found, "maybe_probability": self.maybe}

    def write(self, output: Path) -> None:
        """Write verdict.json into the folder `output`, whole or not at all. Raises ValueError for what no fit gives."""
        _check(self)
        text = json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        files.write(output / NAME, text.encode())

    @classmethod
    def read(cls, output: Path) -> "Calibration":
        """Read verdict.json in the folder `output`. Raises Damaged, with a sentence, where it cannot be used."""
        try:
            content = json.loads((output / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise Damaged(f"{NAME} cannot be read ({type(problem).__name__}).") from None
        if not isinstance(content, dict) or "format" not in content:
            raise Damaged(f"{NAME} is not a calibration.")
        if content["format"] != FORMAT:
            raise Damaged(f"{NAME} was written by another version of this program: calibrate again.")
        try:
            calibration = cls(**content)
            _check(calibration)
        except (TypeError, ValueError):
            raise Damaged(f"{NAME} is damaged: calibrate again.") from None
        return calibration


def stamp_of(output: Path) -> tuple[int, ...] | None:
    """A value that changes whenever verdict.json in the folder `output` is replaced; None where there is no file."""
    try:
        status = (output / NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def features(grounds: Grounds) -> np.ndarray:
    """What the regression sees of the grounds: (features,) float64, in the order of FEATURES."""
    return np.array([make(grounds) for make in FEATURES.values()])


def _at_least(part: int, whole: int) -> float:
    """The lower end of the 95 % interval of a share, 0..1; 0 of nothing."""
    interval = wilson(part, whole)
    return interval[0] if interval else 0.0


def verdict_of(probability: float, found: float, maybe: float) -> str:
    """The verdict at a probability: "found" from `found` on, "not found" below `maybe`."""
    verdict = Verdict.FOUND if probability >= found else Verdict.MAYBE if probability >= maybe else Verdict.NOT_FOUND
    return verdict.value


def sigmoid(logits: Numbers) -> Numbers:
    """The probabilities of log-odds, a number or an array."""
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))


def _check(calibration: Calibration) -> None:
    """Raises ValueError or TypeError for anything that no fit gives."""
    numbers = np.array(
        [calibration.means, calibration.deviations, calibration.coefficients], float
    )  # raises where they are not equally many numbers
    whole = (
        calibration.features == list(FEATURES)
        and numbers.shape == (3, len(FEATURES))
        and np.isfinite([*numbers.ravel(), calibration.intercept]).all()
        and (numbers[1] > 0).all()
        and 0 <= calibration.maybe <= calibration.found <= 1
        and isinstance(calibration.fingerprint, dict)
        and isinstance(calibration.measured, dict)
        and all(isinstance(text, str) for text in (calibration.operating_point, calibration.date, *calibration.runs))
    )
    if not whole:
        raise ValueError(NAME)

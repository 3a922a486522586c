"""The verdict: is the first candidate the work on the picture?

Its grounds are numbers on the first candidate. A calibration, which models/evaluation/fit_calibration.py fits and
OUTPUT/verdict.json keeps, makes a probability of them; where there is none, thresholds decide that were set by hand.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.answer import Candidate, Evidence, Grounds, Verdict
from models.local.verification import STRETCH, TILT
from utils import files
from utils.statistics import wilson

FORMAT = 3  # of verdict.json; counted up when FEATURES or the meaning of a field changes
NAME = "verdict.json"

CHANCE = 5  # inliers that a sane homography reaches between pictures that have nothing in common
INLIER_WORTH = 0.1  # of similarity, for each inlier above chance
COHORT = 100  # other candidates that a similarity is compared with: the most similar ones
LEAST_SPREAD = 0.02  # standard deviation of similarities; a handful of other candidates may by chance show less

# What the regression is fitted on: name -> how it is made of the grounds. Counts and factors enter as logarithms,
# because the first inliers say more than the hundredth; a ratio of few enters as what it is at least; a correlation
# enters as the share of the variance that it explains. No homography is as bad as the worst that is still sane.
# The keypoints of the query are left out: they say how much could be seen, not what was, and with them the regression
# foretells works that it has not seen less well.
FEATURES = {
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


@dataclass(frozen=True)
class Thresholds:
    """What a verdict asks for where nothing was calibrated."""

    found_inliers: int = 8  # where the picture agrees with the work all over,
    found_agreement: float = 0.55  # which means as well as this;
    sure_inliers: int = 40  # otherwise so many,
    sure_area: float = 0.03  # if they cover this share of the work
    maybe_inliers: int = 6
    maybe_similarity: float = 0.6

    def probability(self, grounds: Grounds) -> None:
        """There is none without a calibration."""

    def decide(self, grounds: Grounds) -> Verdict:
        """The verdict on the first candidate after re-ranking.

        Inliers alone do not decide: two pictures with the same stamp, frame or signature have them, too. What is seen
        of the work has to agree with it, or, where somebody stands before it, so many points that a stamp has not.
        """
        agrees = grounds.inliers >= self.found_inliers and grounds.agreement >= self.found_agreement
        if agrees or (grounds.inliers >= self.sure_inliers and grounds.work_area >= self.sure_area):
            return Verdict.FOUND
        if grounds.inliers >= self.maybe_inliers or grounds.similarity >= self.maybe_similarity:
            return Verdict.MAYBE
        return Verdict.NOT_FOUND

    def to_json(self) -> dict:
        """The thresholds, as JSON can hold them."""
        return asdict(self)


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
        """That the first candidate is right, 0..1."""
        standardised = (features(grounds) - self.means) / self.deviations
        return float(sigmoid(standardised @ np.array(self.coefficients) + self.intercept))

    def decide(self, grounds: Grounds) -> Verdict:
        """The verdict on the first candidate after re-ranking."""
        return Verdict(verdict_of(self.probability(grounds), self.found, self.maybe))

    def to_json(self) -> dict:
        """The thresholds, as JSON can hold them."""
        return {"found_probability": self.found, "maybe_probability": self.maybe}

    def write(self, output: Path) -> None:
        """Put it into the folder `output` as verdict.json, whole or not at all."""
        _check(self)
        text = json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        files.write(output / NAME, text.encode())

    @classmethod
    def read(cls, output: Path) -> "Calibration":
        """What verdict.json in the folder `output` holds. Raises Damaged with a sentence where it cannot be used."""
        try:
            content = json.loads((output / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise Damaged(f"{NAME} cannot be read ({type(problem).__name__}).") from None
        if not isinstance(content, dict) or "format" not in content:
            raise Damaged(f"{NAME} is not a calibration.")
        if content["format"] != FORMAT:
            raise Damaged(f"{NAME} is of another version of this program: calibrate again.")
        try:
            found = cls(**content)
            _check(found)
        except (TypeError, ValueError):
            raise Damaged(f"{NAME} is damaged: calibrate again.") from None
        return found


class Damaged(Exception):
    """A verdict.json that cannot be used, with a sentence that says why."""


def features(grounds: Grounds) -> np.ndarray:
    """What the regression sees of the grounds: (features,) float64 in the order of FEATURES."""
    return np.array([make(grounds) for make in FEATURES.values()])


def _at_least(part: int, whole: int) -> float:
    """The lower end of the 95 % interval of a share, 0..1; 0 of nothing."""
    interval = wilson(part, whole)
    return interval[0] if interval else 0.0


def verdict_of(probability: float, found: float, maybe: float) -> str:
    """The verdict at a probability: "found" from `found` on, "not found" below `maybe`."""
    verdict = Verdict.FOUND if probability >= found else Verdict.MAYBE if probability >= maybe else Verdict.NOT_FOUND
    return verdict.value


def score(similarity: float, evidence: Evidence) -> float:
    """What the re-ranking sorts by: similarity, and inliers as far as they are more than chance.

    So a work with few keypoints keeps its place by similarity, and no chance homography can take it away.
    """
    return similarity + INLIER_WORTH * max(0, evidence.inliers - CHANCE)


def grounds(ranking: Sequence[Candidate], keypoints: int) -> Grounds:
    """The grounds of a verdict on the first of all candidates.

    ranking: the candidates after re-ranking, best first. keypoints: in the query.
    """
    if not ranking:
        return Grounds(keypoints=keypoints)
    first, *others = ranking
    similarities = sorted((candidate.similarity for candidate in others), reverse=True)[:COHORT]
    evidence = first.evidence
    return Grounds(
        similarity=first.similarity,
        normalised=normalised(first.similarity, similarities),
        margin=first.similarity - max(similarities, default=0.0),
        matches=evidence.matches,
        inliers=evidence.inliers,
        inlier_ratio=evidence.inliers / evidence.matches if evidence.matches else 0.0,
        lead=evidence.inliers - max((candidate.evidence.inliers for candidate in others), default=0),
        query_area=evidence.query_area,
        work_area=evidence.work_area,
        **asdict(evidence.warp),
        agreement=first.agreement or 0.0,
        keypoints=keypoints,
    )


def normalised(similarity: float, background: Sequence[float]) -> float:
    """A similarity in standard deviations above the mean of others; 0 where fewer than two say what is usual.

    Some queries are similar to everything (a dark photograph, a bare wall), some to nothing: the same cosine then means
    different things. The normalisation of scores by a cohort comes from speaker recognition (Auckenthaler, Carey and
    Lloyd-Thomas, Score normalization for text-independent speaker verification systems, 2000). The cohort here are the
    other candidates, which cost nothing and are those that could be mistaken for it.
    """
    if len(background) < 2:
        return 0.0
    return float((similarity - np.mean(background)) / max(np.std(background), LEAST_SPREAD))


@dataclass(frozen=True)
class Judge:
    """Who decides in a collection, and why."""

    rule: Calibration | Thresholds
    problem: str | None = None  # why verdict.json is not followed, where there is one: a sentence
    stamp: tuple[int, ...] | None = None  # of verdict.json when it was read

    @classmethod
    def of(cls, output: Path, fingerprint: dict, last: "Judge | None" = None) -> "Judge":
        """The judge for the collection in the folder `output`.

        fingerprint: of its store. last: the judge so far, whose calibration holds while the file cannot be used.
        """
        stamp = stamp_of(output)
        if stamp is None:
            return cls(Thresholds())
        try:
            rule = Calibration.read(output)
            if rule.fingerprint != fingerprint:
                raise Damaged(f"{NAME} was made for another collection: calibrate again.")
        except Damaged as problem:
            good = last is not None and getattr(last.rule, "fingerprint", None) == fingerprint
            return cls(last.rule if good else Thresholds(), str(problem), stamp)
        return cls(rule, None, stamp)

    def to_json(self) -> dict:
        """What a person may want to know of the judge; `sentence` says it in words."""
        rule = self.rule
        known = {"calibrated": isinstance(rule, Calibration), "thresholds": rule.to_json(), "problem": self.problem}
        if not known["calibrated"]:
            return known | {"sentence": self._told("The thresholds were set by hand: nothing was calibrated.")}
        runs = " and ".join(rule.runs)
        told = f"Calibrated on {rule.date[:10]} with {runs} (asked for: {rule.operating_point})."
        return known | {
            "sentence": self._told(told),
            **{name: getattr(rule, name) for name in ("date", "runs", "operating_point", "measured")},
        }

    def _told(self, sentence: str) -> str:
        return f"{sentence} {self.problem}" if self.problem else sentence


def stamp_of(output: Path) -> tuple[int, ...] | None:
    """What changes when verdict.json in the folder `output` is replaced; None where there is none."""
    try:
        status = (output / NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


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


def sigmoid(logits):
    """The probabilities of log-odds, a number or an array."""
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))

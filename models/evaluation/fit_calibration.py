"""Fits the verdict's calibration on runs with ground truth: a logistic regression, and its thresholds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.answer import Grounds
from models.evaluation import metrics, records
from models.evaluation.records import Record
from models.verdict.calibration import FEATURES, Calibration, features, sigmoid, verdict_of
from utils.errors import WrongUse

FOLDS = 10  # of the cross-validation, at most
LEAST = 5  # right and wrong examples, of as many different works
SHUFFLES = 5  # of the examples, each cut into these parts: an example counts with the mean of what they say of it
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # C of scikit-learn: the inverse of the L2 penalty's weight; one is chosen
CLEAR = 0.95  # share of the wrong examples that are called "not found" ...
MISSED = 0.005  # ... unless more than this share of the right ones would be, too


@dataclass(frozen=True)
class Examples:
    """Answers of runs with ground truth, a row each."""

    grounds: list[Grounds]
    right: np.ndarray  # (rows,) bool: the first candidate is right
    inside: np.ndarray  # (rows,) bool: the query shows something in the collection
    groups: np.ndarray  # (rows,) of text; queries of one work share it


def from_runs(places: Sequence[Path], precision: float | None = None) -> Calibration:
    """A calibration on runs of the same collection.

    places: their folders in OUTPUT/statistics. precision: as in `fit`.
    Raises WrongUse for a run that cannot be read (see `records.read`), for runs that do not belong together, and for
    too few examples.
    """
    read = [records.read(place) for place in places]
    fingerprints = [summary["fingerprint"] for summary, _ in read]
    if any(other != fingerprints[0] for other in fingerprints):
        raise WrongUse("These runs were made with different collections: calibrate with runs of one collection.")
    found = examples([record for _, answered in read for record in answered])
    return fit(found, [place.name for place in places], fingerprints[0], precision)


def examples(answered: Sequence[Record]) -> Examples:
    """Those records of runs that have a ground truth and a first candidate."""
    grounds = [(record, record.grounds) for record in answered if record.in_collection is not None]
    rows = [record for record, known in grounds if known is not None]
    return Examples(
        [known for _, known in grounds if known is not None],
        np.array([row.is_first_right for row in rows], bool),
        np.array([row.in_collection for row in rows], bool),
        np.array([row.group for row in rows], str),
    )


def fit(found: Examples, runs: Sequence[str], fingerprint: dict, precision: float | None = None) -> Calibration:
    """Fit the regression and choose penalty and thresholds, on predictions for works that each fit had not seen.

    The penalty is that of the lowest log loss. A weak one follows the usual examples closely: then an odd one that was
    not among them can lie far up among the right ones, and with it the threshold.

    precision: the share of "found" that must be right; by default no "found" may be wrong (see `_above_all_wrong`).
    Raises WrongUse for too few examples, or where right and wrong ones cannot be told apart.
    """
    folds = _folds(found)
    rows = np.array([features(grounds) for grounds in found.grounds])
    predicted = {strength: _predicted(_model(strength), rows, found, folds) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda one: log_loss(found.right, sigmoid(predicted[one])))
    logits, model = predicted[strength], _model(strength)
    upper = _above_all_wrong(logits, found.right) if precision is None else _precise(logits, found.right, precision)
    if upper is None or not (logits[found.right] >= upper).any():
        raise WrongUse("The evidence does not separate right answers from wrong ones: calibrate with more queries.")
    lower = min(upper, np.quantile(logits[~found.right], CLEAR), np.quantile(logits[found.right], MISSED))
    model.fit(rows, found.right)
    scaler, regression = model.steps[0][1], model.steps[1][1]
    return Calibration(
        features=list(FEATURES),
        means=scaler.mean_.tolist(),
        deviations=scaler.scale_.tolist(),
        coefficients=regression.coef_[0].tolist(),
        intercept=float(regression.intercept_[0]),
        found=float(sigmoid(upper)),
        maybe=float(sigmoid(lower)),
        operating_point="no wrong “found”" if precision is None else f"{precision:.4g} of “found” right",
        measured=_measured(sigmoid(logits), found, float(sigmoid(upper)), float(sigmoid(lower))) | {"folds": folds},
        runs=list(runs),
        fingerprint=fingerprint,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _model(strength: float) -> Pipeline:
    # Right and wrong ones lie far apart, and the usual solver stops long before it has the best line between them.
    regression = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def _predicted(model: Pipeline, rows: np.ndarray, found: Examples, folds: int) -> np.ndarray:
    """The log-odds of each example, (examples,), from fits that had not seen its work: a mean over several shuffles."""
    cuts = [StratifiedGroupKFold(folds, shuffle=True, random_state=seed) for seed in range(SHUFFLES)]
    asked = {"groups": found.groups, "method": "decision_function"}
    return np.mean([cross_val_predict(model, rows, found.right, cv=cut, **asked) for cut in cuts], axis=0)


def measure(rule: Calibration, found: Examples) -> dict:
    """How good a calibration's verdicts on examples are, as JSON can hold it (see `metrics.verdicts`)."""
    probabilities = np.array([rule.probability(grounds) for grounds in found.grounds])
    return _measured(probabilities, found, rule.found, rule.maybe)


def _measured(probabilities: np.ndarray, found: Examples, upper: float, lower: float) -> dict:
    verdicts = [verdict_of(probability, upper, lower) for probability in probabilities]
    return {
        "queries": len(verdicts),
        "in_collection": int(found.inside.sum()),
        **metrics.verdicts(verdicts, found.inside.tolist(), found.right.tolist()),
        "calibration_error": metrics.calibration_error(metrics.reliability(probabilities, found.right)),
    }


def _above_all_wrong(logits: np.ndarray, right: np.ndarray) -> float | None:
    """A threshold that no wrong example reaches, with room for those that come; None where no right one does either.

    Above the highest of n wrong examples one more in n is to be expected. Beyond a high value, chances fall off
    exponentially for most distributions (Pickands, Statistical inference using extreme order statistics, 1975), by a
    factor of e for each mean excess over that value. So the threshold lies ln 2 mean excesses of the highest wrong
    examples above the highest: where that of twice as many examples is to be expected. The highest are the square root
    of n: more of them, but a smaller share, the more there are.
    How the right ones are spread has no say: copies are easier than photographs.
    """
    wrong = np.sort(logits[~right])
    above = logits[right & (logits > wrong[-1])]
    if not len(above):
        return None
    tail = wrong[-max(2, math.isqrt(len(wrong))) :]
    margin = math.log(2) * (tail - tail[0]).mean()
    if margin == 0:  # they are all alike, so they tell nothing of those that come
        margin = (above.min() - wrong[-1]) / 2
    return float(wrong[-1] + margin)


def _precise(logits: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """The lowest threshold at which this share of what reaches it is right; None where there is none."""
    order = np.argsort(-logits, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(np.diff(logits[order]) < 0, True)
    enough = np.flatnonzero((shares >= precision) & last_of_ties)
    return float(logits[order][enough[-1]]) if len(enough) else None


def _folds(found: Examples) -> int:
    """How many parts the examples allow. Raises WrongUse for too few."""
    fewest = min(len(set(found.groups[found.right])), len(set(found.groups[~found.right])))
    if fewest < LEAST:
        raise WrongUse(
            f"{int(found.right.sum())} right and {int((~found.right).sum())} wrong first answers are too few to "
            f"calibrate with: at least {LEAST} of each are needed, from as many works. Run more queries; with -d, "
            "also hold out more images (--absent)."
        )
    return min(FOLDS, fewest)

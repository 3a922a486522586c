"""Fits the verdict's calibration on runs with ground truth: a logistic regression and thresholds."""

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
LEAST = 5  # minimum number of right and of wrong examples, of as many different works
SHUFFLES = 5  # repetitions of the cross-validation; the predictions for an example are averaged
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # C of scikit-learn: the inverse of the L2 penalty's weight; one is chosen
CLEAR = 0.95  # share of the wrong examples that should be "not found" ...
MISSED = 0.005  # ... unless more than this share of the right ones would be as well


@dataclass(frozen=True)
class Examples:
    """Answers of runs with ground truth, one per row."""

    grounds: list[Grounds]
    right: np.ndarray  # (rows,) bool: the first candidate is right
    inside: np.ndarray  # (rows,) bool: the query shows something in the collection
    groups: np.ndarray  # (rows,) of text; queries of one work share it


def from_runs(places: Sequence[Path], precision: float | None = None) -> Calibration:
    """A calibration from runs of the same collection.

    places: their folders in OUTPUT/statistics. precision: as in `fit`.
    Raises WrongUse for a run that cannot be read (see `records.read`), for runs of different collections, and for too
    few examples.
    """
    read = [records.read(place) for place in places]
    fingerprints = [summary["fingerprint"] for summary, _ in read]
    if any(other != fingerprints[0] for other in fingerprints):
        raise WrongUse("These runs were made with different collections: calibrate with runs of one collection.")
    sample = examples([record for _, answered in read for record in answered])
    return fit(sample, [place.name for place in places], fingerprints[0], precision)


def examples(answered: Sequence[Record]) -> Examples:
    """The records that have a ground truth and a first candidate."""
    grounds = [(record, record.grounds) for record in answered if record.in_collection is not None]
    rows = [record for record, known in grounds if known is not None]
    return Examples(
        [known for _, known in grounds if known is not None],
        np.array([row.is_first_right for row in rows], bool),
        np.array([row.in_collection for row in rows], bool),
        np.array([row.group for row in rows], str),
    )


def fit(sample: Examples, runs: Sequence[str], fingerprint: dict, precision: float | None = None) -> Calibration:
    """Fit the regression, and choose penalty and thresholds by cross-validation grouped by work.

    The penalty is the one with the lowest log loss. A weak penalty follows typical examples closely: then an unseen
    atypical one may get a very high probability, and push up the threshold.

    precision: the required precision of "found"; by default no "found" may be wrong (see `_above_all_wrong`).
    Raises WrongUse for too few examples, or if right and wrong ones cannot be separated.
    """
    folds = _folds(sample)
    rows = np.array([features(grounds) for grounds in sample.grounds])
    predicted = {strength: _predicted(_model(strength), rows, sample, folds) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda one: log_loss(sample.right, sigmoid(predicted[one])))
    logits, model = predicted[strength], _model(strength)
    upper = _above_all_wrong(logits, sample.right) if precision is None else _precise(logits, sample.right, precision)
    if upper is None or not (logits[sample.right] >= upper).any():
        raise WrongUse("The evidence does not separate right answers from wrong ones: calibrate with more queries.")
    lower = min(upper, np.quantile(logits[~sample.right], CLEAR), np.quantile(logits[sample.right], MISSED))
    model.fit(rows, sample.right)
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
        measured=_measured(sigmoid(logits), sample, float(sigmoid(upper)), float(sigmoid(lower))) | {"folds": folds},
        runs=list(runs),
        fingerprint=fingerprint,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _model(strength: float) -> Pipeline:
    # Right and wrong examples are well separated, and the default solver stops long before the optimum.
    regression = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def _predicted(model: Pipeline, rows: np.ndarray, sample: Examples, folds: int) -> np.ndarray:
    """The log-odds of each example, (examples,), from fits without the same work: a mean over several shuffles."""
    cuts = [StratifiedGroupKFold(folds, shuffle=True, random_state=seed) for seed in range(SHUFFLES)]
    options = {"groups": sample.groups, "method": "decision_function"}
    return np.mean([cross_val_predict(model, rows, sample.right, cv=cut, **options) for cut in cuts], axis=0)


def measure(rule: Calibration, sample: Examples) -> dict:
    """How good a calibration's verdicts are on a sample, as plain JSON data (see `metrics.verdicts`)."""
    probabilities = np.array([rule.probability(grounds) for grounds in sample.grounds])
    return _measured(probabilities, sample, rule.found, rule.maybe)


def _measured(probabilities: np.ndarray, sample: Examples, upper: float, lower: float) -> dict:
    verdicts = [verdict_of(probability, upper, lower) for probability in probabilities]
    return {
        "queries": len(verdicts),
        "in_collection": int(sample.inside.sum()),
        **metrics.verdicts(verdicts, sample.inside.tolist(), sample.right.tolist()),
        "calibration_error": metrics.calibration_error(metrics.reliability(probabilities, sample.right)),
    }


def _above_all_wrong(logits: np.ndarray, right: np.ndarray) -> float | None:
    """A threshold that no wrong example reaches, with a margin for unseen ones; None if no right example reaches it.

    Of n unseen wrong examples, one is expected to exceed the highest of n seen ones. For most distributions, the tail
    falls off exponentially (Pickands, Statistical inference using extreme order statistics, 1975), by a factor of e for
    each mean excess over a high value. So the threshold lies ln 2 mean excesses above the highest wrong example, where
    the highest of twice as many is expected. The mean excess is taken over the highest sqrt(n) examples: the larger n,
    the more of them, but the smaller their share.
    The distribution of right examples is not used, because copies are easier than photographs.
    """
    wrong = np.sort(logits[~right])
    above = logits[right & (logits > wrong[-1])]
    if not len(above):
        return None
    tail = wrong[-max(2, math.isqrt(len(wrong))) :]
    margin = math.log(2) * (tail - tail[0]).mean()
    if margin == 0:  # all alike, so they say nothing about unseen ones
        margin = (above.min() - wrong[-1]) / 2
    return float(wrong[-1] + margin)


def _precise(logits: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """The lowest threshold with at least this precision; None if there is none."""
    order = np.argsort(-logits, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(np.diff(logits[order]) < 0, True)
    enough = np.flatnonzero((shares >= precision) & last_of_ties)
    return float(logits[order][enough[-1]]) if len(enough) else None


def _folds(sample: Examples) -> int:
    """The number of folds that the sample allows. Raises WrongUse for too few examples."""
    fewest = min(len(set(sample.groups[sample.right])), len(set(sample.groups[~sample.right])))
    if fewest < LEAST:
        raise WrongUse(
            f"{int(sample.right.sum())} right and {int((~sample.right).sum())} wrong first answers are too few to "
            f"calibrate with: at least {LEAST} of each are needed, from as many works. Run more queries; with -d, "
            "also hold out more images (--absent)."
        )
    return min(FOLDS, fewest)

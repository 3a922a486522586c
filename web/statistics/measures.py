"""The measures of a run: verdicts at any thresholds, and the numbers behind the plots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.answer import STAGES, Grounds
from models.evaluation import metrics
from models.verdict.calibration import Calibration, verdict_of
from models.verdict.rules import BY_HAND, Thresholds
from utils.statistics import spread, wilson
from web.statistics.runs import Row, Run

HIGHEST_LOGIT = 20.0  # log-odds; more extreme probabilities are clipped to it


@dataclass(frozen=True)
class Slider:
    """A threshold that can be moved on the page."""

    name: str
    label: str
    low: float
    high: float
    step: float | None  # None: any value
    value: float  # current threshold

    @property
    def is_probability(self) -> bool:
        """Whether the value is in log-odds, because near 0 and 1 probabilities are too close together for a slider."""
        return self.step is None

    def as_text(self, value: float) -> str:
        """A value as text."""
        return percent(sigmoid(value)) if self.is_probability else f"{value:g}"


def sliders(calibration: Calibration | None) -> list[Slider]:
    """The thresholds that decide: two on the probability, or those set by hand."""
    if calibration:
        return [
            Slider(
                "found", "Found from a probability of", -HIGHEST_LOGIT, HIGHEST_LOGIT, None, logit(calibration.found)
            ),
            Slider("maybe", "Not found below", -HIGHEST_LOGIT, HIGHEST_LOGIT, None, logit(calibration.maybe)),
        ]
    hand = BY_HAND
    return [
        Slider("found_inliers", "Found: minimum inliers", 0, 100, 1, hand.found_inliers),
        Slider("found_agreement", "… with a minimum agreement of", 0, 1, 0.01, hand.found_agreement),
        Slider("sure_inliers", "Found without agreement: minimum inliers", 0, 100, 1, hand.sure_inliers),
        Slider("sure_area", "… covering a minimum share of the work of", 0, 0.5, 0.005, hand.sure_area),
        Slider("maybe_inliers", "Not sure: minimum inliers", 0, 100, 1, hand.maybe_inliers),
        Slider("maybe_similarity", "… or a minimum similarity of", 0, 1, 0.01, hand.maybe_similarity),
    ]


def probabilities(run: Run, calibration: Calibration) -> dict[int, float] | None:
    """Row number -> probability by the current calibration; None if the run lacks the grounds.

    An answer without a candidate has probability 0.
    """
    found = {}
    for row in run.rows:
        grounds = row.grounds
        if row.first_after and grounds is None:
            return None
        found[row.number] = 0.0 if grounds is None else calibration.probability(grounds)
    return found


@dataclass(frozen=True)
class Judged:
    """The verdicts of one run at given thresholds."""

    counts: dict  # as models.evaluation.metrics.verdicts
    queries: int
    inside: int

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        return wilson(self.counts["right_found"], self.counts["found"])

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        return wilson(self.counts["right_found"], self.inside)


def judge(rows: Sequence[Row], values: dict[str, float], confidence: dict[int, float] | None) -> Judged:
    """The verdicts of rows with ground truth, at the values of the sliders.

    confidence: row number -> probability, if a calibration decides.
    """
    if confidence is None:
        rule = Thresholds(**values)
        verdicts = [_by_hand(row, rule) for row in rows]
    else:
        found, maybe = sigmoid(values["found"]), sigmoid(values["maybe"])
        verdicts = [verdict_of(confidence[row.number], found, maybe) for row in rows]
    inside = [bool(row.in_collection) for row in rows]
    counts = metrics.verdicts(verdicts, inside, [row.is_first_right for row in rows])
    return Judged(counts, len(rows), sum(inside))


def _by_hand(row: Row, rule: Thresholds) -> str:
    if not row.first_after:
        return "not found"
    grounds = Grounds(
        similarity=row.similarity or 0.0,
        inliers=row.inliers or 0,
        work_area=row.work_area or 0.0,
        agreement=row.agreement or 0.0,
    )
    return rule.decide(grounds).value


def crossed(rows: Sequence[Row]) -> list[tuple[str, int, int]]:
    """("first right before", right after, wrong after), and the same where it was wrong before."""
    counts = {(before, after): 0 for before in (True, False) for after in (True, False)}
    for row in rows:
        counts[row.rank_before == 1, row.rank_after == 1] += 1
    return [
        ("Right before", counts[True, True], counts[True, False]),
        ("Wrong before", counts[False, True], counts[False, False]),
    ]


def recall_curve(rows: Sequence[Row], most: int = 100) -> list[tuple[int, float, float]]:
    """(k, recall@k before re-ranking, after) for k = 1 ... most; none without rows."""
    before, after = [row.rank_before for row in rows], [row.rank_after for row in rows]
    curve = [(k, metrics.recall_at(k, before), metrics.recall_at(k, after)) for k in range(1, most + 1)]
    return [(k, first, second) for k, first, second in curve if first is not None and second is not None]


def confidence_of(rows: Sequence[Row], probability: dict[int, float] | None) -> np.ndarray:
    """(rows,) the probability of each answer, or else the re-ranking score."""
    if probability is not None:
        return np.array([probability[row.number] for row in rows], float)
    return np.array([row.first_after_score if row.first_after_score is not None else -np.inf for row in rows], float)


def precision_recall(rows: Sequence[Row], confidence: np.ndarray) -> list[tuple[float, float, float]]:
    """(recall, precision, least confidence) of "found" at every threshold, from the highest on.

    Precision is right / all that reach the threshold; recall is right / all queries that show a work of the collection.
    """
    inside = sum(bool(row.in_collection) for row in rows)
    if not inside:
        return []
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum([bool(rows[place].in_collection) and rows[place].is_first_right for place in order])
    value = confidence[order]
    last_of_ties = np.append(value[1:] != value[:-1], True)
    places = np.flatnonzero(last_of_ties)
    return [(right[place] / inside, right[place] / (place + 1), value[place]) for place in places]


def global_average_precision(rows: Sequence[Row], confidence: np.ndarray) -> float | None:
    """GAP of rows with ground truth. confidence: of `confidence_of`."""
    inside, right = [bool(row.in_collection) for row in rows], [row.is_first_right for row in rows]
    return metrics.global_average_precision(confidence.tolist(), inside, right)


def histogram(rows: Sequence[Row], measure: str, edges: Sequence[float]) -> list[tuple[float, int, int]]:
    """(left edge, right first answers, wrong ones) of each bin; the last bin includes all higher values."""

    def counts(is_right: bool) -> list[int]:
        values = [getattr(row, measure) for row in rows if row.is_first_right == is_right]
        inside = np.clip([value for value in values if value is not None], edges[0], edges[-1])
        return np.histogram(inside, bins=edges)[0].tolist()

    return list(zip(edges[:-1], counts(True), counts(False), strict=True))


def stages(rows: Sequence[Row]) -> list[tuple[str, dict]]:
    """(stage, mean, p50 and p95 of the seconds), then the same for all stages together."""
    by_stage = [(stage, spread([row.stages[stage] for row in rows if stage in row.stages])) for stage in STAGES]
    return [*by_stage, ("all", spread([row.seconds for row in rows if row.seconds is not None]))]


def points(rows: Sequence[Row], probability: dict[int, float] | None) -> dict[str, list]:
    """The data for the page's sliders, one list per attribute; rows with ground truth only."""
    return {
        "inside": [int(bool(row.in_collection)) for row in rows],
        "first": [int(row.is_first_right) for row in rows],
        "any": [int(bool(row.first_after)) for row in rows],
        "similarity": [row.similarity or 0.0 for row in rows],
        "inliers": [row.inliers or 0 for row in rows],
        "area": [row.work_area or 0.0 for row in rows],
        "agreement": [row.agreement or 0.0 for row in rows],
        "logit": [logit(probability[row.number]) for row in rows] if probability is not None else [],
    }


def logit(probability: float) -> float:
    """Log-odds, within the range of the sliders."""
    least = sigmoid(-HIGHEST_LOGIT)
    inside = min(max(probability, least), 1 - least)
    return math.log(inside / (1 - inside))


def sigmoid(log_odds: float) -> float:
    """The probability of log-odds."""
    return 1 / (1 + math.exp(-log_odds))


def percent(share: float | None, digits: int | None = None) -> str:
    """A share as people read it. digits: decimals; None: one, and more near the ends, where they matter."""
    if share is None:
        return "–"
    if digits is None:
        digits = _decimals(min(share, 1 - share))
    return f"{share:.{digits}%}".replace("%", " %")


def percent_range(interval: tuple[float, float] | None) -> str:
    """The two ends of an interval with the same number of decimals, as many as tell them apart."""
    if interval is None:
        return "–"
    low, high = interval
    digits = _decimals(high - low)
    return f"{percent(low, digits)} to {percent(high, digits)}"


def _decimals(share: float) -> int:
    """Decimals of a percentage that show the first two digits of a share; 1 to 4."""
    return max(1, min(4, math.ceil(-math.log10(share)) - 1)) if share > 0 else 1

"""Retrieval measures: recall@k, mAP, GAP, precision and recall of the verdict and of works, and their uncertainty.

An undefined measure (no query, no such answer) is None, which is null in JSON; never 0 and never NaN.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

from utils.statistics import share, wilson


def first_rank(ranking: Sequence[int], relevant: Collection[int]) -> int | None:
    """The rank of the first relevant image in a ranking, from 1; None if it contains none."""
    return next((rank for rank, image in enumerate(ranking, start=1) if image in relevant), None)


def recall_at(k: int, ranks: Sequence[int | None]) -> float | None:
    """The share of queries with at least one relevant image among the first k, 0..1.

    This is the hit rate that instance retrieval calls recall@k; with one relevant image per query it
    equals the recall of information retrieval. It counts queries, not relevant images.

    ranks: the `first_rank` of each query with a relevant image in the collection.
    """
    return share(sum(rank is not None and rank <= k for rank in ranks), len(ranks))


def average_precision(ranking: Sequence[int], relevant: Collection[int]) -> float | None:
    """The mean over all relevant images of the precision at their rank, 0..1.

    A relevant image outside the ranking contributes 0. So over a shortlist of n this is the average
    precision truncated at n, which is at most that of a ranking of the whole collection.
    Formula: Manning, Raghavan, Schütze, Introduction to Information Retrieval (2008), section 8.4.
    """
    relevant = set(relevant)
    hits = 0
    total = 0.0
    for rank, image in enumerate(ranking, start=1):
        if image in relevant:
            hits += 1
            total += hits / rank
    return share(total, len(relevant))


def global_average_precision(
    confidences: Sequence[float | None], in_collection: Sequence[bool], first_is_right: Sequence[bool]
) -> float | None:
    """GAP: whether right first answers are given with more confidence than wrong ones, over all queries together; 0..1.

    All first answers in one ranking, the most confident first: the mean over the queries that show something in the
    collection of the precision at the rank of their answer, 0 where it is wrong. An answer to another query counts as
    wrong. Of equally confident answers the wrong ones come first, so that a tie never helps.
    The three sequences have one entry per query; confidence None: no answer.
    Formula: Ypsilantis et al., The Met dataset, NeurIPS Datasets and Benchmarks 2021, section 3.
    """
    rows = zip(confidences, in_collection, first_is_right, strict=True)
    answers = [(confidence, inside and right) for confidence, inside, right in rows if confidence is not None]
    ranking = [right for _, right in sorted(answers, key=lambda answer: (-answer[0], answer[1]))]
    places = [rank for rank, right in enumerate(ranking, start=1) if right]
    return share(sum(hits / rank for hits, rank in enumerate(places, start=1)), sum(in_collection))


def verdicts(verdicts: Sequence[str], in_collection: Sequence[bool], first_is_right: Sequence[bool]) -> dict:
    """How reliable "found" is; the three sequences have one entry per query.

    verdicts: "found", "maybe" or "not found".
    in_collection: whether the query shows anything that is in the collection.
    first_is_right: whether the first candidate is relevant.

    precision: right "found" / all "found".
    recall: right "found" / queries that show something in the collection.
    false_found: "found" for queries that show nothing in the collection.
    wrong_found: "found" for the others, with a wrong first candidate.
    found, right_found, maybe, not_found: numbers of queries; maybe_share: of all queries.
    precision_interval, recall_interval: [low, high], 95 % (see `wilson`).
    """
    rows = list(zip(verdicts, in_collection, first_is_right, strict=True))
    found = sum(verdict == "found" for verdict, _, _ in rows)
    right = sum(verdict == "found" and inside and first for verdict, inside, first in rows)
    false = sum(verdict == "found" and not inside for verdict, inside, _ in rows)
    inside = sum(inside for _, inside, _ in rows)
    maybe = sum(verdict == "maybe" for verdict, _, _ in rows)
    return {
        "precision": share(right, found),
        "precision_interval": _listed(wilson(right, found)),
        "recall": share(right, inside),
        "recall_interval": _listed(wilson(right, inside)),
        "false_found": false,
        "wrong_found": found - right - false,
        "maybe": maybe,
        "maybe_share": share(maybe, len(rows)),
        "found": found,
        "right_found": right,
        "not_found": sum(verdict == "not found" for verdict, _, _ in rows),
    }


def works(told: Sequence[int], right: Sequence[int], expected: Sequence[int]) -> dict:
    """How many of all works on the queries are told; the three sequences have one number per query.

    told: works told as found. right: works that the query shows and that are among them; a work told twice is right
    once. expected: works of the collection that the query shows.

    recall: right / expected; precision: right / told, each over all queries together.
    recall_interval, precision_interval: [low, high], 95 % (see `wilson`). told, right, expected: the sums.
    """
    all_told, all_right, all_expected = sum(told), sum(right), sum(expected)
    return {
        "recall": share(all_right, all_expected),
        "recall_interval": _listed(wilson(all_right, all_expected)),
        "precision": share(all_right, all_told),
        "precision_interval": _listed(wilson(all_right, all_told)),
        "told": all_told,
        "right": all_right,
        "expected": all_expected,
    }


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = 10) -> list[dict]:
    """How well probabilities predict right answers; (queries,) numbers 0..1 and truth values.

    A dict for each non-empty bin of probability, all of equal width: low, high (edges), count, probability (mean
    prediction), right (share of right answers) and interval ([low, high], 95 %).
    """
    predicted, actual = np.asarray(probabilities, float), np.asarray(right, bool)
    places = np.minimum((predicted * bins).astype(int), bins - 1)
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "count": int((places == place).sum()),
            "probability": float(predicted[places == place].mean()),
            "right": float(actual[places == place].mean()),
            "interval": _listed(wilson(int(actual[places == place].sum()), int((places == place).sum()))),
        }
        for place in np.unique(places).tolist()
    ]


def calibration_error(reliable: Sequence[dict]) -> float | None:
    """The expected calibration error: the mean difference of predicted and observed shares over all queries, 0..1.

    reliable: of `reliability`. Formula: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using
    Bayesian binning, AAAI 2015.
    """
    differences = sum(row["count"] * abs(row["probability"] - row["right"]) for row in reliable)
    return share(differences, sum(row["count"] for row in reliable))


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    """As in JSON."""
    return interval and list(interval)

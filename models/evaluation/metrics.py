"""The measures of retrieval: recall@k, mAP, the verdict's precision and recall, and their uncertainty.

A measure of nothing (no query, no answer of that kind) is None, which JSON writes as null; never 0 and never NaN.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

from utils.statistics import share, wilson


def first_rank(ranking: Sequence[int], relevant: Collection[int]) -> int | None:
    """The place of the first relevant image in a ranking, counted from 1; None where none is on it."""
    return next((rank for rank, image in enumerate(ranking, start=1) if image in relevant), None)


def recall_at(k: int, ranks: Sequence[int | None]) -> float | None:
    """The share of queries with at least one relevant image among the first k, 0..1.

    This is the hit rate that instance retrieval calls recall@k; with one relevant image a query it
    is the recall of information retrieval as well. It counts queries, not relevant images.

    ranks: of each query with a relevant image in the collection, the `first_rank`.
    """
    return share(sum(rank is not None and rank <= k for rank in ranks), len(ranks))


def average_precision(ranking: Sequence[int], relevant: Collection[int]) -> float | None:
    """The mean over all relevant images of the precision at their place in the ranking, 0..1.

    A relevant image that is not on the ranking counts 0. So over a shortlist of n this is the
    average precision truncated at n, which is at most that of the ranking of the whole collection.
    Formula: Manning, Raghavan, Schütze, Introduction to Information Retrieval (2008), section 8.4.
    """
    wanted = set(relevant)
    found = 0
    total = 0.0
    for rank, image in enumerate(ranking, start=1):
        if image in wanted:
            found += 1
            total += found / rank
    return share(total, len(wanted))


def verdicts(verdicts: Sequence[str], in_collection: Sequence[bool], first_is_right: Sequence[bool]) -> dict:
    """How far "found" can be trusted; the three sequences have one entry a query.

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


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = 10) -> list[dict]:
    """How often what is said with some probability comes true; (queries,) numbers 0..1 and truth values.

    A dict for each of the equally wide bins of probability that is not empty: low, high (its edges), count,
    probability (the mean that was said), right (the share that came true) and interval ([low, high], 95 %).
    """
    said, true = np.asarray(probabilities, float), np.asarray(right, bool)
    places = np.minimum((said * bins).astype(int), bins - 1)
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "count": int((places == place).sum()),
            "probability": float(said[places == place].mean()),
            "right": float(true[places == place].mean()),
            "interval": _listed(wilson(int(true[places == place].sum()), int((places == place).sum()))),
        }
        for place in np.unique(places).tolist()
    ]


def calibration_error(reliable: Sequence[dict]) -> float | None:
    """The expected calibration error: how far said and true shares differ, 0..1, on average over all queries.

    reliable: of `reliability`. Formula: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using
    Bayesian binning, AAAI 2015.
    """
    differences = sum(row["count"] * abs(row["probability"] - row["right"]) for row in reliable)
    return share(differences, sum(row["count"] for row in reliable))


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    """As JSON holds it."""
    return interval and list(interval)

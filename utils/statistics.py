"""Shares and spreads of counts and times. Undefined ones are None, never 0 and never NaN."""

from collections.abc import Sequence
from math import sqrt

import numpy as np


def share(part: float, whole: float) -> float | None:
    """part / whole; None if whole is 0."""
    return part / whole if whole else None


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float] | None:
    """The Wilson interval (low, high) of a share, within 0..1; z = 1.96 for 95 % confidence.

    Formula: Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927), 209-212. Unlike the normal approximation it stays sensible at 0 and 1.
    """
    if trials == 0:
        return None
    p = successes / trials
    centre = p + z * z / (2 * trials)
    margin = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, median (p50) and 95th percentile (p95, linearly interpolated), in the values' unit."""
    if not len(values):
        return {"mean": None, "p50": None, "p95": None}
    p50, p95 = np.percentile(values, [50, 95])
    return {"mean": float(np.mean(values)), "p50": float(p50), "p95": float(p95)}

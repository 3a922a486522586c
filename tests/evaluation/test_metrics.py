import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve

from models.evaluation import metrics
from utils.statistics import spread, wilson


def test_first_rank_counts_from_one():
    assert metrics.first_rank([7, 3, 5], {5, 3}) == 2
    assert metrics.first_rank([7, 3, 5], {7}) == 1
    assert metrics.first_rank([7, 3, 5], {9}) is None
    assert metrics.first_rank([], {9}) is None


def test_recall_counts_queries_with_a_hit_among_the_first():
    ranks = [1, 1, 2, 10, 11, None]
    assert metrics.recall_at(1, ranks) == pytest.approx(2 / 6)
    assert metrics.recall_at(2, ranks) == pytest.approx(3 / 6)
    assert metrics.recall_at(10, ranks) == pytest.approx(4 / 6)
    assert metrics.recall_at(100, ranks) == pytest.approx(5 / 6)


def test_average_precision_by_hand():
    # Relevant images in places 1 and 3: (1/1 + 2/3) / 2.
    assert metrics.average_precision([4, 9, 5, 8], {4, 5}) == pytest.approx((1 + 2 / 3) / 2)
    # A third one that is not on the shortlist counts 0.
    assert metrics.average_precision([4, 9, 5, 8], {4, 5, 77}) == pytest.approx((1 + 2 / 3) / 3)
    # One relevant image: the reciprocal of its rank.
    assert metrics.average_precision([1, 2, 3, 4], {4}) == pytest.approx(1 / 4)
    assert metrics.average_precision([1, 2], {4}) == 0
    assert metrics.average_precision([], {4}) == 0


def test_works_by_hand():
    # Three works told, of which two are right, of three; one, wrongly, of one; none of two.
    found = metrics.works([3, 1, 0], [2, 0, 0], [3, 1, 2])
    assert (found["told"], found["right"], found["expected"]) == (4, 2, 6)
    assert (found["precision"], found["recall"]) == pytest.approx((2 / 4, 2 / 6))
    assert found["precision_interval"] == pytest.approx(wilson(2, 4))
    assert found["recall_interval"] == pytest.approx(wilson(2, 6))
    nothing = metrics.works([0], [0], [0])
    assert nothing["precision"] is nothing["recall"] is nothing["recall_interval"] is None


def test_global_average_precision_by_hand():
    # Sorted: right .9, of another collection .8, right .7, wrong .6, no answer: (1/1 + 2/3) of four queries inside.
    confidences = [0.7, 0.9, None, 0.6, 0.8]
    inside, right = [True, True, True, True, False], [True, True, False, False, True]
    assert metrics.global_average_precision(confidences, inside, right) == pytest.approx((1 + 2 / 3) / 4)
    # The right one of two equally sure answers counts as the second.
    assert metrics.global_average_precision([0.5, 0.5], [True, True], [True, False]) == pytest.approx(1 / 2 / 2)
    assert metrics.global_average_precision([0.5, 0.4], [True, True], [True, True]) == 1
    assert metrics.global_average_precision([0.5], [False], [False]) is None
    assert metrics.global_average_precision([], [], []) is None


def test_wilson_by_hand():
    # With z = 2: (p + 2/n -+ 2 sqrt(p(1-p)/n + 1/n^2)) / (1 + 4/n); for 8 of 10 that is (1 -+ 2 sqrt(0.026)) / 1.4.
    low, high = wilson(8, 10, z=2)
    assert low == pytest.approx((1 - 2 * 0.026**0.5) / 1.4)
    assert high == pytest.approx((1 + 2 * 0.026**0.5) / 1.4)
    # A published value: 95 % interval of 81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_holds_the_share_and_stays_within_bounds(counts):
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1
    assert low < high


def test_spread_interpolates_percentiles():
    assert spread([0.0, 1.0, 2.0, 3.0, 14.0]) == pytest.approx({"mean": 4.0, "p50": 2.0, "p95": 11.8})


def test_verdicts_by_hand():
    rows = [
        ("found", True, True),
        ("found", True, True),
        ("found", True, False),  # wrong found
        ("found", False, False),  # false found
        ("maybe", True, True),
        ("maybe", False, False),
        ("not found", True, True),  # missed
        ("not found", False, False),
    ]
    measured = metrics.verdicts(*zip(*rows, strict=True))
    assert measured["precision"] == pytest.approx(2 / 4)
    assert measured["recall"] == pytest.approx(2 / 5)
    assert measured["precision_interval"] == pytest.approx(wilson(2, 4))
    assert measured["recall_interval"] == pytest.approx(wilson(2, 5))
    assert measured["maybe_share"] == 2 / 8
    assert measured["false_found"] == 1
    assert measured["wrong_found"] == 1
    assert (measured["found"], measured["right_found"], measured["maybe"], measured["not_found"]) == (4, 2, 2, 2)


def test_wilson_is_that_of_scipy():
    for successes, trials in ((0, 7), (3, 9), (299, 300), (3000, 3000)):
        other = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
        assert wilson(successes, trials) == pytest.approx((other.low, other.high), abs=1e-5)


def test_reliability_by_hand():
    said, right = [0.05, 0.08, 0.5, 0.91, 0.97, 1.0], [False, True, True, True, True, False]
    low, middle, high = metrics.reliability(said, right)
    assert (low["low"], low["high"], low["count"]) == (0, 0.1, 2)
    assert (low["probability"], low["right"]) == pytest.approx((0.065, 0.5))
    assert low["interval"] == pytest.approx(wilson(1, 2))
    assert (middle["low"], middle["count"], middle["right"]) == (0.5, 1, 1)
    assert (high["low"], high["high"], high["count"]) == (0.9, 1, 3)  # 1.0 belongs to the last
    assert (high["probability"], high["right"]) == pytest.approx((0.96, 2 / 3))
    error = (2 * 0.435 + 0.5 + 3 * (0.96 - 2 / 3)) / 6
    assert metrics.calibration_error([low, middle, high]) == pytest.approx(error)


def test_reliability_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    said = generator.uniform(0, 1, 500)
    right = generator.uniform(0, 1, 500) < said**2
    true, mean = calibration_curve(right, said, n_bins=10)
    bins = metrics.reliability(said, right)
    assert [row["right"] for row in bins] == pytest.approx(true)
    assert [row["probability"] for row in bins] == pytest.approx(mean)


def test_measures_of_nothing_are_null_in_strict_json():
    nothing = [
        metrics.recall_at(1, []),
        metrics.average_precision([1, 2], set()),
        wilson(0, 0),
        *spread([]).values(),
        metrics.verdicts([], [], [])["precision"],
        metrics.verdicts(["not found"], [False], [False])["recall"],
        metrics.verdicts([], [], [])["maybe_share"],
        metrics.verdicts([], [], [])["precision_interval"],
        metrics.calibration_error(metrics.reliability([], [])),
    ]
    assert json.loads(json.dumps(nothing, allow_nan=False)) == [None] * 11

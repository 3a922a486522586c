"""Fitting the verdict: against worked-out values, against scikit-learn used plainly, and on runs that do not fit."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import test_with_statistics
from models.answer import Grounds, Verdict
from models.evaluation import fit_calibration as calibration
from models.evaluation import records
from models.evaluation.fit_calibration import Examples, fit
from models.evaluation.records import Record
from models.verdict.calibration import NAME, Calibration, features, sigmoid
from utils.errors import WrongUse

STORE = {"weights": "bundled"}


def made(works=60, copies=2, seed=0, apart=1.0) -> Examples:
    """Answers as an engine gives them: half of the works are found with many inliers, half with few.

    apart: 0 for right and wrong ones that look alike.
    """
    generator = np.random.default_rng(seed)
    rows, right, groups = [], [], []
    for work in range(works):
        for _ in range(copies):
            good = work % 2 == 0
            strength = apart * good
            inliers = int(generator.poisson(5 + 60 * strength))
            matches = inliers + int(generator.poisson(12))
            area = float(generator.uniform(0, 0.1) + 0.4 * strength)
            similarity = float(generator.normal(0.3 + 0.3 * strength, 0.08))
            rows.append(
                Grounds(
                    similarity,
                    similarity * 10,
                    similarity - 0.25,
                    matches,
                    inliers,
                    inliers / matches,
                    inliers - 4,
                    area,
                    area,
                    1.2,
                    1.1,
                    1.05,
                    float(generator.uniform(0, 0.4) + 0.5 * strength),
                    1500,
                )
            )
            right.append(good)
            groups.append(f"{work}.png")
    return Examples(rows, np.array(right), np.array(right), np.array(groups))


def test_the_coefficients_are_those_of_scikit_learn_used_plainly(monkeypatch):
    monkeypatch.setattr(calibration, "STRENGTHS", (0.1,))
    sample = made()
    rule = fit(sample, ["run"], STORE)
    rows = _rows(sample)
    scaler = StandardScaler().fit(rows)
    plain = LogisticRegression(C=0.1, solver="newton-cg", tol=1e-12, max_iter=10_000)
    plain.fit(scaler.transform(rows), sample.right)
    expected = plain.predict_proba(scaler.transform(rows))[:, 1]
    assert [rule.probability(grounds) for grounds in sample.grounds] == pytest.approx(expected, rel=1e-6)


def test_the_penalty_is_that_of_the_lowest_log_loss(monkeypatch):
    sample = made()
    losses = {}
    for strength in (0.001, 0.1, 10.0):
        predicted = calibration._predicted(calibration._model(strength), _rows(sample), sample, 10)
        losses[strength] = -np.mean(np.log(sigmoid(np.where(sample.right, predicted, -predicted))))
    best = min(losses, key=losses.get)
    monkeypatch.setattr(calibration, "STRENGTHS", (best,))
    expected = fit(sample, ["run"], STORE)
    monkeypatch.setattr(calibration, "STRENGTHS", tuple(losses))
    assert fit(sample, ["run"], STORE).coefficients == expected.coefficients


def _rows(sample):
    return np.array([features(grounds) for grounds in sample.grounds])


def test_no_wrong_found_and_the_rest_found():
    sample = made()
    rule = fit(sample, ["run"], STORE)
    assert rule.measured["precision"] == 1 and rule.measured["false_found"] == 0
    assert rule.measured["recall"] > 0.9
    unseen = made(seed=7)
    verdicts = [rule.decide(grounds) for grounds in unseen.grounds]
    assert not any(verdict is Verdict.FOUND for verdict, right in zip(verdicts, unseen.right, strict=True) if not right)
    assert 0 < rule.maybe <= rule.found < 1
    assert (rule.runs, rule.fingerprint) == (["run"], STORE)
    assert json.loads(json.dumps(asdict(rule), allow_nan=False)) == asdict(rule)


def test_works_are_never_on_both_sides(monkeypatch):
    sides = []

    class Watched(calibration.StratifiedGroupKFold):
        def split(self, rows, right, groups):
            for train, test in super().split(rows, right, groups):
                sides.append((set(groups[train]), set(groups[test])))
                yield train, test

    monkeypatch.setattr(calibration, "StratifiedGroupKFold", Watched)
    fit(made(), ["run"], STORE)
    assert len(sides) == calibration.FOLDS * calibration.SHUFFLES * len(calibration.STRENGTHS)
    assert not any(train & test for train, test in sides)


@pytest.mark.parametrize(
    ("lowest_right", "threshold"),
    [
        (6.1, 6.6931),  # the highest two of four wrong ones are 4 and 6: on average 1 above the lower, times ln 2
        (16.0, 6.6931),  # however far away the right ones are
        (5.9, None),  # no right one above the wrong ones
    ],
)
def test_the_margin_above_the_wrong_by_hand(lowest_right, threshold):
    logits, right = np.array([1.0, 2.0, 4.0, 6.0, lowest_right]), np.array([False, False, False, False, True])
    assert calibration._above_all_wrong(logits, right) == pytest.approx(threshold, abs=1e-4)


def test_wrong_ones_that_are_all_alike_are_not_found():
    logits, right = np.array([1.0, 1.0, 1.0, 1.5]), np.array([False, False, False, True])
    assert calibration._above_all_wrong(logits, right) == 1.25


def test_the_margin_makes_wrong_ones_so_much_rarer():
    wrong = np.random.default_rng(0).exponential(1.0, (1000, 200))
    right = np.array([False] * 200 + [True])
    # The one right one is just above the highest wrong one.
    thresholds = [calibration._above_all_wrong(np.append(row, row.max() + 1e-9), right) for row in wrong]
    beyond = np.mean(np.exp(-np.array(thresholds)))  # the chance that one more wrong example reaches the threshold
    assert beyond < 0.6 / 200  # of 200 examples, the highest itself would leave 1 in 200


@pytest.mark.parametrize(
    ("precision", "threshold"),
    [(1.0, 5.0), (0.8, 1.0), (0.75, 1.0), (0.6, -1.0), (0.5, -1.0)],
)
def test_the_threshold_for_a_precision_by_hand(precision, threshold):
    logits = np.array([9.0, 5.0, 3.0, 2.0, 1.0, 0.0, -1.0, -1.0])
    right = np.array([True, True, False, True, True, False, False, True])
    # Right of those from each on: 1/1, 2/2, 2/3, 3/4, 4/5, 4/6, and 5/8 with both at -1.
    assert calibration._precise(logits, right, precision) == threshold
    assert calibration._precise(-logits, ~right, 1.0) is None or precision < 1


def test_a_lower_precision_finds_more():
    sample = made(apart=0.3)
    strict, loose = fit(sample, ["run"], STORE, 0.98), fit(sample, ["run"], STORE, 0.8)
    assert loose.found <= strict.found
    assert loose.measured["recall"] >= strict.measured["recall"]
    assert strict.measured["precision"] >= 0.98 and loose.measured["precision"] >= 0.8
    assert "0.8" in loose.operating_point


def test_most_of_the_wrong_are_called_not_found_and_few_of_the_right():
    for apart in (1.0, 0.5):
        sample = made(works=400, apart=apart)
        rule = fit(sample, ["run"], STORE)
        missed = np.array([rule.decide(grounds) is Verdict.NOT_FOUND for grounds in sample.grounds])
        assert missed[sample.right].mean() <= 0.01
        assert missed[~sample.right].mean() < 0.97  # those that are as high as hardly any other are not sure
    assert rule.maybe < rule.found


@pytest.mark.parametrize("kept", ["right", "wrong", "one work", "none"])
def test_too_few_examples_or_one_kind_are_refused(kept):
    sample = made()
    chosen = {
        "right": sample.right,
        "wrong": ~sample.right,
        "one work": sample.right | (sample.groups == "1.png"),
        "none": np.zeros(len(sample.right), bool),
    }[kept]
    few = Examples(
        [grounds for grounds, keep in zip(sample.grounds, chosen, strict=True) if keep],
        sample.right[chosen],
        sample.inside[chosen],
        sample.groups[chosen],
    )
    with pytest.raises(WrongUse, match="too few"):
        fit(few, ["run"], STORE)


def test_answers_that_all_look_alike_are_refused():
    with pytest.raises(WrongUse, match="does not separate"):
        fit(made(apart=0), ["run"], STORE)


# From runs, with the script


def write(place: Path, sample: Examples, fingerprint=STORE, lacking="") -> None:
    """A run as the script writes it, without the column `lacking`."""
    place.mkdir(parents=True)
    answered = [
        Record(
            f"{number}.png",
            group,
            expected=["x.png"] if right else [],
            first_after="x.png",
            rank_after=1 if right else None,
            **asdict(grounds),
        )
        for number, (grounds, right, group) in enumerate(zip(sample.grounds, sample.right, sample.groups, strict=True))
    ]
    answered.append(Record("no ground truth.png"))
    answered.append(Record("no candidate.png", expected=[]))
    records.write(place, {"format": records.FORMAT, "fingerprint": fingerprint}, answered)
    if lacking:
        table = (place / "queries.csv").read_text()
        (place / "queries.csv").write_text(table.replace(f",{lacking},", ",another,", 1))


@pytest.fixture
def runs(tmp_path) -> Path:
    """OUTPUT with two runs, "one" and "two"."""
    write(tmp_path / "statistics" / "one", made(seed=1))
    write(tmp_path / "statistics" / "two", made(works=20, seed=2))
    return tmp_path


def calibrate(output, *arguments):
    test_with_statistics.main([*arguments, "--output", str(output)])


def test_the_script_calibrates_on_runs_that_there_are(runs, capsys):
    calibrate(runs, "--calibrate", "one", "two")
    rule = Calibration.read(runs)
    assert rule.runs == ["one", "two"]
    assert rule.fingerprint == STORE
    assert rule.measured["queries"] == 160 and rule.measured["in_collection"] == 80
    one, two = made(seed=1), made(works=20, seed=2)
    pooled = Examples(
        one.grounds + two.grounds,
        np.concatenate([one.right, two.right]),
        np.concatenate([one.inside, two.inside]),
        np.concatenate([one.groups, two.groups]),
    )
    plain = fit(pooled, ["one", "two"], STORE)
    assert rule.coefficients == pytest.approx(plain.coefficients)  # the table keeps every digit
    assert rule.found == pytest.approx(plain.found)
    said = capsys.readouterr().out
    assert "Calibrated with one and two" in said and "By cross-validation: precision 1.000" in said
    assert sorted(file.name for file in runs.iterdir()) == ["statistics", NAME]


def test_the_script_takes_another_operating_point(runs):
    calibrate(runs, "--calibrate", "one", "--precision", "0.9")
    assert "0.9" in Calibration.read(runs).operating_point


def test_runs_that_do_not_fit_leave_the_earlier_calibration(runs):
    calibrate(runs, "--calibrate", "one")
    before = (runs / NAME).read_bytes()
    write(runs / "statistics" / "old", made(), lacking="lead")
    write(runs / "statistics" / "elsewhere", made(), fingerprint={"weights": "others"})
    write(runs / "statistics" / "right", made(works=1))
    write(runs / "statistics" / "damaged", made())
    (runs / "statistics" / "damaged" / "summary.json").write_text("{")
    for named, sentence in [
        ("missing", "no run missing"),
        ("old", "another version"),
        ("elsewhere", "different collections"),
        ("damaged", "summary.json cannot be read"),
        ("../statistics/one", "cannot be the name of a run"),
    ]:
        with pytest.raises(WrongUse, match=sentence):
            calibrate(runs, "--calibrate", "one", named)
    with pytest.raises(WrongUse, match="too few"):
        calibrate(runs, "--calibrate", "right")
    assert (runs / NAME).read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--calibrate"],
        ["-i", "x.png", "--calibrate"],
        ["-d", "--precision", "0.9"],
        ["--calibrate", "a", "--precision", "2"],
    ],
)
def test_options_that_make_no_sense(arguments):
    with pytest.raises(SystemExit) as end:
        test_with_statistics.main(arguments)
    assert end.value.code == 2


def test_too_few_examples_end_the_script_with_2_and_one_sentence(tmp_path):
    write(tmp_path / "statistics" / "few", made(works=2))
    command = [sys.executable, "test_with_statistics.py", "--calibrate", "few", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert done.stderr.startswith("test_with_statistics.py: 2 right and 2 wrong first answers are too few")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / NAME).exists()

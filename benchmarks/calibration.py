"""Calibrates the verdict on the museum's collection, and measures it on pictures that the calibration did not see.

Examples:
  python benchmarks/museum.py && python benchmarks/calibration.py
  python benchmarks/calibration.py --sample 20 --copies 1 --absent 20      a quick look
  python benchmarks/calibration.py --judge                                 ask nothing again: judge the runs there are

A verdict depends only on what a run keeps of each answer, so the sets of benchmarks/museum.py are judged here by the
calibration even if they ran before it. Each run continues where it was interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import test_with_statistics
from benchmarks import measure
from benchmarks.museum import SETS
from models.evaluation import fit_calibration as calibration
from models.evaluation import metrics, records
from models.evaluation.summary import figure
from models.verdict.calibration import Calibration
from utils import script
from utils.errors import WrongUse
from utils.statistics import share

FITTED_ON, UNSEEN = ("calibration", "photographed"), "unseen"  # runs


def main(argv=None) -> None:
    options = _options(argv)
    if options.judge:
        test_with_statistics.main(["--output", str(options.output), "--calibrate", *FITTED_ON])
    else:
        ask(options)
    print(measure.machine())
    print(table(options.output))
    if (options.output / "statistics" / UNSEEN).is_dir():
        print(f"\nOf what was said of “{UNSEEN}”, so much came true:\n\n{reliability(options.output)}")


def ask(options: argparse.Namespace) -> None:
    """The three runs: two to calibrate on, and one of other images."""
    folders = [
        *("--dataset", str(options.output / "images")),
        *("--lists", str(options.output / "lists")),
        *("--output", str(options.output)),
    ]
    # Half as many images as to measure with, twice each; a quarter on walls, where a work fills less of the picture.
    half, quarter = [options.sample // 2, options.absent // 2], [options.sample // 4, options.absent // 4]
    run(folders, *half, copies=2, seed=0, name=FITTED_ON[0])
    run(folders, *quarter, copies=1, seed=2, name=FITTED_ON[1], more=["--walls", "--calibrate", FITTED_ON[0]])
    apart = ["--apart-from", *FITTED_ON]
    run(folders, options.sample, options.absent, options.copies, seed=1, name=UNSEEN, more=apart)


def run(
    folders: list[str], sample: int, absent: int, copies: int, seed: int, name: str, more: Sequence[str] = ()
) -> None:
    """Ask for copies of `sample` images and for one of each of `absent` held-out ones."""
    sizes = {"--sample": sample, "--absent": absent, "--copies": copies, "--seed": seed, "--name": name}
    test_with_statistics.main([*folders, "-d", *(str(part) for size in sizes.items() for part in size), *more])


def table(output: Path) -> str:
    """The verdicts of the calibration in `output` on the runs that there are, as a table."""
    rule = Calibration.read(output)
    places = {name: output / "statistics" / name for name in (UNSEEN, *SETS)}
    runs = {name: records.read(place)[1] for name, place in places.items() if place.is_dir()}
    museum = [record for name, answered in runs.items() if name in SETS for record in answered]
    if museum:
        runs["all museum"] = museum
    measured = {name: measures(rule, calibration.examples(answered)) for name, answered in runs.items()}
    if not measured:
        raise WrongUse(f"There is no run in {output / 'statistics'} to judge: run benchmarks/museum.py first.")
    rows = [[name, *(row[name] for row in measured.values())] for name in next(iter(measured.values()))]
    return measure.table(["measure", *measured], rows)


def measures(rule: Calibration, sample: calibration.Examples) -> dict[str, str]:
    """What the table shows of the answers of a run, by name."""
    measured = calibration.measure(rule, sample)
    firsts = int((sample.right & sample.inside).sum())
    return {
        "queries": str(measured["queries"]),
        "in the collection": str(measured["in_collection"]),
        "found, precision": figure(measured["precision"], 4),
        "... 95 % interval": _interval(measured["precision_interval"]),
        "found, recall": figure(measured["recall"], 4),
        "... 95 % interval ": _interval(measured["recall_interval"]),
        "found of those that come first": figure(share(measured["right_found"], firsts), 4),
        "false found": str(measured["false_found"]),
        "wrong found": str(measured["wrong_found"]),
        "not sure": figure(measured["maybe_share"], 4),
        "calibration error": figure(measured["calibration_error"], 4),
    }


def reliability(output: Path) -> str:
    """What the calibration in `output` says of the run UNSEEN, by probability, and how often that is true."""
    rule, sample = Calibration.read(output), calibration.examples(records.read(output / "statistics" / UNSEEN)[1])
    said = [rule.probability(grounds) for grounds in sample.grounds]
    rows = [
        [
            f"{group['low']:.1f}–{group['high']:.1f}",
            str(group["count"]),
            *(f"{group[name]:.3f}" for name in ("probability", "right")),
            _interval(group["interval"]),
        ]
        for group in metrics.reliability(said, sample.right)
    ]
    return measure.table(["probability", "queries", "mean", "right", "95 % interval"], rows)


def _interval(interval: list[float] | None) -> str:
    return f"{interval[0]:.4f}–{interval[1]:.4f}" if interval else "-"


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default=Path("output/museum"), metavar="DIR", help="(%(default)s)")
    add("--sample", type=int, default=600, metavar="N", help="images to measure with; half as many to calibrate on")
    add("--copies", type=int, default=5, metavar="C", help="of each image to measure with (%(default)s)")
    add("--absent", type=int, default=300, metavar="M", help="held-out images, and half as many (%(default)s)")
    add("--judge", action="store_true", help="ask nothing: calibrate on the runs that there are, and judge them")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

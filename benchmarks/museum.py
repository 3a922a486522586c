"""Runs the four steps on the museum's gallery among other artworks, and measures the answers to five sets of queries.

Examples:
  python benchmarks/museum.py
  python benchmarks/museum.py --distractors 20 --sets crops --output output/museum_small      a quick look

The pictures are those of RETRIEVAL_DATA (museum/gallery, museum/queries, distractors), linked into OUTPUT/images. Each
step continues where it was interrupted. The reports are in OUTPUT/statistics, a folder a set.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import create_list
import pre_compute_descriptor
import test_with_statistics
import train
from benchmarks import measure
from config import Settings
from models.evaluation import metrics, records
from models.evaluation.records import Record
from models.evaluation.summary import CUTS, figure
from utils import script
from utils.errors import WrongUse
from utils.statistics import share, spread

SETS = ("crops", "walls", "pairs", "mixed", "noisy")


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    museum = folder_of(settings)
    count = link(settings.data, options.output / "images", options.distractors)
    folders = [
        *("--dataset", str(options.output / "images")),
        *("--lists", str(options.output / "lists")),
        *("--output", str(options.output)),
    ]
    create_list.main(folders)
    train.main([*folders, "--weights", "bundled", "--update"])
    pre_compute_descriptor.main([*folders, "--update"])
    for name in options.sets:
        test_with_statistics.main([*folders, "-n", str(museum / "queries" / name), "--name", name])
    rows = {name: _rows(options.output / "statistics" / name) for name in options.sets}
    rows["all"] = [row for name in options.sets for row in rows[name]]
    print(f"{measure.machine()}; {count} images")
    measured = {name: measures(found) for name, found in rows.items()}
    heads = ["measure", *measured]
    print(measure.table(heads, [[name, *(row[name] for row in measured.values())] for name in measured["all"]]))


def folder_of(settings: Settings) -> Path:
    """The museum's pictures: gallery and queries. Raises WrongUse where they are not there."""
    museum = settings.data / "museum"
    if not museum.is_dir():
        raise WrongUse(f"There is no {museum}: set RETRIEVAL_DATA to the folder that holds museum and distractors.")
    return museum


def link(data: Path, images: Path, distractors: int | None) -> int:
    """Link the gallery and so many distractors (all) into the folder `images`; returns how many there are."""
    others = sorted(path for path in (data / "distractors").glob("*/*") if path.is_file())[:distractors]
    gallery = sorted(path for path in (data / "museum" / "gallery").iterdir() if path.is_file())
    links = {images / "gallery" / path.name: path for path in gallery}
    # Files of different styles share their names, so each style keeps its folder.
    links |= {images / "distractors" / path.parent.name / path.name: path for path in others}
    for there in images.rglob("*"):
        if there.is_symlink() and there not in links:
            there.unlink()
    for place, path in links.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(path.resolve())
    return len(links)


def _rows(run: Path) -> list[Record]:
    return [record for record in records.read(run)[1] if not record.skipped]


def measures(rows: Sequence[Record]) -> dict[str, str]:
    """What the table shows of some answers, by name."""
    inside = [row for row in rows if row.in_collection]
    shown = {"queries": str(len(rows)), "in the collection": str(len(inside))}
    for when in ("before", "after"):
        ranks = [getattr(row, f"rank_{when}") for row in inside]
        shown |= {f"recall@{k} {when}": figure(metrics.recall_at(k, ranks)) for k in CUTS}
        precisions = [getattr(row, f"precision_{when}") for row in inside]
        shown[f"mAP {when}"] = figure(share(sum(precisions), len(precisions)))
    shortlisted = [rank for rank in ranks if rank is not None]
    shown["first of those shortlisted"] = figure(metrics.recall_at(1, shortlisted))
    verdicts = metrics.verdicts(
        [row.verdict for row in rows], [bool(row.in_collection) for row in rows], [row.is_first_right for row in rows]
    )
    shown |= {f"found, {name}": figure(verdicts[name]) for name in ("precision", "recall")}
    shown |= {name.replace("_", " "): str(verdicts[name]) for name in ("false_found", "wrong_found", "maybe")}
    seconds = spread([row.seconds for row in rows])
    return shown | {"p50, seconds": figure(seconds["p50"])}


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default=Path("output/museum"), metavar="DIR", help="(%(default)s)")
    add("--distractors", type=int, metavar="N", help="no more than these (all)")
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help="of queries (all: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

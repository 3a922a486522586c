"""Runs the four steps on the museum's gallery among other artworks, and measures the answers to five sets of queries.

Examples:
  python benchmarks/museum.py
  python benchmarks/museum.py --distractors 20 --sets crops --output output/museum_small      a quick look
  python benchmarks/museum.py --collection /data/pictures --output output/full      at the size of a real collection

The pictures are those of RETRIEVAL_DATA (museum/gallery, museum/queries, distractors) and of the folder that
--collection names, linked into OUTPUT/images. Each step continues where it was interrupted. The reports are in
OUTPUT/statistics, a folder a set.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
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
from models.evaluation.summary import CUTS, figure, global_average_precision
from utils import script
from utils.errors import WrongUse
from utils.statistics import share, spread

SETS = ("crops", "walls", "pairs", "mixed", "noisy")


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    museum = folder_of(settings)
    folders, count = built(settings, options)
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


def built(settings: Settings, options: argparse.Namespace) -> tuple[list[str], int]:
    """Make the collection, or what is missing of it: the folders as options of the steps, and how many images.

    options: of `add_collection`.
    """
    count = link(settings.data, options.output / "images", options.distractors, options.collection)
    folders = [
        *("--dataset", str(options.output / "images")),
        *("--lists", str(options.output / "lists")),
        *("--output", str(options.output)),
    ]
    create_list.main(folders)
    train.main([*folders, "--weights", "bundled", "--update"])
    pre_compute_descriptor.main([*folders, "--update"])
    return folders, count


def works(data: Path, distractors: int | None = None) -> dict[str, Path]:
    """The gallery and so many distractors (all), by their paths relative to the dataset."""
    others = _files((data / "distractors").glob("*/*"))[:distractors]
    gallery = _files((data / "museum" / "gallery").iterdir())
    # Files of different styles share their names, so each style keeps its folder.
    return {f"gallery/{path.name}": path for path in gallery} | {
        f"distractors/{path.parent.name}/{path.name}": path for path in others
    }


def _files(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file())


def link(data: Path, images: Path, distractors: int | None, further: Path | None = None) -> int:
    """Link the `works` into the folder `images`, with all files of `further`; returns how many there are.

    Raises WrongUse where `further` is not a folder.
    """
    links = {images / name: path for name, path in works(data, distractors).items()}
    if further:
        if not further.is_dir():
            raise WrongUse(f"There is no folder {further}: --collection names one with further pictures.")
        links |= {images / "further" / path.relative_to(further): path for path in _files(further.rglob("*"))}
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
    shown["GAP after"] = figure(global_average_precision(rows, "after"))
    shown["first of those shortlisted"] = figure(metrics.recall_at(1, shortlisted))
    verdicts = metrics.verdicts(
        [row.verdict for row in rows], [bool(row.in_collection) for row in rows], [row.is_first_right for row in rows]
    )
    shown |= {f"found, {name}": figure(verdicts[name]) for name in ("precision", "recall")}
    shown |= {name.replace("_", " "): str(verdicts[name]) for name in ("false_found", "wrong_found", "maybe")}
    seconds = spread([row.seconds for row in rows])
    return shown | {"p50, seconds": figure(seconds["p50"])}


def add_collection(parser: argparse.ArgumentParser) -> None:
    """Options for the collection that is searched."""
    add = parser.add_argument
    add("--output", type=Path, default=Path("output/museum"), metavar="DIR", help="(%(default)s)")
    add("--distractors", type=int, metavar="N", help="no more than these (all)")
    add("--collection", type=Path, metavar="DIR", help="further pictures to search among (none)")


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add_collection(parser)
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help="of queries (all: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

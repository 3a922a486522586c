"""Step 4: run queries, compare the answers with a ground truth, and write statistics and a report.

examples:
  python test_with_statistics.py -n photographs                    every picture in a folder
  python test_with_statistics.py -n photographs --ground-truth works.csv --name monday
  python test_with_statistics.py -i photographs/0001.jpg           one picture; prints the answer
  python test_with_statistics.py -d --sample 200 --copies 2        transformed copies of collection images
  python test_with_statistics.py -d --sample 300 --copies 2 --absent 400 --name calibration --calibrate
                                                                   the same, and calibrate the verdict with it
  python test_with_statistics.py -d --walls --seed 1 --name photographed --calibrate calibration
                                                                   calibrate with both, and works on walls
  python test_with_statistics.py -d --seed 2 --apart-from calibration photographed --name unseen
                                                                   test on images not used for calibration
  python test_with_statistics.py --confirmed                       photographs that people have confirmed on the site
  python test_with_statistics.py --calibrate calibration monday    calibrate with existing runs

The ground truth is a CSV file with the columns query,relevant; by default ground_truth.csv in the
folder. A relevant image is given by its path relative to the dataset, or by its file name if that is
unique; several are separated by spaces; an inventory number of the site's register means all pictures of its
work; none means that the picture shows nothing in the collection:

  query,relevant
  0001.jpg,aachen/allegory.jpg
  0002.jpg,

The results are written to OUTPUT/statistics/NAME: queries.csv, summary.json and report.html; for a
folder also answers.csv and answers.xlsx, with the inventory numbers, titles and artists of the site's
register. An interrupted run continues where it stopped. A calibration is written to
OUTPUT/verdict.json; without that file, the verdict is decided by thresholds set by hand.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from config import Settings
from database import catalog, kept
from database.register.files import Matcher
from models.answer import Answer, Sighting
from models.answer_table import Described
from models.evaluation.queries import Query, folder_queries, groups, transformed_queries
from models.evaluation.run import ANSWERS_CSV, ANSWERS_XLSX, evaluate
from models.evaluation.summary import table, verdict_line
from models.verdict.calibration import NAME as VERDICT
from utils import script
from utils.errors import WrongUse
from utils.images import ImageProblem
from utils.text import printable

SHOWN = 5  # candidates that are printed of one answer

if TYPE_CHECKING:
    from models.engine import Engine


def main(arguments: list[str] | None = None) -> None:
    settings = Settings.read()
    options = _options(arguments, settings)
    settings = replace(settings, dataset=options.dataset, lists=options.lists, output=options.output)
    if options.n or options.d or options.i or options.confirmed:
        _ask(options, settings)
    if options.calibrate is not None:
        _calibrate(options)


def _ask(options: argparse.Namespace, settings: Settings) -> None:
    place = None if options.i else _place(options)

    from models.engine import Engine  # only now: TensorFlow takes seconds, wrong use is told at once

    engine = Engine.open(options.output, options.dataset, settings)
    if place is None:
        _one(engine, options.i, settings.database / kept.NAME)
    else:
        _all(engine, _queries(engine, options, settings), place, settings)


def _options(arguments: list[str] | None, settings: Settings) -> argparse.Namespace:
    parser = script.parser(__doc__, settings)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-n", type=Path, metavar="FOLDER", help="query with every picture in a folder")
    what.add_argument("-i", type=Path, metavar="IMAGE", help="query with one picture and print the answer")
    what.add_argument("-d", action="store_true", help="query with transformed copies of collection images")
    what.add_argument(
        "--confirmed", action="store_true", help="query with the site's photographs whose work people have confirmed"
    )
    parser.add_argument("--name", help="name of the run (the folder's name; with -d: transformed; else: confirmed)")
    parser.add_argument(
        "--ground-truth", type=Path, metavar="CSV", help="with -n: ground truth (ground_truth.csv in the folder)"
    )
    parser.add_argument(
        "--sample", type=script.positive, default=100, metavar="N", help="with -d: number of images (%(default)s)"
    )
    parser.add_argument(
        "--copies", type=script.positive, default=1, metavar="C", help="with -d: copies per image (%(default)s)"
    )
    parser.add_argument(
        "--absent",
        type=_count,
        default=20,
        metavar="M",
        help="with -d: images held out of the collection (%(default)s)",
    )
    parser.add_argument("--seed", type=_count, default=0, help="with -d: random seed (%(default)s)")
    parser.add_argument(
        "--walls", action="store_true", help="with -d: show the copies on walls, as a visitor sees them"
    )
    parser.add_argument(
        "--apart-from", nargs="+", default=[], metavar="RUN", help="with -d: exclude images used in these runs"
    )
    parser.add_argument(
        "--calibrate",
        nargs="*",
        metavar="RUN",
        help="calibrate the verdict with this run and the named ones",
    )
    parser.add_argument(
        "--precision",
        type=_share,
        metavar="P",
        help="with --calibrate: required precision of “found”, such as 0.999 (default: no wrong “found” at all)",
    )
    options = parser.parse_args(arguments)
    if not (options.n or options.d or options.i or options.confirmed or options.calibrate):
        parser.error("give -n FOLDER, -i IMAGE, -d or --confirmed, or name runs to --calibrate with")
    if options.calibrate is not None and options.i:
        parser.error("--calibrate needs more than one picture: give -n FOLDER, -d or --confirmed, or name runs")
    if options.precision is not None and options.calibrate is None:
        parser.error("--precision needs --calibrate")
    if options.ground_truth and not options.n:
        parser.error("--ground-truth needs -n FOLDER")
    return options


def _count(text: str) -> int:
    """An argparse type: a whole number, zero or above."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    """An argparse type: a share above 0, at most 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def _place(options: argparse.Namespace) -> Path:
    """The folder of the results. Raises WrongUse for a name that cannot be one."""
    usual = "transformed" if options.d else "confirmed" if options.confirmed else options.n.resolve().name
    return _folder(options.output, options.name or usual)


def _folder(output: Path, name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
        raise WrongUse(
            f"{printable(name)!r} cannot be the name of a run: choose a --name of letters, digits, '.', '_' and '-' "
            "(at most 100 characters, not starting with a dot)."
        )
    return output / "statistics" / name


def _works(register: Path, images: dict[int, str]) -> Iterator[tuple[catalog.Work, frozenset[int]]]:
    """(row, ids of its images) of each work, as the site's register has them; none without one."""
    if register.exists():
        for row, pictures, _ in Matcher(lambda: kept.read(register), images):
            if pictures:
                yield row, frozenset(shown.image for shown in pictures)


def _described(engine: "Engine", settings: Settings) -> dict[str, Described]:
    """Path of an image -> what the site's register says of its work."""
    works = _works(settings.database / kept.NAME, engine.images)
    return {engine.images[id]: Described(row.number, row.title, row.author) for row, ids in works for id in ids}


def _queries(engine: "Engine", options: argparse.Namespace, settings: Settings) -> list[Query]:
    if options.n:
        works = [(row.number, ids) for row, ids in _works(settings.database / kept.NAME, engine.images)]
        return folder_queries(options.n, options.ground_truth, engine.images, works)
    if options.confirmed:
        return _confirmed_queries(engine.images, settings)
    seen = set().union(*(groups(_folder(options.output, name)) for name in options.apart_from))
    return transformed_queries(
        engine.dataset,
        {image: path for image, path in engine.images.items() if printable(path) not in seen},
        engine.twins,
        sample=options.sample,
        copies=options.copies,
        absent=options.absent,
        seed=options.seed,
        walls=options.walls,
    )


def _confirmed_queries(images: dict[int, str], settings: Settings) -> list[Query]:
    """A query for each photograph of the site of which people have said what it shows. Raises WrongUse without any."""
    if not settings.use_confirmed:
        raise WrongUse(
            "The site's photographs may not be used for this: set RETRIEVAL_USE_CONFIRMED=on, and its pages say so."
        )
    from app import create_app  # only now: the site is not needed otherwise
    from web.confirmed import photographs

    queries = []
    with create_app(settings).app_context():
        for path, works in photographs():
            expected = works & images.keys()
            if works and not expected:
                continue  # the work has left the collection
            group = images[min(expected)] if expected else path.name
            queries.append(Query(path.name, path, expected, group=group))
    if not queries:
        raise WrongUse("Nobody has said yet which work a photograph shows: judge answers on the site first.")
    return queries


def _all(engine: "Engine", queries: list[Query], place: Path, settings: Settings) -> None:
    summary = evaluate(engine, queries, place, settings, _described(engine, settings))
    print(table(summary))
    is_known = summary["in_collection"] + summary["not_in_collection"] > 0
    wrong = f"{sum(summary['wrong_answers'].values())} wrong answers, " if is_known else ""
    if (place / ANSWERS_XLSX).is_file():
        print(f"The answers as a table: {ANSWERS_XLSX} and {ANSWERS_CSV}, beside the report.")
    print(
        f"{summary['queries']} queries, {wrong}{len(summary['skipped'])} skipped; "
        f"report: {printable(str(place / 'report.html'))}"
    )


def _calibrate(options: argparse.Namespace) -> None:
    """Fit the verdict on the run that was just asked, if any, and on those named; write OUTPUT/verdict.json."""
    asked = [_place(options)] if options.n or options.d or options.confirmed else []
    named = [_folder(options.output, name) for name in options.calibrate]
    places = sorted({*asked, *named})  # in this order, so that the same runs give the same calibration

    from models.evaluation import fit_calibration as calibration  # only now: scikit-learn takes a second

    fitted = calibration.from_runs(places, options.precision)
    fitted.write(options.output)
    print(
        f"Calibrated with {' and '.join(fitted.runs)}: found from {fitted.found:.4f}, not found below "
        f"{fitted.maybe:.4f} ({options.output / VERDICT})."
    )
    print(f"By cross-validation: {verdict_line(fitted.measured)}")


def _one(engine: "Engine", picture: Path, register: Path) -> None:
    try:
        answer = engine.ask(picture)
    except ImageProblem as problem:
        raise WrongUse(f"{printable(str(picture))}: {printable(str(problem))}") from None
    first_ones = {candidate.id for candidate in answer.after[:SHOWN]}
    names = {image: _name(row) for row, ids in _works(register, engine.images) for image in ids & first_ones}
    print(describe(answer, names))
    first = printable(answer.after[0].path) if answer.after else "nothing"
    sure = "" if answer.probability is None else f", probability {answer.probability:.3f}"
    print(f"{printable(str(picture))}: {answer.verdict.value} ({first}{sure}) in {sum(answer.seconds.values()):.2f} s")


def _name(row: catalog.Work) -> str:
    """Inventory number, artist and title of a work, as far as the register has them."""
    return printable(", ".join(" ".join(text.split()) for text in (row.number, row.author, row.title) if text))


def describe(answer: Answer, names: Mapping[int, str] = {}) -> str:
    """An answer as a few lines for a terminal: the first SHOWN, all works, and the seconds of each stage.

    names: image -> what its work is called.
    """
    lines = ["    similarity  matches  inliers  area of query, work  image"]
    for place, candidate in enumerate(answer.after[:SHOWN], start=1):
        evidence = candidate.evidence
        lines.append(
            f"{place:2}  {candidate.similarity:10.3f}  {evidence.matches:7}  {evidence.inliers:7}  "
            f"{evidence.query_area:13.0%}, {evidence.work_area:4.0%}  {printable(candidate.path)}"
        )
        if names.get(candidate.id):
            lines.append(f"    {names[candidate.id]}")
    lines.append("works on the picture:" if answer.works else "works on the picture: none")
    lines += [f"{place:2}  {_told(work)}" for place, work in enumerate(answer.works, start=1)]
    if answer.unknown:
        places = len(answer.unknown)
        lines.append(f"looks like a work, but leads to none: {places} place{'s' if places > 1 else ''}")
    lines.append(f"{answer.keypoints} keypoints in the query")
    lines.append("seconds: " + ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in answer.seconds.items()))
    return "\n".join(lines)


def _told(work: Sighting) -> str:
    sure = "" if work.probability is None else f"  {work.probability:.3f}"
    corners = [] if work.outline is None else work.outline.round().astype(int).tolist()
    where = ", corners at " + " ".join(f"{x},{y}" for x, y in corners) if corners else ""
    inliers = work.candidate.evidence.inliers
    return f"{work.verdict.value:5}{sure}  {inliers:4} inliers  {printable(work.candidate.path)}{where}"


if __name__ == "__main__":
    script.run(main)

"""Composes views of exhibition halls out of the museum's works, and measures which of the works on them are told.

Examples:
  python benchmarks/halls.py
  python benchmarks/halls.py --collection /data/pictures --output output/full      at the size of a real collection
  python benchmarks/halls.py --views 20 --sets choose      a quick look

The collection is that of museum.py, and may be shared with it. Half of the views are for development (choose), half to
report what came of it (report). They are in OUTPUT/halls, a folder a set, each with a ground truth that
test_with_statistics.py reads; works.csv has the works of each view with outline, share and visible part, answers.csv
what the engine told of them. One work in five, and all of some views, are held out of the collection for the view that
shows them. Composing continues where it was interrupted; the engine is asked anew each time.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from benchmarks import measure, museum
from benchmarks.composing import LEAST, MOST, compose
from config import Settings
from models.answer import Answer, Verdict
from models.engine import Engine
from models.evaluation import ground_truth, metrics
from models.evaluation.summary import CUTS, figure
from utils import files, images, script, work
from utils.script import progress
from utils.statistics import share, spread

SETS = ("choose", "report")
SEED = 17
FROM_GALLERY = 1 / 3  # of a view's works; the others are distractors
HELD_OUT = 0.2  # of the works, for the view that shows them
STRANGE = 0.08  # of the views: all of their works are held out
QUALITY = 90  # of the files
AGREES = 0.5  # overlap (intersection over union) of the outline told with the true one


@dataclass(frozen=True)
class Work:
    """A work on a view: a row of works.csv."""

    set: str
    view: str  # file name
    path: str  # of the work, relative to the dataset
    held_out: bool  # of the collection, when the view is queried
    clear: bool  # fills 3 % of the view or more, and shows half of itself
    share: float  # of the view that it fills, 0..1
    visible: float  # share of the work that is neither cut off nor hidden, 0..1
    outline: tuple[float, ...]  # x, y of its corners in pixels of the view, clockwise from the work's upper left


@dataclass(frozen=True)
class Told:
    """What the engine told of a view."""

    works: tuple[Work, ...]
    ranks: dict[str, int]  # path -> rank of each work of the view in the shortlist before re-ranking, from 1
    right: dict[str, bool | None]  # works told that the view shows -> whether the outline agrees; None without one
    wrong: tuple[str, ...]  # works told that it does not show
    first_right: bool
    seconds: float

    @property
    def sought(self) -> list[Work]:
        """The works that should be told."""
        return [each for each in self.works if each.clear and not each.held_out]


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    museum.folder_of(settings)
    folder = options.output / "halls"
    views = composed(settings, folder, options)
    _, count = museum.built(settings, options)
    engine = Engine.open(options.output, options.output / "images", settings)
    told = {name: [_ask(engine, folder / name, view) for view in progress(views[name], what=name)] for name in views}
    _write_answers(folder / "answers.csv", told)
    print(f"{measure.machine()}; {count} images")
    measured = {name: measures(found) for name, found in told.items()}
    rows = [[name, *(figures[name] for figures in measured.values())] for name in next(iter(measured.values()))]
    print(measure.table(["measure", *measured], rows))


# Views


def composed(settings: Settings, folder: Path, options: argparse.Namespace) -> dict[str, list[tuple[Work, ...]]]:
    """Compose the views that are missing in the folder; returns the works of each view, by set."""
    pictures = museum.works(settings.data)
    found = {}
    for name in options.sets:
        (folder / name / "works").mkdir(parents=True, exist_ok=True)
        make = partial(_composed, folder=folder, name=name, pictures=pictures, settings=settings)
        with work.ending(ThreadPoolExecutor(work.cores(settings.workers))) as pool:
            jobs = work.ahead(pool, make, range(options.views), depth=8)
            found[name] = [works for _, works in progress(jobs, total=options.views, what=f"Views to {name}")]
        _write_truth(folder / name / "ground_truth.csv", found[name])
    _write_works(folder / "works.csv", found)
    return found


def _composed(number: int, folder: Path, name: str, pictures: dict[str, Path], settings: Settings) -> tuple[Work, ...]:
    """The works of a view; it is composed unless it is there."""
    view = f"{number:04d}.jpg"
    notes = folder / name / "works" / f"{number:04d}.json"  # written last
    if not notes.exists():
        pixels, works = view_of(name, number, pictures, settings)
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        files.write(folder / name / view, encoded.tobytes())
        files.write(notes, json.dumps([asdict(each) for each in works]).encode())
    return tuple(Work(**row | {"outline": tuple(row["outline"])}) for row in json.loads(notes.read_text()))


def view_of(name: str, number: int, pictures: dict[str, Path], settings: Settings) -> tuple[np.ndarray, list[Work]]:
    """A view: (height, width, 3) uint8 BGR, and its works. name, number: the set, and the view in it.

    pictures: of the works, by path relative to the dataset.
    """
    generator = np.random.default_rng((SEED, SETS.index(name), number))
    drawn = _drawn(pictures, generator)
    strange = generator.random() < STRANGE
    held_out = [strange or generator.random() < HELD_OUT for _ in drawn]
    load = partial(images.load, max_pixels=settings.max_pixels, min_side=settings.min_side)
    pixels, shown = compose([load(pictures[path]) for path in drawn], generator)
    works = [
        Work(name, f"{number:04d}.jpg", drawn[each.number], held_out[each.number], each.is_clear, round(each.share, 4),
             round(each.visible, 3), tuple(np.round(each.outline.reshape(-1).astype(float), 1).tolist()))
        for each in shown
    ]  # fmt: skip
    return pixels, works


def _drawn(pictures: dict[str, Path], generator: np.random.Generator) -> list[str]:
    """The works of a view."""
    paths = list(pictures)
    gallery = np.array([path.startswith("gallery/") for path in paths])
    weights = np.where(gallery, FROM_GALLERY / gallery.sum(), (1 - FROM_GALLERY) / max(1, (~gallery).sum()))
    count = generator.integers(LEAST, MOST, endpoint=True)
    return [str(path) for path in generator.choice(paths, count, replace=False, p=weights / weights.sum())]


def _write_truth(file: Path, views: Sequence[Sequence[Work]]) -> None:
    """The ground truth for test_with_statistics.py, which holds nothing out: all works that a view shows."""
    rows = [[works[0].view, ground_truth.join([each.path for each in works])] for works in views]
    _write_table(file, ground_truth.COLUMNS, rows)


def _write_works(file: Path, views: dict[str, list[tuple[Work, ...]]]) -> None:
    columns = [item.name for item in fields(Work)][:-1] + [f"{axis}{corner}" for corner in range(1, 5) for axis in "xy"]
    rows = [[*astuple(each)[:-1], *each.outline] for name in views for works in views[name] for each in works]
    _write_table(file, columns, rows)


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Sequence]) -> None:
    with files.whole(file) as part, part.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows(rows)


# Answers


def _ask(engine: Engine, folder: Path, works: tuple[Work, ...]) -> Told:
    """Query the engine with a view, from which the works that are held out are excluded with their twins."""
    ids = {path: image for image, path in engine.images.items()}
    held_out = [ids[each.path] for each in works if each.held_out and each.path in ids]
    exclude = frozenset(held_out).union(*(engine.twins(image) for image in held_out))
    # With --distractors, works hang on the walls that the collection lacks: they are held out, too.
    works = tuple(replace(each, held_out=each.held_out or each.path not in ids) for each in works)
    shown = {ids[each.path]: each for each in works if not each.held_out and ids[each.path] not in exclude}
    seconds, answer = measure.timed(partial(engine.ask, exclude=exclude), folder / works[0].view)
    height, width = images.load(folder / works[0].view, max_pixels=1 << 24, min_side=1).shape[:2]
    scale = np.array([width, height]) / answer.frame[::-1]
    right: dict[str, bool | None] = {}
    wrong = []
    for image, path, outline in _told(answer):
        meant = next(
            (each for each in {image, *([] if image in shown else engine.twins(image))} if each in shown), None
        )
        if meant is None:
            wrong.append(path)
        elif outline is None:
            right[shown[meant].path] = None
        else:
            right[shown[meant].path] = overlap(outline * scale, np.reshape(shown[meant].outline, (4, 2))) >= AGREES
    places = {candidate.id: rank for rank, candidate in enumerate(answer.before, start=1)}
    ranks = {each.path: places[image] for image, each in shown.items() if image in places}
    first = bool(answer.after) and answer.after[0].id in shown
    return Told(works, ranks, right, tuple(wrong), first, seconds)


def _told(answer: Answer) -> Iterator[tuple[int, str, np.ndarray | None]]:
    """Id, path and outline (in pixels of the answer's frame) of each work that is told."""
    if hasattr(answer, "works"):
        for told in answer.works:
            if told.candidate is not None and told.verdict is Verdict.FOUND:
                yield told.candidate.id, told.candidate.path, told.outline
    elif answer.verdict is Verdict.FOUND:
        yield answer.after[0].id, answer.after[0].path, None


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two convex outlines, (4, 2) x, y: 0..1."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    common, _ = cv2.intersectConvexConvex(one, other)
    union = cv2.contourArea(one) + cv2.contourArea(other) - common
    return common / union if union > 0 else 0.0


def measures(views: Sequence[Told]) -> dict[str, str]:
    """What the table shows of some views, by name."""
    works = [each for view in views for each in view.works]
    sought = [(view, each) for view in views for each in view.sought]
    known = [view for view in views if view.sought]
    ranks = [view.ranks.get(each.path) for view, each in sought]
    told = sum(len(view.right) + len(view.wrong) for view in views)
    outlines = [agrees for view in views for agrees in view.right.values() if agrees is not None]
    shown = {
        "views": str(len(views)),
        "works on them": str(len(works)),
        "... clear: 3 % of the view or more, half visible": str(sum(each.clear for each in works)),
        "... of these in the collection": str(len(sought)),
    }
    shown |= {f"recall@{k} of these before re-ranking": figure(metrics.recall_at(k, ranks)) for k in CUTS}
    shown["on the shortlist at all"] = figure(share(sum(rank is not None for rank in ranks), len(ranks)))
    shown["works told, recall"] = figure(share(sum(each.path in view.right for view, each in sought), len(sought)))
    shown["works told, precision"] = figure(share(sum(len(view.right) for view in views), told))
    shown["... with the right outline"] = figure(share(sum(outlines), len(outlines)))
    shown["views with works in the collection"] = str(len(known))
    shown["first right"] = figure(share(sum(view.first_right for view in known), len(known)))
    shown["works wrongly told there"] = str(sum(len(view.wrong) for view in known))
    shown["works falsely told on the others"] = str(sum(len(view.wrong) for view in views if not view.sought))
    seconds = spread([view.seconds for view in views])
    return shown | {f"{name}, seconds": figure(seconds[name]) for name in ("p50", "p95")}


def _write_answers(file: Path, told: dict[str, list[Told]]) -> None:
    """For each work of each view whether it was told, and each work that was told wrongly."""
    columns = ["set", "view", "path", "held_out", "clear", "share", "visible", "rank_before", "told"]
    rows: list[list] = []
    for name, views in told.items():
        for view in views:
            for each in view.works:
                rank = view.ranks.get(each.path, "")
                rows.append([*astuple(each)[:-1], rank, "right" if each.path in view.right else ""])
            rows += [[name, view.works[0].view, path, *[""] * 5, "wrong"] for path in view.wrong]
    _write_table(file, columns, rows)


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    museum.add_collection(parser)
    add = parser.add_argument
    add("--views", type=script.positive, default=100, metavar="N", help="in each set (%(default)s)")
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help="choose, report (both)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

"""Paints the demonstration gallery: 240 pictures, their catalogue, and 72 visitors' photographs.

    python dataset/sample.py
    python dataset/sample.py --dataset /srv/demo/images --queries /srv/demo/queries --catalog /srv/demo/catalog.csv

The pictures go into a sub-folder a genre of the dataset, the photographs beside their ground_truth.csv
(query,relevant). 12 of the photographs show pictures that are not in the gallery. What is there already is
re-used, and nothing that a person put there is overwritten. The same everywhere: painters and names are invented.
"""

import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config import Settings
from database import catalog
from dataset.motifs import KINDS
from dataset.painting import paint
from utils import transforms
from utils.errors import Failed, WrongUse
from utils.script import plain_parser, progress, run

VERSION = 1  # of the gallery; other pictures, another version
MARKER = ".sample.json"  # says in a folder that its pictures were painted here; hidden files are no images
TRUTH = "ground_truth.csv"
PAINTING_QUALITY = 90  # of the JPEG files, 1..100


@dataclass(frozen=True)
class Painting:
    """A picture to paint, and what becomes of it."""

    genre: str
    kind: str
    seed: int
    file: str  # relative to the dataset; empty: not in the gallery
    photograph: str = ""  # file name of the visitor's photograph of it; empty: there is none


def plan(each: int = 60, photographed: int = 15, absent: int = 3) -> list[Painting]:
    """All pictures: of each genre so many in the gallery, so many of these photographed, so many photographed only."""
    paintings, shown = [], 0
    generator = np.random.default_rng(VERSION)
    names = generator.permutation(len(KINDS) * (photographed + absent)) + 1
    for place, (genre, kinds) in enumerate(KINDS.items()):
        chosen = generator.choice(each, photographed, replace=False)
        for number in range(each + absent):
            kind = list(kinds)[number % len(kinds)]
            file = f"{genre}/{genre}_{number + 1:03}.jpg" if number < each else ""
            photograph = ""
            if not file or number in chosen:
                photograph = f"photo_{names[shown]:03}.jpg"
                shown += 1
            paintings.append(Painting(genre, kind, 10_000 * (place + 1) + number, file, photograph))
    return paintings


def make(paintings: list[Painting], dataset: Path, queries: Path, catalog_file: Path, workers: int) -> int:
    """Paint what is missing; returns how many files were written.

    Raises WrongUse where a folder or the catalogue holds what is not ours.
    """
    works = [painting for painting in paintings if painting.file]
    photographs = {painting.photograph: painting.file for painting in paintings if painting.photograph}
    if _complete(dataset, [work.file for work in works]) and _complete(queries, [*photographs, TRUTH]):
        todo = []
    else:
        _claim(dataset, {work.file for work in works}, "--dataset")
        _claim(queries, {*photographs, TRUTH}, "--queries")
        todo = [painting for painting in paintings if _missing(painting, dataset, queries)]
    written = 0
    if not catalog_file.exists():
        catalog_file.parent.mkdir(parents=True, exist_ok=True)
        catalog.write(catalog_file, catalogue(works))
        written += 1
    elif todo and catalog.read(catalog_file) != catalogue(works):
        raise WrongUse(f"{catalog_file} is another catalogue and is not overwritten: give a new file with --catalog.")
    written += _paint_all(todo, dataset, queries, workers)
    if not (queries / TRUTH).exists():
        rows = [f"{photograph},{file}\n" for photograph, file in sorted(photographs.items())]
        _write(queries / TRUTH, ("query,relevant\n" + "".join(rows)).encode())
        written += 1
    return written


def _complete(folder: Path, files: Iterable[str]) -> bool:
    return _is_ours(folder) and all((folder / file).is_file() for file in files)


def _is_ours(folder: Path) -> bool:
    try:
        return json.loads((folder / MARKER).read_bytes()) == {"painted by": "dataset/sample.py", "version": VERSION}
    except (OSError, ValueError):
        return False


def _claim(folder: Path, ours: set[str], option: str) -> None:
    """Make sure that the folder holds nothing but our own files, and mark it. Raises WrongUse otherwise."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is not a folder: choose another one with {option}.")
    marked = _is_ours(folder)
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            file = path.relative_to(folder).as_posix()
            # A file that was being written when an earlier run was interrupted.
            whole = path.with_name(name[1:-5]).relative_to(folder).as_posix() if name.endswith(".part") else file
            if whole != MARKER and not (marked and whole in ours):
                shown = os.fsencode(path).decode(errors="backslashreplace")
                raise WrongUse(
                    f"{shown} was not painted by this version of dataset/sample.py, which leaves other files alone: "
                    f"move it away, or choose another folder with {option}."
                )
    _write(folder / MARKER, json.dumps({"painted by": "dataset/sample.py", "version": VERSION}).encode())


def _missing(painting: Painting, dataset: Path, queries: Path) -> bool:
    return bool(
        (painting.file and not (dataset / painting.file).exists())
        or (painting.photograph and not (queries / painting.photograph).exists())
    )


def _paint_all(todo: list[Painting], dataset: Path, queries: Path, workers: int) -> int:
    if not todo:
        return 0
    # Fresh processes: a fork of one in which OpenCV has threads can wait for ever.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=fresh, initializer=_start_worker) as pool:
        results = pool.map(partial(_paint_one, dataset, queries), todo)
        try:
            return sum(progress(results, total=len(todo), what="Painting", unit=" pictures"))
        except BrokenProcessPool:
            raise Failed("A painting process was killed: repeat the command to continue.") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    # Ctrl-C is the main process's to handle; and a pool of processes needs no threads below it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Where the main process is killed, its workers would wait for work for ever.
    multiprocessing.parent_process().join()
    os._exit(1)


def _paint_one(dataset: Path, queries: Path, painting: Painting) -> int:
    """Paint one picture and write what is missing of it; returns the number of files written."""
    image = paint(painting.genre, painting.kind, painting.seed)
    written = 0
    if painting.file and not (dataset / painting.file).exists():
        _write(dataset / painting.file, _jpeg(image, PAINTING_QUALITY))
        written += 1
    if painting.photograph and not (queries / painting.photograph).exists():
        generator = np.random.default_rng([painting.seed, VERSION])
        photograph = transforms.photograph(image, generator)
        _write(queries / painting.photograph, _jpeg(photograph, int(generator.integers(70, 93))))
        written += 1
    return written


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# The catalogue. Painters, sitters and places are invented.

# Author, born, died, place of birth, school; those of `MODERN` paint the abstract works.
PAINTERS = (
    ("MARVEEN, Joost van", 1609, 1671, "Osterhaven", "Dutch"),
    ("ALDERINI, Caterina", 1588, 1650, "Montaldera", "Italian"),
    ("BRISCOT, Étienne", 1702, 1779, "Valmorin", "French"),
    ("LINDQVAARD, Sigrid", 1821, 1890, "Nordhavn", "Scandinavian"),
    ("OSTERWELD, Hanne", 1644, 1709, "Grauenfels", "German"),
    ("CASTELLUN, Inés", 1745, 1816, "Puerto Alba", "Spanish"),
    ("HOLLOWAY-REED, Thomas", 1776, 1843, "Ashmere", "English"),
    ("PETROVAN, Mihail", 1838, 1901, "Velgorod", "Russian"),
    ("DUMARSAIS, Clémence", 1841, 1912, "Rochebrune", "French"),
    ("VALDUSZ, Imre", 1801, 1867, "Keszthar", "Hungarian"),
    ("TEN BROEKE, Aleida", 1632, 1695, "Osterhaven", "Dutch"),
    ("FONTEBELLA, Rocco", 1696, 1758, "Montaldera", "Italian"),
)
MODERN = (
    ("ZELENKA-MORR, Ada", 1881, 1950, "Brezov", "Czech"),
    ("KANTOROWSKA, Lidia", 1889, 1949, "Zamlyn", "Polish"),
    ("BRANDAUER, Felix", 1879, 1947, "Grauenfels", "German"),
    ("ORMONDE, Beatrix", 1892, 1950, "Ashmere", "English"),
    ("SAVATIER, Jules", 1884, 1950, "Valmorin", "French"),
    ("NOORDEN, Pim", 1886, 1944, "Osterhaven", "Dutch"),
)
MUSEUMS = (
    "Civic Gallery, Arvenna",
    "Museum of the Harbour, Osterhaven",
    "Palazzo Serrati, Montaldera",
    "Royal Collection, Nordhavn",
    "Fenwick Rooms, Ashmere",
    "Private collection",
)
PLACES = ("Arvenna", "Osterhaven", "Montaldera", "Valmorin", "Nordhavn", "Ashmere", "Rochebrune", "Velgorod", "Brezov")
SITTERS = (
    *("Printer", "Lute Maker", "Notary", "Gardener", "Sea Captain", "Clockmaker", "Poet", "Baker", "Physician"),
    *("Weaver", "Actor", "Miller", "Astronomer", "Glassblower", "Traveller", "Singer", "Bookbinder", "Herbalist"),
)
TITLES = {
    "mountains": (("Peaks", "Firs", "Mountain Pass", "High Valley"), [f"above {place}" for place in PLACES]),
    "sea": (("Sails", "Calm Water", "Boats", "The Bay"), [f"off {place}" for place in PLACES]),
    "village": (("Houses", "The Church Road", "Roofs", "A Village"), [f"near {place}" for place in PLACES]),
    "forest": (("Forest", "Old Trees", "A Clearing", "The Edge of the Wood"), [f"near {place}" for place in PLACES]),
    "fields": (("Furrows", "Fields", "The Flower Harvest", "Open Country"), [f"near {place}" for place in PLACES]),
    "flowers": (
        ("Flowers in a Vase", "Bouquet", "Summer Flowers", "Posy"),
        ("and Fruit", "on a Table", "from the Garden", "with Leaves", "on a Cloth"),
    ),
    "fruit": (
        ("Bowl of Fruit", "Fruit and Jug", "Apples and Pears", "Fruit"),
        ("on a Table", "by a Wall", "and Vessels", "on a Cloth"),
    ),
    "books": (
        ("Books", "Pile of Books", "Books and Fruit", "The Reader's Table"),
        ("with a Vessel", "at Night", "on a Cloth", "in the Study"),
    ),
    "kitchen": (
        ("Jugs", "Vases and Fruit", "The Kitchen Table", "Vessels"),
        ("before Supper", "against a Wall", "on a Cloth", "in the Larder"),
    ),
    "portrait": (
        [f"Portrait of {'an' if sitter[0] in 'AEIOU' else 'a'} {sitter}" for sitter in SITTERS],
        [f"from {place}" for place in PLACES],
    ),
    "circles": (("Rings and Rays",), [f"No. {number}" for number in range(1, 61)]),
    "grid": (("Measured Rooms",), [f"No. {number}" for number in range(1, 61)]),
    "drips": (("Rain on the Floor",), [f"No. {number}" for number in range(1, 61)]),
    "facets": (("Splinters",), [f"No. {number}" for number in range(1, 61)]),
    "waves": (("Contours",), [f"No. {number}" for number in range(1, 61)]),
    "signs": (("Signs in the Air",), [f"No. {number}" for number in range(1, 61)]),
    "colour_fields": (("Quiet Field",), [f"No. {number}" for number in range(1, 61)]),
    "mosaic": (("Tiles",), [f"No. {number}" for number in range(1, 61)]),
}
TYPES = {"landscape": "landscape", "still_life": "still-life", "portrait": "portrait", "abstract": "abstract"}


def catalogue(works: list[Painting]) -> list[catalog.Work]:
    """The catalogue's row of each picture in the gallery; no two titles are the same."""
    generator = np.random.default_rng(VERSION)
    titles = {}
    for kind, parts in TITLES.items():
        every = [f"{first} {second}" for first, second in itertools.product(*parts)]
        titles[kind] = iter([every[place] for place in generator.permutation(len(every))])
    return [_row(work, next(titles[work.kind]), generator) for work in works]


def _row(work: Painting, title: str, generator: np.random.Generator) -> catalog.Work:
    painters = MODERN if work.genre == "abstract" else PAINTERS
    author, born, died, birthplace, school = painters[generator.integers(len(painters))]
    year = int(generator.integers(born + 22, died + 1))
    start = (year - 1) // 50 * 50 + 1
    return catalog.Work(
        author=author,
        born_died=f"(b. {born}, {birthplace}, d. {died}, {PLACES[generator.integers(len(PLACES))]})",
        title=title,
        date=str(year) if generator.random() < 0.6 else f"c. {year}",
        technique="Oil on canvas",
        location=MUSEUMS[generator.integers(len(MUSEUMS))],
        form="painting",
        type=TYPES[work.genre],
        school=school,
        timeframe=f"{start}-{start + 49}",
        file=work.file,
    )


def main(argv: list[str] | None = None) -> None:
    settings = Settings.read()
    parser = plain_parser(__doc__)
    parser.add_argument(
        "--dataset", type=Path, default=settings.dataset, metavar="DIR", help="the gallery (%(default)s)"
    )
    parser.add_argument(
        "--queries", type=Path, default=Path("dataset/queries"), metavar="DIR", help="photographs (%(default)s)"
    )
    parser.add_argument(
        "--catalog", type=Path, default=Path("database/catalog.csv"), metavar="FILE", help="catalogue (%(default)s)"
    )
    options = parser.parse_args(argv)
    dataset, queries = options.dataset.resolve(), options.queries.resolve()
    if dataset == queries or dataset in queries.parents or queries in dataset.parents:
        raise WrongUse(
            f"{options.queries} and {options.dataset} must not contain each other: the photographs are not works."
        )
    start = time.monotonic()
    paintings = plan()
    workers = settings.workers or os.cpu_count() or 1
    written = make(paintings, options.dataset, options.queries, options.catalog, workers)
    works = sum(bool(painting.file) for painting in paintings)
    photographs = sum(bool(painting.photograph) for painting in paintings)
    what = f"{works} pictures in {options.dataset}, {photographs} photographs in {options.queries}, {options.catalog}"
    if written:
        print(f"Painted the demonstration gallery in {time.monotonic() - start:.1f} s: {what}.")
    else:
        print(f"The demonstration gallery is complete, nothing to paint: {what}.")


if __name__ == "__main__":
    run(main)

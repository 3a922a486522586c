"""The queries of an evaluation: the pictures in a folder, or transformed copies of the collection's own images."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import Settings
from models.evaluation import ground_truth, records
from utils import images, transforms
from utils.errors import WrongUse
from utils.script import progress
from utils.text import printable

COPY_SIDE = 1600  # pixels; an image is reduced to this before it is transformed, as a visitor's photograph would be


@dataclass(frozen=True)
class Query:
    """One query picture, and the right answer."""

    name: str  # in tables
    path: Path
    expected: frozenset[int] | None = None  # ids; empty: not in the collection; None: no ground truth
    works: tuple[frozenset[int], ...] = ()  # the same ids, those of one work together
    exclude: frozenset[int] = frozenset()  # ids held out of the collection for this query
    seed: tuple[int, ...] | None = None  # query with a copy transformed with this seed instead
    on_wall: bool = False  # the copy is a photograph of the picture, framed on a wall
    group: str = ""  # the same for all queries of one work (see models.evaluation.fit_calibration)


def folder_queries(
    folder: Path,
    truth: Path | None,
    collection: dict[int, str],
    works: Collection[tuple[str, frozenset[int]]] = (),
) -> list[Query]:
    """A query for every file directly in the folder, sorted by name; sub-folders and hidden files are ignored.

    truth: the ground truth; by default `ground_truth.csv` in the folder, if there is one.
    works: (inventory number or "", ids of its images) of each work of the register.
    Raises WrongUse for a missing or empty folder, and for an invalid ground truth.
    """
    if not folder.is_dir():
        raise WrongUse(f"{printable(str(folder))} is not a folder: give a folder of query pictures.")
    beside = folder / "ground_truth.csv"
    if truth is None and beside.is_file():
        truth = beside
    tables = {path.resolve() for path in (beside, truth) if path}
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.resolve() not in tables and not path.name.startswith(".")
    )
    if not files:
        raise WrongUse(f"{printable(str(folder))} contains no files: give a folder of query pictures.")
    expected = ground_truth.read(truth, [path.name for path in files], collection, works) if truth else {}
    queries = []
    for path in files:
        relevant = expected.get(path.name)
        group = collection[min(relevant)] if relevant else path.name  # two photographs of a work belong together
        shown = _by_work(relevant or frozenset(), [ids for _, ids in works])
        queries.append(Query(path.name, path, relevant, shown, group=group))
    return queries


def _by_work(images: frozenset[int], works: Collection[frozenset[int]]) -> tuple[frozenset[int], ...]:
    """The images of each work; one that is in none of the works is a work of its own."""
    several = [ids & images for ids in works if ids & images]
    rest = images.difference(*several)
    return (*several, *(frozenset({image}) for image in sorted(rest)))


def transformed_queries(
    dataset: Path,
    collection: dict[int, str],
    twins: Callable[[int], set[int]],
    *,
    sample: int,
    copies: int,
    absent: int,
    seed: int,
    walls: bool = False,
) -> list[Query]:
    """Queries made from the collection's own images: `seed` determines the images and the transformations.

    sample: number of images of which `copies` transformed copies each should lead to the original; fewer in a small
    collection. absent: number of further images, each queried with one copy while held out of the collection.
    twins: returns the other images that show the same work; they count as right too, and are held out together.
    walls: the copies are photographs of the images, framed on a wall.
    Raises WrongUse if the held-out images leave nothing to sample.
    """
    drawn = [int(image) for image in np.random.default_rng(seed).permutation(sorted(collection))]
    held_out, rest = drawn[:absent], drawn[absent:][-sample:]
    if not rest:
        raise WrongUse(f"The collection has only {len(drawn)} images, so {absent} cannot be held out: lower --absent.")
    alike = {image: _alike(image, twins) for image in progress(held_out + rest, what="Looking for twins")}
    queries = []
    for image in rest:
        path = collection[image]
        for copy in range(copies):
            name, drawn_by = f"{path} (copy {copy + 1})", (seed, image, copy)
            shown = alike[image]
            queries.append(Query(name, dataset / path, shown, (shown,), frozenset(), drawn_by, walls, path))
    for image in held_out:
        path = collection[image]
        name, drawn_by = f"{path} (held out)", (seed, image, copies)
        queries.append(Query(name, dataset / path, frozenset(), (), alike[image], drawn_by, walls, path))
    return queries


def _alike(image: int, twins: Callable[[int], set[int]]) -> frozenset[int]:
    try:
        return frozenset({image, *twins(image)})
    except images.ImageProblem:  # the query will be skipped, with the reason
        return frozenset({image})


def groups(folder: Path) -> set[str]:
    """The `group`s of the queries of a run. Raises WrongUse as `records.read` does."""
    return {record.group for record in records.read(folder)[1]}


def picture_of(query: Query, settings: Settings) -> tuple[Path | np.ndarray, list[str]]:
    """The picture to query with, and the transformations applied to it.

    Returns the query's file, or for a transformed copy (height, width, 3) uint8 BGR with the transformations' names.
    Raises ImageProblem if an image to copy cannot be read.
    """
    if query.seed is None:
        return query.path, []
    image = images.fit(load(query.path, settings, COPY_SIDE), COPY_SIDE)
    generator = np.random.default_rng(query.seed)
    if query.on_wall:
        return transforms.photograph(image, generator), ["on a wall"]
    image, changes = transforms.disturb(image, generator)
    return image, [str(change) for change in changes]


def folder_of(queries: Sequence[Query]) -> str | None:
    """The folder of the query pictures, so that a page can show them later; None for transformed copies."""
    if not queries or queries[0].seed is not None:
        return None
    return printable(str(queries[0].path.parent.absolute()))


def load(path: Path, settings: Settings, side: int) -> np.ndarray:
    """(height, width, 3) uint8 BGR; decoding does not reduce the long side below `side` pixels. Raises ImageProblem."""
    return images.load(
        path,
        max_pixels=settings.max_pixels,
        min_side=settings.min_side,
        max_side=settings.max_side,
        at_least=side,
    )

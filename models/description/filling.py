"""Step 2: fill the collection store with descriptors, and keep it up to date.

Missing descriptors are added in one transaction per batch, so an interrupted run continues where it stopped, and a
repeated one has nothing to do.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import chain

import numpy as np

from config import Settings
from models.collection.lists import Lists
from models.collection.reading import Outcome, Reading
from models.collection.store import Stamp, Store
from models.description import pooling, whitening
from models.description.describer import Describer
from models.description.network import Network
from models.description.recipe import Recipe
from models.description.whitening import Whitening
from utils import work
from utils.errors import WrongUse
from utils.images import ImageProblem
from utils.script import progress

CLASSES_SAMPLE = 128  # maximum number of pictures from which the collection's most frequent classes are determined ...
PROBABLE = 16  # ... counting this many classes of each


def describe(
    store: Store, reading: Reading, listed: Lists, describer: Describer, settings: Settings, update: bool
) -> Outcome:
    """Step 2: a descriptor for every listed picture without one; with `update` also for those that changed.

    A new store first gets the class vectors of a seeded sample, on which the whitening is fitted; each picture passes
    through the network once. If all images share the classes, these are determined from a smaller sample before that.
    With `update`, pictures that are no longer listed are deleted.
    """
    paths = listed.horizontal + listed.vertical
    outcome = Outcome()
    changed = set()
    if update:
        outcome.deleted = _delete_gone(store, paths)
        changed = _changed(store, reading, set(paths))
    todo = (set(paths) - _known(store)) | changed
    fitted = load_whitening(store)
    sample = set() if fitted else _sample(paths, settings.whitening_sample)
    workers = work.cores(settings.workers)
    if describer.recipe.pooling in pooling.OF_COLLECTION and not fitted and not store.count("vectors"):
        describer = _with_classes(store, reading, listed, describer, settings.batch_size, workers)
    with (
        progress(total=len(paths), what="Describing") as bar,
        work.ending(ThreadPoolExecutor(workers)) as readers,
        work.ending(ThreadPoolExecutor(workers)) as poolers,
    ):
        bar.update(len(paths) - len(todo))
        for chosen in (todo & sample, todo - sample):
            batches = _ordered(listed, chosen, settings.batch_size)
            for inputs, skipped in _batches(reading, describer, batches, readers, outcome.noted):
                stamps = [stamp for stamp, _ in inputs]
                vectors = describer.vectors(np.stack([pixels for _, pixels in inputs]), poolers) if inputs else []
                if fitted:
                    vectors = [fitted.descriptor(of_image) for of_image in vectors]
                store.put_images("descriptors" if fitted else "vectors", zip(stamps, vectors, strict=True), skipped)
                outcome.changed += sum(stamp.path in changed for stamp in stamps)
                outcome.added += sum(stamp.path not in changed for stamp in stamps)
                outcome.skipped += [(stamp.path, reason) for stamp, reason in skipped]
                bar.update(len(stamps) + len(skipped))
            fitted = fitted or _whiten(store, describer.recipe)
    return outcome


def _with_classes(
    store: Store, reading: Reading, listed: Lists, describer: Describer, batch_size: int, workers: int
) -> Describer:
    """The describer with the classes most frequent in a seeded sample of the pictures, which the store keeps."""
    chosen = _sample(listed.horizontal + listed.vertical, CLASSES_SAMPLE)
    with (
        progress(total=len(chosen), what="Choosing classes") as bar,
        work.ending(ThreadPoolExecutor(workers)) as readers,
    ):
        unread: dict[str, str] = {}

        def inputs() -> Iterator[np.ndarray]:
            batches = _ordered(listed, chosen, batch_size)
            # Defects are noted later, when the pictures are described.
            for readable, skipped in _batches(reading, describer, batches, readers, []):
                if readable:
                    yield np.stack([pixels for _, pixels in readable])
                unread.update((stamp.path, reason) for stamp, reason in skipped)
                bar.update(len(readable) + len(skipped))

        try:
            classes = most_frequent_classes(describer.network, inputs(), describer.recipe.classes)
        except Unreadable as problem:
            problem.skipped = unread
            raise
    store.set_meta(frequent_classes=classes.tolist())
    return Describer(describer.network, describer.recipe, describer.digest, classes)


def most_frequent_classes(network: Network, inputs: Iterable[np.ndarray], count: int) -> np.ndarray:
    """The `count` classes that are most often among a picture's PROBABLE most probable ones, most frequent first.

    inputs: batches, each (pictures, height, width, 3) uint8 BGR. Raises WrongUse if there is none.
    """
    numbers: list[np.ndarray] = []
    for batch in inputs:
        *_, activations = network(batch)
        numbers += [network.head.classes(one, PROBABLE)[0] for one in activations]
    if not numbers:
        raise Unreadable("a sample of the listed pictures")
    return np.argsort(-np.bincount(np.concatenate(numbers), minlength=count), kind="stable")[:count]


class Unreadable(WrongUse):
    """None of the pictures could be read; skipped: path -> reason."""

    def __init__(self, pictures: str, skipped: dict[str, str] | None = None):
        super().__init__(f"None of {pictures} could be read: run create_list.py again, or check the dataset.")
        self.skipped = skipped or {}


def load_whitening(store: Store) -> Whitening | None:
    """The whitening a store keeps, or None before it is fitted."""
    arrays = store.get_arrays("whitening_mean", "whitening_projection")
    return Whitening(*arrays) if arrays else None


def whitening_of(store: Store) -> Whitening:
    """The whitening a store keeps. Raises WrongUse before it is fitted."""
    whitening = load_whitening(store)
    if whitening is None:
        raise WrongUse(f"{store.path} is not complete: run train.py again; it continues where it stopped.")
    return whitening


def _known(store: Store) -> set[str]:
    return {stamp.path for stamp in store.images().values()} | set(store.skipped())


def _sample(paths: list[str], size: int) -> set[str]:
    drawn = np.random.default_rng(0).permutation(len(paths))[:size]
    return {paths[i] for i in drawn}


def _ordered(listed: Lists, chosen: set[str], size: int) -> list[list[str]]:
    """Batches of one orientation each, in the order of the lists: deterministic, so that runs can be resumed."""
    batches = []
    for paths in (listed.horizontal, listed.vertical):
        kept = [path for path in paths if path in chosen]
        batches += [kept[i : i + size] for i in range(0, len(kept), size)]
    return batches


def _batches(
    reading: Reading,
    describer: Describer,
    batches: list[list[str]],
    readers: Executor,
    noted: list[tuple[str, str]],
) -> Iterator[tuple[list[tuple[Stamp, np.ndarray]], list[tuple[Stamp, str]]]]:
    """For each batch the network's inputs and the skipped files; the next two batches are read ahead.

    noted: receives (path, defect) of pictures that could be read nevertheless.
    """

    def read(path: str) -> tuple[Stamp, np.ndarray | str]:
        try:
            stamp, content = reading.content(path)
        except ImageProblem as problem:
            return Stamp(path, 0, 0), str(problem)
        notes: list[str] = []
        try:
            pixels = reading.decode(content, notes)
            noted.extend((path, note) for note in notes)
            return stamp, describer.prepare(pixels)
        except ImageProblem as problem:
            return stamp, str(problem)

    depth = 3 * max(map(len, batches), default=0)
    results = (result for _, result in work.ahead(readers, read, chain.from_iterable(batches), depth))
    for batch in batches:
        rows = [next(results) for _ in batch]
        yield (
            [(stamp, result) for stamp, result in rows if not isinstance(result, str)],
            [(stamp, result) for stamp, result in rows if isinstance(result, str)],
        )


def _whiten(store: Store, recipe: Recipe) -> Whitening:
    """Fit the whitening on the class vectors in the store, and replace them by descriptors."""
    count = store.count("vectors")
    if not count:
        skipped = {path: reason for path, (_, reason) in store.skipped().items()}
        store.delete(skipped)  # so that the next run tries them again
        raise Unreadable("the listed pictures", skipped)
    each = whitening.vectors_each(count)
    channels = recipe.channels()
    sample = np.concatenate([vectors[:each] for _, vectors in store.vectors(channels)])
    fitted = whitening.fit(sample, recipe.dimensions)
    arrays = {"whitening_mean": fitted.mean, "whitening_projection": fitted.projection}
    store.whiten(arrays, ((image, fitted.descriptor(vectors)) for image, vectors in store.vectors(channels)))
    return whitening_of(store)  # as a resumed run would load it


def _delete_gone(store: Store, paths: Iterable[str]) -> int:
    """Delete files that are no longer listed; returns how many of them were images."""
    known = {stamp.path for stamp in store.images().values()}
    gone = (known | set(store.skipped())) - set(paths)
    store.delete(gone)
    return len(gone & known)


def _changed(store: Store, reading: Reading, paths: set[str]) -> set[str]:
    """Paths whose files differ from the store's record; if only the time differs, the record is updated."""
    changed, touched = set(), []
    skipped = [stamp for stamp, _ in store.skipped().values()]
    for known in chain(store.images().values(), skipped):
        if known.path not in paths:
            continue
        try:
            if known.same_time(Stamp.of(reading.dataset, known.path)):
                continue
            current, _ = reading.content(known.path)
        except (OSError, ImageProblem):
            changed.add(known.path)
            continue
        if known.checksum and current.checksum == known.checksum and known not in skipped:
            touched.append(current)
        else:
            changed.add(known.path)
    store.touch(touched)
    return changed

"""Step 3: fill the collection store with local features."""

from functools import partial

import cv2

from models.collection.features import Features
from models.collection.reading import Outcome, Reading
from models.collection.store import Stamp, Store
from models.local import votes
from models.local.extractor import Extractor
from utils import work
from utils.images import ImageProblem
from utils.script import progress

AT_ONCE = 64  # images in one transaction

# Of a worker process, where `_prepare_process` sets them before anything else runs.
_reading: Reading
_extractor: Extractor


def find_features(store: Store, reading: Reading, extractor: Extractor, workers: int, indexed: int) -> Outcome:
    """Step 3: compute the local features of every image without them, in several processes, and index them.

    indexed: keypoints of an image that can vote, at most (see models.local.votes).
    A picture that has changed since step 2 is skipped: its descriptor has to be computed again first.
    """
    outcome = Outcome()
    stamps = store.images()
    todo = store.without_features()
    broken_off = store.get_meta("votes_pending")  # features were stored, but not indexed: nobody knows which
    if todo:
        store.set_meta(votes_pending=True)
    prepare = partial(_prepare_process, reading, extractor)
    with (
        progress(total=len(stamps), what="Finding features") as bar,
        work.ending(work.processes(work.cores(workers), prepare)) as pool,
    ):
        bar.update(len(stamps) - len(todo))
        results = work.ahead(pool, _features_of, (stamps[image] for image in todo), depth=2 * AT_ONCE)
        for start in range(0, len(todo), AT_ONCE):
            several = todo[start : start + AT_ONCE]
            rows = [(image, next(results)[1]) for image in several]
            store.put_features([(image, result) for image, result in rows if not isinstance(result, str)])
            outcome.skipped += [(stamps[image].path, result) for image, result in rows if isinstance(result, str)]
            bar.update(len(several))
    outcome.added = len(todo) - len(outcome.skipped)
    votes.update(store, indexed, None if broken_off else set(todo))
    return outcome


def _prepare_process(reading: Reading, extractor: Extractor) -> None:
    """Set up a worker process; with one thread, because there is a process for every core."""
    global _reading, _extractor
    _reading, _extractor = reading, extractor
    cv2.setNumThreads(1)


def _features_of(stamp: Stamp) -> Features | str:
    """The local features of one image, or why there are none."""
    try:
        current, content = _reading.content(stamp.path)
        if current.checksum != stamp.checksum:
            return "changed since train.py: run train.py --update first"
        return _extractor.extract(_reading.decode(content))
    except ImageProblem as problem:
        return str(problem)

"""Shows where the time of a query goes, stage by stage, against a collection of 43,690 images.

Examples:
  python benchmarks/query.py --collection output ../shared/data/museum/queries/*
  python benchmarks/query.py --collection output/demo --images 2000 dataset/demo/queries      a quick look

The large collection is made of the images of an existing one, repeated under other names: their descriptors with a
little noise (so that no two are alike), their local features with other bits in each repetition (so that these are
strangers to the query, as they would be), and the same whitening. It lies in
OUTPUT (output/benchmark), about 25 KB an image, is kept for the next time, and continues where it was interrupted.
Every picture of the folders is asked once, after one that is not counted.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from config import Settings
from models.answer import STAGES
from models.collection.features import Features
from models.collection.store import Stamp, Store
from models.description.pooling import normalised
from models.description.recipe import fingerprint
from models.local import votes
from utils import script
from utils.errors import WrongUse
from utils.images import ImageProblem
from utils.statistics import spread

AT_ONCE = 1000  # images in one transaction
NOISE = 0.01  # standard deviation, of each number of a descriptor
WHITENING = ("whitening_mean", "whitening_projection")


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(settings, argv)
    pictures = [path for folder in options.folders for path in sorted(folder.iterdir()) if path.suffix != ".csv"]
    pictures = pictures[: options.queries]
    if not pictures:
        raise WrongUse("The folders hold no pictures: name folders with pictures to ask for.")
    repeat(options.collection, options.output, options.images, settings)

    from models.engine import Engine  # only now: TensorFlow takes seconds

    engine = Engine.open(options.output, settings.dataset, settings)
    engine.ask(pictures[0])
    queries = []
    for picture in script.progress(pictures, what="Queries", unit=" queries"):
        try:
            queries.append(engine.ask(picture).seconds)
        except ImageProblem as problem:
            print(f"skipped: {picture}: {problem}")
    print(
        f"{measure.machine()}; {len(engine.images)} images, network {engine.describer.recipe.size} in "
        f"{engine.versions['precision']}, {len(queries)} queries"
    )
    print(_report(queries))


def repeat(collection: Path, output: Path, count: int, settings: Settings) -> None:
    """Fill the store in `output` with `count` images made of those of the store in `collection`.

    Raises WrongUse where the one is incomplete, or the other was made of another collection.
    """
    source = Store.reading(collection)
    if not source.get_meta("complete") or not source.count("features"):
        raise WrongUse(f"{source.path} is not complete: run train.py and pre_compute_descriptor.py first.")
    with Store.writing(output, settings.store_gigabytes) as store:
        if not store.get_meta("recipe"):
            store.whiten(dict(zip(WHITENING, source.get_arrays(*WHITENING), strict=True)), [])
            names = ("recipe", "weights_digest", "method", "frequent_classes", "local_features")
            store.set_meta(**{name: source.get_meta(name) for name in names})
        if fingerprint(store) != fingerprint(source) or store.count("images") > count:
            raise WrongUse(f"{store.path} is of another collection, or larger: delete it, and it will be rebuilt.")
        _repeat_descriptors(source, store, count)
        _repeat_features(source, store)
        votes.update(store, settings.indexed, set())
        store.set_meta(complete=True)


def _repeat_descriptors(source: Store, store: Store, count: int) -> None:
    """Image number n, from 0, is image n of the source, counted round and round."""
    _, descriptors = source.descriptors()
    stamps = list(source.images().values())
    done = store.count("images")
    with script.progress(total=count, what="Repeating descriptors") as bar:
        bar.update(done)
        for start in range(done, count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count))
            rows = [_repeated(stamps, descriptors, number) for number in numbers]
            store.put_images("descriptors", rows)
            bar.update(len(rows))


def _repeated(stamps: list[Stamp], descriptors: np.ndarray, number: int) -> tuple[Stamp, np.ndarray]:
    copy, place = divmod(number, len(stamps))
    noise = np.random.default_rng(number).normal(0, NOISE if copy else 0, descriptors.shape[1])
    return replace(stamps[place], path=f"{copy}/{stamps[place].path}"), normalised(descriptors[place] + noise)


def _repeat_features(source: Store, store: Store) -> None:
    ids = {stamp.path: image for image, stamp in source.images().items()}
    origins = {image: stamp.path.partition("/") for image, stamp in store.images().items()}
    todo = store.without_features()
    with script.progress(total=len(origins), what="Repeating features") as bar:
        bar.update(len(origins) - len(todo))
        for start in range(0, len(todo), AT_ONCE):
            several = todo[start : start + AT_ONCE]
            features = source.features([ids[origins[image][2]] for image in several])
            copies = [int(origins[image][0]) for image in several]
            rows = zip(several, features, copies, strict=True)
            store.put_features([(image, _estranged(row, copy)) for image, row, copy in rows if row])
            bar.update(len(several))


def _estranged(features: Features, copy: int) -> Features:
    """The same keypoints with some bits of all descriptors flipped, others in each copy, and none in copy 0."""
    if not copy:
        return features
    flipped = np.random.default_rng(copy).integers(0, 256, features.descriptors.shape[1], np.uint8)
    return replace(features, descriptors=features.descriptors ^ flipped)


def _report(queries: list[dict[str, float]]) -> str:
    columns = {stage: [seconds[stage] for seconds in queries] for stage in STAGES}
    columns["total"] = [sum(seconds.values()) for seconds in queries]
    columns["total without the network"] = [sum(seconds.values()) - seconds["network"] for seconds in queries]
    rows = []
    for name, values in columns.items():
        figures = spread(values)
        rows.append([name, f"{figures['p50']:.3f}", f"{figures['p95']:.3f}"])
    return measure.table(["stage", "p50, seconds", "p95, seconds"], rows)


def _options(settings: Settings, argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="pictures to ask for")
    add("--collection", type=Path, default=settings.output, metavar="DIR", help="what is repeated (%(default)s)")
    add("--output", type=Path, default=Path("output/benchmark"), metavar="DIR", help="the large one (%(default)s)")
    add("--images", type=script.positive, default=43690, metavar="N", help="in the large one (%(default)s)")
    add("--queries", type=script.positive, metavar="N", help="ask no more than these (all)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

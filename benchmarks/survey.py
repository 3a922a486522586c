"""How the time and memory of a survey for duplicates grow with the collection.

  python benchmarks/survey.py                         240, 1,200 and 6,000 pictures
  python benchmarks/survey.py --images 240 43690      other numbers

The pictures are those under RETRIEVAL_DATA (museum/gallery and distractors), or painted ones; after the last comes the
first again, with other bits in all its local features, so that it keeps its structure and resembles no other picture.
Descriptors are made up: what they say does not change how long a survey takes. Processor time, of one core.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measure import gallery, in_a_process, machine, table
from config import Settings
from models.collection.features import Features
from models.collection.reading import Reading
from models.collection.store import Stamp, Store
from models.duplicates import near_duplicates
from models.local import votes
from models.local.orb import Orb
from utils.script import plain_parser, positive, progress

DIMENSIONS = 512
AIM = 43_690  # pictures of the largest collection in other measurements
AT_ONCE = 512  # pictures in one transaction


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--images", type=positive, nargs="+", default=[240, 1200, 6000], metavar="N")
    parser.add_argument("--survey", nargs=2, metavar="FOLDER", help="survey one collection: its store, its pictures")
    arguments = parser.parse_args()
    if arguments.survey:
        print(json.dumps(measure(*map(Path, arguments.survey))))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    settings, rows, each = Settings.read(), [], 0.0
    with tempfile.TemporaryDirectory() as scratch:
        pictures, paths = real_pictures(settings, Path(scratch))
        extractor, reading = Orb(settings.keypoints, settings.feature_side), Reading.of(pictures, settings)
        paths = paths[: max(arguments.images)]
        features = [
            extractor.extract(reading.decode(pictures / path)) for path in progress(paths, what="Finding features")
        ]
        for count in arguments.images:
            folder = Path(scratch) / f"{count} pictures"
            build(folder, paths, features, count, extractor, settings.indexed)
            told = in_a_process(__file__, "--survey", str(folder), str(pictures))
            each = told["seconds"] / count
            figures = (told["seconds"], 1000 * each, told["megabytes"])
            rows.append([f"{count:,}", *(f"{figure:,.1f}" for figure in figures), str(told["pairs"])])
    print(machine())
    print(table(["pictures", "seconds", "ms a picture", "MiB", "pairs"], rows))
    print(f"Estimate for {AIM:,} pictures: {each * AIM:.0f} s of one core.")


def real_pictures(settings: Settings, scratch: Path) -> tuple[Path, list[str]]:
    """A folder, and the paths of pictures in it."""
    data = settings.data.absolute()
    files = [*sorted(data.glob("museum/gallery/*.jpg")), *sorted(data.glob("distractors/*/*.jpg"))]
    return (data, [str(file.relative_to(data)) for file in files]) if files else gallery(settings, 240, scratch)


def build(folder: Path, paths: list[str], features: list[Features], count: int, extractor: Orb, indexed: int) -> None:
    """A store of so many pictures, with an index of their keypoints."""
    random = np.random.default_rng(0)
    with Store.writing(folder, 64) as store:
        store.restart_features(local_features=extractor.settings())
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count))
            vectors = random.standard_normal((len(numbers), DIMENSIONS)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            # "./" before a path makes it another path to the same file
            stamps = [Stamp("./" * (n // len(paths)) + paths[n % len(paths)], 1, 1, f"{n:032x}") for n in numbers]
            store.put_images("descriptors", zip(stamps, vectors, strict=True))
            store.put_features((n + 1, altered(features[n % len(paths)], n // len(paths), random)) for n in numbers)
        votes.update(store, indexed, None)


def altered(features: Features, times: int, random: np.random.Generator) -> Features:
    """The features with the same random bits turned over in each descriptor; as they are the first time."""
    bits = random.integers(0, 256, features.descriptors.shape[1], np.uint8)
    return replace(features, descriptors=features.descriptors ^ bits) if times else features


def measure(output: Path, pictures: Path) -> dict:
    """The seconds of processor time and the memory of one survey, and the pairs it finds."""
    cv2.setNumThreads(1)
    store = Store.reading(output)
    held = [0.0]
    started = time.process_time()
    pairs = list(near_duplicates(store, Reading.of(pictures, Settings()), 1, lambda *_: held.append(megabytes())))
    seconds = time.process_time() - started
    for pair in pairs:
        names = (store.images()[image].path for image in (pair.first, pair.second))
        print(*names, pair.inliers, pair.agreement, file=sys.stderr)
    return {"seconds": seconds, "megabytes": max(held), "pairs": len(pairs)}


def megabytes() -> float:
    """The memory of this process in MiB, without the files that it maps: the system takes their pages back at need."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


if __name__ == "__main__":
    main()

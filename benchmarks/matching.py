"""Compares local features, and ways to verify their matches: which finds the right work, at what cost.

Examples:
  python benchmarks/matching.py
  python benchmarks/matching.py --only "ours" "SIFT 1000" --sets crops      a quick look

Each of the museum's queries (RETRIEVAL_DATA) is matched with every painting of its gallery, without descriptors; the
columns tell for how many a relevant painting has the most inliers. "Strangers" are the most inliers that a query
without a work in the gallery has with any.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from config import Settings
from models import local_features, verification
from models.answer import Warp
from models.local_features import Finder
from models.reading import Reading
from utils import images, metrics, script
from utils.errors import WrongUse
from utils.script import progress
from utils.store import Features

SETS = ("crops", "walls", "pairs", "mixed", "noisy")


@dataclass(frozen=True)
class Variant:
    """What is found on works and queries, and how matches are verified; by default as the engine does it."""

    kind: str = "orb"
    keypoints: int = 500  # of a work
    query_keypoints: int = 2000
    affine: bool = False  # the query is also looked at tilted, as if seen from aside (ASIFT, Yu & Morel 2011)
    ratio: float = verification.RATIO
    estimator: int = verification.ESTIMATOR
    sane: bool = True  # homographies have to be such as photographs have


VARIANTS = {
    "ours": Variant(),
    "ORB 500, query 500": Variant(query_keypoints=500),
    "ORB 500, query 1000": Variant(query_keypoints=1000),
    "ORB 500, query 4000": Variant(query_keypoints=4000),
    "ORB 1000": Variant(keypoints=1000),
    "SIFT 500": Variant("sift"),
    "SIFT 1000": Variant("sift", keypoints=1000),
    "affine ORB": Variant(affine=True),
    "affine SIFT": Variant("sift", affine=True),
    "ratio 0.7": Variant(ratio=0.7),
    "ratio 0.75": Variant(ratio=0.75),
    "ratio 0.85": Variant(ratio=0.85),
    "RANSAC": Variant(estimator=cv2.RANSAC),
    "any homography": Variant(sane=False),
}


@dataclass
class Museum:
    """The gallery and its queries."""

    reading: Reading
    works: dict[str, Path]
    queries: dict[str, dict[str, frozenset[str]]]  # set -> query -> relevant works
    settings: Settings

    @classmethod
    def read(cls, settings, sets) -> "Museum":
        folder = settings.data / "museum"
        if not folder.is_dir():
            raise WrongUse(f"There is no {folder}: set RETRIEVAL_DATA to the folder that holds museum and distractors.")
        works = {path.name: path for path in sorted((folder / "gallery").iterdir())}
        queries = {}
        for name in sets:
            with (folder / "queries" / name / "ground_truth.csv").open(encoding="utf-8", newline="") as file:
                queries[name] = {row["query"]: frozenset(row["relevant"].split()) for row in csv.DictReader(file)}
        return cls(Reading.of(folder, settings), works, queries, settings)

    def features(self, variant: Variant, kept: dict) -> dict[str, Features]:
        """Of each work; `kept` has those of earlier variants."""
        key = variant.kind, variant.keypoints
        if key not in kept:
            finder = Finder(*key, self.settings.feature_side)
            shown = progress(self.works.items(), total=len(self.works), what=f"{variant.kind} {variant.keypoints}")
            kept[key] = {name: finder.find(self.reading.decode(path)) for name, path in shown}
        return kept[key]

    def query(self, variant: Variant, picture: np.ndarray) -> Features:
        finder = Finder(variant.kind, variant.query_keypoints, self.settings.query_side)
        return _affine(finder, picture) if variant.affine else finder.find(picture)


def _affine(finder: Finder, picture: np.ndarray) -> Features:
    """As Finder.find, of the picture and of it tilted; up to `keypoints` of each view."""
    frame = images.fit(picture, finder.side)
    detector = cv2.ORB_create(finder.keypoints) if finder.kind == "orb" else cv2.SIFT_create(finder.keypoints)
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    keypoints, descriptors = cv2.AffineFeature_create(detector, maxTilt=2).detectAndCompute(grey, None)
    if not len(keypoints):
        return finder.find(picture)
    table = np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)
    return Features(frame.shape[:2], table, descriptors if finder.kind == "orb" else local_features._root(descriptors))


@contextmanager
def as_of(variant: Variant) -> Iterator[None]:
    """While this holds, models.verification does as the variant says."""
    ours = verification.RATIO, verification.ESTIMATOR, verification.sane_warp
    verification.RATIO, verification.ESTIMATOR = variant.ratio, variant.estimator
    if not variant.sane:
        verification.sane_warp = lambda homography, points: Warp()
    try:
        yield
    finally:
        verification.RATIO, verification.ESTIMATOR, verification.sane_warp = ours


def row(name: str, museum: Museum, kept: dict) -> list[str]:
    """What a variant reaches on each set, on strangers, and the seconds it takes."""
    variant = VARIANTS[name]
    works = museum.features(variant, kept)
    names, found = list(works), list(works.values())
    right: dict[str, list[bool]] = {one: [] for one in museum.queries}
    strangers, finding, matching = [0], [], []
    asked = [(one, *both) for one, queries in museum.queries.items() for both in queries.items()]
    with as_of(variant):
        for one, query, relevant in progress(asked, what=name):
            picture = museum.reading.decode(museum.settings.data / "museum" / "queries" / one / query)
            seconds, shown = measure.timed(museum.query, variant, picture)
            finding.append(seconds)
            seconds, inliers = measure.timed(_inliers, shown, found)
            matching.append(seconds / len(found))
            if relevant:
                right[one].append(max(inliers) > 0 and names[int(np.argmax(inliers))] in relevant)
            else:
                strangers.append(max(inliers))
    cells = [f"{sum(its)}/{len(its)}" for its in right.values()]
    times = [metrics.spread(its)["p50"] for its in (finding, matching)]
    return [name, *cells, str(max(strangers)), f"{times[0]:.3f}", f"{1000 * times[1]:.2f}"]


def _inliers(query: Features, works: list[Features]) -> list[int]:
    pairs = zip(works, verification.match(query, works), strict=True)
    return [verification.verify(query, work, matches).inliers for work, matches in pairs]


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    museum, kept = Museum.read(settings, options.sets), {}
    rows = [row(name, museum, kept) for name in options.only or VARIANTS]
    print(measure.machine())
    heads = ["local features", *options.sets, "strangers", "finding, s a query", "matching, ms a work"]
    print(measure.table(heads, rows))


def _options(argv) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help="of queries (all: %(default)s)")
    add("--only", nargs="+", choices=VARIANTS, metavar="VARIANT", help="these rows (all)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

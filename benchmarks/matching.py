"""Compares local features, and ways to verify their matches: which finds the right work, at what cost.

Examples:
  python benchmarks/matching.py
  python benchmarks/matching.py --only "ours" "SIFT 1000" --sets crops      a quick look

Each of the museum's queries (RETRIEVAL_DATA) is matched with every painting of its gallery, without descriptors; the
columns tell for how many a relevant painting has the most inliers. "Strangers" are the most inliers that a query
without a work in the gallery has with any.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from benchmarks.museum import SETS, folder_of
from config import Settings
from models.answer import Warp
from models.collection.features import Features
from models.collection.reading import Reading
from models.evaluation.queries import Query, folder_queries
from models.local.extractor import Extractor
from models.local.kinds import kind_of
from models.local.matching import RATIO, match
from models.local.orb import Orb
from models.local.sift import Sift, root_sift
from models.local.verification import ESTIMATOR, sane_warp, verify
from utils import script
from utils.script import progress
from utils.statistics import spread


@dataclass(frozen=True)
class Variant:
    """What is found on works and queries, and how matches are verified; by default as the engine does it."""

    kind: str = "orb"
    keypoints: int = 500  # of a work
    query_keypoints: int = 2000
    affine: bool = False  # the query is also looked at tilted, as if seen from aside (ASIFT, Yu & Morel 2011)
    ratio: float = RATIO
    estimator: int = ESTIMATOR
    sane: bool = True  # homographies have to be such as photographs have

    def extractor(self, side: int) -> Extractor:
        """What extracts the local features of a query."""
        kind = TILTED[self.kind] if self.affine else kind_of(self.kind)
        return kind(self.query_keypoints, side)


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


def _tilted(detector: cv2.Feature2D, grey: np.ndarray, most: int) -> tuple[list[cv2.KeyPoint], np.ndarray | None]:
    """The strongest keypoints of a picture and of the same seen from aside, in several directions."""
    keypoints, descriptors = cv2.AffineFeature_create(detector, maxTilt=2).detectAndCompute(grey, None)
    best = np.argsort([-point.response for point in keypoints], kind="stable")[:most]
    return [keypoints[place] for place in best], descriptors[best] if len(best) else None


class TiltedOrb(Orb):
    """ORB on the picture and on views of it from aside."""

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.from_opencv(*_tilted(cv2.ORB_create(self.keypoints), grey, self.keypoints))


class TiltedSift(Sift):
    """SIFT on the same."""

    def detect(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        table, descriptors = self.from_opencv(*_tilted(cv2.SIFT_create(self.keypoints), grey, self.keypoints))
        return table, root_sift(descriptors)


TILTED = {"orb": TiltedOrb, "sift": TiltedSift}


@dataclass(frozen=True)
class Museum:
    """The gallery and its queries."""

    works: dict[int, Path]
    queries: dict[str, list[Query]]  # by set
    reading: Reading
    settings: Settings

    @classmethod
    def read(cls, settings: Settings, sets: Sequence[str]) -> "Museum":
        folder = folder_of(settings)
        works = dict(enumerate(sorted((folder / "gallery").iterdir())))
        names = {work: path.name for work, path in works.items()}
        queries = {name: folder_queries(folder / "queries" / name, None, names) for name in sets}
        return cls(works, queries, Reading.of(folder, settings), settings)

    def features(self, kind: str, keypoints: int) -> list[Features]:
        """Of each work."""
        extractor = kind_of(kind)(keypoints, self.settings.feature_side)
        shown = progress(self.works.values(), total=len(self.works), what=f"{kind} {keypoints}")
        return [extractor.extract(self.reading.decode(path)) for path in shown]


def row(name: str, museum: Museum, works: list[Features]) -> list[str]:
    """What a variant reaches on each set, on strangers, and the seconds it takes. works: their local features."""
    variant = VARIANTS[name]
    extractor = variant.extractor(museum.settings.query_side)
    right: dict[str, list[bool]] = {of: [] for of in museum.queries}
    strangers, finding, matching = [0], [], []
    asked = [(of, query) for of, queries in museum.queries.items() for query in queries]
    for of, query in progress(asked, what=name):
        seconds, shown = measure.timed(extractor.extract, museum.reading.decode(query.path))
        finding.append(seconds)
        seconds, inliers = measure.timed(_inliers, shown, works, variant)
        matching.append(seconds / len(works))
        if query.expected:
            right[of].append(max(inliers) > 0 and int(np.argmax(inliers)) in query.expected)
        else:
            strangers.append(max(inliers))
    cells = [f"{sum(its)}/{len(its)}" for its in right.values()]
    times = [spread(its)["p50"] for its in (finding, matching)]
    return [name, *cells, str(max(strangers)), f"{times[0]:.3f}", f"{1000 * times[1]:.2f}"]


def _inliers(query: Features, works: list[Features], variant: Variant) -> list[int]:
    pairs = zip(works, match(query, works, ratio=variant.ratio), strict=True)
    warp_of = sane_warp if variant.sane else lambda _homography, _points: Warp()
    return [
        verify(query, work, matches, estimator=variant.estimator, warp_of=warp_of).inliers for work, matches in pairs
    ]


def main(argv=None) -> None:
    settings = Settings.read()
    options = _options(argv)
    museum = Museum.read(settings, options.sets)
    features = cache(museum.features)
    rows = []
    for name in options.only or VARIANTS:
        rows.append(row(name, museum, features(VARIANTS[name].kind, VARIANTS[name].keypoints)))
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

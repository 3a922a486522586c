"""Step 3: compute the local features of every image of the collection, for re-ranking.

Examples:
  python pre_compute_descriptor.py
  python pre_compute_descriptor.py --feature sift --keypoints 1000
  python pre_compute_descriptor.py --update        after train.py --update, with the options of the first run

They are written to OUTPUT/collection.lmdb, beside the descriptors of train.py; skipped.csv beside the lists names files
that could not be read. An interrupted run continues where it stopped; with other options than the first run had, all
local features are computed again.
"""

import argparse
from collections.abc import Sequence

from config import Settings
from models.collection import lists
from models.collection.reading import Reading
from models.collection.store import Store
from models.local.extractor import Extractor
from models.local.filling import find_features
from models.local.kinds import KINDS, kind_of
from utils import script
from utils.errors import WrongUse


def main(argv: Sequence[str] | None = None) -> None:
    """Fill or update the store. Raises WrongUse and Failed."""
    settings = Settings.read()
    settings.check_feature(KINDS)
    options = _options(settings, argv)
    Store.reading(options.output).close()  # there has to be one: this step fills, it does not begin
    with Store.writing(options.output, settings.store_gigabytes) as store:
        if not store.get_meta("complete"):
            raise WrongUse(f"{store.path} is not complete: run train.py first; it continues where it stopped.")
        stored = store.get_meta("local_features")
        extractor = _extractor(settings, options, stored)
        chosen = extractor.settings()
        if chosen != stored:
            if stored:
                print(f"The local features were {stored}; all are computed again as {chosen}.")
            store.restart_features(local_features=chosen, votes=None)
        reading = Reading.of(options.dataset, settings)
        outcome = find_features(store, reading, extractor, settings.workers, settings.indexed)
        outcome.print_skipped()
        lists.write_skipped(options.lists, outcome.skipped, "pre_compute_descriptor.py")
        print(f"{store.count('features')} images with local features in {store.path}: {outcome}")


def _extractor(settings: Settings, options: argparse.Namespace, stored: dict | None) -> Extractor:
    kind, keypoints, side = settings.feature, settings.keypoints, settings.feature_side
    if options.update and stored:
        kind, keypoints, side = stored["kind"], stored["keypoints"], stored["side"]
    return kind_of(options.feature or kind)(options.keypoints or keypoints, side)


def _options(settings: Settings, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = script.parser(__doc__, settings)
    parser.add_argument("--feature", choices=KINDS, help=f"({settings.feature})")
    parser.add_argument(
        "--keypoints", type=script.positive, metavar="N", help=f"maximum per image ({settings.keypoints})"
    )
    parser.add_argument("--update", action="store_true", help="process only what train.py --update changed")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

"""Step 2: compute a descriptor of every listed picture, with VGG16 and its class activation maps.

Examples:
  python train.py                          with ImageNet weights, which Keras downloads
  python train.py --weights bundled        with the weights that ship with the project
  python train.py --weights vgg_cam.h5 --size 1024x720 --batch-size 4
  python train.py --pooling cam            with the descriptor as published (Jimenez et al. 2017)
  python train.py --update                 after create_list.py: add, recompute, delete; train nothing
  python train.py --check                  verify every value in the store, and compute anew what is damaged

The descriptors are written to OUTPUT/collection.lmdb; unreadable files are listed in skipped.csv beside the lists, with
the reason. An interrupted run continues where it stopped. --update uses the options of the first run.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict, replace

from config import POOLINGS, Settings
from models.collection import lists
from models.collection.checking import check
from models.collection.reading import Reading
from models.collection.store import Store
from models.description.recipe import METHOD, Recipe
from utils import script
from utils.errors import WrongUse


def main(argv: Sequence[str] | None = None) -> None:
    """Fill or update the store. Raises WrongUse and Failed."""
    settings = Settings.read()
    options = _options(settings, argv)
    settings = replace(settings, batch_size=options.batch_size)
    if options.check and _is_whole(options, settings):
        return
    listed = lists.read(options.lists)
    if not any(os.access(options.dataset / path, os.F_OK) for path in listed.horizontal + listed.vertical):
        # Most likely a folder that is not mounted: an update would delete the whole collection.
        raise WrongUse(
            f"None of the listed pictures is in {options.dataset}: give their folder with --dataset, "
            "or run create_list.py again."
        )
    with Store.writing(options.output, settings.store_gigabytes) as store:
        given = {name: getattr(options, name) for name in ("weights", "pooling", "classes", "dimensions", "size")}
        recipe = Recipe.from_options(settings, given, store, options.update or options.check)

        from models.description.describer import Describer
        from models.description.filling import Unreadable, describe  # only now: TensorFlow takes seconds

        describer = Describer.open(recipe, store, options.precision)
        store.set_meta(recipe=asdict(recipe), weights_digest=describer.digest, method=METHOD)
        reading = Reading.of(options.dataset, settings)
        try:
            outcome = describe(store, reading, listed, describer, settings, options.update)
        except Unreadable as problem:
            lists.write_skipped(options.lists, problem.skipped.items(), "train.py")
            raise
        store.set_meta(complete=True)
        outcome.print_skipped()
        skipped = [(path, reason) for path, (_, reason) in store.skipped().items()]
        lists.write_skipped(options.lists, skipped, "train.py")
        print(f"{store.count('descriptors')} images with descriptors in {store.path}: {outcome}")


def _is_whole(options: argparse.Namespace, settings: Settings) -> bool:
    """Whether nothing is left to compute after the store was verified. Raises WrongUse where there is none."""
    Store.reading(options.output).close()
    with Store.writing(options.output, settings.store_gigabytes) as store:
        found = check(store)
        print(found)
        if store.without_features():
            print("Local features are missing: run pre_compute_descriptor.py.")
    return not found.to_describe


def _options(settings: Settings, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = script.parser(__doc__, settings)
    add = parser.add_argument
    add("--weights", metavar="NAME", help=f"imagenet, bundled or a file ({settings.weights})")
    add("--pooling", choices=POOLINGS, help=f"({settings.pooling})")
    add(
        "--classes",
        type=int,
        metavar="N",
        help=f"class vectors per image, for poolings cam_gem and cam ({settings.classes})",
    )
    add("--dimensions", type=int, metavar="N", help=f"dimensions of a descriptor ({settings.dimensions})")
    add("--size", metavar="WxH", help=f"input size of a horizontal picture, in pixels ({settings.size})")
    add(
        "--batch-size",
        type=script.positive,
        default=settings.batch_size,
        metavar="N",
        help="pictures per batch (%(default)s)",
    )
    add("--precision", choices=("auto", "float32", "bfloat16"), default=settings.precision, help="(%(default)s)")
    add("--update", action="store_true", help="process only pictures that are new, changed or deleted")
    add("--check", action="store_true", help="verify what the store has, and compute anew what is damaged")
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

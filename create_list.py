"""Step 1: find the pictures in a folder, and list horizontal and vertical ones separately.

Examples:
  python create_list.py
  python create_list.py --dataset ~/pictures --lists dataset/lists

JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL and camera raw are recognised by content, whatever the
file name. Sub-folders are searched and links to folders followed; hidden files and folders are ignored. The lists are:
  horizontal.txt, vertical.txt   one path per line, relative to the dataset; square pictures are horizontal
  skipped.csv                    every other file, with the reason and the step that skipped it
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from config import Settings
from models.collection import lists
from utils import images, script
from utils.errors import WrongUse


def main(argv: Sequence[str] | None = None) -> None:
    """Write the lists; raises WrongUse where there is no usable picture."""
    settings = Settings.read()
    arguments = script.parser(__doc__, settings).parse_args(argv)
    dataset = arguments.dataset
    if not dataset.is_dir():
        raise WrongUse(
            f"There is no folder {dataset}: create it and put pictures there, or give another with --dataset."
        )
    paths, skipped = lists.walk(dataset)
    if not paths and not skipped:
        raise WrongUse(f"The folder {dataset} is empty: put pictures there, or give another with --dataset.")

    def probe(path: str) -> images.ImageInfo | images.ImageProblem:
        try:
            return images.probe(
                dataset / path,
                max_pixels=settings.max_pixels,
                min_side=settings.min_side,
                max_side=settings.max_side,
            )
        except images.ImageProblem as problem:
            return problem

    found = lists.Lists([], [])
    with ThreadPoolExecutor(settings.workers or os.cpu_count()) as pool:
        looked = script.progress(pool.map(probe, paths), total=len(paths), what="Looking at files", unit=" files")
        for path, info in zip(paths, looked, strict=True):
            if isinstance(info, images.ImageProblem):
                skipped.append((path, str(info)))
            elif info.width >= info.height:
                found.horizontal.append(path)
            else:
                found.vertical.append(path)

    where = arguments.lists / lists.SKIPPED
    count = len(found.horizontal) + len(found.vertical)
    if not count:
        # The lists of an earlier run stay: a dataset that is not mounted today must not empty them.
        lists.write_skipped(arguments.lists, skipped)
        raise WrongUse(
            f"No usable picture in {dataset} ({where} says why): add pictures, or give another folder with --dataset."
        )
    lists.write(arguments.lists, found, skipped)
    kinds = f"{len(found.horizontal)} horizontal, {len(found.vertical)} vertical"
    print(f"{count} {'image' if count == 1 else 'images'}: {kinds}; {len(skipped)} skipped ({where})")


if __name__ == "__main__":
    script.run(main)

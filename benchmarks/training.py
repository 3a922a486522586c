"""Compares how many images a second train.py describes with what the bare network manages, and watches its memory.

Examples:
  python benchmarks/training.py
  python benchmarks/training.py --images 32 --size 128x96 --rounds 1      a quick look

The bare network gets the same inputs, which lie decoded and resized in memory; describing also reads, decodes and
resizes the files, pools, fits the whitening, projects, and writes the collection store. Both in turn, medians. Peak
memory is that of separate processes that describe N and 2N images.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measure
from config import Settings
from models.collection.lists import Lists
from models.collection.reading import Reading
from models.collection.store import Store
from models.description import pooling, weights
from models.description.describer import Describer
from models.description.filling import describe
from models.description.recipe import Recipe
from models.description.vgg16 import VGG16
from utils import images, script

WHITENING_SAMPLE = 64  # images; fewer than are described, so that both halves of step 2 run


class Training:
    """A sample of images, ready to be described by train.py's own code."""

    def __init__(self, options: argparse.Namespace, count: int, scratch: Path):
        self.settings = replace(Settings.read(), batch_size=options.batch_size, whitening_sample=WHITENING_SAMPLE)
        folder, names = measure.gallery(self.settings, count, scratch)
        if len(names) < count:
            names = (names * (count // len(names) + 1))[:count]
            folder, names = _linked(folder, names, scratch / "linked")
        self.reading = Reading.of(folder, self.settings)
        self.listed = self._lists(folder, names)
        recipe = Recipe("bundled", self.settings.pooling, 64, 512, options.size)
        network = VGG16(weights.load("bundled"), self.settings.precision, pooling.levels(recipe.pooling))
        self.describer = Describer(network, recipe)
        self.count, self.scratch = count, scratch

    def _lists(self, folder: Path, names: list[str]) -> Lists:
        listed = Lists([], [])
        for name in names:
            info = images.probe(folder / name, max_pixels=self.settings.max_pixels, min_side=self.settings.min_side)
            (listed.horizontal if info.width >= info.height else listed.vertical).append(name)
        return listed

    def describe(self) -> float:
        """Seconds of step 2 into a new store."""
        with (
            tempfile.TemporaryDirectory(dir=self.scratch) as output,
            Store.writing(Path(output), 16) as store,
        ):
            seconds, outcome = measure.timed(
                describe, store, self.reading, self.listed, self.describer, self.settings, False
            )
        assert outcome.added == self.count, outcome
        return seconds

    def inputs(self) -> list[np.ndarray]:
        """The network's batches: (batch, height, width, 3) uint8 each, of one orientation."""
        batches = []
        for names in (self.listed.horizontal, self.listed.vertical):
            for start in range(0, len(names), self.settings.batch_size):
                several = names[start : start + self.settings.batch_size]
                batches.append(np.stack([self._input(name) for name in several]))
        return batches

    def _input(self, name: str) -> np.ndarray:
        return self.describer.prepare(self.reading.decode(self.reading.dataset / name))

    def bare(self, batches: list[np.ndarray]) -> float:
        """Seconds of the network alone."""
        seconds, _ = measure.timed(lambda: [self.describer.network(batch) and None for batch in batches])
        return seconds


def _linked(folder: Path, names: list[str], links: Path) -> tuple[Path, list[str]]:
    """A folder of symbolic links under new names, where there are fewer pictures than wanted."""
    links.mkdir()
    linked = []
    for number, name in enumerate(names):
        linked.append(f"{number:06}{Path(name).suffix}")
        (links / linked[-1]).symlink_to((folder / name).resolve())
    return links, linked


def main(argv=None) -> None:
    options = _options(argv)
    with tempfile.TemporaryDirectory() as scratch:
        if options.memory:
            Training(options, options.memory, Path(scratch)).describe()
            print(json.dumps(measure.peak_megabytes()))
            return
        training = Training(options, options.images, Path(scratch))
        batches = training.inputs()
        runs = {"describe": training.describe, "bare": lambda: training.bare(batches)}
        seconds = measure.alternating(runs, options.rounds)
    same = ["--size", options.size, "--batch-size", str(options.batch_size)]
    peaks = {
        count: measure.in_a_process(__file__, "--memory", str(count), *same)
        for count in (options.images, 2 * options.images)
    }
    each = {name: options.images / value for name, value in seconds.items()}
    print(
        f"{measure.machine()}; {options.images} images, {options.size}, batches of {options.batch_size}, "
        f"{training.describer.network.precision}"
    )
    rows = [
        ["the bare network, images a second", f"{each['bare']:.2f}"],
        ["train.py, images a second", f"{each['describe']:.2f}"],
        ["train.py, of the bare network", f"{each['describe'] / each['bare']:.3f}"],
        *([f"train.py, peak memory for {count} images, MiB", f"{peak:.0f}"] for count, peak in peaks.items()),
    ]
    print(measure.table(["what", "figure"], rows))


def _options(argv) -> argparse.Namespace:
    settings = Settings.read()
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--images", type=script.positive, default=128, metavar="N", help="(%(default)s)")
    add("--size", default=settings.size, metavar="WxH", help="pixels of a horizontal picture (%(default)s)")
    add("--batch-size", type=script.positive, default=settings.batch_size, metavar="N", help="(%(default)s)")
    add("--rounds", type=script.positive, default=3, metavar="N", help="medians are over these (%(default)s)")
    add("--memory", type=script.positive, help=argparse.SUPPRESS)  # describe so many, print the peak in MiB
    return parser.parse_args(argv)


if __name__ == "__main__":
    script.run(main)

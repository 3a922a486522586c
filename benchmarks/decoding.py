"""Shows what reading a picture costs: JPEG against Pillow alone, a master's memory, and the conversion of colours.

Examples:
  python benchmarks/decoding.py
  python benchmarks/decoding.py --repeat 15

The pictures are made here: 12 megapixels with detail everywhere. Times are medians in seconds, taken in turn so that
what else the machine does hits all alike; memory is the peak of a process of its own.
"""

import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyvips
import tifffile
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from config import Settings  # noqa: E402
from utils import images, script  # noqa: E402

AT_LEAST = max(Settings.feature_side, Settings.query_side)  # what the engine needs of a long side
LIMITS = {"max_pixels": Settings.max_pixels, "min_side": Settings.min_side}
MASTER = (12_000, 18_000)  # height and width: 216 megapixels
PEAK = """
import sys
from pathlib import Path
from utils import images
if len(sys.argv) > 1:
    images.load(Path(sys.argv[1]), max_pixels=10**9, min_side=16, at_least=int(sys.argv[2]))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def main() -> None:
    """Print the table."""
    parser = script.plain_parser(__doc__)
    parser.add_argument("--repeat", type=script.positive, default=9, metavar="N", help="times each (%(default)s)")
    repeat = parser.parse_args().repeat

    picture = _picture(3000, 4000)
    plain, profiled = _jpeg(picture), _jpeg(picture, icc_profile=_display_p3())
    taken = _in_turn(
        {
            "Pillow alone, draft": lambda: _by_pillow(plain),
            "this project": lambda: images.load(plain, **LIMITS, at_least=AT_LEAST),
            "libvips alone, shrink on load": lambda: _by_vips(plain),
            "this project, Display P3 to sRGB": lambda: images.load(profiled, **LIMITS, at_least=AT_LEAST),
        },
        repeat,
    )
    before = taken["Pillow alone, draft"]
    print(f"JPEG of 12 megapixels to a long side of {AT_LEAST} or more:")
    for name, seconds in taken.items():
        print(f"  {name:34} {seconds:.3f} s  {seconds / before:.2f} times Pillow's")
    converted = taken["this project, Display P3 to sRGB"] - taken["this project"]
    print(f"  of which the conversion of colours {converted:.3f} s")

    print(f"TIFF of {MASTER[0] * MASTER[1] / 1e6:.0f} megapixels, 8 and 16 bits a channel:")
    print(f"  {'nothing read':34} {_peak() / 1024:.0f} MB at the peak")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (np.uint8, np.uint16):
            path = Path(folder) / "master.tif"
            tifffile.memmap(path, shape=(*MASTER, 3), dtype=dtype, photometric="rgb").flush()
            start = time.perf_counter()
            peak = _peak(str(path), str(AT_LEAST))
            seconds = time.perf_counter() - start
            name = f"{path.stat().st_size / 1e6:.0f} MB on disk"
            print(f"  {name:34} {peak / 1024:.0f} MB at the peak, {seconds:.1f} s")


def _picture(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: noise of several sizes, which costs a JPEG about as much as a photograph."""
    random = np.random.default_rng(0)
    layers = [
        cv2.resize(random.normal(0, spread, (height // size, width // size, 3)).astype(np.float32), (width, height))
        for size, spread in ((500, 60), (50, 30), (5, 12))
    ]
    return np.clip(sum(layers) + 128, 0, 255).astype(np.uint8)


def _jpeg(picture: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def _display_p3() -> bytes:
    """The profile of telephones, as libvips carries it."""
    tagged = pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb").icc_transform("p3")
    return tagged.get("icc-profile-data")


def _by_pillow(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    image.draft(None, (AT_LEAST, 1))
    return cv2.cvtColor(np.asarray(ImageOps.exif_transpose(image)), cv2.COLOR_RGB2BGR)


def _by_vips(data: bytes) -> np.ndarray:
    shrink = next(factor for factor in (8, 4, 2, 1) if 4000 // factor >= AT_LEAST)
    pixels = pyvips.Image.jpegload_buffer(data, shrink=shrink, autorotate=True).numpy()
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def _in_turn(ways: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Median seconds of each."""
    pyvips.operation_block_set("VipsForeignLoadJpeg", False)  # for the comparison only
    taken = {name: [] for name in ways}
    for round_ in range(repeat + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if round_:  # the first one warms up
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _peak(*arguments: str) -> int:
    """KiB of memory at the peak of a process that reads a picture, or none."""
    command = [sys.executable, "-c", PEAK, *arguments]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    script.run(main)

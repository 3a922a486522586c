"""Pictures: what a file holds, told by its header, and its pixels as an array.

Pillow does all decoding. Nothing of what it raises on damaged or hostile files gets out of here but `ImageProblem`.
"""

import contextlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import (  # noqa: F401  (importing a plugin registers its format)
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

# Pillow's name of a format -> ours.
FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "TIFF": "TIFF", "BMP": "BMP", "GIF": "GIF"}

# No picture of these formats needs more, and reading the header of some takes longer the longer the file.
MAX_BYTES = 4 << 30

# EXIF orientation -> what sets the picture upright (EXIF 2.32, tag 0x0112).
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The caller's `max_pixels` stands in the place of Pillow's limit for the whole process, which cannot differ between
# callers and warns before it refuses. Every picture passes `_check_size` before memory is taken for its pixels.
Image.MAX_IMAGE_PIXELS = None
# Pillow also warns of small faults in metadata, which concern nobody here.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageProblem(Exception):
    """One short reason why a picture cannot be used; without the file's name, which the caller knows."""


@dataclass(frozen=True)
class ImageInfo:
    """What the header says; height and width are in pixels of the upright picture (after EXIF orientation)."""

    format: str  # JPEG, PNG, WebP, TIFF, BMP or GIF
    height: int
    width: int


def probe(path: str | os.PathLike, *, max_pixels: int, min_side: int) -> ImageInfo:
    """Format and upright size of a picture, by its content and without decoding it.

    A picture that passes can still be damaged further on: only `load` sees that.
    Raises ImageProblem where it cannot be used.
    """
    with _problems(), _source(path) as file:
        image = _open(file, max_pixels, min_side)
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return ImageInfo(FORMATS.get(image.format, "JPEG"), height, width)  # an MPO is a JPEG with more behind it


def load(
    source: str | os.PathLike | bytes, *, max_pixels: int, min_side: int, at_least: int | None = None
) -> np.ndarray:
    """The upright pixels of a picture: (height, width, 3) uint8 BGR, contiguous.

    source: a path, or the bytes of a file. Of an animation it is the first frame; what is transparent lies on white.
    at_least: pixels; a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (much faster) as long as its long side
    stays at or above this.
    Raises ImageProblem where the picture cannot be used: as `probe`, and where it is truncated or damaged.
    """
    with _problems(), _source(source) as file:
        image = _open(file, max_pixels, min_side)
        orientation = _orientation(image)
        if at_least is not None:
            width, height = image.size
            # The other side is free: Pillow takes the largest reduction that keeps both.
            image.draft(None, (at_least, 1) if width >= height else (1, at_least))
        image.load()
        image = _rgb(image)
        if orientation in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)


def fit(image: np.ndarray, long_side: int) -> np.ndarray:
    """The picture scaled down so that its long side has at most `long_side` pixels; never up."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def stretch(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture at exactly this size in pixels: a side that shrinks is averaged, one that grows interpolated."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """Turn whatever goes wrong with a file into an ImageProblem."""
    try:
        yield
    except ImageProblem:
        raise
    except MemoryError:
        raise ImageProblem("too large for this machine's memory") from None
    except Exception as problem:
        # Pillow's decoders raise nearly anything on hostile files: OSError, SyntaxError, ValueError, struct.error,
        # zlib.error, RecursionError and more. None of it tells a person more than this.
        raise ImageProblem("damaged or cut off") from problem


@contextlib.contextmanager
def _source(source: str | os.PathLike | bytes) -> Iterator[BinaryIO]:
    """The opened file; a pipe, socket or device is refused rather than opened, because it might block for ever."""
    if isinstance(source, bytes):
        _check_bytes(len(source))
        yield io.BytesIO(source)
        return
    try:
        status = Path(source).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageProblem("not a regular file")
        file = Path(source).open("rb")  # noqa: SIM115  (closed below, where its reader's errors are told apart)
    except OSError as problem:
        raise ImageProblem(f"cannot be read ({problem.strerror})") from None
    with file:
        _check_bytes(status.st_size)
        yield file


def _check_bytes(count: int) -> None:
    if count == 0:
        raise ImageProblem("empty file")
    if count > MAX_BYTES:
        raise ImageProblem(f"too large (a file of {count} bytes; the limit is {MAX_BYTES})")


def _check_size(height: int, width: int, max_pixels: int, min_side: int) -> None:
    if height * width > max_pixels:
        raise ImageProblem(f"too large ({width} x {height} pixels; the limit is {max_pixels} pixels)")
    if min(height, width) < min_side:
        raise ImageProblem(f"too small ({width} x {height} pixels)")


def _open(file: BinaryIO, max_pixels: int, min_side: int) -> Image.Image:
    """The picture with its header read and its size admitted, its pixels not yet decoded."""
    start = file.read(16)
    if not any(Image.OPEN[name][1](start) for name in FORMATS):
        raise ImageProblem("not a picture (JPEG, PNG, WebP, TIFF, BMP or GIF)")
    if start.startswith(b"GIF"):
        width, height = _gif_size(file)
        _check_size(height, width, max_pixels, 0)
    file.seek(0)
    image = Image.open(file, formats=list(FORMATS))
    width, height = image.size
    _check_size(height, width, max_pixels, min_side)
    return image


def _gif_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height that the first frame of a GIF needs: Pillow takes memory for it when it opens the file."""
    file.seek(6)
    width, height, flags = struct.unpack("<HHB2x", file.read(7))
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)  # the palette
    while (block := file.read(1)) not in (b"", b";"):
        if block == b",":
            left, top, frame_width, frame_height = struct.unpack("<4H", file.read(8))
            return max(width, left + frame_width), max(height, top + frame_height)
        if block == b"!":
            file.seek(1, os.SEEK_CUR)  # the kind of extension
            while length := file.read(1)[0]:
                file.seek(length, os.SEEK_CUR)
    return width, height


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8, as the header tells it; 1 (upright) where there is none or it is damaged."""
    if image.format == "TIFF":
        return 1  # Pillow turns these itself, and gives their upright size
    try:
        # A PNG's own getexif would decode all pixels in search of EXIF data behind them; so those are not looked for.
        orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data spoil nothing else
        return 1
    return orientation if orientation in UPRIGHT else 1


def _rgb(image: Image.Image) -> Image.Image:
    """A decoded picture in 8-bit RGB; transparency is laid over white."""
    if image.mode == "LAB":
        raise ImageProblem("in LAB colours, which cannot be read; convert it to RGB")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_spread(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("RGB")


def _spread(values: np.ndarray) -> np.ndarray:
    """Grey values of no known range, (height, width) int32 or float32, as uint8: the darkest 0, the brightest 255."""
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    darkest, brightest = values.min(), values.max()
    return ((values - darkest) * (255 / max(brightest - darkest, 1e-300))).astype(np.uint8)

"""Opening a file as what its content says it is, within limits, and decoding it."""

import contextlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (importing a plugin registers its format)
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from utils.images import jxl, raw, tiff, vips
from utils.images.arrays import upright
from utils.images.colour import CHANNELS, Samples, full_range, to_bgr
from utils.images.problem import ImageInfo, ImageProblem, Limits

# Pillow's name of a format -> ours. TIFF and camera raw do not come to Pillow.
PILLOW = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "BMP": "BMP",
    "GIF": "GIF",
    "HEIF": "HEIC",
    "AVIF": "AVIF",
    "JPEG2000": "JPEG 2000",
    "JXL": "JPEG XL",
}
JPEGS = ("JPEG", "MPO")
REDUCED = (*JPEGS, "JPEG2000")  # can be decoded at a fraction of their size
KINDS = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw"

# No picture of these formats needs more, and reading the header of some takes longer the longer the file.
MAX_BYTES = 4 << 30
# A PNG of more pixels is decoded in strips and reduced meanwhile; Pillow needs ten bytes a pixel.
IN_STRIPS = 50_000_000
# The share of a JPEG's pixels that may be missing at its end: a picture that lacks more is damaged.
LOST = 0.1
BLOCK = 16  # pixels; the side of what a JPEG decoder decodes at once
END_OF_JPEG = b"\xff\xd9"

ORIENTATION = 0x0112  # the EXIF tag

# The caller's `max_pixels` stands in the place of Pillow's limit for the whole process, which cannot differ between
# callers and warns before it refuses. Every picture passes `Limits.check` before memory is taken for its pixels.
Image.MAX_IMAGE_PIXELS = None
# Pillow also warns of small faults in metadata, which concern nobody here.
warnings.filterwarnings("ignore", module=r"PIL\.")
pillow_heif.register_heif_opener(thumbnails=False)


@dataclass(frozen=True)
class Opened:
    """A picture with its header read and its size admitted, its pixels not yet decoded."""

    format: str
    height: int  # pixels, as stored
    width: int
    orientation: int  # EXIF, 1..8
    decode: Callable[[int | None, list[str]], Samples]  # (at_least, notes); may reduce, as `load` says

    @property
    def info(self) -> ImageInfo:
        sides = (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)
        return ImageInfo(self.format, *sides)


def probe(
    source: str | os.PathLike | bytes,
    *,
    max_pixels: int,
    min_side: int,
    max_side: int = Limits.max_side,
    setting: str = "RETRIEVAL_MAX_PIXELS",
) -> ImageInfo:
    """Format and upright size of a picture, by its content and without decoding it (JPEG XL excepted).

    source: a path, or the bytes of a file.
    setting: the name of `max_pixels` for the sentence that refuses a picture.
    A picture that passes can still be damaged further on: only `load` sees that.
    Raises ImageProblem where it cannot be used.
    """
    with _problems(), _source(source) as file:
        return _open(file, Limits(max_pixels, min_side, setting, max_side)).info


def load(
    source: str | os.PathLike | bytes,
    *,
    max_pixels: int,
    min_side: int,
    max_side: int = Limits.max_side,
    at_least: int | None = None,
    setting: str = "RETRIEVAL_MAX_PIXELS",
    notes: list[str] | None = None,
) -> np.ndarray:
    """The upright pixels of a picture in sRGB: (height, width, 3) uint8 BGR, contiguous.

    source: a path, or the bytes of a file. Of several pictures in a file it is the largest of a TIFF, and the first of
    all others; what is transparent lies on white.
    at_least: pixels; the picture may be reduced while it is decoded (much faster) as long as its long side stays at or
    above this. Plain PNG, WebP, BMP and GIF are not.
    notes: takes a sentence for what is amiss with a picture that is read all the same.
    Raises ImageProblem where the picture cannot be used: as `probe`, and where it is truncated or damaged.
    """
    with _problems(), _source(source) as file:
        opened = _open(file, Limits(max_pixels, min_side, setting, max_side))
        samples = opened.decode(at_least, [] if notes is None else notes)
        return upright(to_bgr(samples, at_least), opened.orientation)


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
        # The decoders raise nearly anything on hostile files: OSError, SyntaxError, ValueError, struct.error,
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


def _open(file: BinaryIO, limits: Limits) -> Opened:
    start = file.read(32)
    if start.startswith(raw.MAGIC) or start[4:12] == b"ftypcrx ":
        return _open_raw(file, limits)
    if start.startswith(tiff.MAGIC):
        return _open_tiff(file, limits)
    if start.startswith(jxl.MAGIC):
        height, width, coded = jxl.header(file)
        limits.check(height, width)
        return _open_with_pillow(file, limits, turned=coded != 1)
    if not any(_is_of(name, start) for name in PILLOW):
        raise ImageProblem(f"not a picture of a kind that can be read ({KINDS})")
    if start.startswith(b"GIF"):
        width, height = _gif_size(file)
        replace(limits, min_side=0).check(height, width)
    if start.startswith(b"\x89PNG"):
        return _open_png(file, start, limits)
    return _open_with_pillow(file, limits)


def _is_of(name: str, start: bytes) -> bool:
    """Whether a file that begins so is of the format that Pillow calls by this name."""
    accepts = Image.OPEN[name][1]
    return accepts is not None and accepts(start[:16]) is True


def _open_raw(file: BinaryIO, limits: Limits) -> Opened:
    picture = raw.Raw(file)
    limits.check(picture.height, picture.width)
    return Opened(
        "camera raw", picture.height, picture.width, 1, lambda at_least, _: Samples(picture.rgb(at_least), "rgb")
    )


def _open_tiff(file: BinaryIO, limits: Limits) -> Opened:
    directory = tiff.largest(file)
    if directory.raw or tiff.is_canon_raw(file):
        return _open_raw(file, limits)
    limits.check(directory.height, directory.width)
    tiff.check(directory)
    return Opened(
        "TIFF",
        directory.height,
        directory.width,
        directory.first(tiff.ORIENTATION, 1),
        lambda at_least, _: tiff.samples(file, directory, at_least),
    )


def _open_png(file: BinaryIO, start: bytes, limits: Limits) -> Opened:
    """By libvips where Pillow would drop bits or take much memory, or where it fails: it minds much text."""
    width, height, depth = struct.unpack(">IIB", start[16:25])
    limits.check(height, width)
    plain = None
    if depth <= 8 and height * width <= IN_STRIPS:
        with contextlib.suppress(Exception):
            plain = _open_with_pillow(file, limits)
    if plain:
        orientation = plain.orientation
    else:
        image = vips.opened("png", file)
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1

    def decode(at_least: int | None, notes: list[str]) -> Samples:
        if plain:
            with contextlib.suppress(Exception):
                return plain.decode(at_least, notes)
        return _png(vips.opened("png", file), at_least if height * width > IN_STRIPS else None)

    return Opened("PNG", height, width, orientation, decode)


def _png(image: vips.Image, at_least: int | None) -> Samples:
    profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    values = vips.reduced(image, at_least)
    space = "grey" if values.shape[2] < 3 else "rgb"
    count = CHANNELS[space]
    alpha = values[:, :, count] if values.shape[2] > count else None
    return Samples(full_range(values[:, :, :count]), space, alpha, profile)


def _open_with_pillow(file: BinaryIO, limits: Limits, turned: bool = False) -> Opened:
    """turned: whether the decoder sets the picture upright itself."""
    file.seek(0)
    image = Image.open(file, formats=list(PILLOW))
    width, height = image.size
    limits.check(height, width)
    orientation = 1 if turned else _orientation(image)

    def decode(at_least: int | None, notes: list[str]) -> Samples:
        return _samples(_decoded(image, file, at_least, notes))

    # An MPO is a JPEG with more behind it.
    return Opened(PILLOW.get(image.format or "", "JPEG"), height, width, orientation, decode)


def _decoded(image: Image.Image, file: BinaryIO, at_least: int | None, notes: list[str]) -> Image.Image:
    """The picture with its pixels decoded, reduced where its format can do so."""
    size, pixels = image.size, image.width * image.height
    try:
        image = _loaded(image, at_least)
        if image.size != size and image.format not in REDUCED:
            raise ImageProblem("damaged or cut off")  # the header told another size than the pixels have
        return image
    except OSError:
        if image.format == "JPEG2000" and at_least:  # it may not hold as many reduced versions
            return _loaded(_again(file, "JPEG2000"), None)
        if image.format not in JPEGS:
            raise
    # With an end put behind what is there, the decoder fills what is missing with grey.
    image = _loaded(_again(file, "JPEG", END_OF_JPEG), at_least)
    grey = _grey_at_the_end(image)
    if image.info.get("progressive") and not grey:
        notes.append("its end is missing: it may be less sharp than it was")
        return image
    lost = grey + BLOCK**2 / pixels  # the block where it breaks off is not grey, nor right
    if lost > LOST:
        raise ImageProblem("damaged or cut off")
    notes.append(f"its end is missing, and with it up to {max(lost, 0.001):.1%} of the picture")
    return image


def _again(file: BinaryIO, form: str, end: bytes = b"") -> Image.Image:
    file.seek(0)
    return Image.open(io.BytesIO(file.read() + end), formats=[form])


def _loaded(image: Image.Image, at_least: int | None) -> Image.Image:
    """The picture decoded, reduced where its format can do so while it is decoded."""
    width, height = image.size
    if at_least and image.format in JPEGS:
        # The other side is free: Pillow takes the largest reduction that keeps both.
        image.draft(None, (at_least, 1) if width >= height else (1, at_least))
    elif at_least and isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and max(width, height) >= 2 * at_least:
        image.reduce = int(np.log2(max(width, height) / at_least))  # halvings
    image.load()
    return image


def _grey_at_the_end(image: Image.Image) -> float:
    """The share of a decoded JPEG, counted from its end, that lies in the middle of every range: 0..1."""
    values = np.asarray(image)
    middle = np.abs(values.astype(np.int16) - 128) <= 1
    middle = np.asarray(middle.reshape(*values.shape[:2], -1).all(-1))
    runs = np.where(middle.all(1), middle.shape[1], middle[:, ::-1].argmin(1))[::-1]  # at the end of each row
    rows = len(runs) if runs.all() else int(runs.argmin())
    return float(runs[:rows].sum() / middle.size)


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
    try:
        # A PNG's own getexif would decode all pixels in search of EXIF data behind them; so those are not looked for.
        orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data spoil nothing else
        return 1
    return orientation if orientation in range(1, 9) else 1


def _samples(image: Image.Image) -> Samples:
    """A decoded picture as an array."""
    profile = image.info.get("icc_profile") or None
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image)
        values = values.astype(np.uint16) if image.mode.startswith("I;16") else values
        return Samples(full_range(values)[:, :, None], "grey", None, profile)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode in ("1", "L"):
        return Samples(np.asarray(image.convert("L"))[:, :, None], "grey", alpha, profile)
    if image.mode == "CMYK":
        return Samples(np.asarray(image), "cmyk", alpha, profile)
    return Samples(np.asarray(image.convert("RGB")), "rgb", alpha, profile)

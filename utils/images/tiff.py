"""TIFF: its directories read here, because only they tell a full picture from a thumbnail; decoded by libvips."""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import tifffile

from utils.images import vips
from utils.images.colour import CHANNELS, Samples, full_range
from utils.images.problem import ImageProblem

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
DIRECTORIES = 1000  # that are looked at; a file of more is a film, and one whose directories form a ring has no end
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 254, 256, 257, 258, 259, 262, 274
PLANES, TILE, SUB_DIRECTORIES, EXTRA, SAMPLE_FORMAT = 284, 322, 330, 338, 339
WANTED = {SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, PLANES, TILE, SUB_DIRECTORIES, EXTRA}
WANTED |= {SAMPLE_FORMAT}
TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}  # of a field -> struct's
VALUES = 256  # that are read of a field; none of those wanted has more in earnest

# Of a sensor: a colour filter array, or linear raw; and what Nikon, Sony and Pentax call their compressions.
RAW_PHOTOMETRIC, RAW_COMPRESSION = {32803, 34892}, {34713, 32767, 65535}
# None, fax, LZW, JPEG, deflate, packed, deflate, WebP.
READABLE = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50001}
CIELAB, ICCLAB, CMYK, RGB = 8, 9, 5, 2
TRANSPARENT, ASSOCIATED = (1, 2), 1  # kinds of extra channels; all others are spot colours and masks
SPACES = {"b-w": "grey", "grey16": "grey", "srgb": "rgb", "rgb16": "rgb", "rgb": "rgb", "scrgb": "rgb", "cmyk": "cmyk"}


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF."""

    page: int  # of the chain of directories, from 0
    sub: int | None  # of its sub-directories, from 0; None: it is in the chain itself
    fields: dict[int, tuple[int, ...]]
    photometric_at: int | None  # where the value of PhotometricInterpretation lies in the file

    def first(self, tag: int, default: int) -> int:
        return (self.fields.get(tag) or (default,))[0]

    @property
    def width(self) -> int:
        return self.first(WIDTH, 0)

    @property
    def height(self) -> int:
        return self.first(HEIGHT, 0)

    @property
    def reduced(self) -> bool:
        """Whether it says itself that it is a thumbnail, or a mask."""
        return bool(self.first(SUBFILE, 0) & 5)

    @property
    def raw(self) -> bool:
        """Whether it holds what a camera's sensor saw, which is no picture yet."""
        return self.first(PHOTOMETRIC, 0) in RAW_PHOTOMETRIC or self.first(COMPRESSION, 1) in RAW_COMPRESSION


def largest(file: BinaryIO) -> Directory:
    """The full picture of a TIFF: the largest of its directories, the first of several. Raises ImageProblem."""
    found = [directory for directory in _directories(file) if directory.width and directory.height]
    full = [directory for directory in found if not directory.reduced] or found
    if not full:
        raise ImageProblem("damaged or cut off")
    return max(full, key=lambda directory: directory.width * directory.height)


def _directories(file: BinaryIO) -> list[Directory]:
    """Those of the chain, each followed by its sub-directories. A chain that breaks off ends there."""
    file.seek(0)
    start = file.read(16)
    order = "<" if start.startswith(b"II") else ">"
    big = start[2:4] in (b"+\0", b"\0+")
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    found: list[Directory] = []
    seen = {0}
    page = 0
    while offset not in seen and len(found) < DIRECTORIES:
        seen.add(offset)
        try:
            fields, photometric_at, following = _fields(file, offset, order, big)
        except (struct.error, OverflowError, OSError):
            break
        found.append(Directory(page, None, fields, photometric_at))
        for number, below in enumerate(fields.get(SUB_DIRECTORIES, ())):
            if below in seen:
                continue
            seen.add(below)
            try:
                inner, inner_at, _ = _fields(file, below, order, big)
            except (struct.error, OverflowError, OSError):
                continue
            inner.setdefault(ORIENTATION, fields.get(ORIENTATION, (1,)))
            found.append(Directory(page, number, inner, inner_at))
        offset, page = following, page + 1
    return found


def _fields(file: BinaryIO, offset: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int | None, int]:
    """The wanted fields of the directory at `offset`, where its photometric value lies, and the next one's offset.

    Raises struct.error where the file ends before.
    """
    head, entry, size = ("Q", "HHQ8s", 20) if big else ("H", "HHI4s", 12)
    room = size - (12 if big else 8)
    file.seek(offset)
    (count,) = struct.unpack(order + head, file.read(struct.calcsize(order + head)))
    if count > 4096:  # a directory of a few dozen fields is large
        raise struct.error("not a directory")
    entries = file.read(count * size)
    word = "Q" if big else "I"
    (following,) = struct.unpack(order + word, (file.read(struct.calcsize(order + word)) + bytes(8))[: 8 if big else 4])
    fields, photometric_at = {}, None
    for number in range(count):
        tag, kind, values, inline = struct.unpack_from(order + entry, entries, number * size)
        if tag not in WANTED or kind not in TYPES or not values:
            continue
        form = f"{order}{min(values, VALUES)}{TYPES[kind]}"
        if struct.calcsize(f"{order}{TYPES[kind]}") * values > room:
            file.seek(struct.unpack(order + word, inline)[0])
            inline = file.read(struct.calcsize(form))
        elif tag == PHOTOMETRIC:
            photometric_at = offset + struct.calcsize(order + head) + number * size + size - room
        fields[tag] = struct.unpack_from(form, inline)
    return fields, photometric_at, following


def is_canon_raw(file: BinaryIO) -> bool:
    """Whether it is a CR2, whose raw picture has no field that says so."""
    file.seek(8)
    return file.read(2) == b"CR"


def check(directory: Directory) -> None:
    """Raise ImageProblem where libvips cannot read such a picture."""
    compression = directory.first(COMPRESSION, 1)
    if compression not in READABLE:
        raise ImageProblem(f"a TIFF compressed by method {compression}, which cannot be read; save it with LZW")
    if directory.first(SAMPLE_FORMAT, 1) not in (1, 2, 3, 4):
        raise ImageProblem("a TIFF of complex numbers, which cannot be read")
    if directory.first(BITS, 1) not in (1, 2, 4, 8, 16, 32, 64):
        raise ImageProblem(
            f"a TIFF of {directory.first(BITS, 1)} bits a channel, which cannot be read; save it with 16"
        )


def samples(file: BinaryIO, directory: Directory, at_least: int | None) -> Samples:
    """Its pixels. Raises vips.Error and ImageProblem."""
    photometric = directory.first(PHOTOMETRIC, RGB)
    lab = photometric in (CIELAB, ICCLAB)
    profile = None
    space: str | None
    if _beyond_vips(directory):
        values, profile = _by_tifffile(file, directory)
        space = "cmyk" if photometric == CMYK else "rgb" if photometric == RGB else "grey"
    else:
        options = {"page": directory.page} | ({} if directory.sub is None else {"subifd": directory.sub})
        image = vips.opened("tiff", _patched(file, directory) if lab else file, **options)
        if (image.width, image.height) != (directory.width, directory.height):
            raise ImageProblem("damaged or cut off")
        if image.get_typeof("icc-profile-data"):
            profile = image.get("icc-profile-data")
        space = SPACES.get(image.interpretation)
        if space is None and image.interpretation == "multiband":
            space = "cmyk" if photometric == CMYK else "rgb" if image.bands >= 3 else "grey"
        if space is None:  # LogLuv and the like
            image, space = image.colourspace("srgb"), "rgb"
        values = vips.reduced(image, at_least)
    space = "lab" if lab else space
    count = CHANNELS[space]
    if values.shape[2] < count:
        raise ImageProblem(f"a TIFF of {values.shape[2]} inks, which cannot be read; convert it to RGB")
    transparent = [count + place for place, kind in enumerate(directory.fields.get(EXTRA, ())) if kind in TRANSPARENT]
    alpha = full_range(values[:, :, transparent[0]]) if transparent and transparent[0] < values.shape[2] else None
    values = values[:, :, :count]
    return Samples(_lab(values, photometric) if lab else full_range(values), space, alpha, profile)


def _beyond_vips(directory: Directory) -> bool:
    """Whether it is of one of the rare kinds that libvips refuses, or of the one that it reads wrongly."""
    bits, kinds = directory.first(BITS, 1), directory.fields.get(EXTRA, ())
    tiled_planes = directory.first(PLANES, 1) == 2 and TILE in directory.fields
    associated_ink = bits == 16 and ASSOCIATED in kinds and directory.first(PHOTOMETRIC, RGB) == CMYK
    return bits == 64 or tiled_planes or associated_ink


def _by_tifffile(file: BinaryIO, directory: Directory) -> tuple[np.ndarray, bytes | None]:
    """(height, width, channels), the whole picture at once, its transparent colours not multiplied; its ICC profile."""
    file.seek(0)
    with tifffile.TiffFile(file) as found:
        page = found.pages[directory.page]
        page = page if directory.sub is None else page.pages[directory.sub]
        values, profile = page.asarray(), page.iccprofile
    if values.ndim == 3 and directory.first(PLANES, 1) == 2:
        values = values.transpose(1, 2, 0)
    values = values.reshape(directory.height, directory.width, -1)
    kinds = directory.fields.get(EXTRA, ())
    if ASSOCIATED in kinds:
        place = values.shape[2] - len(kinds) + kinds.index(ASSOCIATED)
        alpha = values[:, :, place : place + 1].astype(np.float64)
        white = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1
        colour = np.minimum(values * (white / np.maximum(alpha, 1e-9)), white)
        colour[:, :, place] = alpha[:, :, 0]
        values = colour.astype(values.dtype)
    return values, profile


def _patched(file: BinaryIO, directory: Directory) -> io.BytesIO:
    """The file in memory with its photometric interpretation set to RGB: libvips then gives the numbers as they are."""
    if directory.photometric_at is None:
        raise ImageProblem("damaged or cut off")
    file.seek(0)
    content = bytearray(file.read())
    order = "<" if content.startswith(b"II") else ">"
    struct.pack_into(order + "H", content, directory.photometric_at, RGB)
    return io.BytesIO(content)


def _lab(values: np.ndarray, photometric: int) -> np.ndarray:
    """(height, width, 3) float32 with L in 0..100, a and b around 0 (TIFF 6.0, section 23; TIFF Technical Note 4)."""
    if values.dtype == np.uint8:
        unit, white, signed = 1, 255, np.int8
    elif values.dtype == np.uint16:
        unit, white, signed = 256, 65535 if photometric == CIELAB else 65280, np.int16
    elif values.dtype == np.int16:  # as libvips writes it
        unit, white, signed = 256, 32767, np.int16
    else:
        return values.astype(np.float32)
    lightness = values[:, :, :1].astype(np.float32) * (100 / white)
    if photometric == CIELAB:
        colour = np.ascontiguousarray(values[:, :, 1:]).view(signed).astype(np.float32) / unit
    else:
        colour = values[:, :, 1:].astype(np.float32) / unit - 128
    return np.concatenate([lightness, colour], -1)

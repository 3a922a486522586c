"""The header of a JPEG XL, whose plugin for Pillow decodes it all before it tells the size (ISO/IEC 18181-1, D.2)."""

import struct
from typing import BinaryIO

MAGIC = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
SIDES = (9, 13, 18, 30)  # bits of a side, by the selector
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width to height


def header(file: BinaryIO) -> tuple[int, int, int]:
    """(height, width, orientation 1..8) as they are coded. Raises struct.error or IndexError where it is cut off."""
    file.seek(0)
    if file.read(2) != MAGIC[0]:
        _to_codestream(file)
    bits = _Bits(file.read(64))
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    width = height * RATIOS[ratio][0] // RATIOS[ratio][1] if ratio else _side(bits, small)
    orientation = 1
    if not bits.take(1) and bits.take(1):  # not all default, and with the fields that are rare
        orientation = 1 + bits.take(3)
    return height, width, orientation


def _to_codestream(file: BinaryIO) -> None:
    """Set the file behind the magic of its codestream, or of the first part of it."""
    file.seek(0)
    while True:
        size, name = struct.unpack(">I4s", file.read(8))
        room = size - 8
        if size == 1:
            room = struct.unpack(">Q", file.read(8))[0] - 16
        if name in (b"jxlc", b"jxlp"):
            file.seek(2 if name == b"jxlc" else 6, 1)
            return
        if room < 0:
            raise struct.error("a box without a size")
        file.seek(room, 1)


def _side(bits: "_Bits", small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take(SIDES[bits.take(2)])


class _Bits:
    """Bits of bytes, the lowest of each first."""

    def __init__(self, data: bytes):
        self.number, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise struct.error("cut off")
        taken = self.number & ((1 << count) - 1)
        self.number >>= count
        self.left -= count
        return taken

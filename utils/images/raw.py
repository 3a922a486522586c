"""Camera raw, by LibRaw."""

from typing import BinaryIO

import numpy as np

from utils.images.problem import ImageProblem

# Of those raw files that are no TIFF by their first bytes: Olympus, Panasonic, Fujifilm, Sigma, Minolta.
MAGIC = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")
SRGB = (2.4, 12.92)  # the curve of sRGB: its power, and its slope where it is dark
TURNED = (5, 6)  # LibRaw's `flip` of a picture on its side


class Raw:
    """An opened file: (height, width) of the upright picture, and its pixels."""

    def __init__(self, file: BinaryIO):
        import rawpy  # only now: it takes longer to import than most pictures take to read

        try:
            file.seek(0)
            self.raw = rawpy.imread(file)
        except (rawpy.LibRawError, rawpy.NotSupportedError):
            raise ImageProblem("camera raw that cannot be read; export it as TIFF or JPEG") from None
        sizes = self.raw.sizes
        self.height, self.width = sizes.height, sizes.width
        if sizes.flip in TURNED:
            self.height, self.width = self.width, self.height

    def rgb(self, at_least: int | None) -> np.ndarray:
        """(height, width, 3) uint8 sRGB, upright; at half the size, which is much faster, where that is enough."""
        import rawpy

        half = at_least is not None and max(self.height, self.width) // 2 >= at_least
        try:
            with self.raw as raw:
                # The colours as measured: brightening, which is the default, would differ from picture to picture.
                return raw.postprocess(use_camera_wb=True, half_size=half, no_auto_bright=True, gamma=SRGB)
        except (rawpy.LibRawError, rawpy.NotSupportedError):
            raise ImageProblem("camera raw that cannot be read; export it as TIFF or JPEG") from None

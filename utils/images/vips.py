"""libvips, with nothing allowed but the two loaders that are wanted of it."""

import io
from typing import BinaryIO

import numpy as np
import pyvips

# A hostile file must not reach a loader that was written for trusted ones, nor one that nobody here has asked for
# (SVG, PDF, MATLAB, CSV, its own format ...). The loaders are called by name besides; this is the second lock.
pyvips.block_untrusted_set(True)
pyvips.operation_block_set("VipsForeignLoad", True)
pyvips.operation_block_set("VipsForeignLoadTiff", False)
pyvips.operation_block_set("VipsForeignLoadPng", False)
pyvips.cache_set_max(0)  # no picture is asked for twice, and the cache would keep them in memory

Error, Image = pyvips.Error, pyvips.Image


def opened(loader: str, file: BinaryIO, **options: object) -> pyvips.Image:
    """A picture whose header is read, its pixels not.

    loader: tiff or png. file: an open file, or a BytesIO. Raises Error.
    """
    # In strips from top to bottom; what is damaged is an error rather than grey.
    options |= {"access": "sequential", "fail_on": "error"}
    if isinstance(file, io.BytesIO):
        return getattr(pyvips.Image, f"{loader}load_buffer")(file.getbuffer(), **options)
    file.seek(0)
    source = pyvips.Source.new_from_descriptor(file.fileno())
    return getattr(pyvips.Image, f"{loader}load_source")(source, **options)


def reduced(image: pyvips.Image, at_least: int | None) -> np.ndarray:
    """The pixels, (height, width, bands), averaged in whole blocks as long as the long side stays at `at_least`."""
    block = max(image.width, image.height) // at_least if at_least else 1
    if block > 1:
        # A block as wide as the picture would leave less than one pixel.
        image = image.shrink(min(block, image.width), min(block, image.height))
    array = image.numpy()
    return array[:, :, None] if array.ndim == 2 else array

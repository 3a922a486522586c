"""Writes the JPEG files that the site keeps."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils import files


def keep(path: Path, pixels: np.ndarray, quality: int, progressive: bool = False) -> None:
    """Write pixels (height, width, 3) uint8 BGR as a JPEG without metadata, whole or not at all.

    quality: 1..95. progressive: whether browsers can show a coarse version first.
    """
    encoded = io.BytesIO()
    upright = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    upright.save(encoded, "JPEG", quality=quality, progressive=progressive)
    files.write(path, encoded.getvalue())

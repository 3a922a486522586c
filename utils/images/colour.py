"""From the numbers a file holds to the colours of sRGB: ranges, transparency, CMYK, Lab and ICC profiles."""

import functools
import struct
from dataclasses import dataclass

import cv2
import numpy as np
import pyvips

from utils.images.arrays import fit

CHANNELS = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}  # of a space
VIPS = {"grey": ("b-w", "grey16"), "rgb": ("srgb", "rgb16"), "cmyk": ("cmyk", "cmyk"), "lab": ("lab", "lab")}
SIGNATURES = {"grey": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK", "lab": b"Lab "}  # of a profile, at its byte 16
UNSEEN = 2  # of 255; a profile that changes no colour by more than this is sRGB under another name
DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits that scanners and cameras fill of a larger container
WHITES = (1, 255, 1023, 4095, 65535)  # the usual largest values of pictures in floating point


@dataclass(frozen=True)
class Samples:
    """A decoded picture as its file has it.

    values: (height, width, channels) uint8 or uint16 over the whole range of the type, ink where the space is cmyk;
    or, where it is lab, float32 with L in 0..100, a and b around 0.
    """

    values: np.ndarray
    space: str  # one of CHANNELS
    alpha: np.ndarray | None = None  # (height, width) uint8 or uint16; opaque is the largest number of the type
    profile: bytes | None = None  # ICC


def to_bgr(samples: Samples, at_least: int | None) -> np.ndarray:
    """(height, width, 3) uint8 BGR in sRGB, with what is transparent laid over white.

    at_least: pixels; where colours have to be converted, the picture is first reduced to this long side.
    """
    values, alpha, space, profile = samples.values, samples.alpha, samples.space, samples.profile
    if profile is not None and not _changes(profile, space):
        profile = None
    convert = space == "lab" or profile is not None
    if convert and at_least:
        values = fit(values, at_least)
        values = values[:, :, None] if values.ndim == 2 else values  # OpenCV drops a lone channel
        alpha = None if alpha is None else fit(alpha, at_least)
    if profile is not None:
        rgb = _converted(values, space, profile)
    elif space == "lab":
        rgb = _lab_to_rgb(values)
    else:
        rgb = _cmyk_to_rgb(values) if space == "cmyk" else eight_bits(values)
    if alpha is not None:
        opaque = eight_bits(alpha)[:, :, None].astype(np.uint32)
        rgb = ((rgb * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)
    return cv2.cvtColor(rgb, cv2.COLOR_GRAY2BGR if rgb.shape[2] == 1 else cv2.COLOR_RGB2BGR)


def eight_bits(values: np.ndarray) -> np.ndarray:
    """uint8 or uint16 as uint8, rounded."""
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def full_range(values: np.ndarray) -> np.ndarray:
    """Numbers of any type as uint8 or uint16 over the whole range: black is 0, white the largest.

    Where white lies is seen from the largest number: 12 bits in 16 have it at 4095, floats most often at 1. Where
    there are negative numbers, or floats of no usual range, the darkest is black and the brightest white.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    if values.dtype == np.uint16 and high >= 1 << 14:
        return values
    white: float | None
    if values.dtype.kind == "f":
        white = next((white for white in WHITES if white / 4 < high <= white), None)
    else:
        signed = values.dtype.kind == "i"
        white = next((white for white in ((1 << depth - signed) - 1 for depth in DEPTHS) if high <= white), None)
    if low < 0 or white is None:
        values, white = values.astype(np.float64) - float(low), float(high) - float(low)
    return np.rint(values * (65535 / max(white, 1e-300))).astype(np.uint16)


def _cmyk_to_rgb(ink: np.ndarray) -> np.ndarray:
    """(height, width, 4) uint8 or uint16 as (height, width, 3) uint8: what a picture without a profile is given."""
    light = 255 - eight_bits(ink).astype(np.uint16)
    return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)


def _lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """(height, width, 3) float32 under the white of ICC profiles, D50, as (height, width, 3) uint8 sRGB."""
    image = pyvips.Image.new_from_array(np.ascontiguousarray(lab)).copy(interpretation="lab")
    return image.icc_export(output_profile="srgb", intent="relative", depth=8).numpy()


def _converted(values: np.ndarray, space: str, profile: bytes) -> np.ndarray:
    """(height, width, 1 or 3) uint8 sRGB. Raises pyvips.Error where the profile is damaged or of another space."""
    if space == "grey" and (shades := _shades(profile)) is not None:
        return shades[values if values.dtype == np.uint16 else values.astype(np.uint16) * 257]
    name = VIPS[space][values.dtype == np.uint16]
    image = pyvips.Image.new_from_array(np.ascontiguousarray(values)).copy(interpretation=name)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8).numpy()


@functools.lru_cache(8)
def _shades(profile: bytes) -> np.ndarray | None:
    """(65536,) uint8: what each grey of a profile is in sRGB; None where its curve is none that can be computed here.

    ICC.1:2022, 10.6 and 10.18. LittleCMS bends the curve at 33 places, so the darks of a linear grey are off by 10.
    """
    grey = np.linspace(0, 1, 65536)
    try:
        tags = {profile[place : place + 4]: place for place in range(132, 132 + 12 * profile[131], 12)}
        if b"kTRC" not in tags or b"A2B0" in tags:
            return None
        (start,) = struct.unpack_from(">I", profile, tags[b"kTRC"] + 4)
        kind, (function,) = profile[start : start + 4], struct.unpack_from(">H", profile, start + 8)
        if kind == b"curv":
            (count,) = struct.unpack_from(">I", profile, start + 8)
            points = np.frombuffer(profile[start + 12 :][: 2 * count], ">u2")
            if count > 1:
                light = np.interp(grey, np.linspace(0, 1, count), points / 65535)
            else:
                light = grey ** (points[0] / 256 if count else 1)
        elif kind == b"para" and function == 0:
            light = grey ** (struct.unpack_from(">i", profile, start + 12)[0] / 65536)
        elif kind == b"para" and function == 3:
            power, a, b, c, d = (number / 65536 for number in struct.unpack_from(">5i", profile, start + 12))
            light = np.where(grey >= d, np.maximum(a * grey + b, 0) ** power, c * grey)
        else:
            return None
    except (struct.error, ValueError, IndexError):
        return None
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
    return np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)


@functools.lru_cache(64)
def _changes(profile: bytes, space: str) -> bool:
    """Whether a profile is of this space and differs visibly from what the picture would be without it."""
    if profile[16:20] != SIGNATURES[space]:
        return False
    steps = np.linspace(0, 255, 256 if space == "grey" else 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[steps] * CHANNELS[space], indexing="ij"), -1).reshape(1, -1, CHANNELS[space])
    if space == "lab":
        grid = (grid * np.array([100 / 255, 1, 1]) - [0, 128, 128]).astype(np.float32)
    try:
        converted = _converted(grid, space, profile)
    except pyvips.Error:  # a damaged profile spoils nothing else
        return False
    return space in ("cmyk", "lab") or int(np.abs(converted.astype(int) - grid).max()) > UNSEEN

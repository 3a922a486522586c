"""What reading a picture tells: the facts of its header, or why it cannot be used."""

from dataclasses import dataclass


class ImageProblem(Exception):
    """One short reason why a picture cannot be used; without the file's name, which the caller knows."""


@dataclass(frozen=True)
class ImageInfo:
    """What the header says; height and width are in pixels of the upright picture (after EXIF orientation)."""

    format: str  # JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw
    height: int
    width: int


@dataclass(frozen=True)
class Limits:
    """What a caller admits."""

    max_pixels: int
    min_side: int  # pixels
    setting: str  # the name that `max_pixels` has for whoever may change it
    max_side: int = 100_000  # pixels, RETRIEVAL_MAX_SIDE

    def check(self, height: int, width: int) -> None:
        """Raise ImageProblem where a picture of this size is not admitted."""
        if height * width > self.max_pixels:
            raise ImageProblem(
                f"too large ({width} x {height} pixels; the limit is {self.max_pixels} pixels, {self.setting})"
            )
        if max(height, width) > self.max_side:
            raise ImageProblem(
                f"too long ({width} x {height} pixels; the limit of a side is {self.max_side} pixels, "
                "RETRIEVAL_MAX_SIDE)"
            )
        if min(height, width) < self.min_side:
            raise ImageProblem(f"too small ({width} x {height} pixels)")

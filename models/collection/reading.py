"""How pictures are read, and what a step over many of them did."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.collection.store import Stamp, checksum
from utils import images
from utils.images import ImageProblem
from utils.text import printable

TOLD = 10  # skipped files that are named on the terminal


@dataclass(frozen=True)
class Reading:
    """How pictures are read: alike for the collection and for queries, so that like meets like."""

    dataset: Path
    max_pixels: int
    min_side: int
    at_least: int  # pixels; decoding does not reduce the long side below this

    @classmethod
    def of(cls, dataset: Path, settings) -> "Reading":
        """As the settings (a config.Settings) say."""
        at_least = max(settings.feature_side, settings.query_side)
        return cls(dataset, settings.max_pixels, settings.min_side, at_least)

    def content(self, path: str) -> tuple[Stamp, bytes]:
        """A file's stamp and its bytes. Raises ImageProblem."""
        try:
            before = Stamp.of(self.dataset, path)  # a change while it is read shows in the next stamp
            if not (self.dataset / path).is_file():
                raise ImageProblem("not a regular file")  # a pipe might block for ever
            content = (self.dataset / path).read_bytes()
            return replace(before, checksum=checksum(content)), content
        except OSError as problem:
            raise ImageProblem(problem.strerror or "cannot be read") from None

    def decode(self, source: bytes | Path) -> np.ndarray:
        """(height, width, 3) uint8 BGR. Raises ImageProblem."""
        return images.load(source, max_pixels=self.max_pixels, min_side=self.min_side, at_least=self.at_least)


@dataclass
class Outcome:
    """What a step did."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (path, reason)

    def __str__(self) -> str:
        counts = {"added": self.added, "changed": self.changed, "deleted": self.deleted, "skipped": len(self.skipped)}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"

    def tell_skipped(self) -> None:
        """Name the skipped files, or the first of many."""
        for path, reason in self.skipped[:TOLD]:
            print(f"skipped: {printable(path)}: {reason}")
        if len(self.skipped) > TOLD:
            print(f"skipped: {len(self.skipped) - TOLD} more")

"""How pictures are read, and the outcome of a step that processes many of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from config import Settings
from models.collection.store import Stamp, checksum
from utils import images
from utils.images import ImageProblem
from utils.text import printable

PRINTED = 10  # files that are named on the terminal, of those skipped and of those noted
LARGE = 64 << 20  # bytes; a larger file is read piece by piece rather than held in memory


@dataclass(frozen=True)
class Reading:
    """How pictures are read: the same for collection and queries, so that they are comparable."""

    dataset: Path
    max_pixels: int
    min_side: int
    at_least: int  # pixels; decoding does not reduce the long side below this
    max_side: int = Settings.max_side

    @classmethod
    def of(cls, dataset: Path, settings: Settings) -> "Reading":
        """According to the settings."""
        at_least = max(settings.feature_side, settings.query_side)
        return cls(dataset, settings.max_pixels, settings.min_side, at_least, settings.max_side)

    def content(self, path: str) -> tuple[Stamp, bytes | Path]:
        """A file's stamp and bytes, or the path if it is large. Raises ImageProblem."""
        try:
            before = Stamp.of(self.dataset, path)  # a change during reading shows in the next stamp
            if not (self.dataset / path).is_file():
                raise ImageProblem("not a regular file")  # a pipe might block for ever
            if before.size > LARGE:
                with (self.dataset / path).open("rb") as file:
                    digest = checksum(iter(lambda: file.read(1 << 20), b""))
                return replace(before, checksum=digest), self.dataset / path
            content = (self.dataset / path).read_bytes()
            return replace(before, checksum=checksum(content)), content
        except OSError as problem:
            raise ImageProblem(problem.strerror or "cannot be read") from None

    def decode(self, source: bytes | Path, notes: list[str] | None = None) -> np.ndarray:
        """(height, width, 3) uint8 BGR. Raises ImageProblem.

        notes: receives a sentence for each defect of a picture that could be read nevertheless.
        """
        return images.load(
            source,
            max_pixels=self.max_pixels,
            min_side=self.min_side,
            max_side=self.max_side,
            at_least=self.at_least,
            notes=notes,
        )


@dataclass
class Outcome:
    """What a step did."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (path, reason)
    noted: list[tuple[str, str]] = field(default_factory=list)  # (path, defect) of pictures that could be read

    def __str__(self) -> str:
        counts = {"added": self.added, "changed": self.changed, "deleted": self.deleted, "skipped": len(self.skipped)}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"

    def print_skipped(self) -> None:
        """Print the first files that were skipped, and the first that were read in spite of a defect."""
        for what, rows in (("skipped", self.skipped), ("noted", self.noted)):
            for path, reason in rows[:PRINTED]:
                print(f"{what}: {printable(path)}: {reason}")
            if len(rows) > PRINTED:
                print(f"{what}: {len(rows) - PRINTED} more")

"""Pictures that people bring: checked, re-encoded without metadata, and kept under random names."""

import queue
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flask import current_app

from config import Settings
from database.tables import Photograph, Query
from utils import images
from utils.images.apart import Decoder
from web import jpeg

SOURCES = ("file", "drop", "paste", "camera", "address", "api")
QUALITY = 90  # of the JPEG that is kept
NAME = 200  # characters kept of a file's name
SMALL = 320  # pixels; the long side of the small version for lists

# As many large pictures are in memory at the same time; a second process is only started where the first is busy.
_decoders: queue.LifoQueue[Decoder] = queue.LifoQueue()
for _ in range(2):
    _decoders.put(Decoder())


@dataclass(frozen=True)
class Uploads:
    """The folder of uploads: ID.jpg for each photograph and each query on a part of one, ID.small.jpg for lists."""

    folder: Path
    max_pixels: int
    min_side: int
    max_side: int
    seconds: int  # of processor time that decoding may take
    side: int  # pixels; the long side of kept pictures

    @classmethod
    def of(cls, settings: Settings) -> "Uploads":
        """As the settings say."""
        return cls(
            settings.database.absolute() / "uploads",
            settings.upload_pixels,
            settings.min_side,
            settings.max_side,
            settings.upload_seconds,
            settings.upload_side,
        )

    def decode(self, content: bytes, notes: list[str] | None = None) -> np.ndarray:
        """(height, width, 3) uint8 BGR, its long side at most `side`. Raises ImageProblem.

        notes: receives a sentence for each defect of a picture that could be read nevertheless.
        """
        limits: dict[str, int | str] = {
            "max_pixels": self.max_pixels,
            "min_side": self.min_side,
            "max_side": self.max_side,
            "at_least": self.side,
            "setting": "RETRIEVAL_UPLOAD_PIXELS",
        }
        decoder = _decoders.get()
        try:
            pixels = decoder.load(
                content, seconds=self.seconds, setting="RETRIEVAL_UPLOAD_SECONDS", limits=limits, notes=notes
            )
        finally:
            _decoders.put(decoder)
        return images.fit(pixels, self.side)

    def write(self, name: str, pixels: np.ndarray) -> None:
        """Keep pixels (height, width, 3) uint8 BGR under a random id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        jpeg.keep(self.path(name), pixels, QUALITY)

    def read(self, name: str) -> np.ndarray:
        """The picture of an id. Raises ImageProblem if it has been deleted."""
        return images.load(self.path(name), max_pixels=self.max_pixels, min_side=1)

    def path(self, name: str) -> Path:
        """The file of an id; the id must come from the database, not from outside."""
        return self.folder / f"{name}.jpg"

    def small(self, name: str) -> Path:
        """The file of the small version, created on first use; raises ImageProblem if the picture has been deleted.

        The id must come from the database, not from outside.
        """
        path = self.folder / f"{name}.small.jpg"
        if not path.exists():
            pixels = images.load(self.path(name), max_pixels=self.max_pixels, min_side=1, at_least=SMALL)
            jpeg.keep(path, images.fit(pixels, SMALL), QUALITY)
        return path

    def delete(self, *names: str) -> None:
        for name in names:
            self.path(name).unlink(missing_ok=True)
            (self.folder / f"{name}.small.jpg").unlink(missing_ok=True)

    def picture_of(self, query: Query) -> Path:
        """The file of the picture that was queried: the photograph, or the part of it."""
        return self.path(name_of(query))


def uploads() -> Uploads:
    """The site's folder of uploads."""
    return current_app.extensions["uploads"]


def is_whole(query: Query) -> bool:
    """Whether a query is about its whole photograph, as it is."""
    return query.corners is None and query.turns == 0


def name_of(query: Query) -> str:
    """The id under which the picture of a query is kept."""
    return query.photograph_id if is_whole(query) else query.id


def files_of(photograph: Photograph) -> list[str]:
    """The ids of all files that belong to a photograph and its queries."""
    return [photograph.id, *(query.id for query in photograph.queries if not is_whole(query))]


def display_name(name: str | None) -> str:
    """A file name that is safe to display: its last part, printable, at most NAME characters."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:NAME]

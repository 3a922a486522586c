"""Pictures that people bring: checked, re-encoded without metadata, and kept under random names.

For a day there is also a copy without loss, of the pixels as the engine reads a file: one file gets one answer, whether
the site is asked or the terminal.
"""

import queue
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from flask import current_app

from config import Settings
from database.tables import Query
from models.collection.reading import Reading
from utils import files, images
from utils.images.apart import Decoder
from web import jpeg

SOURCES = ("file", "drop", "paste", "camera", "address", "api", "batch")
QUALITY = 90  # of the JPEG that is kept
NAME = 200  # characters kept of a file's name
QUICK = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # of the exact copy, which is kept for a short time
SMALL = 320  # pixels; the long side of the small version for lists

# As many large pictures are in memory at the same time; a second process is only started where the first is busy.
_decoders: queue.LifoQueue[Decoder] = queue.LifoQueue()
for _ in range(2):
    _decoders.put(Decoder())


@dataclass(frozen=True)
class Uploads:
    """The folder of uploads: ID.jpg for each photograph and each query on a part of one, ID.small.jpg for lists.

    ID.zip holds photographs of a batch until they are read. The folder of exact copies: ID.png for each photograph of
    the last day; those of a batch only until they are answered.
    """

    folder: Path
    exact: Path
    max_pixels: int
    min_side: int
    max_side: int
    seconds: int  # of processor time that decoding may take
    side: int  # pixels; the long side of kept pictures
    at_least: int  # pixels; as in models.collection.reading.Reading

    @classmethod
    def of(cls, settings: Settings) -> "Uploads":
        """As the settings say."""
        database, at_least = settings.database.absolute(), Reading.of(settings.dataset, settings).at_least
        return cls(
            database / "uploads",
            database / "exact",
            settings.upload_pixels,
            settings.min_side,
            settings.max_side,
            settings.upload_seconds,
            settings.upload_side,
            at_least,
        )

    def decode(self, content: bytes, notes: list[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """An upload as it is kept, and as the engine reads it: (height, width, 3) uint8 BGR. Raises ImageProblem.

        The long side of what is kept has at most `side` pixels. The engine reads a JPEG or JPEG 2000 as it is reduced
        while it is decoded, to less than twice `at_least`, which limits what cannot be reduced so as well.
        notes: receives a sentence for each defect of a picture that could be read nevertheless.
        """
        read = self._load(content, self.at_least, notes)
        kept = read if max(read.shape[:2]) >= self.side else self._load(content, self.side)
        return images.fit(kept, self.side), images.fit(read, 2 * self.at_least)

    def _load(self, content: bytes, at_least: int, notes: list[str] | None = None) -> np.ndarray:
        limits: dict[str, int | str] = {
            "max_pixels": self.max_pixels,
            "min_side": self.min_side,
            "max_side": self.max_side,
            "at_least": at_least,
            "setting": "RETRIEVAL_UPLOAD_PIXELS",
        }
        decoder = _decoders.get()
        try:
            return decoder.load(
                content, seconds=self.seconds, setting="RETRIEVAL_UPLOAD_SECONDS", limits=limits, notes=notes
            )
        finally:
            _decoders.put(decoder)

    def write_exact(self, name: str, pixels: np.ndarray) -> None:
        """Keep the pixels that the engine is asked with, (height, width, 3) uint8 BGR, without loss."""
        self.exact.mkdir(parents=True, exist_ok=True)
        files.write(self.exact / f"{name}.png", cv2.imencode(".png", pixels, QUICK)[1].tobytes())

    def delete_exact(self, name: str) -> None:
        """Delete what `write_exact` kept, if it is still there."""
        (self.exact / f"{name}.png").unlink(missing_ok=True)

    def read_exact(self, name: str) -> np.ndarray | None:
        """What `write_exact` kept; None once it has been swept."""
        path = self.exact / f"{name}.png"
        return images.load(path, max_pixels=self.max_pixels, min_side=1) if path.exists() else None

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

    def archive(self, name: str) -> Path:
        """The ZIP of an id; the id must come from the database, not from outside."""
        return self.folder / f"{name}.zip"

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
            self.delete_exact(name)

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


def display_name(name: str | None) -> str:
    """A file name that is safe to display: its last part, printable, at most NAME characters."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:NAME]

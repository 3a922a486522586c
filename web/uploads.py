"""Pictures that people bring: checked, re-encoded without metadata, and kept under random names."""

import io
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from database.tables import Photograph, Query
from utils import images

SOURCES = ("file", "drop", "paste", "camera", "address", "api")
QUALITY = 90  # of the JPEG that is kept
NAME = 200  # characters kept of a file's name

_decoding = threading.BoundedSemaphore(2)  # large pictures that are in memory at the same time


@dataclass(frozen=True)
class Uploads:
    """The folder of uploads: ID.jpg for each photograph, and for each query on a part of one."""

    folder: Path
    max_pixels: int
    min_side: int
    side: int  # pixels; the long side of what is kept

    @classmethod
    def of(cls, settings) -> "Uploads":
        """As the settings (a config.Settings) say."""
        return cls(
            settings.database.absolute() / "uploads", settings.upload_pixels, settings.min_side, settings.upload_side
        )

    def decode(self, content: bytes) -> np.ndarray:
        """(height, width, 3) uint8 BGR, its long side at most `side`. Raises ImageProblem."""
        with _decoding:
            pixels = images.load(content, max_pixels=self.max_pixels, min_side=self.min_side, at_least=self.side)
            return images.fit(pixels, self.side)

    def write(self, name: str, pixels: np.ndarray) -> None:
        """Keep pixels (height, width, 3) uint8 BGR under a random id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        encoded = io.BytesIO()
        Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).save(encoded, "JPEG", quality=QUALITY)
        part = self.folder / f"{name}.part"
        try:
            part.write_bytes(encoded.getvalue())
            part.replace(self.path(name))
        finally:
            part.unlink(missing_ok=True)

    def read(self, name: str) -> np.ndarray:
        """What was written. Raises ImageProblem where it is gone."""
        return images.load(self.path(name), max_pixels=self.max_pixels, min_side=1)

    def path(self, name: str) -> Path:
        """Where the picture of an id is; the id must come from the database, not from outside."""
        return self.folder / f"{name}.jpg"

    def delete(self, *names: str) -> None:
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def picture_of(self, query: Query) -> Path:
        """The picture that the engine was asked with: the photograph, or the part of it."""
        return self.path(query.photograph_id if is_whole(query) else query.id)


def is_whole(query: Query) -> bool:
    """Whether a query is about its whole photograph, as it is."""
    return query.corners is None and query.turns == 0


def files_of(photograph: Photograph) -> list[str]:
    """The ids of all files that belong to a photograph and its queries."""
    return [photograph.id, *(query.id for query in photograph.queries if not is_whole(query))]


def shown_name(name: str | None) -> str:
    """A file's name as people may see it: its last part, printable, not too long."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:NAME]

"""All works on a photograph, as an answer keeps them: what its page draws and the API tells."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from database import works
from database.tables import Picture, Work

FARTHEST = 4.0  # sides of the picture; an outline's corner beyond that is of no use to anybody


@dataclass(frozen=True)
class Sighting:
    """One work on the photograph."""

    number: int  # in the list and on the picture, from 1
    image: int  # id of the image that matched
    work: Work | None  # None where it has left the collection
    verdict: str  # found or maybe
    probability: float | None
    content: dict  # of the candidate, as web.asking.to_json describes it
    outline: list[list[float]] | None  # shares of the picture's width and height, clockwise from the work's upper left

    @property
    def middle(self) -> tuple[float, float]:
        """Where its number stands: x, y as shares, within the picture. Only of a work with an outline."""
        x, y = np.clip(np.mean(self.outline or [], axis=0), 0.03, 0.97)
        return float(x), float(y)


def sightings(content: dict, pictures: Mapping[int, Picture]) -> list[Sighting]:
    """The works of an answer, surest first; a work of several images once. Answers of earlier versions have none.

    content: as web.asking.to_json describes it. pictures: image -> picture, of the images still in the collection.
    """
    told = {entry["candidate"]: entry for entry in content.get("works", [])}
    return [
        Sighting(
            number=number,
            image=image,
            work=pictures[image].work if image in pictures else None,
            verdict=told[image]["verdict"],
            probability=told[image]["probability"],
            content=content["candidates"][str(image)],
            outline=shares(told[image]["outline"], content["frame"]),
        )
        for number, image in enumerate(works.once_a_work(list(told), dict(pictures)), start=1)
    ]


def unknown(content: dict) -> list[list[list[float]]]:
    """The outlines of what looks like a work but leads to none, in shares as those of sightings."""
    outlines = (shares(corners, content["frame"]) for corners in content.get("unknown", []))
    return [corners for corners in outlines if corners is not None]


def shares(corners: list[list[float]] | None, frame: list[int]) -> list[list[float]] | None:
    """Corners in pixels of a frame, [height, width], as shares of its width and height."""
    if corners is None:
        return None
    height, width = frame
    placed = np.clip(np.array(corners, float) / (width, height), -FARTHEST, FARTHEST)
    return placed.round(4).tolist()

"""Turns what a person or a program sends into a photograph and its regions, for pages and API alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from flask import abort, current_app
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import FileStorage

from database.tables import Photograph, User, db, random_id
from models.local import outlines
from models.local.detection import straighten
from utils.images import ImageProblem
from web import addresses
from web.errors import TOO_LARGE
from web.expiry import delete_photographs
from web.uploads import display_name, uploads

MAX_REGIONS = 8  # per request
NO_CORNERS = "The corners of a region must be four [x, y] pairs in pixels of the photograph, clockwise."


class BadCorners(Exception):
    """Corners that do not outline a region; carries a sentence that says why."""


@dataclass(frozen=True)
class Region:
    """A part of a photograph, and its rotation."""

    corners: list[list[float]] | None = None  # four [x, y] in pixels, clockwise from the upper left; None: all of it
    turns: int = 0  # clockwise quarter turns, 0..3

    @classmethod
    def of(cls, photograph: Photograph, corners: np.ndarray, turns: int) -> "Region":
        """A region of a photograph, its corners moved into it.

        corners: (4, 2) finite x, y in pixels. Raises BadCorners if a corner lies far outside, or if they do not go
        clockwise around a convex region; ImageProblem if that is too small to show a work.
        """
        size = photograph.width, photograph.height
        if not outlines.is_near(corners, *size):
            raise BadCorners("A corner lies outside the photograph.")
        corners = outlines.clip(corners, *size)
        if not outlines.is_convex_clockwise(corners):
            raise BadCorners(NO_CORNERS)
        if not outlines.is_large(corners, current_app.extensions["settings"].min_side):
            raise ImageProblem("the selected part is too small")
        return cls(corners.tolist(), turns)

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """The region of (height, width, 3) uint8 BGR, seen from the front and turned."""
        if self.corners is not None:
            pixels = straighten(pixels, np.array(self.corners, np.float32))
        return np.ascontiguousarray(np.rot90(pixels, -self.turns))


def keep_file(user: User, file: FileStorage, source: str, notes: list[str] | None = None) -> Photograph:
    """Keep a file of a form; see `keep_photograph`. Aborts with 413 if it exceeds the site's limit."""
    limit = current_app.extensions["settings"].upload_megabytes << 20
    content = file.read(limit + 1)
    if len(content) > limit:
        abort(413, TOO_LARGE)
    return keep_photograph(user, content, source, file.filename, notes)


def keep_address(user: User, address: str, notes: list[str] | None = None) -> Photograph:
    """Fetch a picture from the web and keep it; see `keep_photograph`. Aborts with 422 if it cannot be fetched."""
    try:
        content, name = addresses.fetch_for_site(address)
    except addresses.Refused as problem:
        abort(422, str(problem))
    return keep_photograph(user, content, "address", name, notes)


def keep_photograph(
    user: User, content: bytes, source: str, name: str | None, notes: list[str] | None = None
) -> Photograph:
    """Decode an upload, keep it, and return its row (committed). Raises ImageProblem.

    content: the untrusted bytes of a file. source: one of SOURCES. name: the sender's name for it.
    notes: receives a sentence for each defect of a picture that could be read nevertheless.
    """
    with kept(user.id, content, source, name, notes) as photograph:
        db.session.commit()
    return photograph


@contextmanager
def kept(
    user_id: int, content: bytes, source: str, name: str | None, notes: list[str] | None = None
) -> Iterator[Photograph]:
    """The same, for a block that commits; if it fails, nothing is left of the photograph."""
    pixels, exact = uploads().decode(content, notes)
    photograph = Photograph(
        id=random_id(),
        user_id=user_id,
        source=source,
        name=display_name(name),
        height=pixels.shape[0],
        width=pixels.shape[1],
    )
    file = photograph.id
    try:
        uploads().write(file, pixels)
        uploads().write_exact(file, exact)
        db.session.add(photograph)
        yield photograph
    except Exception:
        db.session.rollback()
        uploads().delete(file)
        raise


@contextmanager
def deleted_on_failure(photograph: Photograph) -> Iterator[None]:
    """Delete a photograph and everything that belongs to it if the block fails: nothing is kept without an answer."""
    name = photograph.id  # read now: the rollback expires the row
    try:
        yield
    except Exception:
        db.session.rollback()
        try:
            delete_photographs([name])
        except SQLAlchemyError:  # the database is what failed; a row without a query is swept later
            db.session.rollback()
            uploads().delete(name)
        raise

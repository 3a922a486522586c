"""The pictures of works as pages show them: upright, reduced, without metadata; created once and cached."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from flask import Response, current_app, send_file

from config import Settings
from database.tables import Picture
from utils import images
from web import jpeg

THUMBNAIL, PICTURE = 320, 1600  # pixels of the long side
QUALITY = 85  # of the JPEG
MAX_AGE = 3600  # seconds for which browsers may use their copy

_decoding = threading.BoundedSemaphore(2)  # full-size works in memory at the same time


@dataclass(frozen=True)
class Made:
    """A reduced picture."""

    path: Path
    version: str  # changes with the work's file
    changed: float  # time of the work's file, seconds since 1970


def made(picture: Picture, side: int) -> Made:
    """A picture of a work, its long side at most `side` pixels. Raises ImageProblem if its file is unusable."""
    settings = current_app.extensions["settings"]
    source = settings.dataset / picture.path
    try:
        status = source.stat()
    except (OSError, ValueError):
        raise images.ImageProblem("its file is missing") from None
    stamp = f"{picture.path}\n{status.st_size}\n{status.st_mtime_ns}"
    version = hashlib.blake2b(stamp.encode(errors="surrogateescape"), digest_size=10).hexdigest()
    folder = settings.output.absolute() / "thumbnails" / f"{picture.id // 1000}"
    path = folder / f"{picture.id}-{side}-{version}.jpg"
    if not path.exists():
        with _decoding:
            _make(source, path, side, settings)
    return Made(path, version, status.st_mtime)


def _make(source: Path, path: Path, side: int, settings: Settings) -> None:
    pixels = images.load(
        source,
        max_pixels=settings.max_pixels,
        min_side=settings.min_side,
        max_side=settings.max_side,
        at_least=side,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{path.name.rpartition('-')[0]}-*.jpg"):
        if old != path:
            old.unlink(missing_ok=True)
    jpeg.keep(path, images.fit(pixels, side), QUALITY, progressive=True)


def send(shown: Picture, side: int) -> Response:
    """A picture of a work as a response; 404 with a placeholder if its file is unusable."""
    try:
        picture = made(shown, side)
    except images.ImageProblem:
        response = send_file(Path(current_app.root_path) / "static/images/missing.svg", conditional=False)
        response.status_code = 404
        response.headers["Cache-Control"] = "no-store"
        return response
    response = send_file(
        picture.path, "image/jpeg", etag=f"{side}-{picture.version}", last_modified=picture.changed, conditional=True
    )
    private = current_app.extensions["settings"].private
    response.headers["Cache-Control"] = f"{'private' if private else 'public'}, max-age={MAX_AGE}"
    return response

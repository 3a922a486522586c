"""Adding pictures to the collection: files, a folder or a ZIP, put into the folder of pictures under safe names."""

import os
import re
import shutil
import unicodedata
from pathlib import Path

from flask import Response, abort, current_app, flash, jsonify, redirect, request, url_for
from flask_user import current_user
from werkzeug import Response as BaseResponse
from werkzeug.datastructures import FileStorage

from database.tables import CollectionChange, changed, db
from utils import files, images
from utils.images import ImageProblem
from utils.text import counted
from web.batches import files as zips
from web.batches.pages import accept_large_files
from web.curating import blueprint, indexing, log
from web.errors import wants_json

NOT_WRITABLE = "This site may not write into the folder of pictures, so pictures cannot be added here."
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "HEIC": (".heic", ".heif"),
    "AVIF": (".avif",),
    "JPEG 2000": (".jp2", ".j2k", ".jpx", ".jpf"),
    "JPEG XL": (".jxl",),
}
RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".raw")
UNSAFE = re.compile(r'[<>:"|?*;\\]')  # on some systems; | and ; stand between files in a register
LONGEST = 120  # bytes of a name or of a folder; their sum stays far below what a file system takes
DEEPEST = 8  # folders
NAMED = 3  # pictures that are named where it is told who added them


@blueprint.url_value_preprocessor
def _before_the_form_is_read(endpoint: str | None, _values: dict | None) -> None:
    """The check of its secret reads it."""
    if endpoint in ("curating.begin_adding", "curating.add"):
        accept_large_files()


def is_writable() -> bool:
    """Whether pictures can be put into the folder of pictures."""
    dataset = current_app.extensions["settings"].dataset
    try:
        with files.temporary(dataset / ".writable"):
            return True
    except OSError:
        return False


@blueprint.post("/pictures")
def begin_adding() -> tuple[Response, int] | BaseResponse:
    """Begin to add pictures; a form without scripts sends them with it, a script sends them one by one to `add`."""
    if not is_writable():
        abort(409, NOT_WRITABLE)
    sent = [file for file in request.files.getlist("files") if file.filename]
    if not sent and not wants_json():
        abort(400, "Please choose pictures, a folder or a ZIP first.")
    change = log.note("Began to add pictures")
    if not sent:
        ways = {"add": "add", "start": "finish_adding"}
        links = {name: url_for(f".{endpoint}", change_id=change.id) for name, endpoint in ways.items()}
        return jsonify(links | {"batch": url_for(".collection")}), 201
    refused = [problem for file in sent for problem in _add(change, file, file.filename)]
    if refused:
        flash(f"{counted(len(refused), 'file')} not taken: {' '.join(refused[:5])}", "error")
    return finish_adding(change.id)


@blueprint.post("/pictures/<change_id>")
def add(change_id: str) -> tuple[Response, int]:
    """Add a picture or a ZIP; returns how many pictures that made, and a sentence for each file that is none."""
    change = _own(change_id)
    file = request.files.get("file")
    if not file:
        abort(400, "Please choose a picture or a ZIP first.")
    before = change.pictures
    refused = _add(change, file, request.form.get("name") or file.filename)
    return jsonify(added=change.pictures - before, refused=refused), 201


@blueprint.post("/pictures/<change_id>/finish")
def finish_adding(change_id: str) -> BaseResponse:
    """Start the indexing of what was added."""
    change = _own(change_id)
    if change.pictures:
        indexing.start()
        flash(f"{counted(change.pictures, 'picture')} added. They are found once they are indexed.", "success")
    else:
        db.session.delete(change)
        db.session.commit()
        flash("No picture was added.", "info")
    address = url_for(".collection")
    return jsonify(batch=address) if wants_json() else redirect(address, 303)


def _own(change_id: str) -> CollectionChange:
    change = db.get_or_404(CollectionChange, change_id)
    if change.user_id != current_user.id:
        abort(403)
    return change


def _add(change: CollectionChange, file: FileStorage, name: str | None) -> list[str]:
    """Add a picture, or all pictures of a ZIP; a sentence for each that is refused. Commits."""
    shown = zips.display_path(name)
    if zips.PASSED_OVER.search((name or "").replace("\\", "/")):
        return []
    start = file.stream.read(4)
    file.stream.seek(0)
    if start in zips.MAGIC:
        return _add_zip(change, file, shown)
    limit = current_app.extensions["settings"].upload_megabytes
    content = file.read((limit << 20) + 1)
    too_large = f"it is larger than {limit} MB" if len(content) > limit << 20 else ""
    return _taken(change, shown, lambda: content, too_large)


def _add_zip(change: CollectionChange, file: FileStorage, name: str) -> list[str]:
    folder = current_app.extensions["settings"].database
    with files.temporary(folder / "pictures.zip", mode=0o600) as archive:
        with archive.open("wb") as copy:
            shutil.copyfileobj(file.stream, copy, 1 << 20)
        members = zips.members(archive, name)
        most = current_app.extensions["settings"].batch_photographs
        if len(members) > most:
            abort(400, f"{name} has {counted(len(members), 'file')}; {most:,} can be added at once.")
        refused = []
        for member in members:
            refused += _taken(change, member.name, lambda: zips.read(archive, member.place), member.problem)  # noqa: B023
        return refused


def _taken(change: CollectionChange, name: str, read, problem: str) -> list[str]:
    """Add a picture that `read` gives, unless there is a problem with it; one sentence where it is refused. Commits."""
    try:
        if problem:
            raise ImageProblem(problem)
        path = keep(name, read())
    except ImageProblem as why:
        return [f"{name}: {zips.sentence(why)}"]
    more = CollectionChange.pictures + 1
    changed(db.update(CollectionChange).where(CollectionChange.id == change.id).values(pictures=more))
    db.session.refresh(change)
    words = f"Added {counted(change.pictures, 'picture')}"
    names = change.what.partition(": ")[2] if change.pictures > 1 else ""
    if change.pictures <= NAMED:
        names = f"{names}, {path}" if names else path
    elif change.pictures == NAMED + 1:
        names += " and others"
    change.what = f"{words}: {names}"
    db.session.commit()
    return []


def keep(name: str, content: bytes) -> str:
    """Put a picture into the folder of pictures; its path there.

    name: the sender's, with folders. content: the untrusted bytes of a file. Raises ImageProblem for what is no picture
    that the scripts would take, and for one that is there already. An existing file is never replaced.
    """
    settings = current_app.extensions["settings"]
    limits = {"max_pixels": settings.max_pixels, "min_side": settings.min_side, "max_side": settings.max_side}
    endings = ENDINGS.get(images.probe(content, **limits).format, RAW)
    target = settings.dataset / safe_path(name, endings)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Hidden until it is whole, so that no script takes half a picture for one.
        with files.temporary(target.with_name(".added")) as part:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            free = _free(target, content)
            part.replace(free)
    except (FileExistsError, NotADirectoryError):
        raise ImageProblem("a file has the name of its folder") from None
    except PermissionError:
        raise ImageProblem("this site may not write into its folder") from None
    return str(free.relative_to(settings.dataset))


def _free(target: Path, content: bytes) -> Path:
    """The first free name after that of `target`, taken by an empty file. Raises ImageProblem."""
    for place in range(1, 10_000):
        free = target if place == 1 else target.with_stem(f"{target.stem} ({place})")
        try:
            free.touch(exist_ok=False)
        except FileExistsError:
            if free.is_file() and free.stat().st_size == len(content) and free.read_bytes() == content:
                raise ImageProblem("it is in the folder of pictures already") from None
        else:
            return free
    raise ImageProblem("there are too many pictures of this name")


def safe_path(name: str, endings: tuple[str, ...]) -> str:
    """A path below the folder of pictures that reads like the sender's, which stays the name that a register knows.

    Nothing hidden, no way up, nothing that a shell, a register or another system trips over; the ending fits what the
    picture is: endings[0], unless the name has another of them.
    """
    parts = [_safe(part) for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    *folders, last = [part for part in parts if part] or ["picture"]
    if Path(last).suffix.lower() not in endings:
        last += endings[0]
    short = [_short(folder) for folder in folders[-DEEPEST:]]
    return "/".join([*short, _short(Path(last).stem) + Path(last).suffix])


def _safe(part: str) -> str:
    printable = "".join(c for c in unicodedata.normalize("NFC", part) if c.isprintable())
    return UNSAFE.sub("_", printable).strip().lstrip(".").rstrip(". ").strip()


def _short(text: str) -> str:
    return text.encode()[:LONGEST].decode(errors="ignore").strip() or "picture"

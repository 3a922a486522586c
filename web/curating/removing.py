"""Removing a picture from the collection, which can be undone: its file is moved beside the database, and back."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response

from database.tables import CollectionChange, Picture, db
from utils import files
from utils.text import printable
from web.curating import blueprint, indexing, log
from web.curating.pictures import NOT_WRITABLE, is_writable

FOLDER = "removed"  # beside the database: a folder for each change, with the picture under its path


@blueprint.app_context_processor
def _for_the_page_of_a_work() -> dict:
    return {"can_remove_pictures": is_writable}


@blueprint.route("/remove/<int:id>", methods=["GET", "POST"])
def remove(id: int) -> str | Response:
    """Remove a picture from the collection; asks first."""
    picture = db.get_or_404(Picture, id)
    path = printable(picture.path)
    if request.method != "POST":
        return render_template("curating/remove.html", picture=picture, path=path, is_writable=is_writable())
    settings = current_app.extensions["settings"]
    file = settings.dataset / picture.path
    if not is_writable():
        abort(409, NOT_WRITABLE)
    if file.is_symlink() or not file.is_file():
        abort(409, f"There is no file {path} in the folder of pictures, or it is a link: index the pictures first.")
    relative = picture.path
    change = log.note(f"Removed the picture {path}")
    try:
        _move(file, settings.database / FOLDER / change.id / relative)
    except OSError:
        db.session.delete(change)
        db.session.commit()
        raise
    indexing.start()
    flash(f"The picture {path} is removed. It is found until the pictures are indexed again.", "success")
    return redirect(url_for(".collection"), 303)


@blueprint.post("/put-back/<change_id>")
def put_back(change_id: str) -> Response:
    """Put a picture back that was removed."""
    change = db.get_or_404(CollectionChange, change_id)
    settings = current_app.extensions["settings"]
    folder = settings.database / FOLDER / change.id
    removed = [path for path in folder.rglob("*") if path.is_file()]
    if not removed:
        abort(404)
    relative = removed[0].relative_to(folder)
    shown = printable(str(relative))
    if not is_writable():
        abort(409, NOT_WRITABLE)
    if (settings.dataset / relative).exists():
        abort(409, f"There is another file {shown} in the folder of pictures now.")
    _move(removed[0], settings.dataset / relative)
    shutil.rmtree(folder, ignore_errors=True)
    log.note(f"Put the picture {shown} back")
    indexing.start()
    flash(f"The picture {shown} is put back. It is found once the pictures are indexed.", "success")
    return redirect(url_for(".collection"), 303)


def which_can_be_put_back(changes: Iterable[CollectionChange]) -> set[str]:
    """The ids of the changes whose pictures are kept."""
    folder = current_app.extensions["settings"].database / FOLDER
    return {change.id for change in changes if (folder / change.id).is_dir()}


def _move(source: Path, target: Path) -> None:
    """Move a file, also to another file system; it is whole in one place at every moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        with files.temporary(target.with_name(".moved")) as part:  # hidden: no script takes half a picture for one
            shutil.copyfile(source, part)
            with part.open("rb") as copy:
                os.fsync(copy.fileno())
            part.rename(target)
        source.unlink()

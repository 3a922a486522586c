"""The register on the site: a file is uploaded, previewed with its columns, and loaded once somebody agrees.

What changes is found and said as `python app.py load_catalog --dry-run` does it.
"""

import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response

from database import catalog, kept, works
from database.register import columns
from database.tables import random_id
from utils.errors import WrongUse
from utils.text import counted
from web.curating import blueprint, log
from web.registers import SHOWN, named, sentences, would_be_lost
from web.uploads import display_name

FOLDER = "previews"  # beside the database: uploaded registers that nobody has loaded yet
DAY = 86_400  # seconds that they are kept
MOST = 50  # columns that can be chosen on the page
# What the terminal's sentences say of its options, and what holds on the page.
FOR_PAGES = (
    (re.compile(r" If its columns have other names.*"), " Choose below what the columns are."),
    (re.compile(r": say which one is meant with --map.*"), ": choose below which one is meant."),
    (re.compile(r" If one of them is a field of ours, use --map\."), ""),
    (re.compile(r"; use --sheet for another: (.*)"), r". Its other sheets are left out: \1"),
)


@dataclass(frozen=True)
class Choice:
    """A column of a register that is not known by its name, and what somebody says it is."""

    name: str
    field: str  # or empty: it is kept under its own name


@dataclass(frozen=True)
class Preview:
    """What a register would change."""

    notes: list[str]
    sentences: list[str]
    unmatched: list[str]  # the first of them
    more_unmatched: int  # than these
    warning: str  # where works lose their entries


@blueprint.post("/register")
def upload_register() -> Response:
    """Keep a file to be previewed."""
    file = request.files.get("register")
    if not file or not file.filename:
        abort(400, "Please choose a register first.")
    folder = _folder()
    _delete_old(folder)
    id = random_id()
    (folder / id).mkdir(parents=True)
    file.save(folder / id / (display_name(file.filename).strip(". ")[-60:] or "register"))
    return redirect(url_for(".preview_register", id=id), 303)


def _folder() -> Path:
    return current_app.extensions["settings"].database / FOLDER


def _delete_old(folder: Path) -> None:
    for old in folder.glob("*"):
        if old.stat().st_mtime < time.time() - DAY:
            shutil.rmtree(old, ignore_errors=True)


def _uploaded(id: str) -> Path:
    """The file of an upload; aborts with 404 where there is none any more."""
    there = [path for path in _folder().glob("*/*") if path.parent.name == id]
    if not there:
        abort(404, "This register has been loaded or has waited for too long. Please choose the file again.")
    return there[0]


@blueprint.route("/register/<id>", methods=["GET", "POST"])
def preview_register(id: str) -> str | tuple[str, int] | Response:
    """What a register would change, with a choice of what its columns are; loads it if that is asked for."""
    path = _uploaded(id)
    mapping = kept.read_mapping(_kept_in()) | _said()
    by_hand = {name: field for name, field in mapping.items() if field}
    try:
        register = catalog.Register(path, mapping=by_hand)
    except catalog.Unclear as problem:
        page = _page(path.name, problem=_for_pages(str(problem), path), choices=_choices(problem.columns, mapping))
        return page, 400
    except WrongUse as problem:
        return _page(path.name, problem=_for_pages(str(problem), path)), 400
    names = [column.name for column in register.columns if not column.field or columns.plain(column.name) in mapping]
    known = [
        (columns.LABELS[column.field], column.name)
        for column in register.columns
        if column.field and column.name not in names
    ]
    try:
        shown = _load_or_preview(register, path.name)
    except WrongUse as problem:
        return _page(path.name, problem=_for_pages(str(problem), path)), 400
    if shown is None:
        kept.write_mapping(_kept_in(), by_hand)
        shutil.rmtree(path.parent, ignore_errors=True)
        return redirect(url_for(".collection"), 303)
    shown.notes[:] = [_for_pages(note, path) for note in [*register.notes, *register.last_notes]]
    return _page(path.name, preview=shown, choices=_choices(names, mapping), known=known)


@blueprint.route("/register/earlier/<name>", methods=["GET", "POST"])
def preview_earlier(name: str) -> str | tuple[str, int] | Response:
    """What going back to an earlier register would change; goes back if that is asked for."""
    path = next((path for path in kept.list_earlier(_kept_in()) if path.name == name), None)
    if path is None:
        abort(404)
    called = f"the register that was replaced on {kept.when(path)}"
    try:
        shown = _load_or_preview(kept.read(path), called)
    except WrongUse as problem:
        return _page(called, problem=_for_pages(str(problem), path)), 400
    if shown is None:
        path.unlink(missing_ok=True)  # it is the one that counts now
        return redirect(url_for(".collection"), 303)
    return _page(called, preview=shown)


def _kept_in() -> Path:
    return current_app.extensions["settings"].database


def _said() -> dict[str, str]:
    """What the form says of columns: plain name -> field, or empty."""
    said: dict[str, str] = {}
    for name, field in zip(request.form.getlist("column"), request.form.getlist("field"), strict=False):
        if field and field not in columns.LABELS:
            abort(400)
        said[columns.plain(name)] = field
    return said


def _choices(names: Iterable[str], mapping: dict[str, str]) -> list[Choice]:
    return [Choice(name, mapping.get(columns.plain(name), "")) for name in list(names)[:MOST]]


def _load_or_preview(rows: Iterable[catalog.Work], name: str) -> Preview | None:
    """What would change; None where somebody has agreed to it, and it has been done."""
    with works.Plan(rows) as plan:
        loaded = plan.loaded()
        lost = "" if not loaded.lost else would_be_lost(loaded.lost)
        agreed = not lost or request.form.get("lose") == "on"
        if request.method == "POST" and request.form.get("action") == "load" and agreed:
            plan.apply()
            log.note(f"Loaded {name}: {counted(loaded.rows, 'row')}, {counted(loaded.matched, 'work')} matched")
            flash(f"The register is loaded: {counted(loaded.matched, 'work')} matched.", "success")
            return None
        unmatched = plan.unmatched()
        first = [f"{named(row)}: {reason}." for row, reason in islice(unmatched, SHOWN)]
        more = sum(1 for _ in unmatched)
    return Preview([], sentences(loaded, len(first) + more), first, more, lost)


def _for_pages(sentence: str, path: Path) -> str:
    """A sentence of the terminal's without its options, and without a path of the server."""
    sentence = sentence.replace(str(path), path.name)
    for pattern, instead in FOR_PAGES:
        sentence = pattern.sub(instead, sentence)
    return sentence


def _page(name: str, **values) -> str:
    return render_template("curating/register.html", name=name, labels=columns.LABELS, **values)

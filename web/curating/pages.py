"""The page of the collection, for administrators: its indexing, the ways to change it, and who changed what."""

from flask import Response, current_app, flash, jsonify, redirect, render_template, url_for
from werkzeug import Response as BaseResponse

from database import kept
from web.curating import blueprint, indexing, log
from web.curating.pictures import is_writable
from web.curating.removing import which_can_be_put_back


@blueprint.get("")
def collection() -> str:
    """What is under way, the forms to change the collection, and the last changes."""
    folder = current_app.extensions["settings"].database
    run, changes = indexing.current(), log.newest()
    return render_template(
        "curating/collection.html",
        progress=indexing.progress(run),
        log=indexing.read_log(run) if run else "",
        is_writable=is_writable(),
        earlier=[(path.name, kept.when(path)) for path in kept.list_earlier(folder)],
        changes=changes,
        removed=which_can_be_put_back(changes),
    )


@blueprint.get("/progress")
def progress() -> Response:
    """How far the indexing is, for the page that waits for it."""
    return jsonify(indexing.progress(indexing.current()))


@blueprint.post("/index")
def index() -> BaseResponse:
    """Start the indexing, or go on with it."""
    indexing.start()
    log.note("Started the indexing")
    return redirect(url_for(".collection"), 303)


@blueprint.post("/stop")
def stop() -> BaseResponse:
    """Stop the indexing; what is finished is kept."""
    if indexing.stop():
        log.note("Stopped the indexing")
        flash("The indexing is being stopped. What is finished is kept.", "info")
    return redirect(url_for(".collection"), 303)

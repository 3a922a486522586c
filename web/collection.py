"""The collection: browsing, the pictures of works, similar works, and manifests for other viewers."""

import csv
import io
import json
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, render_template, request, url_for
from flask_user import current_user

from database import catalog, works
from database.tables import Work, db
from models.collection.store import Store
from utils import images
from utils.text import printable
from web.errors import wants_json
from web.pictures import PICTURE, THUMBNAIL, made, send
from web.service import service
from web.tokens import user_of_request

PAGE = 48  # works on a page
TOP = 15  # values of a facet that are shown at once
SIMILAR = 24
LONGEST = 200  # characters of a search
SHOWN = 20  # rows of a catalogue without a work that are printed
NAMES = {
    "author": "Artist",
    "born_died": "Lived",
    "title": "Title",
    "date": "Date",
    "technique": "Technique",
    "location": "Location",
    "school": "School",
    "form": "Form",
    "type": "Type",
    "timeframe": "Period",
    "folder": "Folder",
}
SORTS = {"author": "artist", "title": "title", "file": "file name"}
FOR_OTHER_SITES = ("collection.thumbnail", "collection.picture", "collection.manifest")

blueprint = Blueprint("collection", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.before_request
def _ask_for_an_account():
    """A private collection is for people with an account, and for their programs."""
    if not _is_private() or current_user.is_authenticated or user_of_request():
        return None
    if request.endpoint in FOR_OTHER_SITES or wants_json():
        abort(401)
    return current_app.user_manager.unauthenticated_view()


@blueprint.after_request
def _let_other_sites_show(response: Response) -> Response:
    """Viewers on other sites may show what everybody may see."""
    if request.endpoint in FOR_OTHER_SITES and not _is_private():
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _is_private() -> bool:
    return current_app.extensions["settings"].private


# Browsing


@blueprint.get("/collection")
def browse() -> str:
    """The works that all words and facets of the address fit."""
    wanted = _wanted()
    counts = works.count_facets(wanted, works.FACETS, TOP + 1)
    catalogued = any(counts.values())
    if not catalogued and not wanted.facets:
        counts = works.count_facets(wanted, [works.FOLDER], TOP + 1)
    sort = request.args.get("sort", "")
    if sort not in SORTS:
        sort = "author" if catalogued else "file"
    total = works.count_works(wanted)
    last = max(1, -(-total // PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    found = works.select_works(wanted, sort).offset((page - 1) * PAGE).limit(PAGE)
    return render_template(
        "collection/browse.html",
        wanted=wanted,
        facets={facet: values for facet, values in counts.items() if facet not in wanted.facets and len(values) > 1},
        top=TOP,
        names=NAMES,
        sorts=SORTS,
        sort=sort,
        works=db.session.scalars(found).all(),
        total=total,
        page=page,
        last=last,
        pages=_numbers(page, last),
        link=_link,
    )


@blueprint.get("/collection/by/<facet>")
def values(facet: str) -> str:
    """All values of a facet, of the works that the rest of the address fits."""
    if facet not in (*works.FACETS, works.FOLDER):
        abort(404)
    wanted = _wanted()
    wanted.facets.pop(facet, None)
    found = sorted(works.count_facets(wanted, [facet])[facet], key=lambda row: works.fold(row[0]))
    return render_template("collection/values.html", facet=facet, values=found, names=NAMES, wanted=wanted, link=_link)


def _wanted() -> works.Wanted:
    def text(name: str) -> str:
        return request.args.get(name, "").strip()[:LONGEST]

    facets = {facet: text(facet) for facet in (*works.FACETS, works.FOLDER)}
    return works.Wanted(text("q"), {facet: value for facet, value in facets.items() if value})


def _link(endpoint: str = "collection.browse", **changes) -> str:
    """The address of the same search with changes; a value of None takes a part away. It begins on page 1 again."""
    wanted = _wanted()
    parts = {"q": wanted.text, **wanted.facets, "sort": request.args.get("sort")} | changes
    return url_for(endpoint, **{name: value for name, value in parts.items() if value})


def _numbers(page: int, last: int) -> list[int | None]:
    """The numbers of pages to be shown; None stands for those that are left out."""
    near = sorted({1, last, *range(max(1, page - 2), min(last, page + 2) + 1)})
    numbers: list[int | None] = []
    for number in near:
        if numbers and number - numbers[-1] > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


# One work. A number that is too large for the database is no work's: 404.


@blueprint.get("/works/<int(max=2147483647):id>")
def work(id: int) -> str:
    """A work with its entry of the catalogue."""
    shown = db.get_or_404(Work, id)
    return render_template(
        "collection/work.html",
        work=shown,
        file=printable(shown.path),
        names=NAMES,
        facets=works.FACETS,
        is_link=is_link(shown.url),
    )


@blueprint.get("/works/<int(max=2147483647):id>/similar")
def similar(id: int) -> str:
    """The works most similar to one."""
    shown = db.get_or_404(Work, id)
    return render_template("collection/similar.html", work=shown, similar=similar_works(id, SIMILAR))


def similar_works(id: int, count: int) -> list[tuple[Work, float]]:
    """The `count` works most similar to one, each with its similarity (cosine), best first.

    Raises Unavailable while the engine is warming up, NotFound for a work that it does not know.
    """
    try:
        found = service().engine.similar(id, count)
    except KeyError:
        abort(404)
    rows = db.session.scalars(db.select(Work).where(Work.id.in_([other for other, _ in found])))
    known = {row.id: row for row in rows}
    return [(known[other], similarity) for other, similarity in found if other in known]


def is_link(url: str) -> bool:
    """Whether an address of the catalogue may be followed."""
    return url.startswith(("https://", "http://"))


@blueprint.get("/works/<int(max=2147483647):id>/thumbnail.jpg")
def thumbnail(id: int) -> Response:
    """The small picture of a work."""
    return send(db.get_or_404(Work, id), THUMBNAIL)


@blueprint.get("/works/<int(max=2147483647):id>/picture.jpg")
def picture(id: int) -> Response:
    """The large picture of a work."""
    return send(db.get_or_404(Work, id), PICTURE)


@blueprint.get("/works/<int(max=2147483647):id>/manifest.json")
def manifest(id: int) -> Response:
    """The work for viewers that speak IIIF Presentation 3 (https://iiif.io/api/presentation/3.0/)."""
    shown = db.get_or_404(Work, id)
    try:
        size = images.probe(made(shown, PICTURE).path, max_pixels=PICTURE**2, min_side=1)
    except images.ImageProblem:
        abort(404, "This work's picture cannot be shown.")
    content = json.dumps(_manifest(shown, size.height, size.width), ensure_ascii=False)
    return Response(
        content, content_type='application/ld+json;profile="http://iiif.io/api/presentation/3/context.json"'
    )


def _manifest(work: Work, height: int, width: int) -> dict:
    def address(endpoint: str) -> str:
        return url_for(f"collection.{endpoint}", id=work.id, _external=True)

    def page(url: str, label: str) -> dict:
        return {"id": url, "type": "Text", "label": {"en": [label]}, "format": "text/html"}

    title = current_app.extensions["settings"].title
    canvas = address("work") + "/canvas"  # a name only: there is nothing at this address
    painting = {
        "id": canvas + "/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "target": canvas,
        "body": {
            "id": address("picture"),
            "type": "Image",
            "format": "image/jpeg",
            "height": height,
            "width": width,
        },
    }
    entry = [(NAMES[name], getattr(work, name)) for name in NAMES if name != works.FOLDER]
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": address("manifest"),
        "type": "Manifest",
        "label": {"none": [work.caption]},
        "metadata": [{"label": {"en": [name]}, "value": {"none": [value]}} for name, value in entry if value],
        "thumbnail": [{"id": address("thumbnail"), "type": "Image", "format": "image/jpeg"}],
        "homepage": [page(address("work"), f"{work.caption}, {title}")]
        + ([page(work.url, "Page about the work")] if is_link(work.url) else []),
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                "label": {"none": [work.caption]},
                "height": height,
                "width": width,
                "items": [{"id": canvas + "/page", "type": "AnnotationPage", "items": [painting]}],
            }
        ],
    }


# The command line


def add_commands(manager) -> None:
    """What app.py can do about it on the command line."""

    @manager.option("file", metavar="FILE", type=Path, help="CSV or Excel, in the Web Gallery of Art's columns")
    def load_catalog(file: Path) -> None:
        """Authors and titles of the works, from a CSV or Excel file."""
        settings = current_app.extensions["settings"]
        rows = catalog.read(file)
        store = Store.reading(settings.output)
        try:
            stored = {image: stamp.path for image, stamp in store.images().items()}
        finally:
            store.close()
        works.follow(stored)
        _report(works.load_catalog(rows), settings.output / "catalog_unmatched.csv")


def _report(loaded: works.Loaded, path: Path) -> None:
    """Print what became of a catalogue; the rows without a work go to a file."""
    print(
        f"{loaded.rows:,} rows, {loaded.matched:,} works matched, {len(loaded.unmatched):,} rows without a work, "
        f"{loaded.without_row:,} works without a row."
    )
    for row, reason in loaded.unmatched[:SHOWN]:
        name = ", ".join(filter(None, (row.author, row.title, row.file or row.url)))
        print(f"  {name[:150] or 'A row without a name'}: {reason}.")
    if not loaded.unmatched:
        path.unlink(missing_ok=True)
        return
    if len(loaded.unmatched) > SHOWN:
        print(f"  and {len(loaded.unmatched) - SHOWN:,} more.")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(["REASON", *(name.upper().replace("_", "-") for name in catalog.FIELDS)])
    writer.writerows([reason, *(getattr(row, name) for name in catalog.FIELDS)] for row, reason in loaded.unmatched)
    path.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")
    print(f"{path} lists them all.")

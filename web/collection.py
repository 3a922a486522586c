"""The collection: browsing, the pictures of works, similar works, and manifests for other viewers."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import werkzeug
from flask import Blueprint, Flask, Response, abort, current_app, g, redirect, render_template, request, url_for
from flask_user import current_user
from sqlalchemy.orm import lazyload

from database import works
from database.tables import Picture, Work, db
from utils import images
from utils.text import printable
from web.errors import wants_json
from web.pictures import PICTURE, THUMBNAIL, made, send
from web.service import service
from web.tokens import user_of_request
from web.users import user_manager

PAGE = 48  # works on a page
TOP = 15  # values of a facet that are shown at once
SIMILAR = 24
LONGEST = 200  # characters of a search
NAMES = {
    "number": "Inventory number",
    "author": "Artist",
    "born_died": "Lived",
    "title": "Title",
    "date": "Date",
    "technique": "Technique",
    "dimensions": "Dimensions",
    "location": "Location",
    "credit": "Credit line",
    "rights": "Rights",
    "school": "School",
    "form": "Form",
    "type": "Type",
    "timeframe": "Period",
    "folder": "Folder",
}
SORTS = {
    "relevance": "best match",
    "author": "artist",
    "title": "title",
    "number": "inventory number",
    "date": "date",
    "file": "file name",
}
IIIF_PAGE = 1000  # works on a page of the IIIF collection
CONTEXT = "http://iiif.io/api/presentation/3/context.json"
FOR_OTHER_SITES = (
    "collection.thumbnail",
    "collection.picture",
    "collection.manifest",
    "collection.iiif_collection",
    "collection.iiif_page",
)

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
    return user_manager().unauthenticated_view()


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
    total = works.count_works(wanted)
    counts = works.count_facets(wanted, works.FACETS, TOP + 1, total)
    catalogued = any(counts.values())
    if not catalogued and not wanted.facets:
        counts = works.count_facets(wanted, [works.FOLDER], TOP + 1, total)
    sort = request.args.get("sort", "")
    sorts = {key: name for key, name in SORTS.items() if key != "relevance" or wanted.text}
    if sort not in sorts:
        sort = "relevance" if wanted.text else "author" if catalogued else "file"
    last = max(1, -(-total // PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    return render_template(
        "collection/browse.html",
        wanted=wanted,
        facets={facet: values for facet, values in counts.items() if facet not in wanted.facets and len(values) > 1},
        top=TOP,
        names=NAMES,
        sorts=sorts,
        sort=sort,
        works=works.find_works(wanted, sort, (page - 1) * PAGE, PAGE),
        total=total,
        counted=works.COUNTED if total > works.COUNTED and not wanted.is_everything else None,
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
    asked = _wanted()
    wanted = replace(asked, facets={name: value for name, value in asked.facets.items() if name != facet})
    found = sorted(works.count_facets(wanted, [facet])[facet], key=lambda row: works.fold(row[0]))
    return render_template("collection/values.html", facet=facet, values=found, names=NAMES, wanted=wanted, link=_link)


def _wanted() -> works.Wanted:
    """What the address asks for; looked at once a request."""
    if "wanted" not in g:
        g.wanted = _read_address()
    return g.wanted


def _read_address() -> works.Wanted:
    def text(name: str) -> str:
        return request.args.get(name, "").strip()[:LONGEST]

    def year(name: str) -> int | None:
        return int(text(name)) if re.fullmatch(r"-?\d{1,4}", text(name), re.ASCII) else None

    facets = {facet: text(facet) for facet in (*works.FACETS, works.FOLDER)}
    facets = {facet: value for facet, value in facets.items() if value}
    return works.Wanted.typed(text("q"), facets, year("from"), year("to"))


def _link(endpoint: str = "collection.browse", **changes) -> str:
    """The address of the same search with changes; a value of None takes a part away. It begins on page 1 again."""
    wanted = _wanted()
    years = {"from": wanted.first_year, "to": wanted.last_year}
    parts = {"q": wanted.text, **wanted.facets, **years, "sort": request.args.get("sort")} | changes
    return url_for(endpoint, **{name: value for name, value in parts.items() if value not in (None, "")})


def _numbers(page: int, last: int) -> list[int | None]:
    """The numbers of pages to be shown; None stands for those that are left out."""
    near = sorted({1, last, *range(max(1, page - 2), min(last, page + 2) + 1)})
    numbers: list[int | None] = []
    for number in near:
        if numbers and number - numbers[-1] > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


# One work. The id of any of its pictures leads to it. A number that is too large for the database is no work's: 404.


@blueprint.get("/works/<int(max=2147483647):id>")
def work(id: int) -> str | werkzeug.Response:
    """A work with its entry of the register and its pictures; the id of another of its pictures leads here."""
    shown = work_with(id)
    if shown.id != id:
        return redirect(url_for(".work", id=shown.id), 302)  # not for ever: a register may change it
    return render_template(
        "collection/work.html",
        work=shown,
        files=[printable(picture.path) for picture in shown.pictures],
        names=NAMES,
        facets=works.FACETS,
        is_link=is_link(shown.url),
    )


def work_with(id: int) -> Work:
    """The work with this picture; aborts with 404 where there is none."""
    return db.get_or_404(Picture, id).work


@blueprint.get("/works/<int(max=2147483647):id>/similar")
def similar(id: int) -> str:
    """The works most similar to one, or to one of its pictures."""
    shown = work_with(id)
    return render_template("collection/similar.html", work=shown, picture=id, similar=similar_works(id, SIMILAR))


def similar_works(id: int, count: int) -> list[tuple[Work, float]]:
    """The `count` works most similar to a picture, each with the similarity (cosine) of its nearest, best first.

    Raises Unavailable while the engine is warming up, NotFound for a picture that it does not know.
    """
    own = work_with(id)
    asked, every = count + len(own.pictures), len(service().engine.images)
    while True:
        try:
            found = service().engine.similar(id, asked)
        except KeyError:
            abort(404)
        pictures = works.pictures_of(image for image, _ in found)
        similarity = dict(found)
        nearest = [pictures[image] for image in works.once_a_work(list(similarity), pictures) if image in pictures]
        nearest = [picture for picture in nearest if picture.work_id != own.id]
        if len(nearest) >= count or asked >= every:
            return [(picture.work, similarity[picture.id]) for picture in nearest[:count]]
        asked = min(4 * asked, every)  # many pictures of few works stand first


def is_link(url: str) -> bool:
    """Whether an address of the register may be followed."""
    return url.startswith(("https://", "http://"))


@blueprint.get("/works/<int(max=2147483647):id>/thumbnail.jpg")
def thumbnail(id: int) -> Response:
    """The small version of a picture."""
    return send(db.get_or_404(Picture, id), THUMBNAIL)


@blueprint.get("/works/<int(max=2147483647):id>/picture.jpg")
def picture(id: int) -> Response:
    """The large version of a picture."""
    return send(db.get_or_404(Picture, id), PICTURE)


@blueprint.get("/works/<int(max=2147483647):id>/manifest.json")
def manifest(id: int) -> Response:
    """The work for viewers that speak IIIF Presentation 3 (https://iiif.io/api/presentation/3.0/)."""
    shown = work_with(id)
    canvases = [_canvas(shown, picture, size) for picture in shown.pictures if (size := _size(picture))]
    if not canvases:
        abort(404, "This work's picture cannot be shown.")
    return _for_viewers(_manifest(shown, canvases))


def _for_viewers(content: dict) -> Response:
    """A document of IIIF Presentation 3 with its context, which stands first."""
    text = json.dumps({"@context": CONTEXT} | content, ensure_ascii=False)
    return Response(text, content_type=f'application/ld+json;profile="{CONTEXT}"')


def _size(picture: Picture) -> tuple[int, int] | None:
    """(height, width) of a picture as it is sent; None where it cannot be shown."""
    try:
        size = images.probe(made(picture, PICTURE).path, max_pixels=PICTURE**2, min_side=1)
    except images.ImageProblem:
        return None
    return size.height, size.width


def _canvas(work: Work, picture: Picture, size: tuple[int, int]) -> dict:
    # Names only: there is nothing at these addresses.
    canvas = url_for("collection.work", id=work.id, _external=True) + "/canvas"
    if picture.id != work.id:
        canvas += f"/{picture.id}"
    sides = dict(zip(("height", "width"), size, strict=True))
    address = url_for("collection.picture", id=picture.id, _external=True)
    painting = {
        "id": canvas + "/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "target": canvas,
        "body": {"id": address, "type": "Image", "format": "image/jpeg", **sides},
    }
    label = {"none": [work.caption]} if len(work.pictures) == 1 else {"en": [_named(work, picture)]}
    page = {"id": canvas + "/page", "type": "AnnotationPage", "items": [painting]}
    return {"id": canvas, "type": "Canvas", "label": label, **sides, "items": [page]}


def _named(work: Work, picture: Picture) -> str:
    """What of a work's pictures this is, in words."""
    return picture.role.capitalize() or f"Picture {work.pictures.index(picture) + 1}"


def _manifest(work: Work, canvases: list[dict]) -> dict:
    def address(endpoint: str) -> str:
        return url_for(f"collection.{endpoint}", id=work.id, _external=True)

    def page(url: str, label: str) -> dict:
        return {"id": url, "type": "Text", "label": {"en": [label]}, "format": "text/html"}

    def pairs(entry: Iterable[tuple[str, str | None]], language: str) -> list[dict]:
        return [{"label": {language: [name]}, "value": {"none": [value]}} for name, value in entry if value]

    title = current_app.extensions["settings"].title
    entry = [(NAMES[name], getattr(work, name)) for name in NAMES if name != works.FOLDER]
    return {
        "id": address("manifest"),
        "type": "Manifest",
        "label": {"none": [work.caption]},
        "metadata": pairs(entry, "en") + pairs(work.more.items(), "none"),
        "thumbnail": [{"id": address("thumbnail"), "type": "Image", "format": "image/jpeg"}],
        "homepage": [page(address("work"), f"{work.caption}, {title}")]
        + ([page(work.url, "Page about the work")] if is_link(work.url) else []),
        "items": canvases,
    }


# All works, for viewers and for harvesting: a collection of collections, because IIIF has no pages


@blueprint.get("/collection/iiif.json")
def iiif_collection() -> Response:
    """The works as collections of IIIF_PAGE each, in the order of their ids."""
    total = works.count_works(works.Wanted())
    pages = [_iiif_page(number, total) for number in range(1, -(-total // IIIF_PAGE) + 1)]
    title = current_app.extensions["settings"].title
    content = {"id": _address_of("iiif_collection"), "type": "Collection", "label": {"none": [title]}}
    home = {"id": _address_of("browse"), "type": "Text", "label": {"none": [title]}, "format": "text/html"}
    return _for_viewers(content | {"homepage": [home], "items": pages})


@blueprint.get("/collection/iiif/<int(min=1, max=2147483):number>.json")
def iiif_page(number: int) -> Response:
    """One of these collections, with the manifests of its works."""
    asked = db.select(Work).options(lazyload(Work.pictures)).order_by(Work.id)
    found = db.session.scalars(asked.offset((number - 1) * IIIF_PAGE).limit(IIIF_PAGE)).all()
    if not found:
        abort(404)
    items = [
        {"id": _address_of("manifest", id=work.id), "type": "Manifest", "label": {"none": [work.caption]}}
        for work in found
    ]
    part_of = {"id": _address_of("iiif_collection"), "type": "Collection"}
    page = _iiif_page(number, works.count_works(works.Wanted()))
    return _for_viewers(page | {"partOf": [part_of], "items": items})


def _iiif_page(number: int, total: int) -> dict:
    first, last = (number - 1) * IIIF_PAGE + 1, min(number * IIIF_PAGE, total)
    label = {"en": [f"Works {first:,} to {last:,} of {total:,}"]}
    return {"id": _address_of("iiif_page", number=number), "type": "Collection", "label": label}


def _address_of(endpoint: str, **values: Any) -> str:
    return url_for(f"collection.{endpoint}", **values, _external=True)

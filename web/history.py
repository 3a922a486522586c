"""Answers, feedback on them, and each person's history."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path, PurePosixPath

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from flask_user import current_user, login_required
from sqlalchemy import Select
from sqlalchemy.orm import joinedload
from werkzeug import Response

from database import works
from database.tables import ID, Batch, BatchPhotograph, Picture, Query, Work, db, now
from models.answer import VERDICTS
from utils import spreadsheet
from utils.text import printable
from web.evidence import COLOURS, draw, heat_map, reason
from web.expiry import delete_queries
from web.incoming import page_number
from web.judging import confirmed, judge, mark
from web.sightings import sightings, unknown
from web.uploads import name_of, uploads

PAGE = 24  # answers on a page of the history
LONGEST = 200  # characters of a search
OTHERS = 6  # further candidates shown as pictures
COLUMNS = (
    "submitted (UTC)",
    "picture",
    "query",
    "verdict",
    "inventory number",
    "artist",
    "title",
    "date",
    "file",
    "similarity",
    "matches",
    "inliers",
    "seconds",
    "feedback",
    "address",
)

blueprint = Blueprint("history", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


# The answer


@dataclass(frozen=True)
class Candidate:
    """A candidate as the page shows it."""

    id: int
    content: dict  # as web.asking.to_json describes it
    work: Work | None  # None where it has left the collection
    before: int | None  # rank by similarity, from 1; None: not among those that were kept
    after: int | None  # rank after re-ranking

    @property
    def caption(self) -> str:
        return self.work.caption if self.work else PurePosixPath(self.content["path"]).stem

    @property
    def has_evidence(self) -> bool:
        return self.content["inliers"] > 0


@blueprint.get("/answers/<query_id>")
@login_required
def answer(query_id: str) -> str:
    """One answer, with its evidence; ?candidate=ID draws that of another candidate."""
    query = visible(query_id, also_shared=True)
    content = query.answer.content
    pictures = pictures_of(content)
    candidates = candidates_of(content, pictures)
    before, after = (ranked(candidates, order) for order in ("before", "after"))
    best = after[0] if after else None
    shown = _requested(candidates) or (best if query.verdict != "not found" else None)
    found = sightings(content, pictures)
    named = {sighting.image for sighting in found}
    others = [each for each in after if query.verdict == "not found" or (each is not best and each.id not in named)]
    return render_template(
        "history/answer.html",
        query=query,
        content=content,
        reason=reason(query, content),
        best=best,
        shown=shown,
        drawing=shown and draw(content, shown.content),
        colours=COLOURS,
        sightings=found,
        unknown=unknown(content),
        others=others[:OTHERS],
        before=before,
        after=after,
        siblings=[sibling for sibling in query.photograph.queries if sibling.id != query.id],
        is_mine=query.user_id == current_user.id,
        said=confirmed([query]).get(query.id),
        mark=mark(query),
    )


def visible(query_id: str, also_shared: bool = False) -> Query:
    """The query, if this person may see it (the owner, or an administrator); else aborts with 404.

    also_shared: so may everybody with an account who reviews the batch that it belongs to.
    """
    query = db.session.get(Query, query_id) if ID.fullmatch(query_id) else None
    if query is None:
        abort(404)
    if query.user_id != current_user.id and not current_user.is_admin and not (also_shared and _is_shared(query)):
        abort(404)
    return query


def _is_shared(query: Query) -> bool:
    shared = db.select(Batch.id).join(BatchPhotograph).where(BatchPhotograph.query_id == query.id, Batch.shared)
    return db.session.scalar(shared) is not None


def ranked(candidates: dict[int, Candidate], order: str) -> list[Candidate]:
    """Those with a place in a ranking, "before" or "after", the first place first."""
    places = {place: each for each in candidates.values() if (place := getattr(each, order))}
    return [places[place] for place in sorted(places)]


def pictures_of(content: dict) -> dict[int, Picture]:
    """id -> picture, of the candidates that are still in the collection."""
    pictures = works.pictures_of(int(image) for image in content["candidates"])
    paths = {int(image): candidate["path"] for image, candidate in content["candidates"].items()}
    # Another path: the id is of another picture now.
    return {image: picture for image, picture in pictures.items() if printable(picture.path) == paths[image]}


def candidates_of(content: dict, pictures: dict[int, Picture]) -> dict[int, Candidate]:
    """id -> candidate of an answer, with the works as they are in the collection now.

    Of a work's pictures only the best of each ranking has a place: the one that matched stands for the work.
    """
    ids = [int(image) for image in content["candidates"]]
    before, after = (
        {image: place for place, image in enumerate(works.once_a_work(content[key], pictures), 1)}
        for key in ("before", "after")
    )
    return {
        image: Candidate(
            image,
            content["candidates"][str(image)],
            pictures[image].work if image in pictures else None,
            before.get(image),
            after.get(image),
        )
        for image in ids
    }


def _requested(candidates: dict[int, Candidate]) -> Candidate | None:
    """The candidate named in the URL, if any."""
    image = request.args.get("candidate")
    if image is None:
        return None
    candidate = next((candidate for candidate in candidates.values() if str(candidate.id) == image), None)
    if candidate is None:
        abort(404, "This answer has no such candidate.")
    return candidate


@blueprint.get("/answers/<query_id>/picture.jpg")
@login_required
def picture(query_id: str) -> Response:
    """The submitted picture, or the part of it."""
    return _jpeg(uploads().picture_of(visible(query_id, also_shared=True)))


@blueprint.get("/answers/<query_id>/thumbnail.jpg")
@login_required
def thumbnail(query_id: str) -> Response:
    """A small version of it; created on first use."""
    name = name_of(visible(query_id, also_shared=True))
    if not uploads().path(name).exists():
        abort(404)
    return _jpeg(uploads().small(name))


@blueprint.get("/answers/<query_id>/attention.png")
@login_required
def attention(query_id: str) -> Response:
    """Where the network looked, as an overlay of the picture."""
    response = make_response(heat_map(visible(query_id, also_shared=True).answer.content))
    response.mimetype = "image/png"
    response.add_etag()
    return _private(response).make_conditional(request)


def _jpeg(path: Path) -> Response:
    if not path.exists():
        abort(404)
    return _private(send_file(path, mimetype="image/jpeg", conditional=True))


def _private(response: Response) -> Response:
    """Cacheable by this person's browser only, which must revalidate each time."""
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@blueprint.post("/answers/<query_id>/feedback")
@login_required
def feedback(query_id: str) -> Response:
    """Store the person's feedback on the answer, or which work it is; an empty value removes it."""
    query = visible(query_id)
    if query.user_id != current_user.id:
        abort(403, "Only the person who submitted the picture can rate the answer.")
    form = request.form
    judge(query, current_user, form.get("feedback", ""), form.get("picture", ""), form.get("seen"))
    return redirect(url_for(".answer", query_id=query.id, _anchor="feedback"), 303)


@blueprint.get("/answers/<query_id>/correct")
@login_required
def correct(query_id: str) -> str:
    """Look for the work that a picture shows, to say that it is this one; ?q= has the words."""
    query = visible(query_id)
    if query.user_id != current_user.id:
        abort(403, "Only the person who submitted the picture can rate the answer.")
    text = request.args.get("q", "").strip()[:LONGEST]
    found = works.find_works(works.Wanted(text), "relevance", limit=PAGE) if text else []
    return render_template(
        "history/correct.html",
        query=query,
        text=text,
        found=found,
        mark=mark(query),
    )


@blueprint.get("/answers/<query_id>/delete")
@login_required
def confirm_deletion(query_id: str) -> str:
    """Ask for confirmation before deleting one answer."""
    query = visible(query_id)
    return render_template("history/delete.html", count=1, query=query, action=url_for(".delete", query_id=query.id))


@blueprint.post("/answers/<query_id>/delete")
@login_required
def delete(query_id: str) -> Response:
    """Delete one answer and its pictures."""
    delete_queries([visible(query_id).id])
    return _deleted(1)


# The history


@dataclass(frozen=True)
class Filter:
    """A filter on the answers of a history; days are in UTC."""

    verdict: str = ""  # empty: all
    first: date | None = None
    last: date | None = None

    @classmethod
    def read(cls, values) -> "Filter":
        """From a URL or a form. Aborts with 400 for an invalid value."""
        verdict = values.get("verdict", "")
        if verdict and verdict not in VERDICTS:
            abort(400, "The verdict must be found, maybe or not found.")
        first, last = _day(values.get("from", "")), _day(values.get("to", ""))
        if first and last and last < first:
            abort(400, "The last day must not be before the first.")
        return cls(verdict, first, last)

    def select(self) -> Select:
        """One's own queries that match, newest first; those of batches have pages of their own."""
        in_a_batch = db.select(BatchPhotograph.id).where(BatchPhotograph.query_id == Query.id)
        chosen = db.select(Query).where(Query.user_id == current_user.id, ~in_a_batch.exists())
        if self.verdict:
            chosen = chosen.where(Query.verdict == self.verdict)
        if self.first:
            chosen = chosen.where(Query.created_at >= datetime.combine(self.first, time.min))
        if self.last:
            chosen = chosen.where(Query.created_at <= datetime.combine(self.last, time.max))
        return chosen.order_by(Query.created_at.desc(), Query.number, Query.id)

    def as_values(self) -> dict[str, str]:
        """As in a URL or a form; only what is set."""
        values = {"verdict": self.verdict, "from": self.first, "to": self.last}
        return {name: str(value) for name, value in values.items() if value}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        abort(400, "Dates must be written like 2026-11-24.")


@blueprint.get("/history")
@login_required
def history() -> str:
    """One's own answers, newest first."""
    chosen = Filter.read(request.args)
    page = db.paginate(chosen.select().options(joinedload(Query.work)), page=page_number(), per_page=PAGE)
    return render_template("history/history.html", page=page, filter=chosen, verdicts=VERDICTS)


@blueprint.get("/history.csv")
@login_required
def download() -> Response:
    """One's own answers as CSV, with the same filter as the page."""
    rows = _rows(Filter.read(request.args))
    response = current_app.response_class(stream_with_context(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="answers {now():%Y-%m-%d}.csv"'
    return response


def _rows(chosen: Filter) -> Iterator[str]:
    """The lines of the CSV file, one at a time, so that a long history needs no more memory than a short one."""
    options = joinedload(Query.work), joinedload(Query.photograph)
    queries = db.session.scalars(chosen.select().options(*options).execution_options(yield_per=200))
    yield spreadsheet.MARK
    yield spreadsheet.line(COLUMNS)
    for query in queries:
        work = query.work
        yield spreadsheet.line(
            [
                query.created_at,
                query.photograph.name,
                query.number + 1,
                query.verdict,
                (work.number or "") if work else "",
                work.author if work else "",
                work.title if work else "",
                work.date if work else "",
                printable(query.work_path or ""),
                round(query.similarity, 4) if query.similarity is not None else "",
                query.matches,
                query.inliers,
                round(query.seconds, 2),
                query.feedback or "",
                url_for(".answer", query_id=query.id, _external=True),
            ]
        )


@blueprint.get("/history/delete")
@login_required
def confirm_deletions() -> str:
    """Ask for confirmation before deleting several answers: ?query=ID&query=ID, or ?all=1 with the filter."""
    ids = _chosen_ids(request.args)
    everything = {"all": "1"} | Filter.read(request.args).as_values() if "all" in request.args else {}
    return render_template(
        "history/delete.html",
        count=len(ids),
        query=None,
        action=url_for(".delete_several"),
        ids=[] if everything else ids,
        everything=everything,
    )


@blueprint.post("/history/delete")
@login_required
def delete_several() -> Response:
    """Delete the chosen answers and their pictures."""
    ids = _chosen_ids(request.form)
    delete_queries(ids)
    return _deleted(len(ids))


def _chosen_ids(values) -> list[str]:
    """Ids of one's own queries; unknown ones and somebody else's are ignored. Aborts if none is left."""
    chosen = Filter.read(values).select() if "all" in values else Filter().select()
    if "all" not in values:
        named = [name for name in values.getlist("query")[:PAGE] if ID.fullmatch(name)]
        chosen = chosen.where(Query.id.in_(named))
    ids = list(db.session.scalars(chosen.with_only_columns(Query.id)))
    if not ids:
        abort(400, "Please select at least one answer first.")
    return ids


def _deleted(count: int) -> Response:
    flash(
        "The answer and its picture have been deleted." if count == 1 else f"{count} answers have been deleted.",
        "success",
    )
    return redirect(url_for(".history"), 303)

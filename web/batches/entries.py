"""The photographs of a batch as pages show them, and who may see them."""

from dataclasses import dataclass

from flask import abort
from flask_user import current_user
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import joinedload

from database.tables import ID, Batch, BatchPhotograph, Picture, Query, User, Work, db
from web.judging import confirmed

# What a page of a batch can be narrowed to: name in addresses -> words.
SHOWN = {
    "": "All",
    "maybe": "Not sure",
    "found": "Found",
    "not found": "Not found",
    "open": "Not reviewed",
    "reviewed": "Reviewed",
    "failed": "Failed",
    "waiting": "Waiting",
}


@dataclass(frozen=True)
class Entry:
    """One photograph with its answer, and with what a person says of it."""

    row: BatchPhotograph
    picture: Picture | None  # of the work that a person confirmed, or that the engine found
    is_confirmed: bool

    @property
    def query(self) -> Query | None:
        return self.row.query_

    @property
    def work(self) -> Work | None:
        return self.picture.work if self.picture else None


def visible(batch_id: str, user: User | None = None) -> Batch:
    """The batch, if this person may see and review it; else aborts with 404.

    That is the owner, an administrator and, where it is shared, everybody with an account.
    """
    user = user or current_user
    batch = db.session.get(Batch, batch_id) if ID.fullmatch(batch_id) else None
    if batch is None or not (batch.shared or batch.user_id == user.id or user.is_admin):
        abort(404)
    return batch


def read_shown(text: str) -> str:
    """What a page is to be narrowed to. Aborts with 400 for what is not in SHOWN."""
    if text not in SHOWN:
        abort(400, "There are no photographs of that kind.")
    return text


def chosen(batch: Batch, shown: str = "") -> Select:
    """The photographs of a batch, most doubtful first; then those that have failed, then those that wait."""
    state = {"failed": 1, "waiting": 2}
    order = (db.case(state, value=BatchPhotograph.state, else_=0), BatchPhotograph.doubt.desc(), BatchPhotograph.id)
    asked = select(BatchPhotograph).outerjoin(Query, Query.id == BatchPhotograph.query_id)
    return asked.where(BatchPhotograph.batch_id == batch.id, *_conditions(shown)).order_by(*order)


def _conditions(shown: str) -> list[ColumnElement[bool]]:
    match shown:
        case "":
            return []
        case "open":
            return [BatchPhotograph.state == "answered", Query.feedback.is_(None)]
        case "reviewed":
            return [Query.feedback.is_not(None)]
        case "failed" | "waiting":
            return [BatchPhotograph.state == shown]
        case _:
            return [Query.verdict == shown]


def counts(batch: Batch) -> dict[str, int]:
    """How many photographs there are of each kind in SHOWN."""
    return {
        shown: db.session.scalar(select(func.count()).select_from(chosen(batch, shown).order_by(None).subquery())) or 0
        for shown in SHOWN
    }


def with_answers(asked: Select) -> Select:
    """The same photographs with all that an Entry needs, in a few statements."""
    query = joinedload(BatchPhotograph.query_)
    return asked.options(
        joinedload(BatchPhotograph.photograph),
        query.joinedload(Query.judge),
        query.selectinload(Query.picture).joinedload(Picture.work),
    )


def entries(rows: list[BatchPhotograph]) -> list[Entry]:
    """Rows of `with_answers`, each with the work to be shown."""
    pictures = confirmed([row.query_ for row in rows if row.query_])
    return [_entry(row, pictures.get(row.query_id)) for row in rows]


def _entry(row: BatchPhotograph, said: Picture | None) -> Entry:
    query = row.query_
    if query is None or said is not None or query.feedback in ("wrong", "absent") or query.verdict == "not found":
        return Entry(row, said, said is not None)
    return Entry(row, query.picture, False)

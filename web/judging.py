"""What people say of an answer: right, wrong, not in the collection, or which work it is."""

from flask import abort

from database import works
from database.tables import Picture, Query, User, changed, db, now

FEEDBACK = ("right", "wrong", "absent")
WORDS = {"right": "right", "wrong": "wrong", "absent": "not in the collection"}


def judge(query: Query, by: User, said: str, picture: str = "", seen: str | None = None) -> None:
    """Store what a person says of an answer. Commits.

    said: one of FEEDBACK, "work" with the picture of the work that it is, or empty to take back what was said.
    seen: `mark` of the query as that person saw it; None where it does not matter.
    Aborts with 400, or with 409 where somebody else has judged it meanwhile.
    """
    if said not in ("", "work", *FEEDBACK):
        abort(400, "The feedback must be right, wrong or absent.")
    values: dict[str, object] = {"feedback": said or None, "confirmed_id": None, "confirmed_path": None}
    if said == "work":
        shown = _picture(picture)
        is_first = query.work is not None and query.work.id == shown.work_id and query.verdict != "not found"
        values = {"feedback": "right" if is_first else "wrong", "confirmed_id": shown.id, "confirmed_path": shown.path}
    elif said == "right" and query.verdict != "not found":
        values |= {"confirmed_id": query.work_id, "confirmed_path": query.work_path}
    values |= {"feedback_at": now() if said else None, "feedback_by": by.id if said else None}
    here = db.update(Query).where(Query.id == query.id)
    if seen is not None:
        here = here.where(Query.feedback_at.is_not_distinct_from(query.feedback_at))
    if (seen is not None and seen != mark(query)) or changed(here.values(values)) != 1:
        db.session.rollback()
        _somebody_else(query)
    db.session.commit()
    db.session.refresh(query)


def mark(query: Query) -> str:
    """What tells whether somebody has judged an answer meanwhile."""
    return query.feedback_at.isoformat() if query.feedback_at else ""


def _somebody_else(query: Query) -> None:
    db.session.refresh(query)
    who = query.judge.username if query.judge else "Somebody"
    said = f"says that it is {WORDS[query.feedback]}" if query.feedback else "has taken the judgement back"
    abort(409, f"{who} {said}, since this page was opened. Nothing was changed; please look again.")


def _picture(picture: str) -> Picture:
    found = db.session.get(Picture, int(picture)) if picture.isdecimal() and len(picture) < 10 else None
    if found is None:
        abort(400, "Please choose a work of the collection.")
    return found


def confirmed(queries: list[Query]) -> dict[str, Picture]:
    """Id of a query -> picture of the work that a person says it shows, of those that are in the collection."""
    said = {query.id: query for query in queries if query.confirmed_id is not None}
    pictures = works.pictures_of(query.confirmed_id for query in said.values())
    found = {id: pictures.get(query.confirmed_id) for id, query in said.items()}
    return {id: picture for id, picture in found.items() if picture and picture.path == said[id].confirmed_path}

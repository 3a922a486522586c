"""Photographs of which people have said what they show: a ground truth that grows with the use of the site."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from database.tables import Query, db
from web.judging import confirmed
from web.uploads import uploads

SOME = 500  # queries that are read at once


def photographs() -> Iterator[tuple[Path, frozenset[int]]]:
    """(file, images of the work that it shows) of each photograph that somebody has judged so far.

    None: it shows no work of the collection. Left out are those called wrong of which nobody has said which work it is,
    those whose work has left the collection, and those that have been deleted. Needs an application context.
    """
    asked = select(Query).where(Query.feedback.is_not(None)).options(joinedload(Query.photograph)).order_by(Query.id)
    last = ""
    while some := list(db.session.scalars(asked.where(Query.id > last).limit(SOME))):
        last = some[-1].id
        works = confirmed(some)
        for query in some:
            is_absent = query.feedback == "absent" or (query.feedback == "right" and query.verdict == "not found")
            file = uploads().picture_of(query)
            if (query.id in works or is_absent) and file.is_file():
                yield file, frozenset() if is_absent else frozenset(each.id for each in works[query.id].work.pictures)

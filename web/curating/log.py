"""Who changed what in the collection, and when."""

from flask_user import current_user

from database.tables import CollectionChange, db

SHOWN = 30  # changes on the page


def note(what: str) -> CollectionChange:
    """Note what the person who is signed in has done, in a sentence without its full stop. Commits."""
    made = CollectionChange(user_id=current_user.id, what=what)
    db.session.add(made)
    db.session.commit()
    return made


def newest() -> list[CollectionChange]:
    """The last changes, the newest first."""
    asked = db.select(CollectionChange).options(db.joinedload(CollectionChange.user))
    newest_first = asked.order_by(CollectionChange.created_at.desc(), CollectionChange.id)
    return list(db.session.scalars(newest_first.limit(SHOWN)))

"""The tables of the site's database. Times are in UTC, without a zone.

A Work is what the register names: one row of it, or all rows of one inventory number. It has one or more Pictures,
each an image of the collection store with the store's id. A work's id is that of its first picture, so a collection
without a register has one work an image with the same id, and an address with the id of any picture leads to its
work. Queries and stored answers name pictures; which works these are of is looked up when they are shown, so a
register that is loaded later also counts for earlier answers. database/works.py keeps both tables in step with the
store and with the register, which lies as a file beside the database (database/kept.py): the tables can be made anew
from these two. The words of works are in an index of their own, `work_texts` (database/fulltext.py).
"""

import hashlib
import os
import re
import secrets
import sqlite3  # noqa: F401  (before TensorFlow, whose own copy of SQLite has no index of words and would be taken)
from datetime import datetime, timezone
from hmac import compare_digest
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, cast

from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.model import Model as FlaskModel
from flask_user import UserMixin
from sqlalchemy import CursorResult, Delete, LargeBinary, MetaData, String, Table, TypeDecorator, Update, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, relationship

from database.folding import LAST
from utils.text import printable

# Constraints with names of their own, so that a migration can change them on every database.
NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:  # Flask-SQLAlchemy makes the class at run time, where no type checker sees it

    class Model(Base, FlaskModel):
        __table__: ClassVar[Table]  # never a join or a query, which SQLAlchemy would allow
else:
    Model = db.Model


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection, _record) -> None:
    """SQLite: keep foreign keys, and let readers go on while one writes."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=15000")


class FilePath(TypeDecorator):
    """A path as `os.fsdecode` gives it, kept as bytes: file names need not be valid text."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value, dialect):
        return None if value is None else os.fsdecode(bytes(value))


def now() -> datetime:
    """The time in UTC, without a zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


# As random_id makes them. What does not match is in no table, and not every database takes the question.
ID = re.compile(r"[A-Za-z0-9_-]{22}")


def random_id() -> str:
    """22 characters that nobody can guess, fit for an address and a file name."""
    return secrets.token_urlsafe(16)


def changed(statement: Update | Delete) -> int:
    """Execute an update or a deletion; how many rows it has changed."""
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult, result).rowcount


user_roles = db.Table(
    "user_roles",
    db.Column("user_id", db.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    db.Column("role_id", db.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Model):
    """What a user may do: "admin" is the only role; everybody else is a user."""

    __tablename__ = "roles"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(50), unique=True, nullable=False)


class User(Model, UserMixin):
    """A person with an account."""

    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    active = db.Column("is_active", db.Boolean, nullable=False, default=True)
    username = db.Column(db.String(100), unique=True, nullable=False)
    email = db.Column(db.String(255), unique=True, nullable=False)
    email_confirmed_at = db.Column(db.DateTime)
    password = db.Column(db.String(255), nullable=False, default="")
    first_name = db.Column(db.String(100), nullable=False, default="")
    last_name = db.Column(db.String(100), nullable=False, default="")
    created_at = db.Column(db.DateTime, nullable=False, default=now)
    roles: Mapped[list[Role]] = relationship(Role, secondary=user_roles, lazy="selectin")

    @property
    def is_admin(self) -> bool:
        return any(role.name == "admin" for role in self.roles)

    @classmethod
    def get_user_by_token(cls, token: str, expiration_in_seconds: int | None = None) -> "User | None":
        """The user of a session, or None.

        Flask-User's own answers 500 to the session of a deleted user, and lets a disabled one stay in.
        """
        users = current_app.user_manager  # type: ignore[attr-defined]  # Flask-User puts it there
        lifetime = int(current_app.permanent_session_lifetime.total_seconds())
        items = users.verify_token(token, expiration_in_seconds or lifetime)
        if items and db.session.get(EndedSession, EndedSession.digest_of(token)):
            return None
        user = users.db_manager.get_user_by_id(items[0]) if items and len(items) == 2 else None
        return user if user and user.active and compare_digest(user.password[-8:], items[1]) else None


class EndedSession(Model):
    """A session that was signed out of: its cookies, wherever somebody has a copy, let nobody in any more."""

    __tablename__ = "ended_sessions"
    digest = db.Column(db.String(64), primary_key=True)
    ended_at = db.Column(db.DateTime, nullable=False, default=now, index=True)

    @staticmethod
    def digest_of(token: str) -> str:
        """What is kept of a session's token."""
        return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Invitation(Model):
    """An address that may register, where registration is by invitation; of its link only a digest is kept."""

    __tablename__ = "invitations"
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(255), nullable=False)
    digest = db.Column(db.String(64), unique=True, nullable=False)
    created_at = db.Column(db.DateTime, nullable=False, default=now)
    used_at = db.Column(db.DateTime)
    invited_by = db.Column(db.ForeignKey("users.id", ondelete="SET NULL"))


class Token(Model):
    """A personal key to the interface for programs; only its SHA-256 is kept."""

    __tablename__ = "tokens"
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    name = db.Column(db.String(100), nullable=False)
    digest = db.Column(db.String(64), unique=True, nullable=False)
    created_at = db.Column(db.DateTime, nullable=False, default=now)
    used_at = db.Column(db.DateTime)
    user: Mapped[User] = relationship(User)


def sort_key(length: int = 200) -> String:
    """The type of a text that is compared by code points on every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Work(Model):
    """What the register names, or an image without a row there."""

    __tablename__ = "works"
    __table_args__ = (
        db.Index("ix_works_author_key", "author_key", "title_key", "id"),
        db.Index("ix_works_title_key", "title_key", "id"),
        db.Index("ix_works_number_key", "number_key", "id"),
        db.Index("ix_works_first_year", "first_year", "last_year", "id"),
        db.Index("ix_works_path", "path", "id"),
    )
    id = db.Column(db.Integer, primary_key=True, autoincrement=False)  # of its first picture
    path = db.Column(FilePath, nullable=False)  # of its first picture
    number = db.Column(db.String(200), unique=True)  # of the inventory; null: none
    author = db.Column(db.String(200), nullable=False, default="", index=True)
    born_died = db.Column(db.Text, nullable=False, default="")
    title = db.Column(db.Text, nullable=False, default="")
    date = db.Column(db.Text, nullable=False, default="")  # as it is written
    first_year = db.Column(db.Integer)  # what the date means, both included; null: it tells no year
    last_year = db.Column(db.Integer)
    technique = db.Column(db.Text, nullable=False, default="")
    dimensions = db.Column(db.Text, nullable=False, default="")
    location = db.Column(db.Text, nullable=False, default="")
    credit = db.Column(db.Text, nullable=False, default="")
    rights = db.Column(db.Text, nullable=False, default="")
    url = db.Column(db.Text, nullable=False, default="")
    form = db.Column(db.String(200), nullable=False, default="", index=True)
    type = db.Column(db.String(200), nullable=False, default="", index=True)
    school = db.Column(db.String(200), nullable=False, default="", index=True)
    timeframe = db.Column(db.String(200), nullable=False, default="", index=True)
    more = db.Column(db.JSON, nullable=False, default=dict)  # the register's other columns: name -> text
    folder = db.Column(db.String(200), nullable=False, default="", index=True)  # of the path; "" for the dataset itself
    number_key = db.Column(sort_key(), nullable=False, default=LAST)  # what works are sorted by: see folding.sort_key
    author_key = db.Column(sort_key(), nullable=False, default=LAST)
    title_key = db.Column(sort_key(), nullable=False, default=LAST)
    entry = db.Column(db.String(32), nullable=False, default="")  # a digest of its row of the register; "": it has none
    pictures: Mapped[list["Picture"]] = relationship(
        "Picture",
        back_populates="work",
        order_by="Picture.position",
        lazy="selectin",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    @property
    def caption(self) -> str:
        """The title, or the inventory number, or the file's name."""
        return self.title or self.number or PurePath(printable(self.path)).stem

    @property
    def artists(self) -> list[str]:
        """The artists of `author`, one by one."""
        return [name.strip() for name in re.split(r"[;|\n]", self.author) if name.strip()]


class Picture(Model):
    """An image of the collection: of a work, the only one or one of several."""

    __tablename__ = "pictures"
    id = db.Column(db.Integer, primary_key=True, autoincrement=False)  # as in the collection store
    work_id = db.Column(db.ForeignKey("works.id", ondelete="CASCADE"), nullable=False, index=True)
    path = db.Column(FilePath, nullable=False)  # relative to the dataset, as os.fsdecode gives it
    position = db.Column(db.Integer, nullable=False, default=0)  # among those of its work
    role = db.Column(db.String(20), nullable=False, default="")  # front, back, detail, frame, or empty
    work: Mapped[Work] = relationship(Work, back_populates="pictures")


class DismissedPair(Model):
    """Two pictures that look like one work, and of which an administrator said that they are not.

    It counts for as long as both ids belong to files with these checksums.
    """

    __tablename__ = "dismissed_pairs"
    first = db.Column(db.Integer, primary_key=True, autoincrement=False)  # id of a picture, the lower one
    second = db.Column(db.Integer, primary_key=True, autoincrement=False)  # no foreign keys: the collection may change
    first_checksum = db.Column(db.String(64), nullable=False)
    second_checksum = db.Column(db.String(64), nullable=False)
    dismissed_at = db.Column(db.DateTime, nullable=False, default=now)
    dismissed_by = db.Column(db.ForeignKey("users.id", ondelete="SET NULL"))


class Photograph(Model):
    """A picture that somebody uploaded; its file is uploads/ID.jpg (see web/uploads.py)."""

    __tablename__ = "photographs"
    __table_args__ = (db.Index("ix_photographs_source_created_at", "source", "created_at"),)
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    user_id = db.Column(db.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    created_at = db.Column(db.DateTime, nullable=False, default=now, index=True)
    source = db.Column(db.String(20), nullable=False)  # one of web.uploads.SOURCES
    name = db.Column(db.String(200), nullable=False, default="")  # the file's or the address's; for people only
    height = db.Column(db.Integer, nullable=False)  # pixels
    width = db.Column(db.Integer, nullable=False)
    user: Mapped[User] = relationship(User)
    queries: Mapped[list["Query"]] = relationship(
        "Query", back_populates="photograph", order_by="Query.number", cascade="all, delete-orphan"
    )


class Query(Model):
    """One question to the engine, and what came first; the rest of the answer is in `Answer`."""

    __tablename__ = "queries"
    # Each is all that one count of database/usage.py reads, so that a million queries are counted in a moment.
    __table_args__ = (
        db.Index("ix_queries_verdict_created_at", "verdict", "created_at"),
        db.Index("ix_queries_user_id_created_at", "user_id", "created_at"),
        db.Index("ix_queries_seconds_created_at", "seconds", "created_at"),
        db.Index("ix_queries_work_id_verdict_created_at", "work_id", "verdict", "created_at"),
        db.Index("ix_queries_feedback_verdict_created_at", "feedback", "verdict", "created_at"),
    )
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    photograph_id = db.Column(db.ForeignKey("photographs.id", ondelete="CASCADE"), nullable=False, index=True)
    user_id = db.Column(db.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    created_at = db.Column(db.DateTime, nullable=False, default=now, index=True)
    number = db.Column(db.Integer, nullable=False, default=0)  # of the works asked for on one photograph, from 0
    corners = db.Column(
        db.JSON(none_as_null=True)
    )  # [[x, y], ...] in the photograph, clockwise from the upper left; null: all of it
    turns = db.Column(db.Integer, nullable=False, default=0)  # clockwise quarter turns, after straightening
    verdict = db.Column(db.String(10), nullable=False)  # found, maybe or not found
    work_id = db.Column(db.Integer)  # picture of the first candidate; no foreign key: the collection may change
    work_path = db.Column(FilePath)
    similarity = db.Column(db.Float)
    matches = db.Column(db.Integer)
    inliers = db.Column(db.Integer)
    seconds = db.Column(db.Float, nullable=False)  # of all stages
    feedback = db.Column(db.String(10))  # right, wrong or absent; null: none
    feedback_at = db.Column(db.DateTime)  # also tells whether somebody else has judged the answer meanwhile
    feedback_by = db.Column(db.ForeignKey("users.id", ondelete="SET NULL"))
    confirmed_id = db.Column(db.Integer)  # picture of the work that a person says it is; null: nobody said
    confirmed_path = db.Column(FilePath)
    photograph: Mapped[Photograph] = relationship(Photograph, back_populates="queries")
    user: Mapped[User] = relationship(User, foreign_keys=[user_id])
    judge: Mapped[User | None] = relationship(User, foreign_keys=[feedback_by])
    picture: Mapped[Picture | None] = relationship(  # None where it has left the collection
        Picture,
        primaryjoin=lambda: (foreign(Query.work_id) == Picture.id) & (Query.work_path == Picture.path),
        viewonly=True,
    )
    work: Mapped[Work | None] = relationship(  # the work that this picture shows
        Work,
        secondary=Picture.__table__,
        primaryjoin=lambda: (Query.work_id == foreign(Picture.id)) & (Query.work_path == Picture.path),
        secondaryjoin=lambda: foreign(Picture.work_id) == Work.id,
        uselist=False,
        viewonly=True,
    )
    answer: Mapped["Answer"] = relationship(
        "Answer", uselist=False, back_populates="query_", cascade="all, delete-orphan", passive_deletes=True
    )


class Answer(Model):
    """All that the engine said to a query, as JSON (see web/asking.py); apart, because it is long and rarely read."""

    __tablename__ = "answers"
    query_id = db.Column(db.ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    content = db.Column(db.JSON, nullable=False)
    query_: Mapped[Query] = relationship(Query, back_populates="answer")


class Batch(Model):
    """Many photographs that one person gave at once, to be answered in the background."""

    __tablename__ = "batches"
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    user_id = db.Column(db.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    created_at = db.Column(db.DateTime, nullable=False, default=now, index=True)
    name = db.Column(db.String(200), nullable=False)
    shared = db.Column(db.Boolean, nullable=False, default=False)  # whether everybody with an account may review it
    user: Mapped[User] = relationship(User)


class BatchPhotograph(Model):
    """One photograph of a batch; what became of it is kept here, so that a worker that was killed loses nothing."""

    __tablename__ = "batch_photographs"
    __table_args__ = (db.Index("ix_batch_photographs_batch_id_state", "batch_id", "state"),)
    id = db.Column(db.Integer, primary_key=True)  # in the order in which they came
    batch_id = db.Column(db.ForeignKey("batches.id", ondelete="CASCADE"), nullable=False)
    name = db.Column(db.String(200), nullable=False)  # the file's, with its folders; for people only
    state = db.Column(db.String(10), nullable=False, default="waiting")  # waiting, answered or failed
    problem = db.Column(db.Text, nullable=False, default="")  # why it failed, in a sentence
    attempts = db.Column(db.Integer, nullable=False, default=0)  # that were begun
    archive = db.Column(db.String(22))  # uploads/ID.zip has its file, until it is read; null: it came alone
    member = db.Column(db.Integer)  # its place in this ZIP
    probability = db.Column(db.Float)  # that the first candidate is right; here, so that lists need not read answers
    doubt = db.Column(db.Float, nullable=False, default=0)  # what a review begins with: see web/batches/answering.py
    photograph_id = db.Column(db.ForeignKey("photographs.id", ondelete="CASCADE"), index=True)
    query_id = db.Column(db.ForeignKey("queries.id", ondelete="CASCADE"), index=True)
    batch: Mapped[Batch] = relationship(Batch)
    photograph: Mapped[Photograph | None] = relationship(Photograph)
    query_: Mapped[Query | None] = relationship(Query)


class Job(Model):
    """Work in the background: what is to be done, and how far it is (see web/jobs.py)."""

    __tablename__ = "jobs"
    __table_args__ = (db.UniqueConstraint("kind", "subject"),)
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    kind = db.Column(db.String(20), nullable=False)
    subject = db.Column(db.String(22), nullable=False)  # id of what it is about
    state = db.Column(db.String(10), nullable=False, default="waiting", index=True)  # waiting, running, done, failed
    problem = db.Column(db.Text, nullable=False, default="")  # why it waits or failed, in a sentence
    again = db.Column(db.Boolean, nullable=False, default=False)  # it was started once more while it ran
    worker = db.Column(db.String(100), nullable=False, default="")  # the process that runs it
    alive_at = db.Column(db.DateTime, nullable=False, default=now)  # when that process last said so
    created_at = db.Column(db.DateTime, nullable=False, default=now)


class Indexing(Model):
    """One run of the scripts that bring the index in step with the pictures (see web/curating/indexing.py)."""

    __tablename__ = "indexings"
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    created_at = db.Column(db.DateTime, nullable=False, default=now, index=True)
    state = db.Column(db.String(10), nullable=False, default="waiting")  # waiting, running, done, failed or stopped
    step = db.Column(db.Integer, nullable=False, default=0)  # the script that runs, from 1; 0: none yet
    problem = db.Column(db.Text, nullable=False, default="")  # why it failed, and what to do
    stop = db.Column(db.Boolean, nullable=False, default=False)  # somebody wants it to stop
    attempts = db.Column(db.Integer, nullable=False, default=0)  # that were begun


class CollectionChange(Model):
    """What somebody did to the collection on the site."""

    __tablename__ = "collection_changes"
    id = db.Column(db.String(22), primary_key=True, default=random_id)
    created_at = db.Column(db.DateTime, nullable=False, default=now, index=True)
    user_id = db.Column(db.ForeignKey("users.id", ondelete="SET NULL"))  # null: whoever it was has no account any more
    what = db.Column(db.Text, nullable=False)
    pictures = db.Column(db.Integer, nullable=False, default=0)  # that were added by it
    user: Mapped[User | None] = relationship(User)


class Event(Model):
    """Requests that were refused or failed: how many of a kind in one minute. Nothing tells where they came from."""

    __tablename__ = "events"
    id = db.Column(db.Integer, primary_key=True)
    created_at = db.Column(db.DateTime, nullable=False, index=True)  # the minute
    endpoint = db.Column(db.String(100), nullable=False)  # what was asked for, as Flask names it
    status = db.Column(db.Integer, nullable=False)  # of HTTP, 400 or more
    user_id = db.Column(db.ForeignKey("users.id", ondelete="CASCADE"), index=True)  # null: nobody was signed in
    count = db.Column(db.Integer, nullable=False, default=1)

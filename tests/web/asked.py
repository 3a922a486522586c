"""Answers for the tests of what comes after asking: real ones, and rows for a long history."""

from datetime import datetime
from pathlib import Path

import numpy as np
from flask import Flask

from database.tables import Answer, Photograph, Query, User, Work, db, now, random_id
from web.asking import ask
from web.intake import Region, keep_photograph
from web.uploads import uploads

EMPTY = {"frame": [60, 80], "keypoints": 0, "seconds": {}, "attention": "", "before": [], "after": [], "candidates": {}}


def ask_for(site: Flask, name: str, content: bytes, *regions: Region) -> list[str]:
    """Let the user of this name ask the engine for a picture, or for parts of it; the queries' ids."""
    with site.app_context():
        photograph = keep_photograph(user_of(name), content, "file", "my photograph.jpg")
        return [query.id for query in ask(photograph, regions or [Region()])]


def add_query(site: Flask, name: str, verdict: str = "not found", at: datetime | None = None, **columns) -> str:
    """The id of a query that was asked for at a time (UTC), with its photograph, but without candidates."""
    with site.app_context():
        at = at or now()
        photograph = add_photograph(site, name, at)
        query = Query(
            id=random_id(),
            photograph_id=photograph,
            user_id=user_of(name).id,
            created_at=at,
            verdict=verdict,
            seconds=1.0,
            answer=Answer(content=EMPTY),
            **columns,
        )
        db.session.add(query)
        db.session.commit()
        return query.id


def add_photograph(site: Flask, name: str, at: datetime, called: str = "my photograph.jpg") -> str:
    """The id of a photograph that nothing was asked about."""
    with site.app_context():
        photograph = Photograph(
            id=random_id(),
            user_id=user_of(name).id,
            created_at=at,
            source="file",
            name=called,
            height=60,
            width=80,
        )
        uploads().write(photograph.id, np.full((60, 80, 3), 128, np.uint8))
        db.session.add(photograph)
        db.session.commit()
        return photograph.id


def user_of(name: str) -> User:
    return db.session.scalar(db.select(User).filter_by(username=name))


def work_of(site: Flask, path: str) -> int:
    """The id of the work in this file."""
    with site.app_context():
        return next(work.id for work in db.session.scalars(db.select(Work)) if work.path == path)


def files(site: Flask) -> set[str]:
    """The names of all files in the folder of uploads; each photograph that was sent has an exact copy besides."""
    folder: Path = site.extensions["uploads"].folder
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def count(site: Flask, table: type) -> int:
    with site.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(table))

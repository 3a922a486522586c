"""What every page needs: the settings, the version, and the navigation that this person may use."""

from flask import Flask, current_app
from flask_user import current_user

from database.tables import Work, db
from utils.version import VERSION


def init_app(app: Flask) -> None:
    app.context_processor(_everywhere)


def _everywhere() -> dict:
    settings = current_app.extensions["settings"]
    member = current_user.is_authenticated
    navigation = [("search.start", "Identify")]
    if member or not settings.private:
        navigation.append(("collection.browse", "Collection"))
    if member:
        navigation += [("history.history", "History"), ("batches.batches", "Batches")]
    if member and current_user.is_admin:
        navigation += [("admin.users", "Administration"), ("statistics.home", "Statistics")]
    return {
        "settings": settings,
        "version": VERSION,
        "navigation": navigation,
        "works_count": db.session.scalar(db.select(db.func.count(Work.id))),
    }

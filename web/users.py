"""Flask-User's account manager, as pages and forms reach it."""

from flask import current_app
from flask_user import UserManager


def user_manager() -> UserManager:
    """The account manager of the current site: a web.flask_user_fixes.AccountManager."""
    return current_app.user_manager  # type: ignore[attr-defined]  # Flask-User puts it there

"""Flask-User's account manager, with the type it has on this site."""

from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from web.flask_user_fixes import AccountManager  # which imports the forms, which need the manager


def user_manager() -> "AccountManager":
    """The account manager of the current site."""
    return current_app.user_manager  # type: ignore[attr-defined]  # Flask-User puts it there

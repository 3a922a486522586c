"""Flask-User's manager of accounts, with the type it has on this site."""

from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from web.flask_user_fixes import AccountManager  # which imports the forms, which need the manager


def user_manager() -> "AccountManager":
    """The manager of the site that answers the present request."""
    return current_app.user_manager  # type: ignore[attr-defined]  # Flask-User puts it there

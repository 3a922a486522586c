"""Remembers in which browsers a person has signed in before, so that others cannot lock that person out there.

The cookie opens nothing: it only lets wrong passwords of this browser be counted apart from those of all others.
"""

import secrets

from flask import after_this_request, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug import Response

from database.tables import User

COOKIE = "known"
SECONDS = 365 * 86400


def remember(user: User) -> None:
    """Let the answer to this request, in which the user has signed in, carry the cookie."""
    if known(user):
        return
    value = _signer().dumps([user.id, secrets.token_urlsafe(12)])

    @after_this_request
    def _set(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            value,
            max_age=SECONDS,
            httponly=True,
            samesite="Lax",
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            path="/user/",
        )
        return response


def known(user: User) -> str | None:
    """A name for this browser, if the user has signed in with it before."""
    try:
        number, browser = _signer().loads(request.cookies.get(COOKIE, ""), max_age=SECONDS)
    except (BadSignature, ValueError, TypeError):
        return None
    return browser if number == user.id else None


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="known browser")

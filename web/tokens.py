"""Authenticates programs by their API token."""

from typing import NoReturn

from flask import abort, g, request
from werkzeug.datastructures import WWWAuthenticate

from database.tables import User
from web.accounts import user_of_token


def user_of_request() -> User | None:
    """The user whose API token this request carries; None if it has none. Raises Unauthorized for an invalid one."""
    if "token_user" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_token = scheme.lower() == "bearer"  # another scheme is meant for a proxy in front of the site
        g.token_user = user_of_token(token.strip()) if is_token else None
        if is_token and g.token_user is None:
            refuse("This token is not valid. It may have been revoked.", error="invalid_token")
    return g.token_user


def refuse(sentence: str, **parameters: str) -> NoReturn:
    """Abort with 401, saying how to authenticate."""
    scheme = WWWAuthenticate("bearer", {"realm": "programs", **parameters})
    abort(401, sentence, www_authenticate=scheme)

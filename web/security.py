"""Security headers of every response, CSRF protection, rate limits and the secret key."""

import contextlib
import secrets
from pathlib import Path

from flask import Flask, Response, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect

from utils import files

csrf = CSRFProtect()
limiter = Limiter(get_remote_address)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
A_YEAR = "max-age=31536000"


def init_app(app: Flask) -> None:
    csrf.init_app(app)
    limiter.init_app(app)
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    """Headers that a view has set itself are kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", A_YEAR)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-store"  # pages show what belongs to one person
    return response


def secret_key(folder: Path) -> str:
    """The key that signs sessions: created once, kept in `folder`, readable only by the owner."""
    path = folder / "secret_key"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with files.temporary(path, mode=0o600) as part:
            part.write_text(secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(part)  # whole or not at all; if another process was first, that key is used
    return path.read_text()

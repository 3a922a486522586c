"""What a request may be made of, whichever page it is for: how deep and long its JSON, how large its numbers."""

from typing import Any

from flask import Flask, abort, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import IntegerConverter

JSON_BYTES = 1 << 20
LARGEST = 2_147_483_647  # of PostgreSQL's integers; ids are of this type


class Json(DefaultJSONProvider):
    """Flask's, except that brackets nested without end are no valid JSON, in place of a fault of ours."""

    def loads(self, s: str | bytes, **options: Any) -> Any:
        try:
            return super().loads(s, **options)
        except RecursionError:
            raise ValueError("It is nested too deeply.") from None


class Number(IntegerConverter):
    """A number in an address; what no database could look up leads nowhere."""

    def __init__(self, map_, *arguments: Any, **options: Any):
        super().__init__(map_, *arguments, **{"max": LARGEST} | options)


def init_app(app: Flask) -> None:
    """To be called before there are routes."""
    app.json = Json(app)
    app.url_map.converters["int"] = Number
    app.before_request(_limit_json)


def _limit_json() -> None:
    """Parsed, JSON takes up to a hundred times its bytes of memory; a picture comes in a form."""
    if request.is_json:
        request.max_content_length = JSON_BYTES


def page_number() -> int:
    """The page of a list that a request asks for, from 1; aborts with 404 for what can be none."""
    text = request.args.get("page", "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= LARGEST // 100):
        abort(404)
    return int(text)

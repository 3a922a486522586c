"""The statistics pages as a separate site for administrators, with the accounts of app.py.

Examples:
  python app_statistics.py               serve the pages on http://127.0.0.1:5001
  python app_statistics.py --port 8001   on another port (or RETRIEVAL_STATISTICS_PORT)

The site itself shows the same pages under /statistics. This one loads no network: it starts quickly, and a slow page
does not hold up queries.
"""

import logging
from dataclasses import replace
from functools import partial

from flask import Flask, abort, redirect, request, url_for

import app as site
from config import Settings
from models.collection.store import Store
from utils import script
from web import server
from web.service import Service, without_folders
from web.statistics import PAGES

PARTS = ("statistics", "user", "accounts", "health")  # blueprints, and Flask-User's pages
OPEN = ("static", "bootstrap.static")


class Collection:
    """The collection as the pages need it: an engine that cannot be asked."""

    def __init__(self, store: Store, settings: Settings):
        self.store, self.settings, self.dataset = store, settings, settings.dataset
        with store.snapshot() as now:
            self.version = now.version()
            self.images = {image: stamp.path for image, stamp in now.images().items()}

    def is_current(self) -> bool:
        return self.store.is_in_place() and self.store.version() == self.version

    def refreshed(self) -> "Collection":
        return Collection(self.store.reread(), self.settings)


def create_app(settings: Settings | None = None, **config) -> Flask:
    """The site; arguments as of app.create_app."""
    settings = settings or Settings.read()
    service = Service(
        lambda: Collection(Store.reading(settings.output), settings),
        settings.computing,
        settings.waiting,
        shown=partial(without_folders, settings=settings),
    )
    # No jobs either: there is nothing to do them with.
    made = site.create_app(replace(settings, jobs=0), service, **config)
    made.before_request(_only_statistics)
    made.context_processor(lambda: {"navigation": PAGES, "alone": True})
    return made


def _only_statistics():
    """Everything else is on the other site."""
    if request.endpoint == "search.start":
        return redirect(url_for("statistics.home"))
    of = (request.endpoint or "").partition(".")[0]
    if request.endpoint and of not in PARTS and request.endpoint not in OPEN:
        abort(404, "This site has the statistics only. Identifying works and browsing are on the main site.")
    return None


def main() -> None:
    settings = Settings.read()
    parser = script.plain_parser(__doc__)
    parser.add_argument(
        "--port", type=script.positive, default=settings.statistics_port, metavar="PORT", help="(%(default)s)"
    )
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for talkative in ("alembic", "faiss"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    made = create_app(settings)
    made.extensions["service"].start()
    print(f"Open http://{settings.host}:{port} in a browser. Press Ctrl-C to stop.", flush=True)
    body_bytes = made.config["MAX_CONTENT_LENGTH"]
    server.make(made, settings.host, port, threads=8, body_bytes=body_bytes, proxied=settings.proxies > 0).run()


if __name__ == "__main__":
    script.run(main)

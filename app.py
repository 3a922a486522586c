"""The web site, and its command line.

Examples:
  python app.py                          serve the site on http://127.0.0.1:5000
  python app.py create_admin             create the first administrator; asks for user name, e-mail and password
  python app.py load_catalog FILE        load the register: inventory numbers, artists, titles; CSV or a workbook
  python app.py restore_catalog          go back to an earlier register
  python app.py export_catalog FILE      write the register with the matched files, as .csv or .xlsx
  python app.py catalog_template         write an empty register that explains itself
  python app.py worker                   carry out jobs, such as batches, in a process of its own
  python app.py sweep                    delete expired uploads and answers; the site does so itself every day
  python app.py db upgrade               migrate the database to the current version (so does every start)
  python app.py runserver                Flask's own server, for development
  python app.py shell                    a Python prompt with the site's tables
  gunicorn 'app:create_app()'            another production server, with --workers N and --threads N
"""

import logging
import sys
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from database.migrate import MIGRATIONS, bring_up_to_date
from database.tables import db
from models.local.kinds import KINDS
from utils import script
from web import errors, expiry, incoming, jobs, layout, security, server, words
from web.command_line import Database, Manager, Server, Shell
from web.service import Service, without_folders
from web.uploads import Uploads

if TYPE_CHECKING:
    from models.engine import Engine

BLUEPRINTS = (
    "search",
    "history",
    "batches",
    "collection",
    "accounts",
    "admin",
    "curating",
    "api",
    "health",
    "statistics",
)
SPARE_THREADS = 8  # of the server, for pages, while all others compute or wait for their turn


def create_app(settings: Settings | None = None, service: Service | None = None, **config) -> Flask:
    """The site.

    settings: read from the environment where none are given. service: the engine; made, and loaded in the background,
    where none is given. config: of Flask and its extensions, over what the settings say.
    Raises WrongUse for an unknown kind of local features; WrongUse or Failed where the database cannot be used.
    """
    settings = settings or Settings.read()
    settings.check_feature(KINDS)
    app = Flask("app", root_path=str(Path(__file__).parent))
    app.config.from_mapping(_config(settings) | config)
    app.extensions["settings"] = settings
    app.extensions["uploads"] = Uploads.of(settings)
    app.extensions["service"] = service or _service(app, settings)
    if settings.proxies:
        count = settings.proxies
        proxied = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # this is how Flask wants it wrapped
    incoming.init_app(app)
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS))
    Bootstrap5(app)
    security.init_app(app)
    errors.init_app(app)
    layout.init_app(app)
    words.init_app(app)
    expiry.init_app(app)
    jobs.init_app(app)
    for name in BLUEPRINTS:
        import_module(f"web.{name}").init_app(app)
    app.before_request(app.extensions["service"].start)  # in the process that answers, also where it was forked
    if not config.get("UNMIGRATED"):
        bring_up_to_date(app, settings.database)
    return app


def _config(settings: Settings) -> dict:
    """What Flask and its extensions are told; web/accounts.py adds what concerns accounts."""
    url = settings.database_url or f"sqlite:///{settings.database.absolute() / 'site.sqlite'}"
    return {
        "SECRET_KEY": security.secret_key(settings.database),
        "SQLALCHEMY_DATABASE_URI": url.replace("postgres://", "postgresql://").replace(
            "postgresql://", "postgresql+psycopg://"
        ),
        "TRUSTED_HOSTS": settings.hosts.split(),
        "MAX_CONTENT_LENGTH": (settings.upload_megabytes << 20) + (1 << 20),  # and the rest of the form
        "PERMANENT_SESSION_LIFETIME": timedelta(days=30),
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": settings.secure_cookies,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "BOOTSTRAP_SERVE_LOCAL": True,
        "RATELIMIT_STORAGE_URI": "memory://",
        "RATELIMIT_HEADERS_ENABLED": True,
    }


def _service(app: Flask, settings: Settings) -> Service:
    def open_engine() -> "Engine":
        from models.engine import Engine  # only now, in the background: TensorFlow takes seconds

        return Engine.open(settings.output, settings.dataset, settings)

    def ready(engine: "Engine") -> None:
        from database.works import follow

        with app.app_context():
            follow(engine.images)

    shown = partial(without_folders, settings=settings)
    return Service(open_engine, settings.computing, settings.waiting, ready, shown)


def serve() -> None:
    """Serve the site with waitress, until Ctrl-C."""
    from flask import current_app

    app = current_app._get_current_object()  # type: ignore[attr-defined]  # it is a proxy
    settings = app.extensions["settings"]
    app.extensions["service"].start()
    app.extensions["sweeper"].start()
    if settings.jobs:
        app.extensions["jobs"].start()
    print(f"Open http://{settings.host}:{settings.port} in a browser. Press Ctrl-C to stop.", flush=True)
    server.make(
        app,
        settings.host,
        settings.port,
        threads=settings.computing + settings.waiting + SPARE_THREADS,
        # Up to here the site itself refuses, in words.
        body_bytes=4 * max(app.config["MAX_CONTENT_LENGTH"], settings.batch_megabytes << 20),
        proxied=settings.proxies > 0,
    ).run()


def manager() -> Manager:
    """The command line: `serve` where no command is given."""
    made = Manager(
        lambda: create_app(UNMIGRATED="db" in sys.argv[1:2]), usage="app.py [COMMAND]", description=__doc__.strip()
    )
    made.add_command("runserver", Server(threaded=True))
    made.add_command("shell", Shell(make_context=lambda: {"db": db}))
    made.add_command("db", Database())
    made.command(serve)
    for name in ("accounts", "registers", "expiry", "jobs"):
        import_module(f"web.{name}").add_commands(made)
    return made


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for talkative in ("alembic", "faiss", "huey"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    if len(sys.argv) == 1:
        sys.argv.append("serve")
    manager().run()


if __name__ == "__main__":
    script.run(main)

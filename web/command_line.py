"""Flask-Script 2.0.6 (2017), unmodified, on today's Flask and Python.

What it lacks there: `flask._compat` (gone in Flask 2.0), `flask._request_ctx_stack` (gone in Flask 2.3) and
`inspect.getargspec` (gone in Python 3.11). The first two exist only while it is imported; nothing global stays patched.
"""

import argparse
import inspect
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import flask

from utils.script import add_version


class _RequestContextStack:
    @property
    def top(self):
        return SimpleNamespace(app=flask.current_app._get_current_object())  # type: ignore[attr-defined]  # it is a proxy


def _import_flask_script() -> ModuleType:
    compat = ModuleType("flask._compat")
    vars(compat)["text_type"] = str
    sys.modules["flask._compat"] = compat
    vars(flask)["_request_ctx_stack"] = _RequestContextStack()
    try:
        import flask_script
    finally:
        del sys.modules["flask._compat"], vars(flask)["_request_ctx_stack"]
    flask_script.commands.inspect = SimpleNamespace(
        ismethod=inspect.ismethod, getargspec=lambda function: inspect.getfullargspec(function)[:4]
    )
    return flask_script


_flask_script: Any = _import_flask_script()  # it carries no types
Command = _flask_script.Command
Option = _flask_script.Option
Shell = _flask_script.Shell


class Manager(_flask_script.Manager):
    """Flask-Script's, with -h and --version, the description as it is written, and one usage line a command."""

    help_args = ("-h", "-?", "--help")

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.subparser_kwargs = {"title": "commands", "prog": "app.py", "metavar": "COMMAND"}

    def create_parser(self, *args, **options) -> argparse.ArgumentParser:
        parser = super().create_parser(*args, **options)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        add_version(parser)
        return parser


class Server(_flask_script.Server):
    """Serve the site with Flask's own server, for development."""

    help = description = "Serve the site with Flask's own server, for development."
    help_args = ("-?", "--help")  # its -h is the host


class Database(_flask_script.Command):
    """Flask-Migrate's commands: upgrade, current, history, migrate and others; `db --help` lists them."""

    help = "Flask-Migrate's commands; `db --help` lists them."
    capture_all_args, help_args = True, ()

    def __call__(self, app: flask.Flask, args: list[str]) -> None:
        from flask.cli import ScriptInfo
        from flask_migrate.cli import db as group

        group.main(args, prog_name="app.py db", obj=ScriptInfo(create_app=lambda: app))

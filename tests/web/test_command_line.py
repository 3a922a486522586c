"""app.py on the command line, as real processes."""

import contextlib
import inspect
import os
import pty
import re
import select
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.web import commands
from utils.version import VERSION

ROOT = Path(__file__).parents[2]
PASSWORD = "A long enough passw0rd"


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Of a site of its own, on SQLite."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RETRIEVAL_", "DATABASE_URL"))}
    folders = {f"RETRIEVAL_{name.upper()}": str(tmp_path / name) for name in ("database", "output", "dataset")}
    return kept | folders | {"CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture
def run(environment):
    """run("db", "upgrade", code=0, given=""): what it printed."""

    def _run(*arguments: str, code: int = 0, given: str = "") -> str:
        done = commands.run(*arguments, environment=environment, given=given)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    return _run


def accounts(tmp_path) -> list[tuple]:
    """Name, address, whether confirmed, and the role of each user."""
    with sqlite3.connect(tmp_path / "database" / "site.sqlite") as connection:
        return connection.execute(
            "SELECT username, email, email_confirmed_at IS NOT NULL, roles.name FROM users "
            "LEFT JOIN user_roles ON users.id = user_id LEFT JOIN roles ON roles.id = role_id ORDER BY users.id"
        ).fetchall()


def test_help(run):
    page = run("--help")
    assert page == run("-h") and page.startswith("usage: app.py [COMMAND]\n")
    for command in ("runserver", "shell", "db", "serve", "create_admin"):
        assert re.search(rf"^    {command} +[A-Z]", page, re.MULTILINE), command
    assert "python app.py create_admin             create the first administrator" in page  # as it is written
    page = run("create_admin", "--help")
    assert page.startswith("usage: app.py create_admin [-h]") and "--random-password" in page
    assert "--host" in run("runserver", "--help") and "upgrade" in run("db", "--help")


def test_version(run):
    assert run("--version") == f"{VERSION}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["db", "nonsense"], ["create_admin", "--nonsense"], ["shell", "x"]]
)
def test_what_is_unknown_is_code_2(run, arguments):
    run(*arguments, code=2)


def test_an_unknown_setting_is_code_2(run, environment):
    environment["RETRIEVAL_NONSENSE"] = "1"
    assert "RETRIEVAL_NONSENSE is not a setting" in run("create_admin", code=2)


def test_the_database(run, tmp_path):
    run("db", "upgrade")
    assert "(head)" in run("db", "current")
    assert "No new upgrade operations" in run("db", "check")
    run("db", "downgrade", "base")
    run("db", "upgrade")
    assert "(head)" in run("db", "current")


def test_create_admin(run, tmp_path):
    said = run("create_admin", "root", "Root@Museum.local", "--password-from-stdin", given=PASSWORD + "\n")
    assert "Administrator root has been created" in said and PASSWORD not in said
    assert accounts(tmp_path) == [("root", "root@museum.local", 1, "admin")]
    given = "print([user.username for user in db.session.scalars(db.select(tables.User))])\n"
    assert "['root']" in run("shell", given="from database import tables\n" + given)


def test_create_admin_again_changes_nothing(run, tmp_path):
    first = run("create_admin", "root", "root@museum.org", "--random-password")
    password = re.search(r"will not be shown again\): (\S+)", first)[1]
    assert len(password) >= 16
    again = run("create_admin", "ROOT", "root@museum.org", "--random-password")
    assert "There is already an administrator named ROOT" in again and "Password (" not in again
    assert len(accounts(tmp_path)) == 1
    other = run("create_admin", "second", "second@museum.org", "--random-password")
    assert password not in other and len(accounts(tmp_path)) == 2


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (["x", "a@b.org", "--random-password"], "", "3 to 50 characters"),
        (["a@b.org", "a@b.org", "--random-password"], "", "only the letters"),
        (["root", "nobody", "--random-password"], "", "not a valid e-mail address"),
        (["root", "a@b.org", "--password-from-stdin"], "short\n", "10 to 200 characters"),
        (["root", "a@b.org", "--password-from-stdin"], "", "10 to 200 characters"),
        (
            ["root", "root.a@b.org", "--password-from-stdin"],
            "ROOT.a@b.org\n",
            "neither your user name nor your e-mail address",
        ),
        (["root", "a@b.org"], "", "There is no terminal to prompt for the password"),
        (["root"], "", "Give NAME and EMAIL"),
        ([], "", "Give NAME and EMAIL"),
        (["root", "a@b.org", "--password-from-stdin", "--random-password"], "", "Choose one of"),
    ],
)
def test_create_admin_refuses_in_one_sentence(run, tmp_path, arguments, given, sentence):
    assert sentence in run("create_admin", *arguments, code=2, given=given)
    assert accounts(tmp_path) == []


def test_create_admin_takes_no_account_over(run, tmp_path):
    run("create_admin", "root", "root@museum.org", "--random-password")
    with sqlite3.connect(tmp_path / "database" / "site.sqlite") as connection:
        connection.execute("DELETE FROM user_roles")
    said = run("create_admin", "root", "other@museum.org", "--random-password", code=2)
    assert "which is not an administrator" in said
    said = run("create_admin", "second", "ROOT@museum.org", "--random-password", code=2)
    assert "already an account with the address" in said
    assert accounts(tmp_path) == [("root", "root@museum.org", 1, None)]


def test_create_admin_asks_for_what_is_missing(environment, tmp_path):
    """On a terminal; what is typed as a password is not shown."""
    terminal, its_side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "app.py", "create_admin"],
        cwd=ROOT,
        env=environment,
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    )
    os.close(its_side)
    answers = {
        "User name: ": "root",
        "E-mail address: ": "root@museum.org",
        "or more): ": PASSWORD,
        "Repeat the password: ": PASSWORD,
    }
    said = ""
    try:
        for question, answer in answers.items():
            said += _until(terminal, question)
            os.write(terminal, f"{answer}\n".encode())
        said += _until(terminal, "has been created")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert PASSWORD not in said and accounts(tmp_path) == [("root", "root@museum.org", 1, "admin")]


def _until(terminal: int, wanted: str) -> str:
    """What comes from a terminal, up to the wanted words."""
    said = ""
    while wanted not in said:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, said
        said += os.read(terminal, 1000).decode(errors="replace")
    return said


@pytest.mark.parametrize("command", [["runserver", "-p"], []])
def test_it_serves(environment, command, tmp_path):
    port = _free_port()
    arguments = [*command, str(port)] if command else []
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env=environment | {"RETRIEVAL_PORT": str(port)},
        stdout=log,
        stderr=log,
    )
    try:
        assert (
            _get(f"http://127.0.0.1:{port}/healthz", process)
            == f'{{"status":"alive","version":"{VERSION}"}}\n'.encode()
        )
        if not command:
            _stands_idle_connections(port, process)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _stands_idle_connections(port: int, process: subprocess.Popen) -> None:
    """The site's own server answers while many do nothing; that of Flask, for development, need not."""
    with contextlib.ExitStack() as held:
        for number in range(190):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"" if number < 150 else b"POST /user/sign-in HTTP/1.1\r\nContent-Length: 900\r\n\r\nuser")
        started = time.monotonic()
        _get(f"http://127.0.0.1:{port}/healthz", process)
        assert time.monotonic() - started < 1


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def _get(address: str, process: subprocess.Popen) -> bytes:
    """The page, as soon as the process answers."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            return urllib.request.urlopen(address, timeout=10).read()
        except OSError:
            select.select([], [], [], 0.1)  # it has not opened its port yet
    return pytest.fail("the server did not answer")


def test_nothing_stays_patched():
    import flask

    import web.command_line  # noqa: F401

    assert "flask._compat" not in sys.modules
    assert "_request_ctx_stack" not in vars(flask)
    assert hasattr(inspect, "getargspec") == (sys.version_info < (3, 11))

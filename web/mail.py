"""E-mail: sent by the configured mail server; without one, written as files to OUTPUT/outbox."""

import contextlib
import email
import email.policy
import logging
import re
import secrets
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr
from pathlib import Path

import flask_mail
from flask import Flask, copy_current_request_context, current_app, render_template

from database.tables import now
from utils import files

NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{6}-[0-9a-f]{8}")  # of a file in the outbox, without the suffix
LINK = re.compile(r"https?://\S+")
SHOWN = 100  # waiting e-mails on the administrators' page
SECONDS = 10  # timeout of each step with the mail server

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    settings = app.extensions["settings"]
    app.config.from_mapping(
        MAIL_SERVER=settings.mail_server,
        MAIL_PORT=settings.mail_port,
        MAIL_USE_TLS=settings.mail_security == "starttls",
        MAIL_USE_SSL=settings.mail_security == "tls",
        MAIL_USERNAME=settings.mail_user or None,
        MAIL_PASSWORD=settings.mail_password or None,
        MAIL_DEFAULT_SENDER=formataddr((settings.title, settings.mail_sender)),
        MAIL_SUPPRESS_SEND=False,  # Flask-Mail would not send in tests
    )
    flask_mail.Mail(app)
    app.extensions["outbox"] = settings.output.absolute() / "outbox"
    app.extensions["mail_worker"] = ThreadPoolExecutor(1, thread_name_prefix="mail")


def waits() -> bool:
    """Whether e-mails wait for an administrator, because no mail server is set."""
    return not current_app.config["MAIL_SERVER"]


@dataclass(frozen=True)
class Waiting:
    """An e-mail in the outbox."""

    name: str  # of its file, without the suffix
    recipient: str
    subject: str
    written: datetime  # in UTC, without a zone
    text: str

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.text)


def outbox() -> list[Waiting]:
    """The latest e-mails that wait, newest first."""
    folder = current_app.extensions["outbox"]
    files = sorted((file for file in folder.glob("*.eml") if NAME.fullmatch(file.stem)), reverse=True)
    return [_read(file) for file in files[:SHOWN]]


def _read(file: Path) -> Waiting:
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    written = datetime.strptime(file.stem[:15], "%Y%m%d-%H%M%S")
    return Waiting(file.stem, str(message["To"]), str(message["Subject"]), written, body.get_content() if body else "")


def delete(name: str) -> bool:
    """Delete a waiting e-mail; False if there is none of this name."""
    file = current_app.extensions["outbox"] / f"{name}.eml"
    if not NAME.fullmatch(name) or not file.is_file():
        return False
    file.unlink(missing_ok=True)
    return True


def send(recipient: str, subject: str, text: str, html: str) -> bool:
    """Send an e-mail, or write it to the outbox; False, and a line in the log, if that failed."""
    message = flask_mail.Message(subject, [recipient], body=text, html=html)
    try:
        if message.has_bad_headers():
            raise flask_mail.BadHeaderError("a line break in a header")
        if current_app.config["MAIL_SERVER"]:
            with _Connection(current_app.extensions["mail"]) as connection:
                message.send(connection)
        else:
            path = _write(current_app.extensions["outbox"], message.as_bytes())
            log.info("No mail server is set (RETRIEVAL_MAIL_SERVER): the e-mail to %s is in %s", recipient, path)
    except (OSError, UnicodeError, flask_mail.BadHeaderError) as problem:  # every failure of smtplib is an OSError
        log.warning("An e-mail to %s could not be sent: %s", recipient, problem)
        return False
    return True


def send_email(name: str, recipient: str, **values) -> bool:
    """Send the e-mail of templates/flask_user/emails/NAME_*; False if it could not be sent."""
    return send(recipient, *_render(name, values))


def later(send_if_due: Callable[[str], None], address: str) -> None:
    """Call `send_if_due(address)` in the background, with this request.

    So the response takes equally long whether or not there is an e-mail to send.
    """

    @copy_current_request_context
    def in_the_background() -> None:
        try:
            send_if_due(address)
        except Exception:  # nobody waits for the result, so it can only be logged
            log.exception("An e-mail could not be prepared.")

    current_app.extensions["mail_worker"].submit(in_the_background)


def _render(name: str, values: dict) -> tuple[str, str, str]:
    """Subject, text and HTML of an e-mail."""
    values = {"app_name": current_app.extensions["settings"].title, **values}
    parts = (render_template(f"flask_user/emails/{name}_{part}", **values) for part in ("subject.txt", "message.txt"))
    subject, text = (part.strip() for part in parts)
    return " ".join(subject.split()), text + "\n", render_template(f"flask_user/emails/{name}_message.html", **values)


def _write(outbox: Path, content: bytes) -> Path:
    """Write an e-mail to the outbox, whole or not at all; private, because it may contain a link that signs in."""
    outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = outbox / f"{now():%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}.eml"
    files.write(path, content, mode=0o600)
    return path


class _Connection(flask_mail.Connection):
    """Flask-Mail's connection, with a timeout and with verification of the server's certificate."""

    def configure_host(self) -> smtplib.SMTP:
        mail, context = self.mail, ssl.create_default_context()
        host: smtplib.SMTP
        if mail.use_ssl:
            host = smtplib.SMTP_SSL(mail.server, mail.port, timeout=SECONDS, context=context)
        else:
            host = smtplib.SMTP(mail.server, mail.port, timeout=SECONDS)
        try:
            if mail.use_tls:
                host.starttls(context=context)
            if mail.username:
                host.login(mail.username, mail.password or "")
        except OSError:
            host.close()
            raise
        return host

    def __exit__(self, *problem) -> None:
        with contextlib.suppress(OSError):  # by now the e-mail is accepted or refused; a failing QUIT changes nothing
            super().__exit__(*problem)

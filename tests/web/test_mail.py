"""Letters: into the outbox without a mail server, else by SMTP; a server that is down loses nothing."""

import email
import logging
import re
import socket
import socketserver
import stat
import threading
import time
from email.policy import default

import pytest

from database.tables import User, db
from tests.web.conftest import PASSWORD, add_user, browser, post
from tests.web.emails import emails, link_in, text_of
from web import mail

FILLED = {"username": "bob", "email": "bob@example.com", "password": PASSWORD, "retype_password": PASSWORD}


class _Conversation(socketserver.StreamRequestHandler):
    """The server's side of SMTP, as far as Flask-Mail speaks it."""

    def handle(self) -> None:
        self._say("220 test")
        for line in self.rfile:
            verb = line[:4].upper()
            self.server.heard.append(line.decode(errors="replace").strip())  # a TLS greeting is no text
            if verb == b"EHLO":
                self._say("250-test", "250 AUTH PLAIN")
            elif verb == b"AUTH":
                self._say("235 welcome")
            elif verb == b"DATA":
                self._say("354 go on")
                self.server.emails.append(self._message())
                self._say("250 accepted")
                if self.server.rude:
                    return
            elif verb == b"RCPT" and b"refused" in line:
                self._say("550 nobody of that name")
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _message(self) -> email.message.EmailMessage:
        lines = iter(self.rfile.readline, b".\r\n")
        return email.message_from_bytes(b"".join(lines), policy=default)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class MailServer(socketserver.ThreadingTCPServer):
    """A real mail server on the loopback interface, that keeps what it gets."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.emails, self.heard, self.rude = [], [], False


@pytest.fixture
def server():
    """The server, answering."""
    with MailServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def with_server(make_site, port, **settings):
    return make_site(mail_server="127.0.0.1", mail_port=port, mail_security="none", **settings)


@pytest.fixture
def dead_port() -> int:
    """A port that nobody listens on, because it is bound to a socket that does not."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def text(answer) -> str:
    return answer.get_data(as_text=True)


def test_a_letter_by_smtp(make_site, server):
    site = with_server(make_site, server.server_address[1], mail_sender="search@museum.example", title="Müsée, search")
    client = browser(site)
    assert post(client, "/user/register", FILLED).location == "/user/sign-in"
    (message,) = server.emails
    assert message["To"] == "bob@example.com" and message["From"].addresses[0].addr_spec == "search@museum.example"
    assert message["From"].addresses[0].display_name == "Müsée, search"
    assert message["Subject"] == "Müsée, search: please confirm your e-mail address"
    assert message["Date"] and message["Message-ID"]
    assert post(client, link_in(message), {"password": FILLED["password"]}).status_code == 302
    assert client.get("/profile").status_code == 200
    assert not any(line.startswith("AUTH") for line in server.heard) and emails(site) == []


def test_it_signs_in_to_the_mail_server(make_site, server):
    site = with_server(make_site, server.server_address[1], mail_user="site", mail_password="secret")
    post(browser(site), "/user/register", FILLED)
    assert len(server.emails) == 1 and any(line.startswith("AUTH") for line in server.heard)


def test_letters_in_the_background(make_site, server):
    site = with_server(make_site, server.server_address[1])
    add_user(site, "bob")
    post(browser(site), "/user/forgot-password", {"email": "bob@example.com"})
    site.extensions["mail_worker"].submit(lambda: None).result()
    (message,) = server.emails
    assert "/user/reset-password/" in link_in(message)


def test_a_server_without_manners_has_the_letter(make_site, server):
    server.rude = True
    site = with_server(make_site, server.server_address[1])
    answer = post(browser(site), "/user/register", FILLED)
    assert answer.location == "/user/sign-in" and len(server.emails) == 1


def test_registration_while_the_mail_server_is_down(make_site, dead_port, server, caplog):
    site = with_server(make_site, dead_port)
    client = browser(site)
    answer = post(client, "/user/register", FILLED)
    assert answer.location == "/user/resend-email-confirmation"
    page = text(client.get(answer.location))
    assert "could not be sent just now" in page and "bob@example.com" in page
    assert "An e-mail to bob@example.com could not be sent" in caplog.text
    with site.app_context():
        assert db.session.scalar(db.select(User.username)) == "bob"  # nothing is lost
    up = with_server(make_site, server.server_address[1])
    client = browser(up)
    post(client, "/user/resend-email-confirmation", {"email": "bob@example.com"})
    up.extensions["mail_worker"].submit(lambda: None).result()
    post(client, link_in(server.emails[0]), {"password": FILLED["password"]})
    assert client.get("/profile").status_code == 200


def test_a_taken_address_sounds_the_same_while_the_mail_server_is_down(make_site, dead_port):
    site = with_server(make_site, dead_port)
    add_user(site, "ada")
    client, other = browser(site), browser(site)
    free = post(client, "/user/register", FILLED)
    taken = post(other, "/user/register", FILLED | {"username": "carol", "email": "ada@example.com"})
    assert free.location == taken.location
    pages = [text(visitor.get(free.location)) for visitor in (client, other)]
    said = [re.search(r'role="status">(.+?)</p>', page)[1] for page in pages]
    assert said[0].replace("bob@", "") == said[1].replace("ada@", "")


def test_other_letters_while_the_mail_server_is_down(make_site, dead_port):
    site = with_server(make_site, dead_port)
    add_user(site, "bob")
    client = browser(site)
    assert post(client, "/user/forgot-password", {"email": "bob@example.com"}).status_code == 302
    assert post(client, "/user/resend-email-confirmation", {"email": "bob@example.com"}).status_code == 302
    assert post(client, "/user/sign-in", {"username": "bob", "password": PASSWORD}).status_code == 302
    new = {"old_password": PASSWORD, "new_password": PASSWORD + "2", "retype_password": PASSWORD + "2"}
    assert post(client, "/user/change-password", new).location == "/profile"
    renamed = {"new_username": "rob", "old_password": PASSWORD + "2"}
    assert post(client, "/user/change-username", renamed).location == "/profile"


def test_an_invitation_that_cannot_be_mailed_can_be_handed_over(make_site, dead_port):
    site = with_server(make_site, dead_port)
    add_user(site, "root", admin=True)
    admin = browser(site)
    post(admin, "/user/sign-in", {"username": "root", "password": PASSWORD})
    page = text(post(admin, "/admin/invitations", {"email": "guest@example.com"}))
    assert "pass the link on yourself" in page
    link = re.search(r'value="https://localhost(/user/register\?invitation=[^"]+)"', page)[1]
    assert browser(site).get(link).status_code == 200


def test_an_address_that_the_server_refuses(make_site, server):
    site = with_server(make_site, server.server_address[1])
    answer = post(browser(site), "/user/register", FILLED | {"email": "refused@example.com"})
    assert answer.location == "/user/resend-email-confirmation" and server.emails == []


def test_a_server_that_never_answers_does_not_hold_the_site(make_site, monkeypatch):
    monkeypatch.setattr(mail, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site = with_server(make_site, silent.getsockname()[1])
        started = time.monotonic()
        answer = post(browser(site), "/user/register", FILLED)
        assert answer.location == "/user/resend-email-confirmation" and time.monotonic() - started < 10


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_no_letter_and_no_password_in_the_clear(make_site, server, security):
    """Where encryption is asked for, a server that cannot do it gets nothing."""
    site = make_site(
        mail_server="127.0.0.1",
        mail_port=server.server_address[1],
        mail_security=security,
        mail_user="site",
        mail_password="secret",
    )
    answer = post(browser(site), "/user/register", FILLED)
    assert answer.location == "/user/resend-email-confirmation"
    assert server.emails == [] and not any(line.startswith("AUTH") for line in server.heard)


# Without a mail server


def test_the_outbox(site, client, caplog):
    caplog.set_level(logging.INFO)
    post(client, "/user/register", FILLED)
    (file,) = site.extensions["outbox"].iterdir()
    assert file.suffix == ".eml" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert site.extensions["outbox"] == site.extensions["settings"].output / "outbox"
    assert f"the e-mail to bob@example.com is in {file}" in caplog.text
    (message,) = emails(site)
    assert message.get_body(("html",)) and "Dear bob" in text_of(message)


def test_letters_of_the_same_moment_have_files_of_their_own(site):
    def send() -> None:
        with site.app_context():
            assert mail.send("bob@example.com", "Subject", "text", "<p>text</p>")

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(emails(site)) == 20 and {file.suffix for file in site.extensions["outbox"].iterdir()} == {".eml"}


def test_an_outbox_that_cannot_be_written(site, client):
    site.extensions["outbox"].parent.mkdir(parents=True)
    site.extensions["outbox"].write_text("a file in its place")
    answer = post(client, "/user/register", FILLED)
    assert answer.location == "/user/resend-email-confirmation"


def test_a_line_break_makes_no_header(site):
    with site.app_context():
        assert not mail.send("bob@example.com\r\nBcc: eve@example.com", "Subject", "text", "<p>text</p>")
    assert emails(site) == []

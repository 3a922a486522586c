"""What the site wrote to its outbox."""

import email
import re
from email.message import EmailMessage
from email.policy import default


def letters(site) -> list[EmailMessage]:
    """All letters so far, the oldest first; waits for those that are under way."""
    site.extensions["letters"].submit(lambda: None).result()  # the letters leave one after the other
    files = sorted(site.extensions["outbox"].glob("*.eml"))
    return [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]


def text_of(letter: EmailMessage) -> str:
    """The plain text of a letter."""
    return letter.get_body(("plain",)).get_content()


def link_in(letter: EmailMessage) -> str:
    """The path of the link in a letter."""
    return re.search(r"https://localhost(/\S+)", text_of(letter))[1]

"""What the site wrote to its outbox."""

import email
import re
from email.message import EmailMessage
from email.policy import default


def emails(site) -> list[EmailMessage]:
    """All e-mails so far, oldest first; waits for those still being sent."""
    site.extensions["mail_worker"].submit(lambda: None).result()  # e-mails are sent one after the other
    files = sorted(site.extensions["outbox"].glob("*.eml"))
    return [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]


def text_of(message: EmailMessage) -> str:
    """The plain text of an e-mail."""
    return message.get_body(("plain",)).get_content()


def link_in(message: EmailMessage) -> str:
    """The path of the link in an e-mail."""
    return re.search(r"https://localhost(/\S+)", text_of(message))[1]

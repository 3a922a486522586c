"""Invitations: an e-mail address that may register, by a link that works once."""

import hashlib
import secrets
from datetime import timedelta

from database.tables import Invitation, User, db, now

LIFETIME = timedelta(days=14)


def invite(address: str, by: User) -> str:
    """Add an invitation (not committed) in place of earlier ones for this address; returns the secret of its link."""
    secret = secrets.token_urlsafe(32)
    db.session.execute(db.delete(Invitation).where(Invitation.email == address, Invitation.used_at.is_(None)))
    db.session.add(Invitation(email=address, digest=_digest(secret), invited_by=by.id))
    return secret


def find(secret: str) -> Invitation | None:
    """The invitation of a link, unless it has been used or has expired."""
    return db.session.scalar(
        db.select(Invitation).where(
            Invitation.digest == _digest(secret),
            Invitation.used_at.is_(None),
            Invitation.created_at > now() - LIFETIME,
        )
    )


def use_up(invitation: Invitation) -> bool:
    """Mark it as used (not committed); False if another request was faster."""
    unused = Invitation.id == invitation.id, Invitation.used_at.is_(None)
    return (
        db.session.scalar(db.update(Invitation).where(*unused).values(used_at=now()).returning(Invitation.id))
        is not None
    )


def state(invitation: Invitation) -> str:
    """ "used", "expired" or "open"."""
    if invitation.used_at:
        return "used"
    return "open" if invitation.created_at > now() - LIFETIME else "expired"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()

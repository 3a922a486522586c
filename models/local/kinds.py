"""The registry of local features: to add a kind, write a file for it and list it here."""

from models.local.extractor import Extractor
from models.local.orb import Orb
from models.local.sift import Sift
from utils.errors import WrongUse

KINDS: dict[str, type[Extractor]] = {extractor.kind: extractor for extractor in (Orb, Sift)}


def kind_of(name: str) -> type[Extractor]:
    """The kind with this name. Raises WrongUse for an unknown name."""
    if name not in KINDS:
        raise WrongUse(f"The local feature {name!r} is unknown: choose one of {', '.join(KINDS)}.")
    return KINDS[name]

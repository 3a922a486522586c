"""The kinds of local features that a collection can be made with: to add one, write its file and name it here."""

from models.local.extractor import Extractor
from models.local.orb import Orb
from models.local.sift import Sift
from utils.errors import WrongUse

KINDS: dict[str, type[Extractor]] = {extractor.kind: extractor for extractor in (Orb, Sift)}


def kind_of(name: str) -> type[Extractor]:
    """The kind of that name. Raises WrongUse for a name that is not known."""
    if name not in KINDS:
        raise WrongUse(f"The local feature {name!r} is unknown: choose one of {', '.join(KINDS)}.")
    return KINDS[name]

"""Words that several pages show: the names of verdicts, and who a work is by."""

import re

from flask import Flask

# What people read for the values of models.answer.Verdict; the database, the API and CSV files keep the values.
VERDICT_WORDS = {"found": "Found", "maybe": "Not sure", "not found": "Not found"}

PARTICLES = frozenset(("da", "de", "degli", "dei", "del", "della", "den", "der", "di", "du", "of", "ten", "ter", "the"))
PARTICLES |= {"van", "vom", "von", "zu", "zur"}
EPITHET = re.compile(r",? +(the \w+|[IVX]+|Jr\.?|Sr\.?)$")  # Pieter the Elder; Frans II
SEVERAL = re.compile(r" *; *| +(?:and|&|/) +")
UNKNOWN = re.compile(r"(?:unknown|anonymous|unidentified)(?: (master|artist|painter))?(?:, ([^,]+))?", re.IGNORECASE)
UNKNOWN_ELSEWHERE = re.compile(
    r"(?:unbekannt(?:er?)?|anonym(?:er?)?|anonyme|inconnue?|an[oó]nim[oa]|desconocid[oa]|sconosciut[oa]|onbekend|anoniem)"
    r"(?: (?:künstler(?:in)?|meister|maler(?:in)?))?|(?:artiste|autor|autore|artista) (?:inconnue?|desconocido|ignoto)",
    re.IGNORECASE,
)  # the same in the languages of registers
# Who made it, where that is not the artist named; what stands before it in English.
QUALIFIERS = {
    "attributed to": "attributed to",
    "copy after": "copy after",
    "after": "after",
    "circle of": "by the circle of",
    "school of": "by the school of",
    "studio of": "by the studio of",
    "workshop of": "by the workshop of",
    "follower of": "by a follower of",
    "imitator of": "by an imitator of",
    "pupil of": "by a pupil of",
}
QUALIFIED = re.compile(rf"({'|'.join(QUALIFIERS)}) +(.+)", re.IGNORECASE)
QUALIFIED_AFTER = re.compile(rf"(.+?),? *\(({'|'.join(QUALIFIERS)})\)", re.IGNORECASE)


def init_app(app: Flask) -> None:
    app.add_template_filter(lambda verdict: VERDICT_WORDS.get(verdict, verdict), "verdict_word")
    app.add_template_filter(byline)
    app.add_template_filter(hundredths)


def hundredths(number: float) -> str:
    """With two decimals, and a minus sign only where something is left of it: -0.004 -> "0.00", -0.25 -> "-0.25"."""
    return f"{round(number, 2) + 0.0:.2f}"


def byline(artist: str) -> str:
    """Who a work is by, to be read beside the title: "OSTERWELD, Hanne" -> "by Hanne Osterweld".

    artist: as the catalogue has it, surname first; one name, several of them, unknown, or "workshop of" somebody.
    What does not follow these patterns stays as it is, after "by".
    """
    artist = " ".join(artist.split())
    if unknown := UNKNOWN.fullmatch(artist):
        kind, origin = (unknown[1] or "artist").lower(), unknown[2]
        return f"by an unknown {origin} {kind}" if origin else f"by an unknown {kind}"
    if UNKNOWN_ELSEWHERE.fullmatch(artist):
        return "by an unknown artist"
    if after := QUALIFIED_AFTER.fullmatch(artist):
        artist = f"{after[2]} {after[1]}"
    if qualified := QUALIFIED.fullmatch(artist):
        return f"{QUALIFIERS[qualified[1].lower()]} {_names(qualified[2])}"
    return f"by {_names(artist)}"


def _names(artists: str) -> str:
    """One or several artists, first names first."""
    *others, last = map(_given_name_first, SEVERAL.split(artists))
    return f"{', '.join(others)} and {last}" if others else last


def _given_name_first(name: str) -> str:
    """ "BRUEGEL, Pieter the Elder" -> "Pieter Bruegel the Elder"; a name without one comma keeps its order."""
    epithet = EPITHET.search(name)
    plain = name[: epithet.start()] if epithet else name
    if plain.count(",") > 1:
        return name
    surname, _, given = (_lower_case(part.strip()) for part in plain.partition(","))
    if surname.lower().startswith("master of "):
        surname = f"the {surname}"
    return " ".join(filter(None, (given, surname, epithet and epithet[1])))


def _lower_case(name: str) -> str:
    """A name that catalogues write in capitals as English prose writes it: TOULOUSE-LAUTREC -> Toulouse-Lautrec."""

    def word(match: re.Match) -> str:
        text = match[0]
        if not text.isupper() or re.fullmatch("[IVX]+", text):
            return text
        return text.lower() if text.lower() in PARTICLES else text.capitalize()

    return re.sub(r"[^\W\d_]{2,}", word, name)

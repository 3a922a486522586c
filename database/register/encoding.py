"""The encoding of a text file that does not say it."""

import codecs
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from utils.errors import WrongUse

BLOCK = 1 << 20  # bytes that are read at once
SAMPLE = 1 << 16  # bytes of lines beyond ASCII that the guess rests on
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Encodings of one byte a character, the likelier ones first; Latin-1 takes what Windows' own refuse.
ONE_BYTE = (
    "cp1252", "cp1250", "mac_roman", "cp1251", "cp1253", "cp1254", "cp1257", "iso8859_2", "mac_latin2", "latin_1",
    "cp850",
)  # fmt: skip
NAMES = {
    "cp1252": "Windows-1252 (Western)",
    "cp1250": "Windows-1250 (Central European)",
    "mac_roman": "Mac Roman",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1257": "Windows-1257 (Baltic)",
    "iso8859_2": "ISO 8859-2 (Central European)",
    "mac_latin2": "Mac Central European",
    "cp850": "DOS 850",
    "latin_1": "Latin-1",
}
# How much a letter speaks for the encoding that gives it: names hold the first ones most often.
WESTERN = set("éèäöüßàçñóíáêôåæëïîâúòùìøãÉÖÜÄÅÇÑÀÁÓØÈœŒõ")
CENTRAL = set("łńśżźąęćěščřžýůőűăđňťďľŁŃŚŻŹĄĘĆĚŠČŘŽÝŮŐŰĂĐŇŤĎĽÍÚðþÞğışİŞû")
BALTIC = set("ėįųūāēīģķļņĖĮŲŪĀĒĪĢĶĻŅţŢ")
VOWELS = set("aeiouyáéíóúàèìòùäëïöüâêîôûãõåæø")
SIGNS = set("©®°§×½¼¾")
PUNCTUATION = set("€“”‘’„–—…«»°©®·§½¼¾×\u00a0")
RARE = {"cp1254": 0.1, "cp1257": 0.1, "iso8859_2": 0.3, "mac_latin2": 0.5, "latin_1": 0.3, "cp850": 0.3}  # against each
UNSURE = 0.5  # a lead, for each character beyond ASCII, that leaves a doubt
COHERENT = 3  # what charset-normalizer's coherence, 0..1, weighs beside the letters
MIXED = 4  # as many valid characters as this, for each invalid byte, make a file UTF-8 with a few bytes spoilt


@dataclass(frozen=True)
class Encoding:
    """How a file is decoded; warning: a sentence where that is in doubt, else empty."""

    name: str
    errors: str = "strict"
    warning: str = ""


def find(path: Path) -> Encoding:
    """The encoding of a text file, of which everything is read once.

    Raises WrongUse for a file that is no text, OSError where it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    for mark, name in BOMS.items():
        if start.startswith(mark):
            return Encoding(name)
    if b"\0" in start:
        return Encoding(_utf_16(path, start))
    if _control(start) > 0.01 * len(start):
        raise _no_text(path)
    valid, invalid = _utf_8(path)
    if not invalid:
        return Encoding("utf-8")
    if valid > MIXED * invalid:
        warning = f"{invalid:,} bytes of {path} are not UTF-8 as the others are; they are read as Windows-1252."
        return Encoding("utf-8", "register_cp1252", warning)
    return _one_byte(path)


def _no_text(path: Path) -> WrongUse:
    return WrongUse(
        f"{path} is not a catalogue: it is neither text (CSV, tab-separated) nor an Excel or OpenDocument workbook."
    )


def _control(data: bytes) -> int:
    return sum(byte < 32 and byte not in b"\t\n\r\f\x0b\x1c\x1d\x1e\x1f" for byte in data)


def _utf_16(path: Path, start: bytes) -> str:
    """UTF-16 without a mark shows in its zeros: nearly all in the even places, or nearly all in the odd ones."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) >= len(start) / 5 and min(even, odd) <= 0.02 * len(start):
        name = "utf-16-be" if even > odd else "utf-16-le"
        text = start[: len(start) // 2 * 2].decode(name, errors="ignore")
        if _control(text.encode("utf-8")) == 0:
            return name
    raise _no_text(path)


def _utf_8(path: Path) -> tuple[int, int]:
    """How many characters beyond ASCII are valid UTF-8, and how many bytes are not."""
    valid = invalid = 0
    decoder = codecs.getincrementaldecoder("utf-8")("register_count")
    _invalid_bytes[:] = [0]
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            text = decoder.decode(block)
            valid += 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
            if _invalid_bytes[0] > 1000 and _invalid_bytes[0] > valid:
                break  # it is plain by now
        else:
            decoder.decode(b"", final=True)
    invalid = _invalid_bytes[0]
    return valid, invalid


_invalid_bytes = [0]


def _count(problem: UnicodeError) -> tuple[str, int]:
    assert isinstance(problem, UnicodeDecodeError)  # it is registered for reading only
    _invalid_bytes[0] += problem.end - problem.start
    return "", problem.end


def _as_cp1252(problem: UnicodeError) -> tuple[str, int]:
    assert isinstance(problem, UnicodeDecodeError)  # it is registered for reading only
    return problem.object[problem.start : problem.end].decode("cp1252", errors="replace"), problem.end


codecs.register_error("register_count", _count)
codecs.register_error("register_cp1252", _as_cp1252)


def _one_byte(path: Path) -> Encoding:
    """The likeliest encoding of one byte a character, by the letters it gives and charset-normalizer's coherence."""
    lines: dict[bytes, None] = {}  # a set that keeps its order
    used: set[int] = set()
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            used.update(block)
            for line in re.findall(rb"[^\n\r]*[\x80-\xff][^\n\r]*", block) if size < SAMPLE else ():
                if line not in lines and size < SAMPLE:
                    lines[line[:2000]] = None
                    size += len(line[:2000])
    sample = b"\n".join(lines)
    possible = [name for name in ONE_BYTE if _decodes(bytes(sorted(used)), name)]
    matches = from_bytes(sample, cp_isolation=list(ONE_BYTE), threshold=0.9)
    coherence = {match.encoding: match.coherence for match in matches}
    count = sum(byte > 127 for byte in sample)
    scores = {
        name: likelihood(sample.decode(name)) + COHERENT * coherence.get(name, 0) - RARE.get(name, 0) * count
        for name in possible
    }
    best = max(possible, key=lambda name: scores[name])  # the first of those that are equal
    rivals = [name for name in possible if scores[best] - scores[name] < UNSURE * count and name != best]
    doubts = [word for name in rivals for word in _differing(sample, best, name)]
    if not doubts:
        return Encoding(best)
    read = doubts[0][0]
    others = dict.fromkeys(repr(otherwise) for same, otherwise in doubts if same == read)
    warning = (
        f"{path} does not say its encoding and is read as {NAMES[best]}: is {read!r} right, or should it be "
        f"{' or '.join(list(others)[:5])}? Save it as UTF-8 if a name is wrong."
    )
    return Encoding(best, "strict", warning)


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _differing(sample: bytes, best: str, other: str) -> list[tuple[str, str]]:
    """Words that the two encodings read differently."""
    pairs = zip(re.split(r"[;,\t\n]", sample.decode(best)), re.split(r"[;,\t\n]", sample.decode(other)), strict=False)
    return [(one.strip()[:60], two.strip()[:60]) for one, two in pairs if one != two]


def likelihood(text: str) -> float:
    """How much a text looks like names and words that people write; the higher, the likelier."""
    total, padded = 0.0, f" {text} "
    for place, character in enumerate(padded):
        if not character.isascii():
            total += _speaks(padded[place - 1], character, padded[place + 1])
    return total


def _speaks(before: str, character: str, after: str) -> float:
    """What one character beyond ASCII says for a reading, between its neighbours."""
    if not character.isalpha():
        between = before.isalpha() and after.isalpha()
        if character in SIGNS and (before.isalpha() or after.isalpha()):
            return -1
        if character in PUNCTUATION and not (between and character not in "’·"):
            return 1
        return -3
    for other in (before, after):
        if other.isalpha() and _script(other) != _script(character):
            return -3
    if not (before.isalpha() or after.isalpha()):
        return -1
    if character.isupper() and (before.islower() or (before.isupper() and after.islower())):
        return -3
    if character.islower() and before.isupper() and after.isupper():
        return -3
    if character in WESTERN:
        return _western(before.lower(), character.lower(), after.lower())
    if character in CENTRAL:
        return 1.4
    if character in BALTIC:
        return 1.2
    return 2 if _script(character) in ("CYRILLIC", "GREEK") else -1


def _western(before: str, letter: str, after: str) -> float:
    """What a Western letter says between its neighbours: some stand where č, ě, ř, ů, ć and ő of Windows-1250 do."""
    unlikely = (
        (letter in "ìù" and after.isalpha())
        or (letter == "è" and after in VOWELS)
        or (letter in "øæ" and before in VOWELS)
    )
    if unlikely:
        return -1
    if letter == "õ" and after != "e":
        return 1
    return 0.5 if letter == "ø" and after in "aeou" else 2


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]

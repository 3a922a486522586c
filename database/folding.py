"""Text as it is compared: for search whatever people type, for sorting by letters instead of bytes."""

import re
import unicodedata

# Letters that Unicode does not take apart into a base letter and a mark; and the one that PostgreSQL refuses.
PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n",
     "ə": "e", "\0": " "}
)  # fmt: skip
MARKS = re.compile("[\u0300-\u036f]+")
# Signs of transliteration (ayn, hamza, okina) that many leave out, and invisible ones.
DROPPED = re.compile("[ʿʾʻʽˈʹʺ\u00ad\u200b-\u200f\u2060\ufeff]")
JOINTS = re.compile("[’‘ʼ′`´'\u2010\u2011-]")  # what some write between the parts of a word and others leave out
WORD = re.compile(r"[^\W_]+(?:['./][^\W_]+)*")
UMLAUT = re.compile(r"(?<![aeiouyq])([aou])e")
LAST = "\U0010ffff"  # the sort key of an empty text, which comes last
KEY = 200  # characters of a sort key, at most


def fold(text: str) -> str:
    """Small letters without accents; digits and signs stay."""
    if text.isascii():
        return text.casefold().replace("\0", " ")
    return MARKS.sub("", unicodedata.normalize("NFKD", DROPPED.sub("", text.casefold().translate(PLAIN))))


def words(text: str) -> list[list[str]]:
    """The words of a text, each as its parts: "Jeanne d’Arc" -> [[jeanne], [d, arc]].

    ä, ae and a are the same (and ö, oe, o; ü, ue, u), so that Dürer, Duerer and Durer meet.
    """
    folded = UMLAUT.sub(r"\1", JOINTS.sub("'", fold(text)))
    return [[word] if word.isalnum() else re.split(r"['./]", word) for word in WORD.findall(folded)]


def sort_key(text: str) -> str:
    """What sorts texts by their letters, numbers by their size, and an empty text last; compared by code points."""
    parts = re.findall(r"\d+|[^\W\d_]+", fold(text))
    if not parts:
        return LAST
    key = " ".join(_digits(part) if part[0].isdecimal() else part for part in parts)
    return f"{key}\x01{text}".replace("\0", "")[:KEY]


def _digits(number: str) -> str:
    """A number that sorts by its size: how many digits it has goes first."""
    number = number.lstrip("0") or "0"
    return f"{min(len(number), 99):02d}{number}"

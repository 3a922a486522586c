"""The years that a date in words means, in the languages of registers."""

import re
import unicodedata

CENTURY = r"(?:c\b|cent|centur|th c|jh|jahrh|siecle|siglo|secolo|sec\b|eeuw|s\b)"
ROMAN = {"i": 1, "v": 5, "x": 10}
BEFORE = re.compile(r"\b(?:b\.? ?c\.?|bce|v\.? ?chr|avant j|av\.? ?j|a\.? ?c\.?|a\.? ?de ?c|v\.? ?u\.? ?z)")
PARTS = (  # of a century: what the words mean as shares of it
    (
        r"first half|early half|(?:1\.?|erste) halfte|premiere moitie|1re moitie|primera mitad|prima meta|eerste helft",
        0,
        50,
    ),
    (
        r"second half|(?:2\.?|zweite) halfte|seconde moitie|deuxieme moitie|2e moitie|segunda mitad|seconda meta|"
        r"tweede helft",
        50,
        100,
    ),
    (r"early|anfang|fruhes|debut|principios|inizio|begin", 0, 30),
    (r"mid|mitte|milieu|mediados|meta|midden", 35, 65),
    (r"late|end of|ende|spates|fin|finales|fine|laat|eind", 70, 100),
)


def years(text: str) -> tuple[int, int] | None:
    """(first, last) year of a date as written, both included, years before Christ negative; None: it tells none.

    "c. 1500-05" -> (1500, 1505); "16th century" -> (1501, 1600); "1890s" -> (1890, 1899); "300 BC" -> (-300, -300).
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("–", "-").replace("—", "-")
    found = _century(plain) or _written(plain)
    if found and BEFORE.search(plain):
        first, last = sorted(-year for year in found)
        return first, last
    return found


def _century(text: str) -> tuple[int, int] | None:
    match = re.search(rf"\b(\d{{1,2}})(?:st|nd|rd|th|e|eme|\.|o|º)?[ .-]*(?:{CENTURY})", text)
    number = int(match[1]) if match else 0
    if not match:
        roman = re.search(r"\b([ivx]{1,5})(?:e|eme)?[ .-]*(?:siecle|s\b|s\.|sec|century)", text) or re.search(
            r"(?:siglo|secolo|s\.|sec\.) ?([ivx]{1,5})\b", text
        )
        number = _roman(roman[1]) if roman else 0
    if not 1 <= number <= 21:
        return None
    start = (number - 1) * 100
    for words, first, last in PARTS:
        if re.search(rf"\b(?:{words})", text):
            return start + first + 1, start + last
    return start + 1, start + 100


def _roman(letters: str) -> int:
    values = [ROMAN[letter] for letter in letters]
    return sum(-v if v < max(values[place:]) else v for place, v in enumerate(values))


def _written(text: str) -> tuple[int, int] | None:
    day = re.search(r"\b(\d{4})-\d{2}-\d{2}\b", text)
    if day:
        return int(day[1]), int(day[1])
    decade = re.search(r"\b(1\d{2}0|20\d0)(?:s\b|'s|er\b|er jahre)", text)
    if decade:
        return int(decade[1]), int(decade[1]) + 9
    found = [int(number) for number in re.findall(r"(?<!\d)([12]\d{3})(?!\d)", text)]
    if BEFORE.search(text) and not found:
        found = [int(number) for number in re.findall(r"\b(\d{2,4})\b", text)]
    if not found:
        return None
    short = re.search(r"(?<!\d)([12]\d{3}) ?[-/] ?(\d{1,2})(?![\d])", text)
    if short and not re.search(r"\d{4}[-/]\d{1,2}[-/]", text):
        last = int(short[1][: 4 - len(short[2])] + short[2])
        if last > int(short[1]):
            found.append(last)
    return min(found), max(found)

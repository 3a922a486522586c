"""Reads what museums publish as IIIF: Presentation 2 and 3 manifests and collections, and the Image API 1 to 3.

Published documents rarely follow the specification to the letter (rights in plain words, numbers where texts should
be, languages spelled en_GB), and a strict parser refuses a whole manifest for one such place. So everything here takes
what it understands and leaves the rest. Nothing here fetches anything.

https://iiif.io/api/presentation/2.1/, https://iiif.io/api/presentation/3.0/, https://iiif.io/api/image/3.0/
"""

import html
import json
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from database.register import columns

MAX_TEXT = 30_000  # characters of one value; about what a spreadsheet holds in a cell. What is cut ends in CUT
CUT = " ..."
MAX_LABEL = 100  # of a label
MAX_ADDRESS = 4_000  # characters
MAX_PICTURES = 5_000  # of one manifest
MAX_NESTING = 10  # lists and choices within each other, where the specification has two at most

LABELS = columns.LABELS  # field -> column of the register
NUMBER, TITLE, RIGHTS = LABELS["number"], LABELS["title"], LABELS["rights"]
TITLES = re.compile(r"tit(el|le|re|ul|ol)")  # what a title is called; "object name" may be "painting"
OWN = ("manifest", "manifest label", "description")  # what else the register calls its columns


class NotIIIF(ValueError):
    """What was sent is no manifest and no collection; the text is the reason."""


@dataclass(frozen=True)
class Service:
    """A service that gives a picture in any size."""

    id: str  # without a slash at the end
    version: int  # of the Image API: 1, 2 or 3
    level: int | None  # 0: only the sizes it lists; None where the manifest does not say


@dataclass(frozen=True)
class Picture:
    """One picture that is painted on a canvas."""

    full: str  # its address as the manifest names it; may be empty where there is a service
    service: Service | None
    height: int  # pixels; 0 where the manifest does not say
    width: int

    @property
    def id(self) -> str:
        return self.service.id if self.service else self.full


@dataclass(frozen=True)
class Manifest:
    """One object with its pictures."""

    fields: dict[str, str]  # column of the register -> text, where there is one
    homepage: str
    further: list[tuple[str, str]] = field(default_factory=list)  # every other label with its text
    pictures: list[Picture] = field(default_factory=list)


@dataclass(frozen=True)
class Member:
    """What a collection names: a manifest, a collection, or its own next page."""

    address: str
    kind: str  # Manifest, Collection, or empty where it is not said
    next_page: bool = False
    document: dict | None = None  # where the collection holds the whole of it


def parse(data: bytes) -> dict:
    """The manifest or collection in `data`. Raises NotIIIF."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise NotIIIF("not JSON, or broken") from None
    if not kind(document):
        raise NotIIIF("JSON, but no IIIF manifest or collection")
    return document


def kind(document: Any) -> str:
    """Manifest, Collection, or empty for anything else."""
    if not isinstance(document, dict):
        return ""
    name = _text(document.get("type") or document.get("@type")).rpartition(":")[2]
    return name if name in ("Manifest", "Collection") else ""


def members(collection: dict) -> list[Member]:
    """What a collection names, in its order; entries without an address are left out."""
    found = []
    for key, default in {"items": "", "members": "", "collections": "Collection", "manifests": "Manifest"}.items():
        for entry in _list(collection.get(key)):
            what = kind(entry) or default
            whole = isinstance(entry, dict) and any(
                isinstance(entry.get(name), list) for name in ("items", "sequences", "members", "manifests")
            )
            document = entry if whole and kind(entry) else None
            if address := id_of(entry):
                found.append(Member(address, what, document=document))
    for key in ("first", "next"):
        if address := id_of(collection.get(key)):
            found.append(Member(address, "Collection", next_page=True))
    return found


def id_of(entry: Any) -> str:
    """The address of a resource, without its fragment; empty where it has none, or one that nobody could print."""
    if isinstance(entry, dict):
        entry = entry.get("id") or entry.get("@id")
    address = entry.strip().partition("#")[0] if isinstance(entry, str) else ""
    return address if len(address) < MAX_ADDRESS and address.isprintable() else ""


# Texts


def read_manifest(document: dict, languages: tuple[str, ...] = ("en",)) -> Manifest:
    """What a manifest says about its object, in the first of `languages` that a text has, and its pictures."""
    pairs = []
    for pair in _list(document.get("metadata")):
        if isinstance(pair, dict):
            spoken = [text[:MAX_LABEL] for _, text in _said(pair.get("label"))]
            label = " ".join(text_in(pair.get("label"), languages).split())[:MAX_LABEL].rstrip(" :")
            pairs.append((label, spoken, text_in(pair.get("value"), languages)))
    fields, further = _sort_out([pair for pair in pairs if pair[0] and pair[2]])
    label = text_in(document.get("label"), languages)
    fields.setdefault(TITLE, label)
    statement = document.get("requiredStatement")
    statement = statement.get("value") if isinstance(statement, dict) else document.get("attribution")
    rights = [
        *(text_in(document.get(key), languages) for key in ("rights", "license")),
        text_in(statement, languages),
        fields.get(RIGHTS, ""),
    ]
    fields[RIGHTS] = "; ".join(dict.fromkeys(filter(None, rights)))
    description = text_in(document.get("summary") or document.get("description"), languages)
    if description:
        further.append(("Description", description))
    if label and label != fields[TITLE]:
        further.append(("Manifest label", label))
    homepages = [id_of(page) for page in _list(document.get("homepage") or document.get("related"))]
    return Manifest(
        fields={column: text for column, text in fields.items() if text},
        homepage=next(filter(None, homepages), ""),
        further=further,
        pictures=list(_pictures(document)),
    )


def _sort_out(pairs: list[tuple[str, list[str], str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Metadata as the columns of LABELS and the rest. pairs: label, the label in all its languages, text."""
    meant = {}
    for label, spoken, _ in pairs:
        known = [found for one in spoken if (found := columns.field_of(one))]
        if known:
            meant[label] = min(known, key=lambda one: one[1])
    best: dict[str, int] = {}
    for name, rank in meant.values():
        best[name] = min(rank, best.get(name, rank))
    fields: dict[str, str] = {}
    further: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for label, spoken, text in pairs:
        name, rank = meant.get(label, ("", 0))
        if name == "title" and not any(TITLES.search(columns.plain(one)) for one in spoken):
            name = ""
        if name and name not in ("url", "file") and rank == best[name]:
            _add(fields, LABELS[name], text)
        else:
            # Under a name of its own: a reader of the register would have to guess which of two is meant.
            taken = label in meant or label.casefold() in OWN
            column = f"Other {label}" if taken else label
            _add(further, spelled.setdefault(column.casefold(), column), text)
    return fields, list(further.items())


def _add(texts: dict[str, str], name: str, text: str) -> None:
    """Put a text under its name, behind what is there already."""
    there = texts.get(name)
    if there is None:
        texts[name] = text
    elif text not in there.split("; "):
        texts[name] = _cut(f"{there}; {text}")


def text_in(value: Any, languages: tuple[str, ...]) -> str:
    """A text in the first of `languages` that it has, else in none, else in its first; several are joined by "; "."""
    said = _said(value)

    def speaks(language: str, wanted: str) -> bool:
        return language == wanted or language.startswith(wanted + "-")

    for wanted in (*languages, ""):
        texts = [text for language, text in said if speaks(language, wanted)]
        if texts:
            break
    else:
        texts = [text for language, text in said if language == said[0][0]]
    return _cut("; ".join(dict.fromkeys(texts)))


def _said(value: Any, language: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Language and plain text of everything that a value says, in the ways of versions 2 and 3; "" is no language."""
    if depth > MAX_NESTING:
        return []
    if isinstance(value, list):
        return [one for part in value for one in _said(part, language, depth + 1)]
    if isinstance(value, dict):
        if "@value" in value:
            return _said(value["@value"], _language(value.get("@language")), depth + 1)
        if "id" in value or "@id" in value:
            return _said(value.get("label") or id_of(value), language, depth + 1)
        return [one for key, part in value.items() for one in _said(part, _language(key), depth + 1)]
    text = plain(_text(value))
    return [(language, text)] if text else []


def _language(key: Any) -> str:
    key = _text(key).lower().replace("_", "-")
    return "" if key in ("none", "@none", "und") else key


def _text(value: Any) -> str:
    """A text or number as text; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def plain(text: str) -> str:
    """A text without HTML, control characters and needless blanks, at most MAX_TEXT characters."""
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):  # only then, says the specification, it is HTML
        reader = _Words()
        reader.feed(text)
        reader.close()
        text = "".join(reader.words)
    else:
        text = html.unescape(text)
    text = "".join(c for c in text if c in "\n\t " or unicodedata.category(c) not in ("Cc", "Cs"))
    return _cut(re.sub(r" ?\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(CUT)] + CUT


class _Words(HTMLParser):
    """Collects the text between the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:  # noqa: ARG002  (its name is the parser's)
        if tag in ("br", "p", "div", "li", "tr"):
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _list(value: Any) -> list:
    """What may be one or several, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# Pictures


def _pictures(document: dict) -> Iterator[Picture]:
    """The pictures that are painted on the canvases, in their order, each once."""
    seen = set()
    for canvas in _canvases(document):
        for body in _bodies(canvas):
            picture = _picture(body, canvas)
            if picture and picture.id not in seen:
                seen.add(picture.id)
                yield picture
                if len(seen) == MAX_PICTURES:
                    return


def _canvases(document: dict) -> Iterator[dict]:
    lists = [document.get("items")]
    lists += [sequence.get("canvases") for sequence in _list(document.get("sequences")) if isinstance(sequence, dict)]
    for canvases in lists:
        yield from (canvas for canvas in _list(canvases) if isinstance(canvas, dict))


def _bodies(canvas: dict) -> Iterator[Any]:
    """What is painted on a canvas: version 3 has pages of annotations, version 2 has images."""
    pages = [page for page in _list(canvas.get("items")) if isinstance(page, dict)]
    annotations = [one for page in pages for one in _list(page.get("items"))] + _list(canvas.get("images"))
    for annotation in annotations:
        if not isinstance(annotation, dict):
            continue
        purposes = [_text(one).rpartition(":")[2] for one in _list(annotation.get("motivation"))]
        if not purposes or "painting" in purposes:
            yield from _list(annotation.get("body")) + _list(annotation.get("resource"))


def _picture(body: Any, canvas: dict, depth: int = 0) -> Picture | None:
    """The picture of a body; of a choice, the one that is shown first."""
    if isinstance(body, str):
        return Picture(id_of(body), None, 0, 0) if id_of(body) else None
    if not isinstance(body, dict) or depth > MAX_NESTING:
        return None
    name = _text(body.get("type") or next(iter(_list(body.get("@type"))), "")).rpartition(":")[2]
    if name == "Choice":
        choices = _list(body.get("default")) + _list(body.get("items")) + _list(body.get("item"))
        return _picture(choices[0], canvas, depth + 1) if choices else None
    if name == "SpecificResource":
        return _picture(body.get("source") or body.get("full"), canvas, depth + 1)
    if name != "Image" and not (not name and _text(body.get("format")).startswith("image/")):
        return None
    services = [_service(one) for one in _list(body.get("service"))]
    service = next(filter(None, services), None)
    if not service and not id_of(body):
        return None
    size = body if _pixels(body.get("height")) and _pixels(body.get("width")) else canvas
    return Picture(id_of(body), service, _pixels(size.get("height")), _pixels(size.get("width")))


def _pixels(value: Any) -> int:
    """A side as whole pixels; 0 for what is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}", value):
        return int(value)
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 10_000_000
    return int(value) if usable else 0


def _service(entry: Any) -> Service | None:
    """An image service; None for other services, such as those that sign people in."""
    if not isinstance(entry, dict) or not id_of(entry):
        return None
    name = _text(entry.get("type") or entry.get("@type"))
    profile = " ".join(_text(one) for one in _list(entry.get("profile")))
    said = " ".join((name, profile, *(_text(one) for one in _list(entry.get("@context")))))
    if not re.search(r"ImageService|iiif\.io/api/image|image-api|^level\d", f"{name} {said}".strip()):
        return None
    version = re.search(r"ImageService(\d)|api/image/(\d)", said)
    oldest = 1 if "image-api" in said else 2  # only the addresses of version 1 are named so
    number = int(version[1] or version[2]) if version else oldest
    identity = id_of(entry).removesuffix("/info.json").rstrip("/")
    return Service(identity, min(max(number, 1), 3), _level(profile))


def _level(profile: str) -> int | None:
    level = re.search(r"level([012])", profile)
    return int(level[1]) if level else None


# Sizes


def sized(picture: Picture, side: int) -> str | None:
    """The address of a picture whose long side is `side` pixels (0: as large as it is); never larger than it is.

    The manifest's own address where there is no service; None where the service's info.json has to be read first.
    """
    if not picture.service:
        return picture.full
    if not picture.service.level or not picture.height or not picture.width:
        return None
    return _request(picture.service, _size(picture.service.version, picture.height, picture.width, side))


def info_address(service: Service) -> str:
    """Where a service describes itself."""
    return f"{service.id}/info.json"


def sized_by(info: Any, service: Service, side: int) -> str | None:
    """The same by what a service says about itself; None where that is nothing usable."""
    if not isinstance(info, dict):
        return None
    height, width = _pixels(info.get("height")), _pixels(info.get("width"))
    if not height or not width:
        return None
    profile = _list(info.get("profile"))
    level = _level(" ".join(_text(one) for one in profile))
    if level == 0:
        return _request(service, _listed(info, service.version, height, width, side))
    limits = [info, *(one for one in profile if isinstance(one, dict))]
    most = min(_most(limit, height, width) for limit in limits)
    long = max(height, width)
    wanted = min(side or long, long)
    return _request(service, _size(service.version, height, width, most if most < wanted else side))


def _most(limits: dict, height: int, width: int) -> int:
    """The longest long side that a service gives."""
    across = _pixels(limits.get("maxWidth"))
    down = _pixels(limits.get("maxHeight")) or across
    area = limits.get("maxArea")
    scale = 1.0
    if across:
        scale = min(scale, across / width, down / height)
    if isinstance(area, int) and 0 < area < height * width:
        scale = min(scale, math.sqrt(area / (height * width)))
    return max(1, int(max(height, width) * scale))


def _size(version: int, height: int, width: int, side: int) -> str:
    """The size part of a request: of one side only, which every service from level 1 on understands."""
    if not side or max(height, width) <= side:
        return "max" if version == 3 else "full"
    return f"{side}," if width >= height else f",{side}"


def _listed(info: dict, version: int, height: int, width: int, side: int) -> str:
    """The smallest of the sizes that a service lists whose long side is `side` at least, else the full picture."""
    sizes = [(_pixels(one.get("width")), _pixels(one.get("height"))) for one in _list(info.get("sizes"))
             if isinstance(one, dict)]  # fmt: skip
    enough = sorted((max(size), size) for size in sizes if all(size) and side and max(size) >= side)
    if not enough or enough[0][0] >= max(height, width):
        return "max" if version == 3 else "full"
    across, down = enough[0][1]
    return f"{across},{down}" if version == 3 else f"{across},"


def _request(service: Service, size: str) -> str:
    return f"{service.id}/full/{size}/0/{'native' if service.version == 1 else 'default'}.jpg"

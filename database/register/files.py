"""Which row of a register belongs to which images: by file, by the inventory number in a file's name, by address.

Names are compared whatever their case, extension and Unicode form. What fits several images, or several rows, is
told and not guessed: a wrong entry is worse than none.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from database.catalog import Work
from utils.text import printable

# Words in a file's name that say what of the object a picture shows, in the languages of the registers.
ROLES = {
    "front": "front recto obverse r vorderseite avers face anverso fronte voorkant voorzijde vs",
    "back": "back verso reverse v ruckseite rueckseite revers dos reverso retro achterkant achterzijde rs",
    "detail": "detail details det ausschnitt dettaglio detalle zoom",
    "frame": "frame framed rahmen cadre marco cornice lijst",
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words.split()}
ORDER = {"front": 0, "": 1, "back": 2, "detail": 3, "frame": 4}
BESIDE = {
    "img",
    "image",
    "bild",
    "foto",
    "photo",
    "nr",
    "no",
    "inv",
    "page",
    "view",
    "ansicht",
    "hr",
    "web",
    "tif",
    "jpg",
}
EXACT, END, PART = 3, 2, 1  # how sure: the very path; an end of the path; only a part of what the row says
STRONG = 5  # digits that make a number of one part unmistakable within a longer name


@dataclass(frozen=True)
class Shown:
    """A picture of a work; role: front, back, detail, frame, or empty."""

    image: int
    role: str = ""


@dataclass
class Group:
    """What the rows of one inventory number have: where the first stands, who and what it names, and its images."""

    place: int
    named: tuple[str, str]
    images: list[int] = field(default_factory=list)


class Matcher:
    """Reads the rows twice: once to see what each claims, once to say what each gets.

    rows: gives the same rows at each call, one by one. images: of the collection, id -> path relative to the dataset.
    """

    def __init__(self, rows: Callable[[], Iterable[Work]], images: dict[int, str]):
        self._rows, self._images = rows, images
        self._names = _Names(images)
        self._ends = self._names.stems
        self._claimed: dict[str, set[str]] = defaultdict(set)  # end -> the pages that end so
        self._numbers: dict[str, Group] = {}  # inventory number -> its rows
        self._owner: dict[int, int] = {}  # image -> place of the row that has it
        self._parts: dict[str, list[str]] = {}  # parts of a number, joined -> the numbers of these parts
        self._reasons: dict[int, str] = {}
        self._got: dict[int, list[int]] = defaultdict(list)  # place of a row -> its images
        self.repeated = 0  # rows that add pictures to the work of an earlier row
        self._collect()

    def __iter__(self) -> Iterator[tuple[Work, list[Shown], str]]:
        """(row, its pictures in their order, the reason where it has none) of each row.

        A later row of the same work has no pictures and no reason: the first row has got them.
        """
        for place, row in enumerate(self._rows()):
            found = [Shown(image, role_of(self._images[image], row.number)) for image in self._got.get(place, ())]
            found.sort(key=lambda shown: ORDER[shown.role])  # as the register has them, the front first
            yield row, found, self._reasons.get(place, "")

    # Seeing what rows claim

    def _collect(self) -> None:
        claims: dict[int, list[tuple[int, int]]] = defaultdict(list)  # image -> (how sure, row), by FILE
        pages: list[tuple[int, str]] = []
        for place, row in enumerate(self._rows()):
            home = self._home(place, row)
            if home is None:
                continue
            page = _page(row.url) if row.url else ""
            for end in _ends(page):
                if end in self._ends:
                    self._claimed[end].add(page)
            if row.url:
                pages.append((home, page))
            found, reason = self._names.find_all(row.file)
            for image, sure in found:
                claims[image].append((sure, home))
            if reason or not (row.file or row.url or row.number):
                self._reasons[home] = reason or "it has neither FILE, URL nor INVENTORY NUMBER"
        self._settle(claims)
        # Rows that name a file went first: they are sure. Then addresses, and last the numbers in names.
        for home, page in pages:
            if not self._got.get(home):
                match = self._addressed(page)
                self._reasons[home] = self._take(home, [match]) if isinstance(match, int) else match
        self._take_numbered()
        for group in self._numbers.values():
            if not self._got.get(group.place):
                self._reasons.setdefault(group.place, "no picture has its inventory number in its name")
        self._reasons = {place: reason for place, reason in self._reasons.items() if reason}

    def _settle(self, claims: dict[int, list[tuple[int, int]]]) -> None:
        """Give each image that FILE names to the row that names it most fully."""
        for image, claimed in claims.items():
            best = max(sure for sure, _ in claimed)
            homes = dict.fromkeys(home for sure, home in claimed if sure == best)
            if best == PART and len(homes) > 1:
                for home in homes:
                    self._reasons[home] = (
                        f"{len(homes)} rows, none with its folder, name {printable(self._images[image])}"
                    )
            else:
                self._take(next(iter(homes)), [image])
        for image, claimed in claims.items():
            for _, home in claimed:
                if self._owner.get(image, home) != home:
                    self._reasons[home] = f"another row has the picture {printable(self._images[image])} already"

    def _home(self, place: int, row: Work) -> int | None:
        """The place of the row that stands for the work: an earlier one where that has the same inventory number."""
        if not row.number:
            return place
        named = row.author, row.title
        group = self._numbers.setdefault(row.number, Group(place, named))
        if group.place == place:
            parts = " ".join(_parts(row.number))
            if re.search(r"\d", parts):
                self._parts.setdefault(parts, []).append(row.number)
            return place
        if named == group.named or not any(named):
            self.repeated += 1
            return group.place
        self._reasons[place] = f"an earlier row with another title has the inventory number {row.number}"
        return None

    def _take(self, home: int, images: list[int]) -> str:
        """Give a row its images; the reason where another row has one of them."""
        reason = ""
        for image in images:
            owner = self._owner.setdefault(image, home)
            if owner != home:
                reason = f"another row has the picture {printable(self._images[image])} already"
            elif image not in self._got[home]:
                self._got[home].append(image)
        return reason

    def _take_numbered(self) -> None:
        """Give pictures that no row names to the row whose inventory number their name holds."""
        if not self._parts:
            return
        for image, path in self._images.items():
            if image in self._owner:
                continue
            found = self._numbers_in(PurePosixPath(path).stem)
            if len(found) == 1:
                self._take(self._numbers[found[0]].place, [image])
                self._reasons.pop(self._numbers[found[0]].place, None)
            elif found:
                for number in found:
                    home = self._numbers[number].place
                    reason = f"{printable(path)} fits several inventory numbers: {', '.join(found[:5])}"
                    if not self._got.get(home):
                        self._reasons[home] = reason

    def _numbers_in(self, stem: str) -> list[str]:
        """The inventory numbers that a name holds; only the longest ones."""
        parts = _parts(stem)[:16]
        for length in range(len(parts), 0, -1):
            found: dict[str, None] = {}
            for start in range(len(parts) - length + 1):
                numbers = self._parts.get(" ".join(parts[start : start + length]))
                if numbers and _is_sure(parts, start, start + length):
                    found |= dict.fromkeys(numbers)
            if found:
                return list(found)
        return []

    def _addressed(self, page: str) -> int | str:
        """The image that a row's address means, or the reason why there is none."""
        # dataset/download_wga.py writes the whole path into the file's name.
        in_one = re.sub(r"[^a-z0-9-]+", "_", page.casefold()).strip("_-")[-120:].strip("_-")
        for end in [*_ends(page)[:1], in_one, *_ends(page)[1:]]:
            if end in self._ends:
                if len(self._claimed.get(end, ())) > 1:
                    return f"the addresses of several works end in {end}"
                return _only(self._ends[end], end)
        return f"there is no picture of the name {page}"


def role_of(path: str, number: str = "") -> str:
    """What a picture shows of its object, as far as its name says it beside the inventory number."""
    words = _parts(PurePosixPath(path).stem)
    own = set(_parts(number))
    # A single letter means a side only right at the end, as in 1921.2_v.
    sides = [ROLE_OF[w] for place, w in enumerate(words) if w in ROLE_OF and w not in own
             and (len(w) > 2 or (place == len(words) - 1 and number))]  # fmt: skip
    return sides[-1] if sides else ""


def _is_sure(parts: list[str], start: int, end: int) -> bool:
    """Whether these parts of a name are an inventory number and not a count: in 12_detail, not in 12_men."""
    inside = parts[start:end]
    if len(inside) > 1 or (inside[0].isdigit() and len(inside[0]) >= STRONG):
        return start == 0 or not (parts[start - 1].isdigit() and inside[0].isdigit())
    rest = parts[:start] + parts[end:]
    return start == 0 and all(part in ROLE_OF or part in BESIDE or len(part) <= 2 for part in rest)


def _parts(text: str) -> list[str]:
    """The letters and the numbers in a name: "NG 1921.2" -> ng, 1921, 2."""
    return re.findall(r"\d+|[^\W\d_]+", _same(text))


def _same(name: str) -> str:
    """A name as it is compared: one Unicode form, small letters, marks left out as some systems write them."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c)) if not folded.isascii() else folded


class _Names:
    """The images by their names, from the surest way to name one to the least sure."""

    def __init__(self, images: dict[int, str]):
        self._exact = {path: image for image, path in images.items()}
        self.whole: dict[str, int | list[int]] = {}  # end of a path, with its extension; several images as a list
        self.stems: dict[str, int | list[int]] = {}  # the same without
        for image, path in images.items():
            path = unicodedata.normalize("NFC", path)
            _add(self.whole, _ends(path), image)
            _add(self.stems, _ends(_without_extension(path)), image)

    def find_all(self, cell: str) -> tuple[list[tuple[int, int]], str]:
        """(image, how sure) of each name in a cell, and the reason where one of them leads to none."""
        if not cell:
            return [], ""
        names = [name.strip().strip('"') for name in re.split(r"[|;\n]", cell) if name.strip()]
        found = self.find(cell)
        # One name that holds such a sign, unless that is only the last of several: in "a/1.jpg|a/2.jpg", a/2.jpg.
        if isinstance(found, tuple) and (len(names) < 2 or found[1] > PART):
            return [found], ""
        each = [self.find(name) for name in names] if len(names) > 1 else []
        several = [one for one in each if isinstance(one, tuple)]
        reasons = [one for one in each if isinstance(one, str)]
        if several:
            return several, next(iter(reasons), "")
        return ([found], "") if isinstance(found, tuple) else ([], next(iter(reasons), found))

    def find(self, name: str) -> tuple[int, int] | str:
        """(the image that a name means, how sure), or the reason why there is none."""
        path = name.replace("\\", "/").removeprefix("./")
        if path in self._exact:
            return self._exact[path], EXACT
        if "://" in path:
            path = unquote(urlsplit(path).path)
        path = unicodedata.normalize("NFC", re.sub(r"^[A-Za-z]:", "", path)).strip("/")
        # The longest end that some image has; a whole name before one without its extension.
        for names, wanted in ((self.whole, path), (self.stems, _without_extension(path)), (self.stems, path)):
            for end in _ends(wanted):
                if end in names:
                    image = _only(names[end], name)
                    sure = END if end == wanted.casefold() else PART
                    return image if isinstance(image, str) else (image, sure)
        return f"there is no picture of the name {name}"


def _without_extension(path: str) -> str:
    return re.sub(r"\.[A-Za-z]\w{1,4}$", "", path) or path


def _add(names: dict[str, int | list[int]], ends: list[str], image: int) -> None:
    """Note an image under each end; most have one image only, and need no list."""
    for end in ends:
        before = names.setdefault(end, image)
        if before != image:
            names[end] = [*before, image] if isinstance(before, list) else [before, image]


def _ends(path: str) -> list[str]:
    """a/aachen/allegory -> itself, aachen/allegory, allegory; in small letters."""
    parts = path.casefold().split("/")
    return ["/".join(parts[place:]) for place in range(len(parts))] if path else []


def _page(url: str) -> str:
    """What of an address names the picture: https://www.wga.hu/html/a/aachen/allegory.html -> a/aachen/allegory."""
    try:
        path = unquote(urlsplit(url).path).strip("/").removeprefix("html/")
    except ValueError:
        return ""
    return re.sub(r"\.\w{1,5}$", "", path)


def _only(found: int | list[int], name: str) -> int | str:
    return found if isinstance(found, int) else f"{len(found)} pictures have the name {name}"

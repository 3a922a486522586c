"""Fetches objects with their pictures from what a museum publishes as IIIF: a manifest, or a collection of them.

    python dataset/import_iiif.py https://museum.example/iiif/collection.json
    python dataset/import_iiif.py https://museum.example/iiif/collection.json --side 3000 --language de
    python dataset/import_iiif.py https://museum.example/a/manifest.json https://museum.example/b/manifest.json

The pictures go into a sub-folder of the dataset, with register.csv beside them: inventory numbers, titles, artists and
whatever else the manifests say, to be read by load_catalog. The same command goes on where it was interrupted, and
later takes what is new or has changed; what is no longer published is reported and kept. problems.csv lists what could
not be had. Mind the museum's terms.
"""

import csv
import hashlib
import json
import re
import sqlite3
import sys
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config import Settings
from database.register import columns
from database.register.text import guarded
from dataset import iiif
from dataset.fetching import (
    FOLDER_SIZE,
    MAX_WAIT,
    Edition,
    Fetched,
    Fetcher,
    NotFetched,
    TryAgain,
    host_of,
    is_there,
    is_web_address,
    only_one,
    save,
)
from utils import images
from utils.errors import Failed, WrongUse
from utils.files import whole
from utils.script import plain_parser, progress, run

AGENT = "ScalableImageRetrieval/1.0 (dataset/import_iiif.py; one request at a time)"
ACCEPT = "application/ld+json, application/json, image/*;q=0.9, */*;q=0.1"
MAX_DOCUMENT = 50_000_000  # bytes of a manifest or collection
MAX_BYTES = 500_000_000  # of one picture
MAX_DEPTH = 20  # collections within each other
MAX_COLLECTIONS = 10_000  # each of their pages counts
MAX_MANIFESTS = 500_000
MAX_COLUMNS = 300  # of the register
STATE = ".import.sqlite"  # in the sub-folder; hidden files are no pictures to the other steps
TRIED_SIDE = 256  # pixels; a picture is decoded at least as large as this, to see that it can be
ENDINGS = {
    "JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "HEIC": ".heic",
    "AVIF": ".avif", "JPEG 2000": ".jp2", "JPEG XL": ".jxl", "camera raw": ".dng",
}  # fmt: skip
FIRST = tuple(
    columns.LABELS[name] for name in ("number", "title", "author", "date", "technique", "dimensions", "rights")
)
SOURCE, FILES, MANIFEST = "Source address", "Image file", "Manifest"  # further columns of the register


@dataclass
class Report:
    """What is to be said at the end."""

    problems: list[tuple[str, str, str]] = field(default_factory=list)  # address, file, reason
    failed: set[str] = field(default_factory=set)  # manifests and pictures that exist but could not be had
    there: int = 0  # pictures
    fetched: int = 0
    changed: int = 0  # of those fetched
    everything_read: bool = True  # otherwise nobody knows what is no longer published

    def problem(self, address: str, reason: object, file: str = "") -> None:
        self.problems.append((address, file, str(reason)))


def main(argv: list[str] | None = None) -> None:
    settings = Settings.read()
    options = plain_parser(__doc__)
    options.add_argument("addresses", nargs="+", metavar="URL", help="a IIIF manifest or collection")
    options.add_argument(
        "--dataset", type=Path, default=settings.dataset, metavar="DIR", help="where the pictures go (%(default)s)"
    )
    options.add_argument("--name", help="of the sub-folder; otherwise made from the first address")
    options.add_argument(
        "--side",
        type=int,
        default=1600,
        metavar="PIXELS",
        help="long side of a picture where its server gives sizes; 0: as large as it is (%(default)s)",
    )
    options.add_argument(
        "--language", default="en", help="of labels and texts, with others to fall back on: de,en (%(default)s)"
    )
    options.add_argument(
        "--pause",
        type=float,
        default=1.0,
        help="seconds between two requests to one host; doubles with every retry (%(default)s)",
    )
    options.add_argument("--retries", type=int, default=4, help="of one file in one run (%(default)s)")
    args = options.parse_args(argv)
    check(args)

    folder = args.dataset / (args.name or folder_name(args.addresses[0]))
    report = Report()
    with only_one(folder), closing(State(folder / STATE)) as state:
        try:
            with Fetcher(AGENT, ACCEPT, args.pause, args.retries) as fetcher:
                walk(args.addresses, fetcher, state, report)
                fetch_pictures(folder, fetcher, state, args.side, settings, report)
            gone = tell_gone(state, report)
            state.finish()
        finally:
            rows = write_register(folder, state, languages(args.language), report)
            if rows:
                write_problems(folder / "problems.csv", report)
            elif state.is_empty():
                state.close()
                (folder / STATE).unlink()
                folder.rmdir()  # a misspelled address leaves nothing behind
    print(
        f"{rows:,} objects; {report.there + report.fetched:,} pictures: {report.there:,} were there, "
        f"{report.fetched:,} fetched ({report.changed:,} of them changed); {len(report.problems) - gone:,} problems, "
        f"{gone:,} no longer published; register in {folder / 'register.csv'}."
    )
    if len(report.problems) > gone:
        raise Failed(f"{folder / 'problems.csv'} lists what could not be had; repeat the command to try again.")
    if gone:
        print(f"{folder / 'problems.csv'} lists what is no longer published; its pictures and rows are kept.")


def check(args) -> None:
    """Raise WrongUse for arguments that cannot work."""
    if not 0 <= args.pause <= MAX_WAIT or args.retries < 0:
        raise WrongUse(f"--pause is 0 to {MAX_WAIT} seconds, --retries 0 or more.")
    if args.side != 0 and args.side < 64:
        raise WrongUse("--side is 64 pixels or more, or 0 for pictures as large as they are.")
    if args.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", args.name):
        raise WrongUse("--name is a folder's name of letters, digits, dots, hyphens and underscores.")
    if not languages(args.language):
        raise WrongUse(f"--language {args.language} is no language: write en, or de,en.")
    for address in args.addresses:
        if not is_web_address(address) or iiif.id_of(address) != address:
            raise WrongUse(f"{address} is not an http or https address of a IIIF manifest or collection.")


def languages(text: str) -> tuple[str, ...]:
    """The languages of an option such as "de,en", with English behind them; none where it is not understood."""
    named = [one.strip().lower().replace("_", "-") for one in text.split(",")]
    if not all(re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]+)*", one) for one in named):
        return ()
    return tuple(dict.fromkeys([*named, "en"]))


def folder_name(address: str) -> str:
    """A sub-folder for an address: https://museum.example/iiif/x -> museum_example-1c2b3a4d."""
    return f"{slug(host_of(address), 60)}-{digest(address)}"


def slug(text: str, most: int) -> str:
    """Letters a-z, digits, hyphens and underscores only; may be empty."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]+", "_", letters).strip("_-")[:most].strip("_-")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


# What is known from earlier


class State:
    """Documents and pictures of earlier runs and of this one, in a SQLite file: safe against a killed process.

    A run that was interrupted goes on with its number, and does not ask again for what it has asked for; the first
    run after a finished one has the next number, and asks for everything whether it has changed.
    """

    FORMAT = 1
    TABLES = """
        CREATE TABLE IF NOT EXISTS run (number INTEGER NOT NULL, finished INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS documents (
            address TEXT PRIMARY KEY, run INTEGER NOT NULL, position INTEGER NOT NULL, manifest INTEGER NOT NULL,
            etag TEXT NOT NULL, modified TEXT NOT NULL, content BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS pictures (
            id TEXT PRIMARY KEY, run INTEGER NOT NULL, side INTEGER NOT NULL, address TEXT NOT NULL,
            file TEXT NOT NULL, etag TEXT NOT NULL, modified TEXT NOT NULL, size INTEGER NOT NULL);
    """

    def __init__(self, path: Path):
        self.db = sqlite3.connect(path)
        self.db.row_factory = sqlite3.Row
        try:
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, self.FORMAT):
                raise sqlite3.DatabaseError("another version")
            self.db.executescript(self.TABLES + f"PRAGMA user_version = {self.FORMAT};")
            run = self.db.execute("SELECT number, finished FROM run").fetchone()
            if not run:
                self.db.execute("INSERT INTO run VALUES (1, 0)")
            elif run["finished"]:
                self.db.execute("UPDATE run SET number = number + 1, finished = 0")
            self.db.commit()
            self.run = self.db.execute("SELECT number FROM run").fetchone()["number"]
        except sqlite3.DatabaseError as problem:
            self.db.close()
            raise WrongUse(
                f"{path} cannot be read ({problem}): delete it, and the next run fetches everything again."
            ) from None

    def close(self) -> None:
        self.db.close()

    def finish(self) -> None:
        """This run has reached its end."""
        self._write("UPDATE run SET finished = 1")

    def is_empty(self) -> bool:
        return not self.db.execute("SELECT 1 FROM documents LIMIT 1").fetchone()

    def document(self, address: str) -> sqlite3.Row | None:
        return self.db.execute("SELECT * FROM documents WHERE address = ?", (address,)).fetchone()

    def keep_document(self, address: str, position: int, document: dict, edition: Edition) -> None:
        """Remember a manifest or collection as read in this run."""
        content = zlib.compress(json.dumps(document).encode())
        manifest = iiif.kind(document) == "Manifest"
        values = (address, self.run, position, manifest, edition.etag, edition.modified, content)
        self._write("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def manifests(self) -> Iterator[tuple[sqlite3.Row, dict]]:
        """Those of this run in their order, then those of earlier ones: row and document."""
        order = "SELECT * FROM documents WHERE manifest ORDER BY run < ?, position, address"
        for row in self.db.execute(order, (self.run,)):
            yield row, content_of(row)

    def picture(self, id: str) -> sqlite3.Row | None:
        return self.db.execute("SELECT * FROM pictures WHERE id = ?", (id,)).fetchone()

    def keep_picture(self, id: str, side: int, address: str, file: str, edition: Edition) -> None:
        """Remember a picture as asked for in this run; side: as the option has it, file: relative to the folder."""
        values = (id, self.run, side, address, file, edition.etag, edition.modified, edition.size)
        self._write("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def old(self, table: str, condition: str = "1") -> Iterator[sqlite3.Row]:
        """Rows of "documents" or "pictures" that this run has not met."""
        yield from self.db.execute(f"SELECT * FROM {table} WHERE run < ? AND {condition}", (self.run,))

    def _write(self, statement: str, values: tuple = ()) -> None:
        with self.db:
            self.db.execute(statement, values)


def content_of(row: sqlite3.Row) -> dict:
    return json.loads(zlib.decompress(row["content"]))


def edition_of(row: sqlite3.Row) -> Edition:
    return Edition(row["etag"], row["modified"], row["size"])


# Manifests and collections


@dataclass(frozen=True)
class Stop:
    """A document to read."""

    address: str
    kind: str  # Manifest, Collection or empty
    depth: int  # collections above it
    document: dict | None = None  # where the collection above holds the whole of it


def walk(addresses: list[str], fetcher: Fetcher, state: State, report: Report) -> None:
    """Read every manifest that the addresses lead to, each document once, and keep them in `state`.

    What cannot be read is reported and left out. Raises Failed or WrongUse where none of the addresses can be read,
    and Failed where the server seems to be away.
    """
    todo = [Stop(address, "", 0) for address in reversed(addresses)]
    known = set(addresses)
    counts = {"Manifest": 0, "Collection": 0}
    first_problem: Exception | None = None
    with progress(total=len(todo), what="Reading manifests", unit=" documents") as bar:
        while todo:
            stop = todo.pop()
            try:
                document = read(stop, sum(counts.values()), fetcher, state)
            except (NotFetched, iiif.NotIIIF) as problem:
                first_problem = first_problem or problem
                not_read(stop, problem, report)
                if isinstance(problem, NotFetched):
                    fetcher.stop_if_away(stop.address, problem)
                bar.update()
                continue
            counts[iiif.kind(document)] += 1
            bar.update()
            if iiif.kind(document) == "Collection":
                new = below(stop, document, known, report)
                todo += reversed(new)
                bar.total += len(new)
            if reason := over_limit(counts):
                if todo:
                    report.problem(todo[-1].address, f"{reason}: from here on, nothing more is read")
                    report.everything_read = False
                break
    if not sum(counts.values()):
        address, _, reason = report.problems[0]
        if isinstance(first_problem, TryAgain):
            raise Failed(f"{address} could not be read: {reason}. Repeat the command later.")
        raise WrongUse(
            f"{address} could not be read: {reason}; the address of a IIIF manifest or collection is needed."
        )


def read(stop: Stop, position: int, fetcher: Fetcher, state: State) -> dict:
    """A document: from the collection above it, from this run so far, or from its server."""
    if stop.document:
        state.keep_document(stop.address, position, stop.document, Edition())
        return stop.document
    kept = state.document(stop.address)
    if kept and kept["run"] == state.run:
        return content_of(kept)
    if not is_web_address(stop.address):
        raise NotFetched("not an http or https address")
    # Without its length: a word may have been replaced by another that is as long.
    known = Edition(kept["etag"], kept["modified"]) if kept else None
    fetched = fetcher.get(stop.address, MAX_DOCUMENT, known)
    if fetched:
        document, edition = iiif.parse(fetched.data), fetched.edition
    else:
        document, edition = content_of(kept), known
    state.keep_document(stop.address, position, document, edition)
    return document


def not_read(stop: Stop, problem: Exception, report: Report) -> None:
    """Report a document that cannot be had. Unless its server says that it is gone, it still exists."""
    report.problem(stop.address, problem)
    if not (isinstance(problem, NotFetched) and problem.status in (404, 410)):
        report.failed.add(stop.address)
    if stop.kind != "Manifest":
        report.everything_read = False


def below(stop: Stop, collection: dict, known: set[str], report: Report) -> list[Stop]:
    """What a collection leads to that is not known yet; it is known then."""
    found = []
    for member in iiif.members(collection):
        if member.address in known:
            continue
        known.add(member.address)
        depth = stop.depth if member.next_page else stop.depth + 1
        if depth > MAX_DEPTH:
            report.problem(member.address, f"more than {MAX_DEPTH} collections within each other: not followed")
            report.everything_read = False
        else:
            found.append(Stop(member.address, member.kind, depth, member.document))
    return found


def over_limit(counts: dict[str, int]) -> str:
    """Which limit is reached, in words; empty where none is."""
    if counts["Collection"] >= MAX_COLLECTIONS:
        return f"{MAX_COLLECTIONS:,} collections are the most that one import reads"
    if counts["Manifest"] >= MAX_MANIFESTS:
        return f"{MAX_MANIFESTS:,} manifests are the most that one import reads"
    return ""


# Pictures


def fetch_pictures(folder: Path, fetcher: Fetcher, state: State, side: int, settings: Settings, report: Report) -> None:
    """Fetch what is new or changed of this run's manifests. Raises Failed where the server seems to be away."""
    wanted: dict[str, tuple[iiif.Picture, str]] = {}  # by id: several objects may show the same picture
    for row, document in state.manifests():
        if row["run"] < state.run and row["address"] not in report.failed:
            continue
        manifest = iiif.read_manifest(document)
        if not manifest.pictures:
            report.problem(row["address"], "no picture that is painted on a canvas")
        if len(manifest.pictures) == iiif.MAX_PICTURES:
            report.problem(row["address"], f"only its first {iiif.MAX_PICTURES:,} pictures are taken")
        name = manifest.fields.get(iiif.NUMBER) or re.sub(r"/(manifest|info)?(\.json)?$", "", row["address"])
        start = f"{row['position'] // FOLDER_SIZE:05d}/{slug(name.rpartition('/')[2], 60)}"
        for count, picture in enumerate(manifest.pictures, 1):
            which = f"_{count:02d}" if len(manifest.pictures) > 1 else ""  # so that files sort as the canvases do
            wanted.setdefault(picture.id, (picture, f"{start}{which}-{digest(picture.id)}"))
    for picture, start in progress(wanted.values(), what="Fetching pictures", unit=" pictures"):
        try:
            fetch_picture(folder, picture, start, fetcher, state, side, settings, report)
        except NotFetched as problem:
            report.problem(picture.id, problem, start)
            report.failed.add(picture.id)
            fetcher.stop_if_away(picture.id, problem)


def fetch_picture(
    folder: Path,
    picture: iiif.Picture,
    start: str,
    fetcher: Fetcher,
    state: State,
    side: int,
    settings: Settings,
    report: Report,
) -> None:
    """Fetch a picture unless it is there and unchanged. start: its file, without its ending.

    Raises NotFetched; an earlier edition of the picture stays then.
    """
    side = side if picture.service else 0  # a plain file has one size only
    kept = state.picture(picture.id)
    there = kept and is_there(folder / kept["file"]) and (folder / kept["file"]).stat().st_size == kept["size"]
    same = there and kept["side"] == side
    if same and kept["run"] == state.run:
        report.there += 1
        return
    address, fetched = ask(picture, side, fetcher, kept if same else None)
    if not fetched:
        state.keep_picture(picture.id, side, address, kept["file"], edition_of(kept))
        report.there += 1
        return
    start = kept["file"].rpartition(".")[0] if kept else start
    file = start + ending(fetched.data, settings)
    save(folder / file, fetched.data)
    state.keep_picture(picture.id, side, address, file, fetched.edition)
    if kept and kept["file"] != file:
        (folder / kept["file"]).unlink(missing_ok=True)  # the same picture in another format
    report.fetched += 1
    report.changed += bool(same)


def ask(picture: iiif.Picture, side: int, fetcher: Fetcher, kept: sqlite3.Row | None) -> tuple[str, Fetched | None]:
    """The address that gives the picture, and what it gives: None where it is the edition that is kept.

    A service that refuses the size asked for is asked what it offers, and at last for what the manifest names.
    """
    refused = NotFetched("no usable address")
    tried = set()
    for address in chain([kept["address"]] if kept else [], addresses_of(picture, side, fetcher)):
        if address in tried or not is_web_address(address):
            continue
        known = edition_of(kept) if kept and not tried else None
        tried.add(address)
        try:
            return address, fetcher.get(address, MAX_BYTES, known)
        except TryAgain:
            raise
        except NotFetched as problem:
            refused = problem
    raise refused


def addresses_of(picture: iiif.Picture, side: int, fetcher: Fetcher) -> Iterator[str]:
    """Where a picture may be had, the best first; the later ones cost a request more."""
    first = iiif.sized(picture, side)
    if first:
        yield first
    if not picture.service:
        return
    info_address = iiif.info_address(picture.service)
    try:
        fetched = fetcher.get(info_address, MAX_DOCUMENT) if is_web_address(info_address) else None
        info = json.loads(fetched.data) if fetched else None
    except TryAgain:
        raise
    except (NotFetched, ValueError, RecursionError):
        info = None
    second = iiif.sized_by(info, picture.service, side)
    yield from filter(None, (second, picture.full))


def ending(data: bytes, settings: Settings) -> str:
    """The ending of a picture's file name, by its content. Raises NotFetched where it cannot be decoded."""
    try:
        limits = {"max_pixels": settings.max_pixels, "min_side": settings.min_side, "max_side": settings.max_side}
        images.load(data, **limits, at_least=TRIED_SIDE)
        return ENDINGS[images.probe(data, **limits).format]
    except images.ImageProblem as problem:
        raise NotFetched(f"not a usable picture: {problem}") from None


# What is said at the end


def tell_gone(state: State, report: Report) -> int:
    """Report what earlier runs had and this one did not meet; how many that are. Nothing of it is deleted."""
    if not report.everything_read:
        return 0
    reported = {address for address, _, _ in report.problems}
    before = len(report.problems)
    for row in state.old("documents", "manifest"):
        if row["address"] not in reported:
            report.problem(row["address"], "no longer published; its pictures and its row are kept")
    for row in state.old("pictures"):
        if row["id"] not in reported:
            report.problem(row["id"], "no longer published; kept", row["file"])
    return len(report.problems) - before


def rows_of(folder: Path, state: State, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of the register: column -> text."""
    for row, document in state.manifests():
        manifest = iiif.read_manifest(document, wanted)
        kept = [state.picture(picture.id) for picture in manifest.pictures]
        files = [one["file"] for one in kept if one and is_there(folder / one["file"])]
        yield manifest.fields | {
            SOURCE: manifest.homepage if is_web_address(manifest.homepage) else row["address"],
            FILES: "|".join(f"{folder.name}/{file}" for file in files),
            MANIFEST: row["address"],
        } | dict(manifest.further)  # fmt: skip


def write_register(folder: Path, state: State, wanted: tuple[str, ...], report: Report) -> int:
    """Write register.csv, whole or not at all; how many rows it has. With none, an earlier one stays."""
    headings: dict[str, str] = {name.casefold(): name for name in (*FIRST, SOURCE, FILES, MANIFEST)}
    left_out: dict[str, None] = {}
    count = 0
    for row in rows_of(folder, state, wanted):
        count += 1
        for name in row:
            if name.casefold() not in headings:
                (headings if len(headings) < MAX_COLUMNS else left_out).setdefault(name.casefold(), name)
    if not count:
        return 0
    if left_out:
        report.problem("", f"{len(left_out):,} labels are left out: a register has {MAX_COLUMNS} columns at most")
    with whole(folder / "register.csv") as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(guarded, headings.values()))
        for row in rows_of(folder, state, wanted):
            texts = {name.casefold(): text for name, text in row.items()}
            writer.writerow([guarded(texts.get(name, "")) for name in headings])
    return count


def write_problems(path: Path, report: Report) -> None:
    """Write address, file and reason of what could not be had or is gone; with none, remove the list of before."""
    if not report.problems:
        path.unlink(missing_ok=True)
        return
    with whole(path) as part, part.open("w", encoding="utf-8-sig", newline="", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(("address", "file", "reason"))
        writer.writerows(map(guarded, problem) for problem in report.problems)


if __name__ == "__main__":
    run(main)

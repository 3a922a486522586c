"""Fetches the pictures of the Web Gallery of Art that its published catalogue lists.

Get the catalogue (CSV or Excel) from the gallery's database page, then:

    python dataset/download_wga.py catalog.csv
    python dataset/download_wga.py catalog.xlsx --dataset /srv/wga --pause 2
    python dataset/download_wga.py catalog.csv --base http://127.0.0.1:8000   (a mirror)

The pictures go into sub-folders of 3,000 of the dataset, the catalogue with a FILE column to
database/catalog.csv, what failed to database/failed.csv. The same command goes on where it was
interrupted and tries again what failed. The pictures are for study; mind the gallery's terms.
"""

import csv
import io
import re
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config import Settings
from database import catalog
from database.catalog import Work
from dataset.fetching import FOLDER_SIZE, MAX_WAIT, Fetcher, NotFetched, is_there, make_folder, only_one, save
from utils.errors import Failed, WrongUse
from utils.script import plain_parser, progress, run

AGENT = "ScalableImageRetrieval/1.0 (dataset/download_wga.py; one request at a time)"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
MAX_BYTES = 50_000_000  # of one picture


@dataclass(frozen=True)
class Picture:
    """One picture to fetch."""

    file: str  # relative to the dataset
    address: str


@dataclass(frozen=True)
class Failure:
    """One row of failed.csv."""

    file: str
    url: str
    reason: str


def main(argv: list[str] | None = None) -> None:
    settings = Settings.read()
    options = plain_parser(__doc__)
    options.add_argument(
        "--dataset", type=Path, default=settings.dataset, metavar="DIR", help="where the pictures go (%(default)s)"
    )
    options.add_argument("catalog", type=Path, metavar="CATALOG", help="the published catalogue, CSV or Excel")
    options.add_argument("--base", metavar="URL", help="fetch from this address instead of the catalogue's")
    options.add_argument(
        "--pause", type=float, default=1.0, help="seconds between requests; doubles with every retry (%(default)s)"
    )
    options.add_argument("--retries", type=int, default=4, help="of one picture in one run (%(default)s)")
    options.add_argument(
        "--catalog-copy",
        type=Path,
        default=Path("database/catalog.csv"),
        metavar="FILE",
        help="where the catalogue goes (%(default)s); failed.csv is written beside it",
    )
    args = options.parse_args(argv)
    if not 0 <= args.pause <= MAX_WAIT or args.retries < 0:
        raise WrongUse(f"--pause is 0 to {MAX_WAIT} seconds, --retries 0 or more.")
    if args.base is not None and not re.match(r"https?://[^/]", args.base):
        raise WrongUse(f"--base {args.base} is not an http or https address.")

    works = catalog.read(args.catalog)
    with only_one(args.dataset):
        works, pictures, failures = plan(works, kept_files(args.catalog_copy, works), args.base)
        make_folder(args.catalog_copy.parent)
        catalog.write(args.catalog_copy, works)
        missing = [picture for picture in pictures if not is_there(args.dataset / picture.file)]
        failed_csv = args.catalog_copy.with_name("failed.csv")
        try:
            fetch_all(missing, args, settings.max_pixels, failures)
        finally:
            write_failures(failed_csv, failures)

    there = len(pictures) - len(missing)
    fetched = sum(is_there(args.dataset / picture.file) for picture in missing)
    print(
        f"{len(works)} works: {there} pictures were there, {fetched} fetched, {len(failures)} failed; "
        f"catalogue in {args.catalog_copy}."
    )
    if failures:
        raise Failed(f"{failed_csv} lists what could not be fetched; repeat the command to try again.")


# What to fetch, and where it goes


def page_name(page: str) -> str:
    """What stands between /html/ and .html in a page's address: a/aachen/allegory.

    Raises ValueError, with the reason, for what is no page of the gallery.
    """
    parts = urlsplit(page)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https address")
    match = re.fullmatch(r"/html/(.+)\.html?", parts.path, re.IGNORECASE)
    # The decoded path is checked: %2e%2e%2f climbs as well as ../ does.
    if not match or {"", ".", ".."} & set(re.split(r"[/\\]", unquote(match[1]))):
        raise ValueError("not a page of the gallery (/html/.../name.html)")
    return match[1]


def picture_address(page: str, base: str | None = None) -> str:
    """The address of a page's picture: https://www.wga.hu/html/a/x.html -> https://www.wga.hu/art/a/x.jpg.

    base: an address to use instead of the page's scheme, host and port. Raises ValueError as page_name does.
    """
    parts = urlsplit(page)
    host = parts.netloc.rpartition("@")[2]  # without a user name and password
    start = base.rstrip("/") if base else f"{parts.scheme}://{host}"
    return f"{start}/art/{page_name(page)}.jpg"


def file_name(page: str) -> str:
    """A safe file name for a page's picture: .../html/a/aachen/allegory.html -> a_aachen_allegory.jpg."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", unquote(page_name(page))).strip("_-")
    return (stem[-120:].strip("_-") or "picture") + ".jpg"


def plan(works: list[Work], kept: dict[str, str], base: str | None) -> tuple[list[Work], list[Picture], list[Failure]]:
    """The works with their files, the pictures to have, and the rows that name no picture.

    The row's position decides the sub-folder and, where two addresses give the same name, the number
    behind it, so that every run with the same catalogue names the files alike.

    kept: page -> file from an earlier edition of the catalogue; these stay where they are.
    """
    files = dict(kept)
    taken = {Path(file).name.casefold() for file in kept.values()}
    named, pictures, failures = [], {}, []
    for position, work in enumerate(works):
        try:
            address = picture_address(work.url, base)
        except ValueError as problem:
            failures.append(Failure("", work.url, str(problem)))
            named.append(replace(work, file=""))
            continue
        if work.url not in files:
            name = free_name(file_name(work.url), taken)
            files[work.url] = f"{position // FOLDER_SIZE:05d}/{name}"
        file = files[work.url]
        named.append(replace(work, file=file))
        pictures[file] = Picture(file, address)  # several rows may show the same page
    return named, list(pictures.values()), failures


def free_name(name: str, taken: set[str]) -> str:
    """`name`, or name-2, name-3 ...: the first that is not taken in any case; it is taken then."""
    stem, number = name.removesuffix(".jpg"), 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}.jpg"
    taken.add(name.casefold())
    return name


def kept_files(copy: Path, works: list[Work]) -> dict[str, str]:
    """Page -> file, as the copy of the catalogue from an earlier run has them; {} where there is none.

    Raises WrongUse where the copy holds works that `works` lacks: then it is another catalogue, which is not
    to be lost. A newer edition, which adds works, is welcome.
    """
    if not copy.exists():
        return {}

    def key(work: Work) -> tuple[str, ...]:
        return (work.url,) if work.url else (work.author, work.title)

    known = {key(work) for work in works}
    old = catalog.read(copy)
    lost = sum(key(work) not in known for work in old)
    if lost:
        raise WrongUse(
            f"{copy} is another catalogue: {lost} of its {len(old)} works are not in the one given. "
            "Move it away, or choose another place with --catalog-copy FILE."
        )
    # The file may have been edited since; only names that this script could have given are trusted.
    ours = re.compile(r"[0-9]{5}/[A-Za-z0-9][A-Za-z0-9_-]*\.jpg")
    return {work.url: work.file for work in old if work.url and ours.fullmatch(work.file)}


# Fetching


def fetch_all(pictures: list[Picture], args, max_pixels: int, failures: list[Failure]) -> None:
    """Fetch one picture after the other; what cannot be had is added to `failures`.

    Raises Failed where the server seems to be away.
    """
    with Fetcher(AGENT, "image/*", args.pause, args.retries) as fetcher:
        for picture in progress(pictures, what="Downloading"):
            try:
                fetched = fetcher.get(picture.address, MAX_BYTES)
                check(fetched.data, max_pixels)
                save(args.dataset / picture.file, fetched.data)
            except NotFetched as problem:
                failures.append(Failure(picture.file, picture.address, str(problem)))
                fetcher.stop_if_away(picture.address, problem)


def check(data: bytes, max_pixels: int) -> None:
    """Raise NotFetched where the header is not that of a picture, or of one with more than `max_pixels`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; max_pixels decides here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = max_pixels + 1
    except Exception:  # rubbish makes Pillow raise many kinds of errors; all mean the same
        raise NotFetched("not a picture") from None
    if pixels > max_pixels:
        raise NotFetched("too many pixels")


def write_failures(path: Path, failures: list[Failure]) -> None:
    """Write file, url and reason of each failure; with none, remove the list of an earlier run."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "url", "reason"))
    writer.writerows((failure.file, failure.url, failure.reason) for failure in failures)
    save(path, text.getvalue().encode())


if __name__ == "__main__":
    run(main)

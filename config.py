"""Every setting with its default and its unit; an environment variable overrides it.

The variable is the setting's name in capitals behind `RETRIEVAL_`:

    RETRIEVAL_WEIGHTS=bundled RETRIEVAL_OUTPUT=/srv/output python train.py

An unknown `RETRIEVAL_...` variable is refused rather than ignored: it is most often a misspelling.
`DATABASE_URL`, without the prefix, is the one exception: hosting services set it by that name.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from utils.errors import WrongUse

PREFIX = "RETRIEVAL_"
MAY_BE_ZERO = ("second_looks", "workers", "proxies", "waiting", "keep_days")  # all other numbers are 1 at least
CHOICES = {"registration": ("open", "invitation", "closed"), "mail_security": ("starttls", "tls", "none")}
SWITCH = {"1": True, "on": True, "yes": True, "true": True, "0": False, "off": False, "no": False, "false": False}


@dataclass(frozen=True)
class Settings:
    """The settings of scripts and site; `Settings.read()` applies the environment."""

    # Folders
    dataset: Path = Path("dataset/images")  # the pictures, in any tree of sub-folders
    lists: Path = Path("dataset/lists")  # what create_list.py writes
    output: Path = Path("output")  # what the other steps write; safe to delete
    data: Path = Path("../shared/data")  # evaluation pictures of tests and benchmarks; may be absent

    # Pictures
    max_pixels: int = 400_000_000  # a larger picture is refused before it is decoded
    min_side: int = 16  # pixels; a smaller picture shows nothing

    # Network and descriptor
    weights: str = "imagenet"  # imagenet, bundled, or a file
    pooling: str = "cam_gem"  # cam_gem, cam (as published), crow, spoc, mac, gem or rmac
    classes: int = 64  # class vectors an image (poolings cam_gem and cam)
    dimensions: int = 512  # of the descriptor, after whitening; 512 at most
    size: str = "512x384"  # pixels of a horizontal picture in the network, long x short side
    batch_size: int = 8  # pictures in one pass of the network
    precision: str = "auto"  # auto, float32 or bfloat16
    whitening_sample: int = 5120  # pictures the whitening is fitted on, at most

    # Local features
    feature: str = "orb"  # orb or sift
    keypoints: int = 500  # of a work, at most
    feature_side: int = 800  # pixels; a work's long side is reduced to this for local features
    query_keypoints: int = 2000  # of a query, at most; it shows more than the work
    query_side: int = 1024  # pixels; the same for a query

    # Search
    index: str = "SQfp16"  # FAISS factory string of the vector index
    shortlist: int = 100  # candidates that are re-ranked
    long_shortlist: int = 3000  # the same where the shortlist leads nowhere
    second_looks: int = 2  # paintings on a photograph that are looked at where the whole leads nowhere

    # Work
    store_gigabytes: int = 256  # the collection store may grow to this; it takes only what it needs
    workers: int = 0  # processes or threads; 0: one a core

    # Web site: where it is
    database: Path = Path("database")  # folder of accounts and queries (SQLite), uploads, catalogue and secret key
    database_url: str = ""  # DATABASE_URL: a PostgreSQL in place of SQLite, postgresql://user:password@host/name
    host: str = "127.0.0.1"  # address that app.py listens on; 0.0.0.0: on all of this computer
    port: int = 5000
    statistics_port: int = 5001  # that app_statistics.py listens on
    hosts: str = "localhost 127.0.0.1 [::1]"  # names the site is reached by; a request for another is refused
    proxies: int = 0  # reverse proxies before the site, whose X-Forwarded headers are believed
    secure_cookies: bool = True  # off: sign-in over plain http works from other computers too, and can be overheard
    title: str = "Image search"  # of the site, on its pages and in its letters

    # Web site: who may do what
    registration: str = "open"  # open, invitation (of an administrator) or closed
    private: bool = False  # on: the collection is shown to people with an account only
    addresses: bool = False  # on: a picture may be given by its web address, and the site fetches it
    upload_megabytes: int = 200  # of an uploaded file, at most
    upload_pixels: int = 250_000_000  # of an uploaded picture, at most
    upload_side: int = 2048  # pixels; the long side of what is kept of an upload
    keep_days: int = 365  # uploads and answers older than this are deleted; 0: never
    computing: int = 2  # queries that compute at the same time
    waiting: int = 8  # queries that wait for their turn; one more is told to come back

    # Web site: letters; without a server they are written to OUTPUT/outbox
    mail_server: str = ""
    mail_port: int = 587
    mail_security: str = "starttls"  # starttls, tls or none
    mail_user: str = ""
    mail_password: str = ""
    mail_sender: str = "image-search@localhost"  # the address that letters come from

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The settings with the environment applied.

        Raises WrongUse for an unknown variable or a value that does not fit its setting's type.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls) if field.name != "database_url"}
        values = {"database_url": environ.get("DATABASE_URL", "")}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise WrongUse(f"{variable} is not a setting; config.py lists them all.")
            field = known[variable]
            if isinstance(field.default, bool):
                values[field.name] = _switch(variable, text)
            elif isinstance(field.default, int):
                values[field.name] = _number(variable, text, least=0 if field.name in MAY_BE_ZERO else 1)
            else:
                values[field.name] = type(field.default)(text)
            if field.name in CHOICES and text not in CHOICES[field.name]:
                raise WrongUse(f"{variable}={text!r} is not known: choose one of {', '.join(CHOICES[field.name])}.")
        return cls(**values)


def _switch(variable: str, text: str) -> bool:
    if text.lower() not in SWITCH:
        raise WrongUse(f"{variable}={text!r} does not fit: on or off wanted.")
    return SWITCH[text.lower()]


def _number(variable: str, text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise WrongUse(f"{variable}={text!r} does not fit: a whole number from {least} on wanted.")
    return number

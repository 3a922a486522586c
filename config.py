"""Every setting with its default and its unit; an environment variable overrides it.

The variable is the setting's name in capitals behind `RETRIEVAL_`:

    RETRIEVAL_WEIGHTS=bundled RETRIEVAL_OUTPUT=/srv/output python train.py

An unknown `RETRIEVAL_...` variable is refused rather than ignored: it is most often a misspelling.
`DATABASE_URL`, without the prefix, is the one exception: hosting services set it by that name.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from utils.errors import WrongUse
from utils.setting import check_choice, parse, setting

PREFIX = "RETRIEVAL_"
# The settings that shape an answer besides what the store keeps: how finely pictures are read, what of a query is
# described, and how the collection is searched. Answers and calibrations made with others do not go together; no other
# setting may part them. `precision` is not among them: the engine's versions name the one that "auto" became.
ANSWER_SETTINGS = ("feature_side", "query_keypoints", "query_side", "index", "shortlist", "voted", "second_looks")
POOLINGS = ("cam", "cam_gem", "crow", "spoc", "mac", "gem", "rmac")
MAX_SIDE = 4096  # pixels of the network's input


QUEUES = ("redis://", "rediss://", "postgresql://")


def queue(address: str) -> None:
    """Raises ValueError for the address of a queue that no worker understands."""
    if "://" in address and not address.startswith(QUEUES):
        raise ValueError("is no queue: give a file, redis://HOST or postgresql://USER:PASSWORD@HOST/NAME.")


def sides(size: str) -> tuple[int, int]:
    """(long, short) side in pixels of a size such as 512x384.

    Raises ValueError for a size that no network can use; its message continues a sentence that names the size.
    """
    try:
        long, short = (int(side) for side in size.lower().split("x"))
    except ValueError:
        raise ValueError("is not valid: write it like 512x384.") from None
    if not 1 <= short <= long <= MAX_SIDE:
        raise ValueError(f"is not valid: give the long side first, and at most {MAX_SIDE} pixels.")
    return long, short


@dataclass(frozen=True)
class Settings:
    """The settings of scripts and site; `Settings.read()` applies the environment.

    `setting` stands where a setting accepts less, or more, than its type says: a number is 1 at least unless it does.
    """

    # Folders
    dataset: Path = Path("dataset/images")  # the pictures, in any tree of sub-folders
    lists: Path = Path("dataset/lists")  # what create_list.py writes
    output: Path = Path("output")  # what the other steps write; safe to delete
    data: Path = Path("../shared/data")  # evaluation pictures of tests and benchmarks; may be absent

    # Pictures
    max_pixels: int = 400_000_000  # a larger picture is refused before it is decoded
    max_side: int = 100_000  # pixels; a longer picture is refused, too
    min_side: int = 16  # pixels; a smaller picture shows nothing

    # Network and descriptor
    network: str = "vgg16"  # a name in models/description/network.py
    weights: str = "imagenet"  # imagenet, bundled, or a file
    pooling: str = setting("cam_gem", choices=POOLINGS)  # of feature maps into a descriptor; cam: as published
    classes: int = 64  # class vectors an image (poolings cam_gem and cam)
    dimensions: int = 512  # of the descriptor, after whitening
    size: str = setting("512x384", check=sides)  # pixels of a horizontal picture in the network, long x short side
    batch_size: int = 8  # pictures in one pass of the network
    precision: str = setting("auto", choices=("auto", "float32", "bfloat16"))  # of the network's arithmetic
    whitening_sample: int = 5120  # pictures the whitening is fitted on, at most

    # Local features
    feature: str = "orb"  # a kind that models/local knows: orb or sift
    keypoints: int = 500  # of a work, at most
    indexed: int = 500  # keypoints of a work that can vote, at most; 40 bytes each
    feature_side: int = 800  # pixels; a work's long side is reduced to this for local features
    query_keypoints: int = 4000  # of a query, at most; it shows more than the work
    query_side: int = 1600  # pixels; the same for a query, on which a work may be small

    # Search
    index: str = "SQfp16"  # of descriptors: FAISS factory string, or KIND:OPTIONS (models/collection/vector_index.py)
    shortlist: int = 100  # candidates that are re-ranked: the most similar by descriptor
    voted: int = setting(100, least=0)  # candidates more: those with most votes of the local features
    second_looks: int = setting(2, least=0)  # paintings on a photograph to describe where these lead nowhere

    # Work
    store_gigabytes: int = 256  # the collection store may grow to this; it takes only what it needs
    workers: int = setting(0, least=0)  # processes or threads; 0: one a core

    # Web site: where it is
    database: Path = Path("database")  # folder of accounts and queries (SQLite), uploads, catalogue and secret key
    database_url: str = ""  # DATABASE_URL: a PostgreSQL in place of SQLite, postgresql://user:password@host/name
    host: str = "127.0.0.1"  # address that app.py listens on; 0.0.0.0: on all of this computer
    port: int = setting(5000, most=65535)
    statistics_port: int = setting(5001, most=65535)  # that app_statistics.py listens on
    hosts: str = "localhost 127.0.0.1 [::1]"  # names the site is reached by; a request for another is refused
    proxies: int = setting(0, least=0)  # reverse proxies before the site, whose X-Forwarded headers are believed
    secure_cookies: bool = True  # off: sign-in over plain http works from other computers too, and can be overheard
    title: str = "Image search"  # of the site, on pages and in e-mails

    # Web site: who may do what
    registration: str = setting("open", choices=("open", "invitation", "closed"))  # invitation: by an administrator
    private: bool = False  # on: the collection is shown to people with an account only
    addresses: bool = False  # on: a picture may be given by its web address, and the site fetches it
    upload_megabytes: int = 100  # of an uploaded file, at most
    upload_pixels: int = 250_000_000  # of an uploaded picture, at most
    upload_seconds: int = 30  # of processor time that decoding an upload takes, at most
    upload_side: int = 2048  # pixels; the long side of what is kept of an upload
    keep_days: int = setting(365, least=0)  # uploads and answers older than this are deleted; 0: never
    use_confirmed: bool = False  # on: photographs whose work people have confirmed measure and calibrate the search
    computing: int = 2  # queries that compute at the same time
    waiting: int = setting(8, least=0)  # queries that wait for their turn; one more is told to come back

    # Web site: batches, and other jobs in the background
    queue: str = setting("", check=queue)  # of jobs: a file, redis://... or postgresql://...; empty: in `database`
    jobs: int = setting(1, least=0)  # that the site itself carries out at a time; 0: python app.py worker does
    batch_photographs: int = 2000  # of a batch, at most
    batch_megabytes: int = 2000  # of a ZIP, at most

    # Web site: e-mails; without a server they are written to OUTPUT/outbox
    mail_server: str = ""
    mail_port: int = setting(587, most=65535)
    mail_security: str = setting("starttls", choices=("starttls", "tls", "none"))
    mail_user: str = ""
    mail_password: str = ""
    mail_sender: str = "image-search@localhost"  # sender address of e-mails

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The settings with the environment applied.

        Raises WrongUse for an unknown variable and for a value that its setting does not accept. Only `feature` is left
        to `check_feature`.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls) if field.name != "database_url"}
        values: dict[str, Any] = {"database_url": environ.get("DATABASE_URL", "")}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise WrongUse(f"{variable} is not a setting; config.py lists them all.")
            values[known[variable].name] = parse(known[variable], variable, text)
        return cls(**values)

    def shaping_answers(self) -> dict[str, int | str]:
        """The settings that shape answers, name -> value, as JSON can hold them: those of ANSWER_SETTINGS."""
        return {name: getattr(self, name) for name in ANSWER_SETTINGS}

    def check_feature(self, kinds: Collection[str]) -> None:
        """Raises WrongUse where `feature` is none of these kinds of local features, which only models/local knows."""
        check_choice(f"{PREFIX}FEATURE", self.feature, kinds)

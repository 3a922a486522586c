"""Every setting with its default and its unit; an environment variable overrides it.

The variable is the setting's name in capitals behind `RETRIEVAL_`:

    RETRIEVAL_WEIGHTS=bundled RETRIEVAL_OUTPUT=/srv/output python train.py

An unknown `RETRIEVAL_...` variable is refused rather than ignored: it is most often a misspelling.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from utils.errors import WrongUse

PREFIX = "RETRIEVAL_"
MAY_BE_ZERO = ("second_looks", "workers")  # all other numbers are 1 at least


@dataclass(frozen=True)
class Settings:
    """The settings of scripts and site; `Settings.read()` applies the environment."""

    # Folders
    dataset: Path = Path("dataset/images")  # the pictures, in any tree of sub-folders
    lists: Path = Path("dataset/lists")  # what create_list.py writes
    output: Path = Path("output")  # what the other steps write; safe to delete
    data: Path = Path("../shared/data")  # evaluation pictures of tests and benchmarks; may be absent

    # Pictures
    max_pixels: int = 200_000_000  # a larger picture is refused before it is decoded
    min_side: int = 16  # pixels; a smaller picture shows nothing

    # Network and descriptor
    weights: str = "imagenet"  # imagenet, bundled, or a file
    pooling: str = "cam"  # cam, crow, spoc, mac, gem or rmac
    classes: int = 64  # class vectors an image (pooling cam)
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
    second_looks: int = 2  # paintings on a photograph that are looked at where the whole leads nowhere

    # Work
    store_gigabytes: int = 256  # the collection store may grow to this; it takes only what it needs
    workers: int = 0  # processes or threads; 0: one a core

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The settings with the environment applied.

        Raises WrongUse for an unknown variable or a value that does not fit its setting's type.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls)}
        values = {}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise WrongUse(f"{variable} is not a setting; config.py lists them all.")
            field = known[variable]
            if isinstance(field.default, int):
                values[field.name] = _number(variable, text, least=0 if field.name in MAY_BE_ZERO else 1)
            else:
                values[field.name] = type(field.default)(text)
        return cls(**values)


def _number(variable: str, text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise WrongUse(f"{variable}={text!r} does not fit: a whole number from {least} on wanted.")
    return number

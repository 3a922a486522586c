"""Keras, imported without the start-up notices of its back end: `from models.backend import keras`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextmanager
def _without_notices() -> Iterator[None]:
    """TensorFlow writes its first notices straight to file descriptor 2, before any setting can stop it."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with _without_notices():
    import keras

__all__ = ["keras"]

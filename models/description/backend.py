"""Keras, ready for use, and the best precision on this machine: `from models.description.backend import keras`.

The back end's start-up notices are suppressed, and NumPy's matrix products get one thread each.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy  # noqa: F401  (BLAS has to be loaded before the number of threads can be limited)
from threadpoolctl import threadpool_limits

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

# Our matrix products are small. More threads gain nothing, and threads that wait for the next product keep spinning:
# they took half of the processor from the re-ranking that follows. The network has threads of its own.
threadpool_limits(limits=1, user_api="blas")

__all__ = ["best_precision", "keras"]


def best_precision() -> str:
    """bfloat16 if this machine supports it natively, else float32."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        if gpus:
            capability = tensorflow.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
            return "bfloat16" if capability >= (8, 0) else "float32"
    if keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return "bfloat16" if torch.cuda.get_device_capability() >= (8, 0) else "float32"
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"

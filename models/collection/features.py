"""The local features of an image, and their record in the store, which includes the kind."""

import struct
from dataclasses import dataclass

import numpy as np

MAGIC = b"LF2\0"
HEAD = struct.Struct("<4s4I3s16s")  # MAGIC; height, width, keypoints, numbers per descriptor; dtype; kind
TYPES = ("|u1", "<f2", "<f4")  # of descriptors
LEGACY_HEAD = struct.Struct("<4I")  # of records without MAGIC: height, width, keypoints, bytes per descriptor
LEGACY_KINDS = {32: "orb", 128: "sift"}


@dataclass(frozen=True)
class Features:
    """The local features of one image."""

    frame: tuple[int, int]  # (height, width) of the picture in which they were detected, pixels
    keypoints: np.ndarray  # (keypoints, 4) float32: x, y, size (diameter), in pixels of the frame; angle in degrees
    descriptors: np.ndarray  # (keypoints, numbers) uint8, float16 or float32, depending on the kind
    kind: str  # a name in models.local.kinds.KINDS


def pack_features(features: Features) -> bytes:
    """The record of an image's local features: a header, the keypoints, the descriptors.

    Raises ValueError for descriptors of an unsupported dtype, and for a kind whose name is too long.
    """
    count, numbers = features.descriptors.shape
    descriptors = np.ascontiguousarray(features.descriptors)
    kind, dtype = features.kind.encode(), descriptors.dtype.newbyteorder("<").str
    if dtype not in TYPES or len(kind) > 16:
        raise ValueError(f"{features.kind!r}: descriptors of type {descriptors.dtype} cannot be stored.")
    head = HEAD.pack(MAGIC, *features.frame, count, numbers, dtype.encode(), kind)
    return head + features.keypoints.astype("<f4").tobytes() + descriptors.astype(dtype, copy=False).tobytes()


def unpack_features(packed: bytes) -> Features:
    """The inverse of `pack_features`; the arrays are views of `packed`.

    Reads the records of earlier versions as well. Raises ValueError for anything else.
    """
    try:
        if packed[:4] == MAGIC:
            _, height, width, count, numbers, dtype, kind = HEAD.unpack_from(packed)
            start, dtype, kind = HEAD.size, dtype.decode("ascii"), kind.rstrip(b"\0").decode()
        else:
            height, width, count, numbers = LEGACY_HEAD.unpack_from(packed)
            start, dtype, kind = LEGACY_HEAD.size, "|u1", LEGACY_KINDS[numbers]
    except (struct.error, UnicodeDecodeError, KeyError):
        raise ValueError("This is not a record of local features.") from None
    size = np.dtype(dtype).itemsize if dtype in TYPES else 0
    if not size or len(packed) != start + count * (16 + numbers * size):
        raise ValueError("The record of local features is damaged.")
    keypoints = np.frombuffer(packed, "<f4", count * 4, offset=start).reshape(count, 4)
    descriptors = np.frombuffer(packed, dtype, count * numbers, offset=start + keypoints.nbytes)
    return Features((height, width), keypoints, descriptors.reshape(count, numbers), kind)


def count_keypoints(packed: bytes | memoryview) -> int:
    """The number of keypoints of a record, from its header alone. Raises ValueError for what is too short for one."""
    is_legacy = bytes(packed[:4]) != MAGIC
    try:
        return LEGACY_HEAD.unpack_from(packed)[2] if is_legacy else HEAD.unpack_from(packed)[3]
    except struct.error:
        raise ValueError("This is not a record of local features.") from None

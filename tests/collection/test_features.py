"""Records of local features: what goes in comes out, and nothing else is taken for one."""

import struct

import numpy as np
import pytest

from models.collection.features import HEAD, MAGIC, Features, count_keypoints, pack_features, unpack_features


def features(keypoints: int, dtype=np.uint8, width: int = 32, kind: str = "orb") -> Features:
    random = np.random.default_rng(0)
    table = random.uniform(0, 800, (keypoints, 4)).astype(np.float32)
    return Features((600, 800), table, (random.uniform(0, 256, (keypoints, width))).astype(dtype), kind)


@pytest.mark.parametrize(
    ("dtype", "width", "kind"),
    [(np.uint8, 32, "orb"), (np.uint8, 128, "sift"), (np.float32, 64, "own"), (np.float16, 3, "é")],
)
@pytest.mark.parametrize("keypoints", [0, 1, 500])
def test_packed_features_come_back_as_they_were(keypoints, dtype, width, kind):
    expected = features(keypoints, dtype, width, kind)
    packed = pack_features(expected)
    assert len(packed) == HEAD.size + keypoints * (16 + width * np.dtype(dtype).itemsize)
    unpacked = unpack_features(packed)
    assert (unpacked.frame, unpacked.kind) == (expected.frame, kind)
    assert unpacked.descriptors.dtype == dtype and unpacked.descriptors.shape == (keypoints, width)
    np.testing.assert_array_equal(unpacked.keypoints, expected.keypoints)
    np.testing.assert_array_equal(unpacked.descriptors, expected.descriptors)


def test_a_record_by_hand():
    packed = pack_features(
        Features((2, 3), np.array([[1, 0, 0, 0]], np.float32), np.full((1, 2), 1.5, np.float32), "ab")
    )
    head = MAGIC + bytes([2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]) + b"<f4" + b"ab" + bytes(14)
    assert packed == head + bytes([0, 0, 0x80, 0x3F]) + bytes(12) + bytes([0, 0, 0xC0, 0x3F]) * 2


@pytest.mark.parametrize(("width", "kind"), [(32, "orb"), (128, "sift")])
def test_records_of_earlier_versions_are_read(width, kind):
    expected = features(7, width=width, kind=kind)
    packed = struct.pack("<4I", 600, 800, 7, width) + expected.keypoints.tobytes() + expected.descriptors.tobytes()
    unpacked = unpack_features(packed)
    assert (unpacked.frame, unpacked.kind) == ((600, 800), kind)
    np.testing.assert_array_equal(unpacked.keypoints, expected.keypoints)
    np.testing.assert_array_equal(unpacked.descriptors, expected.descriptors)


GOOD = pack_features(features(5))
DAMAGED = {
    "nothing": b"",
    "cut off in its head": GOOD[:20],
    "cut off": GOOD[:-1],
    "longer than it says": GOOD + b"0",
    "another type": GOOD.replace(b"|u1", b"<f4"),
    "a type that nobody writes": GOOD.replace(b"|u1", b"|O8"),
    "a kind that is no text": GOOD.replace(b"orb", b"\xff\xfe\xfd"),
    "an earlier one of no known width": struct.pack("<4I", 600, 800, 1, 64) + bytes(16 + 64),
    "an earlier one of float32, which it could not tell": struct.pack("<4I", 600, 800, 1, 32) + bytes(16 + 128),
}


@pytest.mark.parametrize("packed", DAMAGED.values(), ids=DAMAGED)
def test_anything_else_is_refused_rather_than_read_as_garbage(packed):
    with pytest.raises(ValueError, match="record of local features"):
        unpack_features(packed)


def test_descriptors_that_no_record_can_hold_are_refused():
    with pytest.raises(ValueError, match="float64"):
        pack_features(features(3, np.float64))
    with pytest.raises(ValueError, match="a name that is much too long"):
        pack_features(features(3, kind="a name that is much too long"))


@pytest.mark.parametrize("keypoints", [0, 1, 500])
def test_keypoints_are_counted_by_the_header_alone(keypoints):
    assert count_keypoints(memoryview(pack_features(features(keypoints))[: HEAD.size])) == keypoints
    assert count_keypoints(struct.pack("<4I", 600, 800, keypoints, 32)) == keypoints  # of an earlier version
    for too_short in (b"", MAGIC, bytes(15)):
        with pytest.raises(ValueError, match="not a record"):
            count_keypoints(too_short)

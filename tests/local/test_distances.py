"""Nearest neighbours against a plain computation."""

import numpy as np
import pytest

from models.local.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_two_agree_with_brute_force(kind):
    generator = np.random.default_rng(1)
    asking = generator.integers(0, 256, (40, KINDS[kind].width), np.uint8).astype(KINDS[kind].dtype)
    among = generator.integers(0, 256, (70, KINDS[kind].width), np.uint8).astype(KINDS[kind].dtype)
    among[5] = asking[7]  # distance 0
    if KINDS[kind].binary:
        table = np.unpackbits(asking[:, None] ^ among[None], axis=2).sum(2).astype(float)
    else:
        table = np.linalg.norm(asking[:, None].astype(float) - among[None], axis=2)
    distances, positions = KINDS[kind].nearest_two(asking, among)
    assert distances.dtype == np.float32
    assert np.allclose(distances, np.sort(table)[:, :2], rtol=1e-5)
    # Of neighbours at the same distance either may come first, so places are judged by their distances.
    assert np.allclose(np.take_along_axis(table, positions, axis=1), distances, rtol=1e-5)
    assert (positions[:, 0] != positions[:, 1]).all()
    assert positions[7, 0] == 5 and distances[7, 0] == 0

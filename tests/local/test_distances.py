"""Nearest neighbours against a plain computation."""

import numpy as np
import pytest

from models.local.distances import approximate_hamming, euclidean, hamming
from models.local.kinds import KINDS
from models.local.sift import Sift


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_two_agree_with_brute_force(kind):
    generator = np.random.default_rng(1)
    asking = generator.integers(0, 256, (40, KINDS[kind].width), np.uint8).astype(KINDS[kind].dtype)
    among = generator.integers(0, 256, (70, KINDS[kind].width), np.uint8).astype(KINDS[kind].dtype)
    among[5] = asking[7]  # distance 0
    if KINDS[kind].nearest_two is hamming:
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


def test_the_approximate_search_finds_nearly_all_true_neighbours():
    generator = np.random.default_rng(4)
    among = generator.integers(0, 256, (2000, 32), np.uint8)
    flipped = np.packbits(generator.random((300, 256)) < 0.1, axis=1)  # a tenth of the bits differ
    distances, positions = approximate_hamming(among[:300] ^ flipped, among)
    exact, _ = hamming(among[:300] ^ flipped, among)
    hits = positions[:, 0] == np.arange(300)
    assert hits.mean() > 0.75
    assert np.array_equal(distances[hits, 0], exact[hits, 0])
    assert (distances >= exact).all() and distances.dtype == np.float32


def test_the_approximate_search_is_exact_among_few():
    generator = np.random.default_rng(5)
    among = generator.integers(0, 256, (200, 32), np.uint8)
    asking = generator.integers(0, 256, (20, 32), np.uint8)
    for approximate, exact in zip(approximate_hamming(asking, among), hamming(asking, among), strict=True):
        assert np.array_equal(approximate, exact)


def test_a_kind_without_a_faster_search_searches_exactly():
    generator = np.random.default_rng(5)
    among = generator.integers(0, 256, (400, 128), np.uint8)
    asking = generator.integers(0, 256, (20, 128), np.uint8)
    for approximate, exact in zip(Sift.approximate_nearest_two(asking, among), euclidean(asking, among), strict=True):
        assert np.array_equal(approximate, exact)

"""Corners from outside: what can be cut out of a picture of 400 x 300 pixels."""

import numpy as np
import pytest

from models.local import outlines

SQUARE = np.array([[10.0, 10], [200, 10], [200, 150], [10, 150]])


@pytest.mark.parametrize("start", range(4))
def test_a_rectangle_is_convex_and_clockwise_from_any_corner(start):
    assert outlines.is_convex_clockwise(np.roll(SQUARE, start, axis=0))
    assert not outlines.is_convex_clockwise(np.roll(SQUARE, start, axis=0)[::-1])


@pytest.mark.parametrize(
    "corners",
    [
        SQUARE[[0, 2, 1, 3]],  # crossed
        SQUARE[[0, 1, 3, 2]],
        [[10, 10], [200, 10], [60, 50], [10, 150]],  # hollow
        [[10, 10], [100, 10], [200, 10], [10, 150]],  # three on a line
        [[10, 10], [10, 10], [200, 10], [10, 150]],  # two in one place
        [[10, 10]] * 4,
    ],
    ids=["crossed", "crossed too", "hollow", "three on a line", "two in one place", "a point"],
)
def test_what_is_not_convex_and_clockwise(corners):
    assert not outlines.is_convex_clockwise(np.array(corners, float))


def test_an_outline_is_large_enough_by_its_shortest_side_and_by_its_area():
    side = 16 * np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert outlines.is_large(side, 16) and not outlines.is_large(side, 17)
    assert outlines.is_large(side * (10, 1), 16) and not outlines.is_large(side * (10, 0.99), 16)
    # A sliver with sides of 480.1 and 14.1 pixels and an area of 390 * 10 - 280 * 10 = 1100, less than 5 * 480.1 / 2.
    sliver = np.array([[0.0, 0], [390, 280], [400, 290], [10, 10]])
    assert outlines.is_large(sliver, 4) and not outlines.is_large(sliver, 5)


def test_corners_may_lie_a_twentieth_of_a_side_outside_and_are_moved_to_the_border():
    beyond = np.array([[-20.0, -15], [420, 0], [420, 315], [0, 300]])
    assert outlines.is_near(beyond, 400, 300)
    assert outlines.clip(beyond, 400, 300).tolist() == [[0, 0], [400, 0], [400, 300], [0, 300]]
    for corner, far in [(0, (-20.1, 0)), (0, (0, -15.1)), (2, (420.1, 300)), (2, (400, 315.1))]:
        corners = beyond.copy()
        corners[corner] = far
        assert not outlines.is_near(corners, 400, 300)

"""Outlines: corners from outside, on a picture of 400 x 300 pixels, and where a work is on a photograph."""

import numpy as np
import pytest

from models.answer import Evidence
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


# Where a work is

WORK = (60, 100)  # height, width


def evidence(*rows, points=((10, 20), (30, 20), (30, 50))) -> Evidence:
    """Evidence with a homography from the query to the work, and the inliers' places in the query."""
    return Evidence(homography=np.array(rows, float), query_points=np.array(points, np.float32))


def test_the_outline_of_a_work_is_its_frame_mapped_back():
    # The query has the work at half its size, 40 to the right and 30 down: work = 2 (query - (40, 30)).
    found = outlines.of_work(evidence([2, 0, -80], [0, 2, -60], [0, 0, 1]), WORK)
    assert found.dtype == np.float32
    assert found.tolist() == [[40, 30], [90, 30], [90, 60], [40, 60]]


def test_the_outline_of_a_turned_work_starts_at_its_own_upper_left():
    # A quarter turn clockwise, then 70 to the right: query = (70 - y, x), so work = (query y, 70 - query x).
    found = outlines.of_work(evidence([0, 1, 0], [-1, 0, 70], [0, 0, 1]), WORK)
    assert found.tolist() == [[70, 0], [70, 100], [10, 100], [10, 0]]


def test_an_outline_may_lie_outside_the_query():
    found = outlines.of_work(evidence([1, 0, 50], [0, 1, 0], [0, 0, 1]), WORK)
    assert found.tolist() == [[-50, 0], [50, 0], [50, 60], [-50, 60]]


def test_an_outline_in_perspective():
    # query -> work with depth 1 + x / 100: work x of 50 is at query x of 100, work x of 25 at 100 / 3.
    found = outlines.of_work(evidence([1, 0, 0], [0, 1, 0], [0.01, 0, 1]), (60, 50))
    assert np.allclose(found, [[0, 0], [100, 0], [100, 120], [0, 60]], atol=1e-4)


def test_where_the_homography_folds_a_corner_over_the_inliers_say_where_the_work_is():
    # The same homography reaches work x of 100 nowhere: at 200 the query's horizon is crossed.
    found = outlines.of_work(evidence([1, 0, 0], [0, 1, 0], [0.01, 0, 1]), (60, 200))
    (left, top), (right, low) = found[0], found[2]
    assert (left, top) == (10, 20) and 30 <= right <= 31 and 50 <= low <= 51
    assert found.tolist() == [[left, top], [right, top], [right, low], [left, low]]


def test_a_work_without_a_homography_has_no_outline():
    assert outlines.of_work(Evidence(matches=3), WORK) is None


def box(left, top, right, low) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, low], [left, low]], np.float32)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (box(0, 0, 100, 100), True),  # itself
        (box(20, 20, 40, 40), True),  # all of it within the other
        (box(49, 0, 149, 100), True),  # 51 of 100
        (box(50, 0, 150, 100), False),  # half, and no more
        (box(90, 40, 110, 60), False),  # half of the smaller one
        (box(89, 40, 109, 60), True),  # 11 of its 20 columns
        (box(200, 0, 300, 100), False),
        (box(0, 0, 100, 100)[::-1], True),  # the other way round
        (np.zeros((4, 2), np.float32), False),  # nothing
    ],
)
def test_two_outlines_are_of_the_same_place_if_they_share_more_than_half_of_the_smaller(other, same):
    assert outlines.same_place(box(0, 0, 100, 100), other) is same
    assert outlines.same_place(other, box(0, 0, 100, 100)) is same


def test_nothing_is_in_the_place_of_what_has_none():
    assert not outlines.same_place(None, box(0, 0, 9, 9))
    assert not outlines.same_place(box(0, 0, 9, 9), None)
    assert not outlines.same_place(None, None)

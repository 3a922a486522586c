import numpy as np
import pytest

from models.local import drawing

NO_POINTS = np.zeros((0, 2), np.float32)


def grey(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_stand_side_by_side_and_stay_as_they_are():
    query, work = grey(40, 60, 10), grey(70, 30, 200)
    drawn = drawing.draw_match(query, work, NO_POINTS, NO_POINTS)
    assert drawn.shape == (70, 60 + drawing.GAP + 30, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[:40, :60] == 10).all()
    assert (drawn[:, 60 + drawing.GAP :] == 200).all()
    assert (drawn[40:, :60] == drawing.BACKGROUND).all()


def test_points_are_joined_and_each_pair_has_a_colour_of_its_own():
    query, work = grey(100, 100, 0), grey(100, 100, 0)
    points = np.float32([[20, 20], [20, 50], [20, 80]])
    drawn = drawing.draw_match(query, work, points, points)
    colours = set()
    for x, y in points.astype(int):
        assert drawn[y, x].max() == 255
        assert (drawn[y, x] == drawn[y, x + 100 + drawing.GAP]).all()
        assert drawn[y, 60].any() and drawn[y, 125].any()  # the line, in either picture
        colours.add(tuple(drawn[y, x].tolist()))
    assert len(colours) == 3
    assert not query.any() and not work.any()


def test_points_are_drawn_at_the_scale_of_the_pictures():
    drawn = drawing.draw_match(grey(100, 100, 0), grey(100, 100, 0), np.float32([[30, 70]]), np.float32([[30, 70]]))
    changed = np.argwhere(drawn[:, :100].any(axis=2))
    assert changed[:, 1].min() == pytest.approx(30 - 3, abs=1)
    assert changed[:, 0].mean() == pytest.approx(70, abs=1)


def test_outline_is_drawn_in_the_query_alone_even_where_it_reaches_beyond():
    query, work = grey(100, 100, 0), grey(100, 100, 50)
    polygon = np.array([[10, 10], [5000, 10], [5000, 5e9], [10, 90]])
    drawn = drawing.draw_match(query, work, NO_POINTS, NO_POINTS, polygon)
    assert (drawn[10, 10:100] == drawing.OUTLINE).all()
    assert (drawn[40, 10] == drawing.OUTLINE).all()
    assert (drawn[:, 100 + drawing.GAP :] == 50).all()


def test_outline_of_a_known_homography():
    # The work, 200 wide and 100 high, lies in the query at half its size, 30 to the right and 20 down.
    work_to_query = np.array([[0.5, 0, 30], [0, 0.5, 20], [0, 0, 1]])
    corners = drawing.outline(np.linalg.inv(work_to_query), (100, 200))
    assert corners == pytest.approx(np.array([[30, 20], [130, 20], [130, 70], [30, 70]]))


def test_outline_does_not_depend_on_the_homography_s_scale():
    homography = np.array([[1, 0.1, 3], [0.05, 0.9, -7], [1e-4, 2e-4, 1]])
    assert drawing.outline(homography * -3, (100, 200)) == pytest.approx(drawing.outline(homography, (100, 200)))


def test_no_outline_without_a_usable_homography():
    assert drawing.outline(None, (100, 200)) is None
    assert drawing.outline(np.zeros((3, 3)), (100, 200)) is None
    assert drawing.outline(np.full((3, 3), np.nan), (100, 200)) is None
    horizon = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1.0]]))  # x = 100 lies at infinity
    assert drawing.outline(horizon, (100, 200)) is None

"""Paintings on photographs, with corners known because the tests hung them there."""

import cv2
import numpy as np
import pytest

from models.local.detection import clockwise, paintings, quadrilaterals, straighten, without_frame

WALL = (178, 186, 190)


def canvas(height=300, width=400):
    """Something with much detail, of another look in each quarter."""
    noise = np.random.default_rng(3).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)
    picture[: height // 2, : width // 2] //= 2
    return picture


def hung(corners, wall=None, picture=None):
    """The canvas on a wall of 700 x 900 pixels, its corners where they are wanted."""
    wall = np.full((700, 900, 3), WALL, np.uint8) if wall is None else wall
    picture = canvas() if picture is None else picture
    height, width = picture.shape[:2]
    mapping = cv2.getPerspectiveTransform(
        np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32), np.array(corners, np.float32)
    )
    painted = cv2.warpPerspective(picture, mapping, (900, 700))
    covered = cv2.warpPerspective(np.ones((height, width), np.uint8), mapping, (900, 700))
    return np.where(covered[..., None] > 0, painted, wall)


STRAIGHT = [(250, 200), (650, 200), (650, 500), (250, 500)]
OBLIQUE = [(200, 150), (640, 230), (620, 520), (230, 560)]
TURNED = [(300, 160), (680, 300), (580, 560), (210, 430)]


@pytest.mark.parametrize("corners", [STRAIGHT, OBLIQUE, TURNED], ids=["straight", "oblique", "turned"])
def test_a_painting_on_a_wall_is_found_to_a_few_pixels(corners):
    largest = quadrilaterals(hung(corners))[0]
    assert largest.shape == (4, 2)
    assert largest.dtype == np.float32
    assert np.abs(largest - np.array(corners)).max() < 12


def test_two_paintings_are_both_found_the_larger_first():
    large, small = [(40, 100), (440, 100), (440, 600), (40, 600)], [(560, 200), (820, 200), (820, 420), (560, 420)]
    detected = quadrilaterals(hung(small, wall=hung(large)), most=10)
    nearest = [min(np.abs(outline - np.array(corners)).max() for outline in detected) for corners in (large, small)]
    assert max(nearest) < 12
    assert [cv2.contourArea(outline) for outline in detected] == sorted(map(cv2.contourArea, detected), reverse=True)


@pytest.mark.parametrize("shape", [(700, 900, 3), (16, 16, 3), (20, 4000, 3)])
def test_an_empty_wall_has_none(shape):
    assert quadrilaterals(np.full(shape, 128, np.uint8)) == []


def test_no_more_than_asked_for():
    assert len(quadrilaterals(hung(STRAIGHT), most=1)) == 1


@pytest.mark.parametrize("corners", [STRAIGHT, OBLIQUE, TURNED], ids=["straight", "oblique", "turned"])
def test_a_painting_on_a_wall_is_offered(corners):
    (offered,) = paintings(hung(corners))
    assert offered.shape == (4, 2) and offered.dtype == np.float32
    assert np.abs(offered - np.array(corners)).max() < 12


def test_no_more_paintings_are_offered_than_asked_for():
    small = [(560, 200), (820, 200), (820, 420), (560, 420)]
    large = [(40, 100), (440, 100), (440, 600), (40, 600)]
    wall = hung(small, wall=hung(large))
    assert len(paintings(wall)) == 2
    (first,) = paintings(wall, most=1)
    assert np.abs(first - np.array(large)).max() < 12


def test_a_painting_of_a_large_photograph_is_offered_and_straightened_in_its_pixels():
    """Detection works on a reduced photograph."""
    picture = canvas(700, 900)
    wall = np.full((1500, 2048, 3), WALL, np.uint8)
    wall[400:1100, 600:1500] = picture
    expected = np.float32([[600, 400], [1500, 400], [1500, 1100], [600, 1100]])
    (offered,) = paintings(wall)
    assert np.abs(offered - expected).max() < 16
    part = straighten(wall, expected)
    assert part.shape == picture.shape
    assert np.abs(part.astype(int) - picture)[2:-2, 2:-2].mean() < 1


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]])
def test_corners_in_any_order_are_brought_into_one(order):
    for corners in (STRAIGHT, OBLIQUE, TURNED):
        assert clockwise(np.float32(corners)[order]).tolist() == np.float32(corners).tolist()


# A work of 400 x 400 pixels with a window of 200 x 200 on it, and a wall of which it covers a sixth.
WORK = [(100, 100), (500, 100), (500, 500), (100, 500)]
WINDOW = [(200, 200), (400, 200), (400, 400), (200, 400)]


def areas(*outlines) -> np.ndarray:
    """Areas of one colour each, one over the other."""
    wall = np.full((700, 900, 3), 235, np.uint8)
    for colour, corners in zip([(60, 40, 20), (200, 120, 40), (30, 90, 30)], outlines, strict=False):
        cv2.fillConvexPoly(wall, np.array(corners, np.int32), colour)
    return wall


def test_what_is_painted_on_a_work_is_not_offered():
    wall = areas(WORK, WINDOW)
    assert len(quadrilaterals(wall, 10)) == 2
    (offered,) = paintings(wall)
    assert np.abs(offered - np.array(WORK)).max() < 12


def test_what_hangs_on_a_wall_with_a_visible_border_is_offered():
    border = [(20, 20), (880, 20), (880, 680), (20, 680)]
    small = [(580, 200), (780, 200), (780, 500), (580, 500)]
    offered = paintings(areas(border, WORK, small))
    assert len(offered) == 3
    for corners, expected in zip(offered, (border, WORK, small), strict=True):
        assert np.abs(corners - np.array(expected)).max() < 12


@pytest.mark.parametrize(
    "corners",
    [
        [(100, 150), (600, 150), (800, 500), (300, 500)],  # sides at 60 degrees
        [(100, 150), (800, 150), (600, 480), (300, 480)],  # the lower side less than half as long as the upper
    ],
    ids=["skewed", "foreshortened"],
)
def test_what_no_photograph_makes_of_a_rectangle_is_not_offered(corners):
    wall = areas(corners)
    assert len(quadrilaterals(wall, 10)) == 1
    assert paintings(wall) == []


def test_straightening_brings_the_canvas_back():
    picture = canvas()
    back = straighten(hung(STRAIGHT, picture=picture), np.array(STRAIGHT, np.float32))
    assert back.shape == picture.shape
    assert np.abs(back.astype(int) - picture)[2:-2, 2:-2].mean() < 1
    oblique = straighten(hung(OBLIQUE, picture=picture), np.array(OBLIQUE, np.float32))
    alike = cv2.resize(oblique, (400, 300)).astype(float)
    assert np.corrcoef(alike.ravel(), picture.ravel())[0, 1] > 0.9


def test_straightened_sides_are_as_long_as_the_longer_of_each_pair():
    # Upper side 100, lower 120; right side sqrt(10^2 + 80^2) = 80.6, left the same.
    corners = np.array([[10, 0], [110, 0], [120, 80], [0, 80]], np.float32)
    assert straighten(np.zeros((200, 200, 3), np.uint8), corners).shape == (81, 120, 3)


def test_without_frame_keeps_nine_tenths_around_the_middle():
    # The middle is (50, 100); each corner moves a tenth of the way to it.
    corners = np.array([[0, 0], [100, 0], [100, 200], [0, 200]], np.float32)
    assert np.allclose(without_frame(corners), [[5, 10], [95, 10], [95, 190], [5, 190]])

import cv2
import numpy as np
import pytest

from models.local.agreement import agreement

HEIGHT, WIDTH = 300, 400
CORNERS = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
MIDDLE = np.array([[WIDTH / 2, HEIGHT / 2]], np.float32)
SAME = np.eye(3)


def painting(seed):
    """Blots of several sizes: (HEIGHT, WIDTH, 3) uint8."""
    generator = np.random.default_rng(seed)
    layers = [
        cv2.resize(generator.normal(size=(size * 3, size * 4, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for size in (2, 5, 12, 30)
    ]
    return np.clip(128 + 25 * sum(layers), 0, 255).astype(np.uint8)


def photograph(work, corners, size=(500, 700)):
    """The work with its corners at these places of a photograph of this size, and the homography back to the work."""
    forth = cv2.getPerspectiveTransform(CORNERS, np.array(corners, np.float32))
    photo = cv2.warpPerspective(work, forth, size[::-1], borderValue=(90, 90, 90))
    return photo, np.linalg.inv(forth)


ASKEW = [(120, 60), (560, 130), (520, 430), (90, 380)]


def test_a_picture_agrees_with_itself():
    assert agreement(painting(0), painting(0), SAME, MIDDLE) == pytest.approx(1, abs=1e-3)


def test_a_photograph_agrees_whatever_its_light_and_noise():
    photo, back = photograph(painting(0), ASKEW)
    shade = np.linspace(0.4, 1.1, photo.shape[1])[None, :, None]
    noise = np.random.default_rng(1).normal(0, 12, photo.shape)
    taken = np.clip(photo * shade + 20 + noise, 0, 255).astype(np.uint8)
    assert agreement(taken, painting(0), back, MIDDLE) > 0.85


def test_a_work_that_is_small_on_the_photograph_agrees():
    small, back = photograph(painting(0), [(100, 100), (132, 100), (132, 124), (100, 124)])
    assert agreement(small, painting(0), back, MIDDLE) > 0.6


def test_another_picture_does_not_agree():
    photo, back = photograph(painting(1), ASKEW)
    assert agreement(photo, painting(0), back, MIDDLE) < 0.3


def test_a_homography_that_bends_away_from_its_points_is_brought_back(monkeypatch):
    # All points lie in one corner, where this homography is right; it makes a mess of the rest.
    photo, back = photograph(painting(0), [(100, 50), (500, 50), (500, 350), (100, 350)])
    points = np.float32([[20, 20], [90, 25], [30, 80], [95, 90], [60, 50]])
    bent = np.float64([[1, 0, 0], [0, 1, 0], [0.0025, 0.002, 1]])
    moved = cv2.perspectiveTransform(points[None], bent)[0]
    similar, _ = cv2.estimateAffinePartial2D(moved, points, ransacReprojThreshold=1e9)
    homography = np.vstack([similar, (0, 0, 1)]) @ bent @ back
    assert np.linalg.norm(cv2.perspectiveTransform(points[None] + (100, 50), homography)[0] - points, axis=1).max() < 12
    assert agreement(photo, painting(0), homography, points) > 0.8
    monkeypatch.setattr("models.local.agreement._similarity", lambda homography, points: None)
    assert agreement(photo, painting(0), homography, points) < 0.6


def test_a_stamp_that_two_pictures_share_is_not_enough():
    one, other = painting(2), painting(3)
    stamp = painting(4)[:60, :60]
    one[20:80, 20:80] = other[20:80, 20:80] = stamp
    assert agreement(one, other, SAME, np.array([[50, 50]], np.float32)) < 0.4


def test_an_inexact_homography_is_refined():
    photo, back = photograph(painting(0), ASKEW)
    inexact = np.array([[1.02, 0.01, -4], [-0.01, 0.98, 6], [2e-5, -3e-5, 1]]) @ back
    assert agreement(photo, painting(0), inexact, MIDDLE) > 0.9


def test_a_detail_agrees_as_far_as_it_goes():
    detail = painting(0)[100:200, 150:300]
    back = np.array([[1, 0, 150], [0, 1, 100], [0, 0, 1.0]])
    assert agreement(detail, painting(0), back, np.array([[200, 150]], np.float32)) > 0.95


def test_the_negative_does_not_agree():
    assert agreement(255 - painting(0), painting(0), SAME, MIDDLE) < 0.3


def test_nothing_in_common_is_0():
    far = np.array([[1, 0, 5000], [0, 1, 0], [0, 0, 1.0]])
    assert agreement(painting(0), painting(0), far, MIDDLE) == 0


def test_plain_pictures_are_0():
    plain = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    assert agreement(plain, plain, SAME, MIDDLE) == pytest.approx(0, abs=1e-3)


def test_what_lies_beyond_the_horizon_is_not_looked_at():
    """The plane of the work runs away to the right; what lies behind the camera would be seen mirrored, elsewhere."""
    away = np.array([[1, 0, 0], [-0.6, 1, 0], [-0.004, 0, 1]])  # depth 0 at x = 250 of the work
    moved = np.array([[1, 0, 1000], [0, 1, 300], [0, 0, 1.0]]) @ away
    photo = cv2.warpPerspective(painting(0), moved, (1600, 900))
    elsewhere = cv2.resize(painting(1), (1000, 900))
    photo[:, :1000] = elsewhere
    assert agreement(photo, painting(0), np.linalg.inv(moved), np.array([[60, 150]], np.float32)) > 0.8

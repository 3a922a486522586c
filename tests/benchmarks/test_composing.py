"""Views of halls: the same for the same seed, and what is said of them is true."""

import cv2
import numpy as np
import pytest

from benchmarks import composing
from benchmarks.composing import CLEAR, Shown, compose, hall, measured
from dataset.painting import paint


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    kinds = (("landscape", "village"), ("portrait", "portrait"), ("abstract", "grid"), ("still_life", "fruit"))
    return [paint(genre, kind, 7, 300) for genre, kind in kinds]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Views of half the size, in a quarter of the time."""
    monkeypatch.setattr(composing, "SIDES", (700, 750))


def test_one_seed_gives_one_view(pictures):
    first, second, other = (compose(pictures, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first[0], second[0])
    for one, same in zip(first[1], second[1], strict=True):
        assert (one.number, one.share, one.visible) == (same.number, same.share, same.visible)
        assert np.array_equal(one.outline, same.outline)
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("seed", range(4))
def test_warped_back_by_its_outline_a_work_shows_itself(pictures, seed):
    """Before camera and light disturb the view, wherever nothing hides the work."""
    clean, labels, outlines = hall(pictures, np.random.default_rng(seed))
    seen = [work for work in measured(labels, outlines) if work.visible > 0.3]
    assert seen
    for work in seen:
        picture = pictures[work.number]
        assert likeness(clean, labels == work.number, picture, work.outline) > 0.6  # less under glass
        assert likeness(clean, labels == work.number, picture, np.roll(work.outline, 1, axis=0)) < 0.4


@pytest.mark.parametrize("seed", [1, 2, 8])
def test_the_outlines_hold_on_the_photograph_as_well(pictures, seed):
    view, shown = compose(pictures, np.random.default_rng(seed))
    clear = [work for work in shown if work.is_clear]
    assert len(clear) >= 2
    assert max(likeness(view, None, pictures[work.number], work.outline) for work in clear) > 0.75


def test_a_turned_photograph_turns_its_outlines():
    view = np.zeros((60, 90), np.uint8)
    view[10, 70] = 255
    for turns in range(4):
        down, across = np.argwhere(np.rot90(view, turns))[0]
        assert composing._turned(np.array([[70, 10]]), 60, 90, turns).tolist() == [[across, down]]


def test_shares_are_counted_in_pixels():
    labels = np.full((20, 50), -1)
    labels[4:8, 10:20] = 0  # 40 of 1,000 pixels, and of the 80 of the work
    labels[10:20, 0:3] = 2
    outlines = [square(10, 4, 10, 8), square(0, 0, 5, 5), square(0, 10, 3, 10)]
    assert [(work.number, work.share, work.visible) for work in measured(labels, outlines)] == [
        (0, pytest.approx(0.04), pytest.approx(0.5)),
        (2, pytest.approx(0.03), pytest.approx(1)),
    ]


def test_a_work_is_clear_where_it_is_large_and_visible_enough():
    assert CLEAR == (0.03, 0.5)
    assert Shown(0, square(0, 0, 1, 1), 0.03, 0.5).is_clear
    assert not Shown(0, square(0, 0, 1, 1), 0.029, 0.9).is_clear
    assert not Shown(0, square(0, 0, 1, 1), 0.2, 0.49).is_clear


def square(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + np.float32([left, top])


def likeness(view: np.ndarray, seen: np.ndarray | None, picture: np.ndarray, outline: np.ndarray) -> float:
    """Correlation of a work with what its outline on a view contains, where it is seen: -1..1."""
    height, width = picture.shape[:2]
    back = cv2.getPerspectiveTransform(outline, square(0, 0, width, height))
    shown = cv2.warpPerspective(view, back, (width, height))
    where = cv2.warpPerspective(
        np.ones(view.shape[:2], np.uint8) if seen is None else seen.astype(np.uint8), back, (width, height)
    )
    where = cv2.erode(where, np.ones((5, 5), np.uint8)) > 0
    soft = [cv2.GaussianBlur(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), (0, 0), 4)[where] for one in (shown, picture)]
    return float(np.corrcoef(*soft)[0, 1])

"""Transforms against arrays worked out by hand, and what has to hold for every seed."""

import cv2
import numpy as np
import pytest

from utils import transforms


def picture(height=48, width=64, seed=0):
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    "unchanged",
    [
        lambda image: transforms.rotate(image, 0),
        lambda image: transforms.rotate(image, 360),
        lambda image: transforms.scale(image, 1),
        lambda image: transforms.crop(image, 1),
        lambda image: transforms.perspective(image, 0, generator()),
        lambda image: transforms.blur(image, 0),
        lambda image: transforms.motion_blur(image, 1),
        lambda image: transforms.noise(image, 0, generator()),
        lambda image: transforms.light(image),
        lambda image: transforms.colour_cast(image, (1, 1, 1)),
        lambda image: transforms.disturb(image, generator(), 0)[0],
    ],
)
def test_no_strength_changes_nothing_and_gives_a_copy(unchanged):
    image = picture()
    result = unchanged(image)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3, 5])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters):
    image = picture()
    np.testing.assert_array_equal(transforms.rotate(image, 90 * quarters), np.rot90(image, quarters))


def test_a_turned_picture_keeps_its_corners_on_a_grown_canvas():
    image = np.full((40, 60, 3), 255, np.uint8)
    turned = transforms.rotate(image, 30)
    # 60 cos 30 + 40 sin 30 across, 60 sin 30 + 40 cos 30 down, both rounded up.
    assert turned.shape == (65, 72, 3)
    assert turned.astype(float).sum() / 255 / 3 == pytest.approx(40 * 60, rel=0.03)
    assert turned[0, 0].tolist() == [0, 0, 0]
    assert transforms.rotate(image, 30, fill=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]
    assert transforms.rotate(image, 30, fill=None).min() == 255


def test_scale_rounds_the_sides_and_averages():
    image = np.repeat(np.array([[[0], [100]], [[200], [40]]], np.uint8), 3, axis=2)
    np.testing.assert_array_equal(transforms.scale(image, 0.5), np.full((1, 1, 3), 85))
    assert transforms.scale(picture(48, 64), 1.5).shape == (72, 96, 3)
    assert transforms.scale(picture(48, 64), 0.001).shape == (1, 1, 3)


def test_crop_takes_the_part_that_is_asked_for():
    image = picture(40, 60)
    np.testing.assert_array_equal(transforms.crop(image, 0.5), image[10:30, 15:45])
    np.testing.assert_array_equal(transforms.crop(image, 0.5, (0, 1)), image[:20, 30:])
    assert transforms.crop(image, 0.001).shape == (1, 1, 3)


@pytest.mark.parametrize("seed", range(5))
def test_perspective_keeps_the_corners_inside(seed):
    moved = transforms.moved_corners(100, 200, 0.3, generator(seed))
    inwards = np.abs(moved - np.float32([[0, 0], [199, 0], [199, 99], [0, 99]])) / (199, 99)
    assert (moved >= 0).all() and (moved <= (199, 99)).all() and (inwards <= 0.3).all() and inwards.max() > 0.05
    white = np.full((100, 200, 3), 255, np.uint8)
    seen = transforms.perspective(white, 0.3, generator(seed))
    assert seen.shape == white.shape
    # What is left is the quadrilateral between the moved corners.
    assert (seen[:, :, 0] > 127).sum() == pytest.approx(cv2.contourArea(moved), rel=0.04)


def test_gaussian_blur_of_a_point_is_a_gaussian():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 255
    blurred = transforms.blur(image, 1.0)
    assert blurred[10, 10, 0] == pytest.approx(255 / (2 * np.pi), abs=1.5)
    assert blurred[10, 11, 0] == pytest.approx(255 / (2 * np.pi) * np.exp(-0.5), abs=1.5)


@pytest.mark.parametrize(("degrees", "line"), [(0, (slice(10, 11), slice(8, 13))), (90, (slice(8, 13), slice(10, 11)))])
def test_motion_blur_draws_a_point_into_a_line(degrees, line):
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 255
    trace = transforms.motion_blur(image, 5, degrees).astype(int)
    assert trace[line].sum() == trace.sum() > 200 * 3
    assert trace[10, 10, 0] == pytest.approx(trace[line].sum() / 3 / 4, abs=15)


def test_motion_blur_at_45_degrees_rises_to_the_right():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 255
    trace = transforms.motion_blur(image, 7, 45)[:, :, 0]
    assert trace[8, 12] > 0 and trace[12, 8] > 0 and trace[8, 8] == trace[12, 12] == 0


def test_noise_has_the_stated_strength():
    grey = np.full((200, 200, 3), 128, np.uint8)
    grain = transforms.noise(grey, 10, generator()).astype(float) - 128
    assert grain.std() == pytest.approx(10, rel=0.02)
    assert abs(grain.mean()) < 0.2


def test_light_by_hand():
    image = np.array([[[0, 128, 255]]], np.uint8)
    assert transforms.light(image, brightness=10).tolist() == [[[10, 138, 255]]]
    assert transforms.light(image, contrast=0.5).tolist() == [[[64, 128, 191]]]
    # 255 * (128 / 255) ** 2 = 64.25
    assert transforms.light(image, gamma=2).tolist() == [[[0, 64, 255]]]


def test_vignette_darkens_the_corners_by_its_share():
    white = np.full((101, 101, 3), 200, np.uint8)
    dark = transforms.light(white, vignette=0.5)
    assert dark[0, 0, 0] == dark[100, 100, 0] == 100
    assert dark[50, 50, 0] == 200
    assert dark[0, 50, 0] == 150


def test_colour_cast_multiplies_each_channel():
    image = np.array([[[100, 100, 200]]], np.uint8)
    assert transforms.colour_cast(image, (0.5, 1.0, 1.5)).tolist() == [[[50, 100, 255]]]


def test_a_worse_jpeg_is_further_from_the_picture():
    image = transforms.noise(picture(), 20, generator())
    apart = [np.abs(transforms.jpeg(image, quality).astype(int) - image).mean() for quality in (95, 50, 10)]
    assert 0 < apart[0] < apart[1] < apart[2]


def test_disturb_does_two_to_five_things_in_the_order_of_the_table():
    image = picture()
    before = image.copy()
    seen = set()
    for seed in range(60):
        changed, done = transforms.disturb(image, generator(seed))
        names = [text.rsplit(" ", 1)[0] for text in done]
        assert 2 <= len(set(names)) == len(names) <= 5
        assert names == sorted(names, key=list(transforms.RANGES).index)
        assert changed.dtype == np.uint8 and changed.ndim == 3 and min(changed.shape[:2]) > 8
        seen |= set(names)
    assert seen == set(transforms.RANGES)
    np.testing.assert_array_equal(image, before)


def test_disturb_stays_within_its_ranges():
    for seed in range(60):
        for text in transforms.disturb(picture(), generator(seed))[1]:
            name, value = text.rsplit(" ", 1)
            _, mildest, strongest = transforms.RANGES[name]
            value = abs(float(value))
            if name == "gamma":
                value = max(value, 1 / value)
            assert min(mildest, strongest) * 0.99 <= value <= max(mildest, strongest) * 1.01, text


def test_a_strength_beyond_one_is_refused():
    with pytest.raises(ValueError, match="strength"):
        transforms.disturb(picture(), generator(), 1.5)


@pytest.mark.parametrize(
    "changed",
    [
        lambda image, seed: transforms.disturb(image, generator(seed))[0],
        lambda image, seed: transforms.photograph(image, generator(seed), (200, 240)),
    ],
)
def test_one_seed_gives_one_result_and_another_seed_another(changed):
    image = picture()
    first = changed(image, 5)
    np.testing.assert_array_equal(first, changed(image, 5))
    assert not np.array_equal(first, changed(image, 6))


def test_a_photograph_has_the_stated_long_side_and_leaves_its_work_alone():
    image = picture(90, 120)
    before = image.copy()
    for seed in range(4):
        photograph = transforms.photograph(image, generator(seed), (200, 240))
        assert 200 <= max(photograph.shape[:2]) <= 240 and photograph.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("work", [(700, 520), (500, 740), (600, 600)])
@pytest.mark.parametrize("photo", [(900, 675), (675, 900)])
def test_a_work_fills_a_fifth_of_its_photograph_and_little_of_it_is_cut_off(work, photo):
    edges = np.float32([[0, 0], [photo[1], 0], [photo[1], photo[0]], [0, photo[0]]])
    for seed in range(200):
        corners = transforms.view(work, photo, generator(seed))
        visible, _ = cv2.intersectConvexConvex(corners, edges)
        assert visible >= 0.2 * photo[0] * photo[1]
        assert visible >= 5 / 6 * cv2.contourArea(corners)


def test_the_work_in_a_photograph_is_where_the_view_says():
    image = np.zeros((90, 120, 3), np.uint8)
    image[:, :, 1] = 255
    seen = transforms._hang(image, (300, 400), np.float32([[100, 80], [300, 90], [310, 230], [90, 220]]), generator())
    assert seen[150, 200].tolist() == [0, 255, 0]
    for row, column in ((20, 20), (280, 380)):
        assert seen[row, column].tolist() != [0, 255, 0]

"""Local features of each kind: what is extracted where."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from models.local.extractor import MIN_FRAME, in_frame
from models.local.kinds import KINDS, kind_of
from models.local.orb import Orb
from models.local.sift import Sift, root_sift
from utils.errors import WrongUse


def texture(height=240, width=320, seed=0):
    """Smooth noise with plenty of corners: (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_such_as_a_store_keeps(kind):
    extracted = KINDS[kind](100, 200).extract(texture())
    assert extracted.frame == (150, 200)  # 240 x 320 with its long side reduced to 200
    assert 50 < len(extracted.keypoints) <= 100
    assert extracted.keypoints.shape == (len(extracted.descriptors), 4) and extracted.keypoints.dtype == np.float32
    assert extracted.descriptors.shape[1] == KINDS[kind].width and extracted.descriptors.dtype == KINDS[kind].dtype
    x, y, size, angle = extracted.keypoints.T
    assert (x >= 0).all() and (x < 200).all() and (y >= 0).all() and (y < 150).all()
    assert (size > 0).all() and (angle >= 0).all() and (angle <= 360).all()


def test_never_more_keypoints_than_asked_for():
    picture = texture(seed=2)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    assert len(cv2.SIFT_create(20).detect(grey, None)) == 21  # OpenCV's own idea of 20
    assert len(Sift(20, 800).extract(picture).keypoints) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_picture_keeps_its_size(kind):
    assert KINDS[kind](100, 800).extract(texture()).frame == (240, 320)


def test_the_same_features_in_another_frame():
    extracted = Sift(100, 160).extract(texture())
    other = in_frame(extracted, (240, 320))
    assert extracted.frame == (120, 160) and other.frame == (240, 320)
    np.testing.assert_allclose(other.keypoints[:, :3], 2 * extracted.keypoints[:, :3])
    np.testing.assert_array_equal(other.keypoints[:, 3], extracted.keypoints[:, 3])  # angles
    assert other.descriptors is extracted.descriptors


def test_sift_finds_what_is_faint():
    faint = (texture(seed=5) // 10 + 100).astype(np.uint8)  # 26 grey levels
    usual = cv2.SIFT_create(500).detect(cv2.cvtColor(faint, cv2.COLOR_BGR2GRAY), None)
    assert len(Sift(500, 320).extract(faint).keypoints) > 10 * max(1, len(usual))


def test_keypoints_lie_on_the_corners_of_a_square():
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[60:140, 100:220] = 255
    corners = np.array([(100, 60), (219, 60), (100, 139), (219, 139)])
    points = Orb(50, 300).extract(picture).keypoints[:, :2]
    distances = np.linalg.norm(points[:, None] - corners, axis=2)
    assert distances.min(1).max() < 8  # every keypoint is at a corner
    assert distances.min(0).max() < 8  # every corner has a keypoint


def test_a_small_picture_has_the_keypoints_of_the_large_one():
    large = texture(480, 640, seed=4)
    small = cv2.resize(large, (120, 90), interpolation=cv2.INTER_AREA)
    few = cv2.ORB_create(500).detect(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), None)
    extracted, among = Orb(500, 800).extract(small), Orb(500, 160).extract(large)
    assert extracted.frame == (90, 120)
    assert len(extracted.keypoints) > 2 * len(few)
    x, y, size, _ = extracted.keypoints.T
    assert x.max() < 120 and y.max() < 90 and size.min() < 31
    distances, positions = Orb.nearest_two(extracted.descriptors, among.descriptors)
    near = np.linalg.norm(among.keypoints[positions[:, 0], :2] * 120 / 160 - extracted.keypoints[:, :2], axis=1) < 4
    assert near[distances[:, 0] < 40].mean() > 0.9


def test_a_dark_and_pale_photograph_has_keypoints_too_and_they_are_those_of_the_work():
    work = texture(seed=3)
    dark = (work * 0.2 + 20).astype(np.uint8)  # corners differ by less than OpenCV's 20 grey levels
    assert len(cv2.ORB_create(200).detect(cv2.cvtColor(dark, cv2.COLOR_BGR2GRAY), None)) < 10
    bright, faint = (Orb(200, 320).extract(picture) for picture in (work, dark))
    assert len(faint.keypoints) > 100
    distances, positions = Orb.nearest_two(faint.descriptors, bright.descriptors)
    near = np.linalg.norm(bright.keypoints[positions[:, 0], :2] - faint.keypoints[:, :2], axis=1) < 4
    assert near[distances[:, 0] < 40].mean() > 0.9


def test_a_picture_of_next_to_one_colour_has_keypoints_too():
    work = texture(seed=3)
    pale = (work * 0.07 + 120).astype(np.uint8)  # corners differ by less than 7 grey levels
    bright, faint = (Orb(200, 320).extract(picture) for picture in (work, pale))
    assert len(faint.keypoints) > 60
    distances, positions = Orb.nearest_two(faint.descriptors, bright.descriptors)
    near = np.linalg.norm(bright.keypoints[positions[:, 0], :2] - faint.keypoints[:, :2], axis=1) < 4
    assert near[distances[:, 0] < 40].mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(100, 100), (MIN_FRAME - 1, 300), (1, 1)], ids=str)
def test_a_picture_without_keypoints_is_legal(kind, shape):
    extracted = KINDS[kind](100, 800).extract(np.full((*shape, 3), 90, np.uint8))
    assert extracted.frame == shape
    assert extracted.keypoints.shape == (0, 4) and extracted.descriptors.shape == (0, KINDS[kind].width)


def test_an_angle_that_opencv_does_not_know_is_0():
    points = [cv2.KeyPoint(3, 4, 12), cv2.KeyPoint(5, 6, 12, 90)]
    assert points[0].angle == -1
    table, _ = Orb(100, 800).from_opencv(points, np.zeros((2, 32), np.uint8))
    assert table.tolist() == [[3, 4, 12, 0], [5, 6, 12, 90]]


@pytest.mark.parametrize("kind", KINDS)
def test_threads_share_an_extractor(kind):
    pictures = [texture(seed=seed) for seed in range(4)] * 3
    extractor = KINDS[kind](100, 320)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(extractor.extract, pictures))
    for picture, extracted in zip(pictures, together, strict=True):
        alone = extractor.extract(picture)
        assert np.array_equal(extracted.keypoints, alone.keypoints)
        assert np.array_equal(extracted.descriptors, alone.descriptors)


def test_an_unknown_kind_is_refused():
    with pytest.raises(WrongUse, match=f"surf.*{', '.join(KINDS)}"):
        kind_of("surf")


def test_root_sift_by_hand():
    one, even, none = np.zeros(128), np.full(128, 7), np.zeros(128)
    one[3] = 40
    roots = root_sift(np.stack([one, even, none]).astype(np.float32))
    assert roots.dtype == np.uint8
    assert roots[0].tolist() == [0] * 3 + [255] + [0] * 124  # sqrt(1) * 512, held at 255
    assert set(roots[1]) == {45}  # sqrt(1 / 128) * 512 = 45.25
    assert not roots[2].any()


def test_each_tile_has_its_own_share_of_the_keypoints():
    """A work of strong contrast beside a faint one: searched as a whole, it takes nearly all keypoints."""
    generator = np.random.default_rng(0)
    blocks = cv2.resize(generator.random((80, 80)), (800, 800), interpolation=cv2.INTER_NEAREST)
    picture = np.full((800, 1600, 3), 128, np.float64)
    picture[:, :800] += 200 * (blocks[..., None] - 0.5)
    picture[:, 800:] += 40 * (blocks[..., None] - 0.5)
    picture = picture.astype(np.uint8)
    orb = Orb(2000, 1600)
    whole, tiled = orb.extract(picture), orb.extract(picture, tiles=4)
    faint = [np.mean(each.keypoints[:, 0] >= 800) for each in (whole, tiled)]
    assert faint[0] < 0.2 < 0.4 < faint[1] < 0.6
    assert 1600 < len(tiled.keypoints) <= 2000
    assert len(tiled.keypoints) == len(tiled.descriptors)
    assert len(np.unique(tiled.keypoints, axis=0)) == len(tiled.keypoints), "none is found from two tiles"


def test_corners_on_the_border_of_two_tiles_are_found_as_well():
    """A detector finds nothing within 31 pixels of an edge; each tile is searched with what surrounds it."""
    table = Orb(8000, 640).extract(texture(640, 640), tiles=4).keypoints
    inner = table[(table[:, :2] > 60).all(1) & (table[:, :2] < 580).all(1), :2]
    near = (np.abs((inner + 80) % 160 - 80) < 20).any(1)  # of x or y = 160, 320 or 480
    assert near.mean() > 0.25  # of an area of which they are 0.41; without a margin there would be next to none


def test_a_small_picture_is_not_divided():
    picture = np.random.default_rng(1).integers(0, 256, (300, 310, 3), np.uint8)
    whole, tiled = Orb(500, 1600).extract(picture), Orb(500, 1600).extract(picture, tiles=4)
    np.testing.assert_array_equal(whole.keypoints, tiled.keypoints)

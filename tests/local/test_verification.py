"""Matches and homographies planted by hand, so that what must be found is known."""

import math

import cv2
import numpy as np
import pytest

from models.answer import Evidence
from models.collection.features import Features
from models.local import verification
from models.local.matching import match
from models.local.verification import MIN_MATCHES, sane_warp, verify

QUERY_FRAME, WORK_FRAME = (600, 800), (400, 500)

# A work seen obliquely: it is half as large in the work's frame, turned a little, and recedes to the right.
OBLIQUE = np.array([[0.45, -0.08, 60.0], [0.06, 0.48, 20.0], [0.0003, 0.0001, 1.0]])


def features(frame, points, descriptors):
    keypoints = np.zeros((len(points), 4), np.float32)
    keypoints[:, :2] = points
    descriptors = np.asarray(descriptors, np.uint8)
    return Features(frame, keypoints, descriptors, "orb" if descriptors.shape[1] == 32 else "sift")


def words(count, seed=0, width=32):
    """Descriptors that resemble each other no more than chance."""
    return np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)


def mapped(homography, points):
    ahead = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return ahead[:, :2] / ahead[:, 2:]


def scattered(count, seed=0):
    """Points in the query's rectangle from (100, 100) to (500, 400), the first four at its corners."""
    corners = [(100, 100), (500, 100), (500, 400), (100, 400)]
    inside = np.random.default_rng(seed).uniform((100, 100), (500, 400), (count - 4, 2))
    return np.concatenate([corners, inside]).astype(np.float32)


def planted(homography, count, outliers=0, width=32):
    """A query and a work with `count` true correspondences, and as many false ones as asked for."""
    generator = np.random.default_rng(5)
    points = scattered(count)
    true_places = mapped(homography, points)
    wrong_points = generator.uniform((0, 0), (800, 600), (outliers, 2))
    # Outliers lie at least 40 pixels from where the homography would put them.
    angle = generator.uniform(0, 2 * np.pi, outliers)
    away = generator.uniform(40, 120, outliers)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    wrong_places = mapped(homography, wrong_points) + away
    descriptors = words(count + outliers, width=width)
    order = generator.permutation(count + outliers)  # the work lists its keypoints in another order
    return (
        features(QUERY_FRAME, np.concatenate([points, wrong_points]), descriptors),
        features(WORK_FRAME, np.concatenate([true_places, wrong_places])[order], descriptors[order]),
    )


def proof(query, work):
    """The evidence from matching to verification, as the engine makes it for each candidate."""
    return verify(query, work, match(query, [work])[0])


def test_works_that_ask_together_get_what_each_gets_alone():
    works = [planted(OBLIQUE, count)[1] for count in (12, 30)]
    works.insert(1, features(WORK_FRAME, np.zeros((0, 2)), np.zeros((0, 32))))  # a work without keypoints
    query = planted(OBLIQUE, 30, outliers=10)[0]
    together = match(query, works)
    assert [result.tolist() for result in together] == [match(query, [work])[0].tolist() for work in works]
    assert len(together[1]) == 0


def test_each_work_gets_its_own_evidence_in_its_place():
    query, work = planted(OBLIQUE, 30)
    stranger = features(WORK_FRAME, np.zeros((30, 2)), words(30, seed=9))
    evidence = verification.examine(query, [stranger, work, stranger])
    assert evidence[1].inliers == proof(query, work).inliers == 30
    assert nothing(evidence[0], matches=0)
    assert nothing(evidence[2], matches=0)
    assert verification.examine(query, []) == []


def nothing(evidence: Evidence, matches: int) -> bool:
    return (
        evidence.matches == matches
        and evidence.inliers == 0
        and evidence.homography is None
        and evidence.query_area == evidence.work_area == 0
        and evidence.query_points.shape == evidence.work_points.shape == (0, 2)
    )


# Verification


@pytest.mark.parametrize("width", [32, 128], ids=["orb", "sift"])
@pytest.mark.parametrize("outliers", [0, 20, 60])
def test_a_planted_homography_is_recovered_among_outliers(outliers, width):
    query, work = planted(OBLIQUE, 40, outliers, width)
    evidence = proof(query, work)
    assert evidence.matches == 40 + outliers
    assert evidence.inliers == 40
    assert np.abs(mapped(evidence.homography, scattered(40)) - mapped(OBLIQUE, scattered(40))).max() < 0.1
    assert len(evidence.query_points) == len(evidence.work_points) == 40
    assert {tuple(point) for point in evidence.query_points} == {tuple(point) for point in scattered(40)}
    assert np.abs(mapped(OBLIQUE, evidence.query_points) - evidence.work_points).max() < 0.01


def test_areas_by_hand():
    halved = np.array([[0.5, 0, 30], [0, 0.5, -10], [0, 0, 1]])
    evidence = proof(*planted(halved, 30, outliers=15))
    assert evidence.inliers == 30
    assert evidence.query_area == pytest.approx(400 * 300 / (600 * 800))  # a quarter of the query
    assert evidence.work_area == pytest.approx(200 * 150 / (400 * 500))


def test_areas_never_exceed_the_frame():
    query, work = planted(np.eye(3), 30)
    small = Features((100, 100), work.keypoints, work.descriptors, "orb")
    assert proof(query, small).work_area == 1.0


def test_four_matches_prove_nothing_and_five_do():
    query, work = planted(OBLIQUE, 4)
    assert nothing(proof(query, work), matches=4)
    query, work = planted(OBLIQUE, MIN_MATCHES)
    assert proof(query, work).inliers == MIN_MATCHES


def test_a_mirrored_work_is_no_match():
    query, work = planted(np.array([[-0.5, 0, 450], [0, 0.5, 0], [0, 0, 1]]), 40)
    assert nothing(proof(query, work), matches=40)


def test_chance_positions_are_no_match():
    generator = np.random.default_rng(2)
    descriptors = words(20)
    query = features(QUERY_FRAME, generator.uniform((0, 0), (800, 600), (20, 2)), descriptors)
    work = features(WORK_FRAME, generator.uniform((0, 0), (500, 400), (20, 2)), descriptors)
    evidence = proof(query, work)
    assert evidence.matches == 20 and evidence.inliers <= 6


@pytest.mark.parametrize("points", [np.full((12, 2), 50), np.arange(24).reshape(12, 2) * 10], ids=["place", "line"])
def test_points_on_one_place_or_line_fit_no_homography(points):
    descriptors = words(len(points))
    evidence = proof(features(QUERY_FRAME, points, descriptors), features(WORK_FRAME, points, descriptors))
    assert nothing(evidence, matches=12)


def test_the_order_of_keypoints_does_not_matter():
    query, work = planted(OBLIQUE, 40, 30)
    turned = Features(query.frame, query.keypoints[::-1].copy(), query.descriptors[::-1].copy(), "orb")
    first, second = proof(query, work), proof(turned, work)
    assert (first.matches, first.inliers) == (second.matches, second.inliers)
    assert first.query_area == pytest.approx(second.query_area)


@pytest.mark.parametrize("width", [32, 128], ids=["orb", "sift"])
@pytest.mark.parametrize(("in_query", "in_work"), [(0, 0), (0, 9), (9, 0), (1, 9), (1, 1)])
def test_too_few_keypoints_are_no_match(in_query, in_work, width):
    descriptors, points = words(9, width=width), scattered(9)
    query = features(QUERY_FRAME, points[:in_query], descriptors[:in_query])
    work = features(WORK_FRAME, points[:in_work], descriptors[:in_work])
    assert nothing(proof(query, work), matches=0)


def test_one_keypoint_of_a_work_can_match():
    descriptors = words(9)
    query = features(QUERY_FRAME, scattered(9), descriptors)
    assert match(query, [features(WORK_FRAME, [(7, 7)], descriptors[6:7])])[0].tolist() == [[6, 0]]


# Matching


def bits(*counts):
    """Descriptors of 256 bits, of which the first so many are set: their Hamming distances are plain differences."""
    return np.array([np.packbits(np.arange(256) < count) for count in counts])


def pairs(query_bits, work_bits):
    query = features(QUERY_FRAME, np.zeros((len(query_bits), 2)), bits(*query_bits))
    work = features(WORK_FRAME, np.zeros((len(work_bits), 2)), bits(*work_bits))
    return match(query, [work])[0].tolist()


def test_the_ratio_test_by_hand():
    # The work's keypoint is 100; in the query the second nearest differs in 10 bits.
    assert pairs([107, 110], [100]) == [[0, 0]]  # 7 of 10
    assert pairs([108, 110], [100]) == []  # 8 of 10 is the limit itself
    assert pairs([110, 90], [100]) == []
    assert pairs([100, 100], [100]) == []  # 0 of 0: the query holds it twice


def test_a_keypoint_of_the_query_has_one_partner_and_that_is_the_nearest():
    # Three keypoints of the work choose the query's first; they differ from it in 6, 2 and 4 bits.
    assert pairs([100, 200], [106, 102, 96]) == [[0, 1]]
    assert pairs([100, 200], [106, 102, 96, 199]) == [[0, 1], [1, 3]]


def test_no_keypoint_is_used_twice():
    generator = np.random.default_rng(3)
    query = features(QUERY_FRAME, np.zeros((60, 2)), words(60, 1))
    noisy = query.descriptors[generator.integers(0, 60, 200)] ^ np.packbits(generator.random((200, 256)) < 0.05, axis=1)
    result = match(query, [features(WORK_FRAME, np.zeros((200, 2)), noisy)])[0]
    assert len(result) > 40
    assert len(set(result[:, 0])) == len(set(result[:, 1])) == len(result)


# Sanity of a homography, judged at points from (0, 0) to (400, 400)

GRID = np.array([(x, y) for x in range(0, 401, 100) for y in range(0, 401, 100)], np.float32)


def turned(degrees, scale=1.0):
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((200, 150), degrees, scale)
    return matrix


def receding(slope):
    """Divides by 1 + slope * x: at x = 400 lengths shrink (1 + 400 slope) ** 1.5 times, as areas' square roots."""
    return np.array([[1, 0, 0], [0, 1, 0], [slope, 0, 1.0]])


SANE = {
    "identity": np.eye(3),
    "times minus two": -2 * np.eye(3),  # the same mapping
    "turned by 37 degrees": turned(37),
    "upside down": turned(180),
    "shrunk to the limit": np.diag([0.13, 0.13, 1]),
    "enlarged to the limit": np.diag([7.9, 7.9, 1]),
    "stretched to the limit": np.diag([3.9, 1, 1]),
    "sheared": np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1.0]]),
    "receding": receding(0.001),
    "receding to the limit": receding(0.0037),  # 2.48 ** 1.5 = 3.9
    "moved far away": np.array([[1, 0, 1e5], [0, 1, -1e5], [0, 0, 1]]),
}
NOT_SANE = {
    "mirrored": np.diag([-1.0, 1, 1]),
    "mirrored and turned": turned(50) @ np.diag([1.0, -1, 1]),
    "folded behind the horizon": receding(-0.005),  # the horizon is at x = 200
    "horizon at the edge": receding(-1 / 400),
    "shrunk too far": np.diag([0.11, 0.11, 1]),
    "enlarged too far": np.diag([8.1, 8.1, 1]),
    "stretched too far": np.diag([4.1, 1, 1]),
    "stretched and turned": turned(45) @ np.diag([1, 4.1, 1]),
    "tilted too far": receding(0.0039),  # 2.56 ** 1.5 = 4.1
    "flattened": np.diag([1.0, 0, 1]),
    "nothing": np.zeros((3, 3)),
    "not a number": np.full((3, 3), math.nan),
}


@pytest.mark.parametrize("name", SANE)
def test_what_a_photograph_does_is_sane(name):
    assert sane_warp(SANE[name], GRID) is not None


@pytest.mark.parametrize("name", NOT_SANE)
def test_what_no_photograph_does_is_not(name):
    assert sane_warp(NOT_SANE[name], GRID) is None


def test_what_a_homography_does_in_numbers():
    warp = sane_warp(turned(45, 2.0) @ np.diag([3.0, 1, 1]), GRID)
    assert (warp.scale, warp.stretch, warp.tilt) == pytest.approx((2 * 3**0.5, 3, 1))
    # At x = 0 to 400 it divides by 1 to 2, so the scale falls as the power 1.5, and in the middle one by 1.5.
    warp = sane_warp(receding(1 / 400), GRID)
    assert (warp.scale, warp.tilt) == pytest.approx((1.5**-1.5, 2**1.5))
    assert proof(*planted(OBLIQUE, 40)).warp == sane_warp(proof(*planted(OBLIQUE, 40)).homography, scattered(40))


def test_only_the_matched_points_are_judged():
    assert sane_warp(receding(-0.005), GRID[GRID[:, 0] <= 100])  # all of them before the horizon

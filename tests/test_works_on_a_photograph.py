"""All works on a photograph: composed here out of the small collection's pictures, so that each place is known."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.painting import paint
from models.answer import Answer, Grounds, Verdict
from models.collection.reading import Reading
from models.collection.store import Stamp, Store
from models.engine import Engine
from models.local import votes
from models.local.orb import Orb
from tests.small_collection import SETTINGS
from tests.test_engine import calibrated

WALL = (176, 186, 190)  # BGR
SEARCHED = replace(SETTINGS, query_keypoints=2000)  # for several works and a wall
SIDE = 1024  # pixels; the wall's long side, so that the frame of the answer is the wall
# x, y, width of what hangs on the wall, by image.
PLACES = {4: (40, 60, 300), 7: (380, 90, 270), 11: (690, 40, 300)}
TWO = {image: PLACES[image] for image in (7, 11)}  # those with most keypoints


@pytest.fixture(scope="module")
def engine(engine) -> Engine:
    return Engine(engine.store, engine.reading, engine.describer, SEARCHED)


@pytest.fixture(scope="module")
def pictures(engine) -> dict[int, np.ndarray]:
    return {image: cv2.imread(str(engine.dataset / path)) for image, path in engine.images.items()}


def wall_with(hung: dict[tuple[int, int, int], np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A wall with pictures at (x, y, width), and the outline of each."""
    wall, outlines = np.full((700, SIDE, 3), WALL, np.uint8), []
    for (x, y, width), picture in hung.items():
        height = width * picture.shape[0] // picture.shape[1]
        wall[y : y + height, x : x + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        outlines.append(np.float32([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]))
    return wall, outlines


@pytest.fixture(scope="module")
def hall(pictures) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """A wall with three works of the collection, and where each is."""
    wall, outlines = wall_with({place: pictures[image] for image, place in PLACES.items()})
    return wall, dict(zip(PLACES, outlines, strict=True))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    common, _ = cv2.intersectConvexConvex(one, other)
    return common / (cv2.contourArea(one) + cv2.contourArea(other) - common)


def found(answer: Answer) -> list[int]:
    return [work.candidate.id for work in answer.works if work.verdict is Verdict.FOUND]


def test_three_works_on_a_wall_are_told_with_their_outlines_and_none_twice(engine, hall):
    wall, places = hall
    answer = engine.ask(wall)
    assert sorted(found(answer)) == sorted(places)
    assert len(answer.works) == 3
    for work in answer.works:
        assert overlap(work.outline, places[work.candidate.id]) > 0.85
        assert work.grounds.inliers == work.candidate.evidence.inliers
        assert work.probability is None
    assert answer.unknown == []


def test_the_verdict_of_the_photograph_is_that_of_its_best_work(engine, hall):
    answer = engine.ask(hall[0])
    best = answer.works[0]
    assert best.candidate == answer.after[0]
    assert (best.verdict, best.grounds, best.probability) == (answer.verdict, answer.grounds, answer.probability)
    scores = [work.candidate.score for work in answer.works]
    assert scores == sorted(scores, reverse=True)


def test_a_turned_work_has_its_outline_from_its_own_upper_left(engine, pictures):
    wall, (place, _) = wall_with({(80, 80, 300): np.rot90(pictures[7], 2), (560, 80, 300): pictures[4]})
    (work,) = [work for work in engine.ask(wall).works if work.candidate.id == 7]
    assert np.abs(work.outline - np.roll(place, 2, axis=0)).max() < 12


def test_a_picture_of_one_work_tells_that_work_alone(engine, pictures):
    for image, picture in list(pictures.items())[::3]:
        (work,) = engine.ask(picture).works
        height, width = picture.shape[:2]
        assert work.candidate.id == image
        assert np.abs(work.outline - [[0, 0], [width, 0], [width, height], [0, height]]).max() < 4


def test_another_image_of_the_same_work_is_not_told_again(engine, collection, hall, pictures, tmp_path):
    """An exact copy, and a detail, which lies within the outline of the whole."""
    shutil.copytree(collection, tmp_path, dirs_exist_ok=True)
    height, width = pictures[7].shape[:2]
    others = {"copy.png": pictures[7], "detail.png": pictures[7][: height * 2 // 3, : width * 2 // 3]}
    with Store.writing(tmp_path / "output", 1) as store:
        for image, (name, picture) in enumerate(others.items(), start=13):
            assert cv2.imwrite(str(tmp_path / "images" / name), picture)
            store.put_images("descriptors", [(Stamp(name, 1, 1), store.descriptor(7))])
            store.put_features([(image, Orb(SETTINGS.keypoints, SETTINGS.feature_side).extract(picture))])
        votes.update(store, SETTINGS.indexed, {13, 14})
    reading = Reading.of(tmp_path / "images", SETTINGS)
    larger = Engine(Store.reading(tmp_path / "output"), reading, engine.describer, SEARCHED)
    answer = larger.ask(hall[0])
    assert {candidate.id for candidate in answer.after if candidate.evidence.inliers > 12} >= {7, 13, 14}
    assert sorted({13: 7, 14: 7}.get(image, image) for image in found(answer)) == sorted(PLACES)
    assert len(answer.works) == 3


def test_what_hangs_there_but_is_not_in_the_collection_is_unknown(engine, pictures):
    stranger = paint("abstract", "grid", 77, 400)
    wall, (known, unknown) = wall_with({(60, 60, 360): pictures[4], (560, 60, 360): stranger})
    answer = engine.ask(wall)
    assert found(answer) == [4]
    assert overlap(answer.works[0].outline, known) > 0.9
    (outline,) = answer.unknown
    assert overlap(outline, unknown) > 0.9

    excluded = engine.ask(wall, exclude={4})
    assert found(excluded) == []
    assert sorted(int(corners[:, 0].min()) // 100 for corners in excluded.unknown) == [0, 5]


def test_outlines_are_in_pixels_of_the_frame(engine, hall):
    wall, places = hall
    answer = engine.ask(cv2.resize(wall, None, fx=2, fy=2))
    assert max(answer.frame) == SEARCHED.query_side
    assert sorted(found(answer)) == sorted(places)
    scale = SEARCHED.query_side / SIDE
    for work in answer.works:
        assert overlap(work.outline / scale, places[work.candidate.id]) > 0.85


@pytest.mark.parametrize("picture", ["a wall", "a sky", "noise"])
def test_a_picture_with_nothing_tells_nothing(engine, picture):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    pixels = {"a wall": np.full_like(noise, 128), "a sky": cv2.GaussianBlur(noise, (0, 0), 9), "noise": noise}[picture]
    answer = engine.ask(pixels)
    assert (answer.verdict is Verdict.NOT_FOUND) == (answer.works == [])
    assert found(answer) == []
    assert answer.unknown == []


def test_an_empty_answer_tells_nothing(engine, hall, pictures):
    answer = engine.ask(hall[0], exclude=set(pictures))
    assert answer.works == []
    assert len(answer.unknown) == 3


def test_what_is_only_similar_can_be_the_first_work_and_no_other(engine, copy_of_the_store, pictures):
    """Without local features nobody can say where it is."""
    with Store.writing(copy_of_the_store, 1) as store:
        kept = dict(zip(pictures, store.features(list(pictures)), strict=True))
        store.restart_features(local_features=store.get_meta("local_features"))
        store.put_features([(image, features) for image, features in kept.items() if image != 2])
    lacking = Engine(Store.reading(copy_of_the_store), engine.reading, engine.describer, SEARCHED)
    (work,) = lacking.ask(pictures[2]).works
    assert (work.candidate.id, work.verdict, work.outline) == (2, Verdict.MAYBE, None)


def test_a_calibration_judges_each_work(engine, copy_of_the_store, hall):
    """This one asks for many inliers, so that the work with fewest is not sure."""
    inliers = sorted(work.grounds.inliers for work in engine.ask(hall[0]).works)
    rule = calibrated(engine)
    between = sum(rule.probability(Grounds(inliers=count)) for count in inliers[:2]) / 2
    replace(rule, found=between).write(copy_of_the_store)
    its = Engine(Store.reading(copy_of_the_store), engine.reading, engine.describer, SEARCHED)
    works = its.ask(hall[0]).works
    assert [work.probability for work in works] == [rule.probability(work.grounds) for work in works]
    assert {work.grounds.inliers: work.verdict for work in works} == dict(
        zip(inliers, [Verdict.MAYBE, Verdict.FOUND, Verdict.FOUND], strict=True)
    )


@pytest.fixture
def copy_of_the_store(collection, tmp_path) -> Path:
    return Path(shutil.copytree(collection / "output", tmp_path / "output"))

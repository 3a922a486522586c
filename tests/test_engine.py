"""The engine, asked in this process: a dozen painted pictures, described by the weights that ship."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from config import ANSWER_SETTINGS
from dataset.painting import paint
from models.answer import Answer, Verdict
from models.collection.lists import Lists
from models.collection.reading import Reading
from models.collection.store import FILE, Store
from models.description import pooling, weights
from models.description.describer import Describer
from models.description.filling import describe
from models.description.recipe import METHOD
from models.description.vgg16 import VGG16
from models.engine import Engine
from models.local.detection import paintings, straighten
from models.local.filling import find_features
from models.local.orb import Orb
from models.verdict.calibration import FEATURES, NAME, Calibration
from models.verdict.grounds import grounds_of
from tests import small_collection
from tests.small_collection import RECIPE, SETTINGS
from utils.errors import WrongUse
from utils.images import ImageProblem

ROOT = Path(__file__).parent.parent
NARROW = replace(SETTINGS, shortlist=1, voted=0, second_looks=0)
STAGES = ["decode", "network", "pooling", "search", "features", "votes", "reranking", "detection"]


@pytest.fixture(scope="module")
def pictures(engine) -> dict[int, np.ndarray]:
    return {image: cv2.imread(str(engine.dataset / path)) for image, path in engine.images.items()}


def said(answer: Answer) -> list:
    """All of an answer but its times, in a form that can be compared."""
    ranked = [
        [(one.id, one.path, one.similarity, one.score, one.frame, *_evidence(one.evidence)) for one in candidates]
        for candidates in (answer.before, answer.after)
    ]
    return [answer.verdict, answer.keypoints, answer.frame, *ranked]


def _evidence(evidence) -> list:
    return [np.asarray(value).tolist() for value in asdict(evidence).values()]


# What it finds


def test_each_picture_finds_itself(engine, pictures):
    for image, picture in pictures.items():
        answer = engine.ask(picture)
        assert answer.before[0].id == answer.after[0].id == image
        assert answer.before[0].similarity == pytest.approx(1, abs=2e-3)
        assert answer.verdict is Verdict.FOUND
        first = answer.after[0].evidence
        assert first.inliers > 200
        assert np.allclose(first.homography / first.homography[2, 2], np.eye(3), atol=0.01)
        assert first.query_area == pytest.approx(first.work_area)
        assert all(candidate.evidence.inliers < 10 for candidate in answer.after[1:])


def turned(picture, degrees):
    """The whole picture turned on a larger grey canvas."""
    height, width = picture.shape[:2]
    side = int(np.hypot(height, width)) + 1
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += [(side - width) / 2, (side - height) / 2]
    return cv2.warpAffine(picture, matrix, (side, side), borderValue=(128, 128, 128))


def cropped(picture):
    """The middle half of the picture's area, a little off the centre."""
    height, width = picture.shape[:2]
    return picture[height // 5 : height * 9 // 10, width // 5 : width * 9 // 10]


CHANGES = {
    "turned by 15 degrees": lambda picture: turned(picture, 15),
    "turned by 90 degrees": lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
    "half the size": lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice the size": lambda picture: cv2.resize(picture, None, fx=2, fy=2),
    "cropped": cropped,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_finds_its_original(engine, pictures, change):
    ranks = []
    for image, picture in list(pictures.items())[::3]:
        answer = engine.ask(CHANGES[change](picture))
        ranks.append([one.id for one in answer.before].index(image))
        assert answer.after[0].id == image
        assert answer.verdict is Verdict.FOUND
        assert answer.after[0].evidence.inliers > 20
    if not change.startswith("turned"):  # the network knows things upright: similarity alone promises nothing there
        assert max(ranks) <= 2 and ranks.count(0) >= 3  # of 4 pictures among 12


def test_a_quarter_turn_is_told_by_the_homography(engine, pictures):
    image, picture = next(iter(pictures.items()))
    first = engine.ask(cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE)).after[0]
    height, width = first.frame
    assert first.id == image
    # Clockwise, the work's upper left corner comes to the query's upper right: x' = y, y' = height - 1 - x.
    corners = np.float32([[[0, 0], [height - 1, 0], [0, width - 1]]])
    wanted = [(0, height - 1), (0, 0), (width - 1, height - 1)]
    assert np.abs(cv2.perspectiveTransform(corners, first.evidence.homography)[0] - wanted).max() < 3


def test_what_is_not_in_the_collection_is_not_found(engine):
    stranger = engine.ask(paint("abstract", "grid", 77, 400))
    assert stranger.verdict is not Verdict.FOUND
    assert len(stranger.before) == 12
    empty = engine.ask(np.full((300, 400, 3), 128, np.uint8))
    assert empty.keypoints == 0
    assert all(candidate.evidence.matches == 0 for candidate in empty.after)
    assert empty.verdict is not Verdict.FOUND


# The form of an answer


def test_the_rankings_hold_the_same_candidates_in_their_own_order(engine, pictures):
    answer = engine.ask(cropped(pictures[3]))
    similarities = [candidate.similarity for candidate in answer.before]
    scores = [candidate.score for candidate in answer.after]
    assert similarities == sorted(similarities, reverse=True)
    assert scores == sorted(scores, reverse=True)
    assert sorted(one.id for one in answer.before) == sorted(one.id for one in answer.after) == sorted(pictures)
    assert all(engine.images[candidate.id] == candidate.path for candidate in answer.before)
    assert answer.frame == cropped(pictures[3]).shape[:2]
    assert {one.id: one.frame for one in answer.before} == {i: pixels.shape[:2] for i, pixels in pictures.items()}


def test_every_stage_is_timed_in_its_order(engine, pictures):
    seconds = engine.ask(pictures[1]).seconds
    assert list(seconds) == STAGES
    assert all(value >= 0 for value in seconds.values())


def test_path_bytes_and_array_give_the_same_answer(engine, pictures):
    path = engine.dataset / engine.images[5]
    answer = said(engine.ask(path))
    assert said(engine.ask(path.read_bytes())) == answer
    assert said(engine.ask(pictures[5])) == answer


def test_threads_get_the_answers_of_one_after_the_other(engine, pictures):
    asked = list(pictures.values())[::2] * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.ask, asked))
    alone = [engine.ask(picture) for picture in asked[:6]] * 2
    for one, other in zip(together, alone, strict=True):
        _alike(one, other)


def _alike(one: Answer, other: Answer):
    """Equal but for the last digits of a similarity: sums may be taken in another order."""
    assert (one.verdict, one.keypoints, one.frame) == (other.verdict, other.keypoints, other.frame)
    assert [candidate.id for candidate in one.after][:1] == [candidate.id for candidate in other.after][:1]
    mine, yours = ({candidate.id: candidate for candidate in answer.before} for answer in (one, other))
    assert mine.keys() == yours.keys()
    for image in mine:
        assert mine[image].similarity == pytest.approx(yours[image].similarity, abs=1e-4)
        assert _evidence(mine[image].evidence) == _evidence(yours[image].evidence)


def test_excluded_images_are_nowhere_in_the_answer(engine, pictures):
    answer = engine.ask(pictures[4], exclude={4, 7})
    assert {candidate.id for candidate in answer.before} == set(pictures) - {4, 7}
    assert {candidate.id for candidate in answer.after} == set(pictures) - {4, 7}
    assert answer.verdict is not Verdict.FOUND


def test_excluding_everything_leaves_an_empty_answer(engine, pictures):
    answer = engine.ask(pictures[4], exclude=set(pictures))
    assert answer.before == answer.after == []
    assert answer.verdict is Verdict.NOT_FOUND


def test_the_shortlist_is_as_long_as_the_settings_say(collection, engine, pictures):
    short = Engine(engine.store, engine.reading, engine.describer, replace(SETTINGS, shortlist=3, voted=0))
    answer = short.ask(pictures[2])
    assert [one.id for one in answer.before] == [one.id for one in engine.ask(pictures[2]).before][:3]


def blurred(picture):
    """A part of the picture, small and out of focus: next to no corners are left."""
    part = cv2.resize(cropped(picture), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(part, (0, 0), 3)


def test_a_closer_look_finds_what_corners_do_not(engine, pictures, monkeypatch):
    closer = {image: engine.ask(blurred(picture)) for image, picture in pictures.items()}
    monkeypatch.setattr("models.question.LIKELIEST", 0)
    without = {image: engine.ask(blurred(picture)) for image, picture in pictures.items()}
    found, before = (
        {image for image, answer in answers.items() if answer.after[0].id == image and answer.verdict is Verdict.FOUND}
        for answers in (closer, without)
    )
    assert before < found and len(found) >= len(before) + 2
    for image in found - before:
        first, seen = closer[image].after[0], closer[image]
        work = cv2.resize(pictures[image], first.frame[::-1])
        height, width = work.shape[:2]
        middle = np.float32([[[seen.frame[1] / 2, seen.frame[0] / 2]]])
        where = cv2.perspectiveTransform(middle, first.evidence.homography)[0, 0]
        assert np.abs(where - (0.55 * width, 0.55 * height)).max() < 0.03 * max(height, width)


def test_a_closer_look_does_without_a_picture_that_has_gone(collection, tmp_path):
    shutil.copytree(collection, tmp_path, dirs_exist_ok=True)
    its = Engine.open(tmp_path / "output", tmp_path / "images", SETTINGS)
    picture = blurred(cv2.imread(str(next((tmp_path / "images").iterdir()))))
    shutil.rmtree(tmp_path / "images")
    assert its.ask(picture).after


def test_attention_is_that_of_the_whole_picture(engine, pictures):
    describer = engine.describer
    for picture in (pictures[1], on_a_wall(pictures[1])):
        _, activations = describer.network(describer.prepare(picture)[None])
        expected = pooling.attention(describer.class_maps(activations[0]))
        found = engine.ask(picture).attention
        assert found.shape == ((6, 8) if picture.shape[1] >= picture.shape[0] else (8, 6))  # 128x96 by 16
        assert (found.min(), found.max()) == (0, 255)
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_attention_goes_to_what_is_on_the_wall(engine, pictures):
    # The work takes up the left half of the lower half; the wall is of one colour.
    for picture in list(pictures.values())[::4]:
        found = engine.ask(on_a_wall(picture)).attention / 255
        rows, columns = found.shape
        assert found[rows // 2 :, : columns // 2].mean() > 1.2 * found.mean()


def test_attention_is_there_whatever_the_pooling(engine, pictures):
    recipe = replace(RECIPE, pooling="gem")
    other = Engine(engine.store, engine.reading, Describer(engine.describer.network, recipe), SETTINGS)
    assert np.array_equal(other.ask(pictures[1]).attention, engine.ask(pictures[1]).attention)


def test_a_collection_described_by_generalised_means_of_two_layers(bundled_model, tmp_path):
    recipe = replace(RECIPE, pooling="cam_gem")
    network = VGG16(bundled_model, "float32", pooling.levels("cam_gem"))
    small_collection.make(tmp_path, bundled_model, network, recipe)
    its = Engine.open(tmp_path / "output", tmp_path / "images", SETTINGS)
    for image, path in list(its.images.items())[::3]:
        answer = its.ask(tmp_path / "images" / path)
        assert (answer.before[0].id, answer.verdict) == (image, Verdict.FOUND)
        assert answer.before[0].similarity > 0.999
    assert len(its.whitening.mean) == 1024

    # Another choice of classes makes other descriptors, of the next engine and not of this one.
    picture = tmp_path / "images" / its.images[1]
    before = its.ask(picture).before
    classes = its.describer.classes[::-1][:7].tolist()
    elsewhere(tmp_path / "output", f"store.set_meta(frequent_classes={classes})")
    fresh = its.refreshed()
    assert fresh.describer.classes.tolist() == classes
    assert fresh.describer.network is its.describer.network
    assert fresh.ask(picture).before[0].similarity < 0.99 < before[0].similarity


def test_similar_images_are_those_with_similar_descriptors(engine, pictures):
    numbers, matrix = engine.store.descriptors()
    cosines = matrix.astype(np.float32) @ matrix.astype(np.float32).T
    for place, image in enumerate(numbers.tolist()):
        order = [other for other in np.argsort(-cosines[place], kind="stable") if other != place]
        found = engine.similar(image, 4)
        assert [other for other, _ in found] == numbers[order[:4]].tolist()
        assert [cosine for _, cosine in found] == pytest.approx(cosines[place][order[:4]], abs=2e-3)
    assert len(engine.similar(1, 100)) == len(pictures) - 1


@pytest.mark.parametrize("image", [0, 13, -1])
def test_nothing_is_similar_to_an_image_that_is_not_there(engine, image):
    with pytest.raises(KeyError):
        engine.similar(image, 3)


def test_a_painting_detected_on_a_photograph_is_found_once_it_is_straightened(engine, pictures):
    wall = np.full((1500, 2048, 3), (178, 186, 190), np.uint8)
    wall[400:1100, 600:1500] = cv2.resize(pictures[3], (900, 700))
    assert engine.ask(wall).frame == (1172, 1600)
    expected = np.float32([[600, 400], [1500, 400], [1500, 1100], [600, 1100]])
    nearest = min(paintings(wall), key=lambda corners: np.abs(corners - expected).max())
    assert engine.ask(straighten(wall, nearest)).after[0].id == 3


def test_thresholds_and_fingerprint_are_plain_data(engine):
    assert engine.thresholds["found_inliers"] > engine.thresholds["maybe_inliers"]
    assert engine.fingerprint["weights"] == "bundled" and engine.fingerprint["size"] == "128x96"
    assert engine.fingerprint["local_features"] == {"kind": "orb", "keypoints": 300, "side": 800}


# The calibration


def calibrated(engine, **changed) -> Calibration:
    """A calibration for the engine's collection that asks for many inliers."""
    coefficients = [3.0 if name == "log inliers above chance" else 0.0 for name in FEATURES]
    whole = {
        "features": list(FEATURES),
        "means": [2.0] * len(FEATURES),
        "deviations": [1.0] * len(FEATURES),
        "coefficients": coefficients,
        "intercept": 0.0,
        "found": 0.9,
        "maybe": 0.1,
        "operating_point": "no wrong “found”",
        "measured": {},
        "runs": ["a run"],
        "fingerprint": engine.fingerprint,
        "date": "2026-11-24T08:30:00Z",
    }
    return Calibration(**whole | changed)


def test_without_a_calibration_the_thresholds_hold_and_it_is_said(engine, pictures):
    answer = engine.ask(pictures[1])
    assert answer.probability is None
    assert answer.grounds == grounds_of(answer.after, answer.keypoints)
    assert engine.calibration["calibrated"] is False and engine.calibration["problem"] is None


def test_a_calibration_decides_and_changes_no_grounds(copied, engine, pictures):
    calibrated(engine).write(copied)
    with_it = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    assert with_it.calibration["runs"] == ["a run"]
    assert with_it.thresholds == {"found_probability": 0.9, "maybe_probability": 0.1}
    sky = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 9)
    for picture, verdict in ((pictures[1], Verdict.FOUND), (sky, Verdict.NOT_FOUND)):
        answer = with_it.ask(picture)
        assert answer.grounds == engine.ask(picture).grounds
        assert answer.probability == calibrated(engine).probability(answer.grounds)
        assert answer.verdict is verdict


def test_the_picture_is_laid_upon_the_first_work_and_compared(engine, pictures):
    turned = cv2.resize(np.rot90(pictures[1]), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    assert engine.ask(turned).grounds.agreement > 0.8
    # The lower half is another picture, so that half of the work is not what is seen.
    half = pictures[1].copy()
    other = cv2.resize(pictures[2], half.shape[1::-1])
    half[len(half) // 2 :] = other[len(half) // 2 :]
    answer = engine.ask(half)
    assert answer.after[0].id in (1, 2) and answer.grounds.inliers > 20
    assert answer.grounds.agreement < 0.75


def test_nothing_is_compared_with_a_work_whose_file_has_gone(engine, pictures, tmp_path):
    without = Engine(engine.store, Reading.of(tmp_path, SETTINGS), engine.describer, SETTINGS)
    answer = without.ask(pictures[1])
    assert answer.after[0].id == 1 and answer.grounds.inliers > 20
    assert answer.grounds.agreement == 0


def test_an_empty_answer_has_no_probability(copied, engine, pictures):
    calibrated(engine, intercept=50.0).write(copied)
    with_it = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    answer = with_it.ask(pictures[1], exclude=set(pictures))
    assert (answer.verdict, answer.probability) == (Verdict.NOT_FOUND, None)


def test_an_engine_follows_verdict_json(copied, engine, pictures):
    first = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    assert first.is_current()
    calibrated(engine).write(copied)
    assert not first.is_current()
    second = first.refreshed()
    assert second.is_current() and second.calibration["calibrated"]
    assert first.ask(pictures[1]).probability is None  # the one before stays as it was
    (copied / NAME).write_text("{")
    third = second.refreshed()
    assert third.is_current()  # it has been seen, so it is not read again and again
    assert "cannot be read" in third.calibration["problem"]
    assert third.ask(pictures[1]).probability == second.ask(pictures[1]).probability
    calibrated(engine, found=0.95).write(copied)
    fourth = third.refreshed()
    assert fourth.thresholds["found_probability"] == 0.95 and fourth.calibration["problem"] is None
    (copied / NAME).unlink()
    assert not fourth.is_current()
    assert fourth.refreshed().calibration["calibrated"] is False


def test_a_calibration_of_another_collection_is_not_followed(copied, engine):
    calibrated(engine, fingerprint=engine.fingerprint | {"whitening_digest": "0"}).write(copied)
    without = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    assert not without.calibration["calibrated"]
    assert "another collection" in without.calibration["problem"]


@pytest.mark.parametrize("name", ANSWER_SETTINGS)
def test_a_calibration_made_with_another_setting_that_shapes_answers_is_not_followed(copied, engine, name):
    calibrated(engine).write(copied)
    other = "SQ8" if name == "index" else getattr(SETTINGS, name) + 1
    changed = Engine(Store.reading(copied), engine.reading, engine.describer, replace(SETTINGS, **{name: other}))
    assert not changed.calibration["calibrated"]
    assert f"was made with {name} {getattr(SETTINGS, name)}, which is {other} now" in changed.calibration["problem"]


def test_a_calibration_outlives_settings_that_shape_no_answer(copied, engine):
    calibrated(engine).write(copied)
    same = replace(SETTINGS, title="The museum", port=80, workers=2, max_pixels=1000)
    assert Engine(Store.reading(copied), engine.reading, engine.describer, same).calibration["calibrated"]


# Twins


def test_twins_are_other_images_of_the_same_work(copied, collection, engine, pictures):
    assert all(engine.twins(image) == set() for image in pictures)
    folder = copied.parent / "images"
    shutil.copytree(collection / "images", folder)
    height, width = pictures[3].shape[:2]
    detail = pictures[3][: height * 3 // 4, : width * 3 // 4]
    for name, picture in (("copy.png", pictures[3]), ("detail.png", detail)):
        assert cv2.imwrite(str(folder / name), picture)
    listed = sorted(file.name for file in folder.iterdir())
    reading = Reading.of(folder, SETTINGS)
    with Store.writing(copied, 1) as store:
        describe(store, reading, Lists(listed, []), engine.describer, SETTINGS, update=True)
        extractor = Orb(SETTINGS.keypoints, SETTINGS.feature_side)
        assert find_features(store, reading, extractor, workers=1, indexed=SETTINGS.indexed).added == 2
    larger = Engine(Store.reading(copied), reading, engine.describer, SETTINGS)
    new = set(larger.images) - set(engine.images)
    assert larger.twins(3) == new
    assert larger.twins(min(new)) == new - {min(new)} | {3}
    assert larger.twins(4) == set()
    with pytest.raises(KeyError):
        larger.twins(99)


# Bad pictures


def test_a_damaged_picture_is_a_problem_with_a_reason(engine, tmp_path):
    whole = (engine.dataset / engine.images[1]).read_bytes()
    for content in (whole[: len(whole) // 2], b"no picture", b""):
        with pytest.raises(ImageProblem, match=r"\w"):
            engine.ask(content)
    with pytest.raises(ImageProblem, match="cannot be read"):
        engine.ask(tmp_path / "missing.jpg")
    assert engine.ask(whole).after[0].id == 1  # and the next one is answered


# Stores that do not fit


@pytest.fixture
def copied(collection, tmp_path) -> Path:
    """A copy of the collection's output, to be spoilt."""
    return Path(shutil.copytree(collection / "output", tmp_path / "output"))


def refused(collection, output, sentence):
    with pytest.raises(WrongUse, match=sentence) as told:
        Engine.open(output, collection / "images", SETTINGS)
    assert str(output) in str(told.value)


def test_images_without_local_features_are_ranked_by_similarity(copied, engine, pictures):
    with Store.writing(copied, 1) as store:
        found = dict(zip(pictures, store.features(pictures), strict=True))
        store.restart_features(local_features=store.get_meta("local_features"))
        store.put_features([(image, found[image]) for image in pictures if image not in (2, 6)])
    lacking = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    answer = lacking.ask(pictures[2])
    (bare,) = (candidate for candidate in answer.after if candidate.id == 2)
    assert (bare.frame, bare.evidence.matches, bare.score) == ((0, 0), 0, bare.similarity)
    assert answer.before[0].id == answer.after[0].id == 2
    assert answer.verdict is Verdict.MAYBE  # similarity 1, but no proof
    assert lacking.ask(pictures[3]).verdict is Verdict.FOUND


def test_no_store(collection, tmp_path):
    refused(collection, tmp_path / "nowhere", re.escape("run train.py"))


def test_an_incomplete_store(collection, copied):
    with Store.writing(copied, 1) as store:
        store.set_meta(complete=None)
    refused(collection, copied, re.escape("run train.py again"))


def test_a_store_without_local_features(collection, copied):
    with Store.writing(copied, 1) as store:
        store.restart_features(local_features=None)
    refused(collection, copied, re.escape("run pre_compute_descriptor.py"))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"weights_digest": "0" * 64}, "other weights.*train.py"), ({"method": METHOD + 1}, "another version.*train.py")],
    ids=["weights", "method"],
)
def test_a_store_made_with_other_weights_or_another_method(collection, copied, changed, sentence):
    with Store.writing(copied, 1) as store:
        store.set_meta(**changed)
    refused(collection, copied, sentence)


# A store that changes


def elsewhere(output: Path, code: str) -> None:
    """Run these lines in another process, which has the store in `output` open for writing, as a step would."""
    start = (
        "import sys\nfrom pathlib import Path\nfrom models.collection.store import *\nfrom models.local import votes\n"
    )
    opening = f"with Store.writing(Path(sys.argv[1]), 1) as store:\n    {code}"
    subprocess.run([sys.executable, "-c", start + opening, output], cwd=ROOT, check=True, timeout=60)


@pytest.fixture
def living(collection, copied, engine) -> Engine:
    """An engine for a store that may be changed, with the network of the other."""
    return Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)


COPY_OF_4 = "store.put_images('descriptors', [(Stamp('new.png', 1, 1), store.descriptor(4))])"
WITH_FEATURES = f"{COPY_OF_4}; store.put_features([(13, store.features([4])[0])])"


def test_an_engine_is_current_until_a_write(living, copied, pictures):
    assert living.is_current()
    living.ask(pictures[1])
    assert living.is_current()
    elsewhere(copied, "store.set_meta(anything=1)")
    assert not living.is_current()
    assert living.refreshed().is_current()
    assert not living.is_current()


def test_a_new_image_is_found_after_refreshing(living, copied, pictures):
    before = said(living.ask(pictures[4]))
    elsewhere(copied, WITH_FEATURES)
    assert said(living.ask(pictures[4])) == before
    fresh = living.refreshed()
    assert fresh.images == living.images | {13: "new.png"}
    assert {one.id for one in fresh.ask(pictures[4]).after[:2]} == {4, 13}
    assert [image for image, _ in fresh.similar(13, 1)] == [4]
    with pytest.raises(KeyError):
        living.similar(13, 1)
    assert (fresh.store, fresh.describer.network) == (living.store, living.describer.network)
    assert fresh.fingerprint == living.fingerprint


def test_a_new_image_without_local_features_is_ranked_by_similarity(living, copied, pictures):
    elsewhere(copied, COPY_OF_4)
    answer = living.refreshed().ask(pictures[4])
    assert [one.id for one in answer.after].index(13) > 0
    (new,) = (one for one in answer.after if one.id == 13)
    assert new.score == new.similarity == pytest.approx(1, abs=2e-3)


def test_a_deleted_image_is_gone_after_refreshing_and_no_fault_before(living, copied, pictures):
    elsewhere(copied, f"store.delete([{living.images[4]!r}])")
    (gone,) = (one for one in living.ask(pictures[4]).after if one.id == 4)
    assert (gone.path, gone.frame, gone.evidence.matches) == (living.images[4], (0, 0), 0)
    with pytest.raises(KeyError):
        living.similar(4, 3)
    fresh = living.refreshed()
    assert fresh.images == {image: path for image, path in living.images.items() if image != 4}
    assert 4 not in {one.id for one in fresh.ask(pictures[4]).after}


@pytest.mark.parametrize("lock_goes_too", [False, True], ids=["the file", "with its lock file"])
def test_a_store_made_anew(living, copied, collection, pictures, lock_goes_too):
    """Deleted, then made again by the steps, under the same name: each engine answers from its own file."""
    before = said(living.ask(pictures[4]))
    (copied / FILE).unlink()
    if lock_goes_too:
        (copied / f"{FILE}-lock").unlink()
    assert not living.is_current()
    with pytest.raises(WrongUse, match="run train"):
        living.refreshed()
    elsewhere(copied, "store.set_meta(recipe={})")
    for _ in range(2):  # each attempt finds what there is by then
        with pytest.raises(WrongUse, match="is not complete"):
            living.refreshed()
    elsewhere(copied, FILLED.format(str(collection / "output"), FEATURES_TOO))
    assert not living.is_current()
    fresh = living.refreshed()
    assert fresh.is_current()
    assert fresh.images == {1: living.images[4]}
    assert fresh.describer.network is living.describer.network
    assert [one.id for one in fresh.ask(pictures[4]).after] == [1]
    assert fresh.ask(pictures[4]).verdict is Verdict.FOUND
    assert said(living.ask(pictures[4])) == before


# Makes a complete store of image 4 of another, and then does something with [(1, features of it)].
FILLED = """
    with Store.reading(Path({!r})).snapshot() as other:
        store.set_meta(**{{name: other.get_meta(name) for name in ('recipe', 'weights_digest', 'method')}})
        names = ('whitening_mean', 'whitening_projection')
        store.whiten(dict(zip(names, other.get_arrays(*names))), [])
        store.put_images('descriptors', [(other.images()[4], other.descriptor(4))])
        store.set_meta(complete=True)
        store.restart_features(local_features=other.get_meta('local_features'))
        rows = [(1, other.features([4])[0])]
        {}
"""
FEATURES_TOO = "store.put_features(rows); votes.update(store, 500, None)"


def test_a_store_moved_in_beside_its_lock_file(living, copied, collection, pictures, tmp_path):
    elsewhere(tmp_path / "other", FILLED.format(str(collection / "output"), FEATURES_TOO))
    for name in (next((tmp_path / "other").glob("votes-*")).name, FILE):
        (tmp_path / "other" / name).replace(copied / name)
    assert not living.is_current()
    fresh = living.refreshed()
    assert fresh.is_current() and len(fresh.images) == 1
    assert living.ask(pictures[4]).after[0].evidence.inliers > 200


def test_a_store_that_is_not_ready_is_refused_and_the_engine_stays(living, copied, collection, pictures):
    before = said(living.ask(pictures[4]))
    (copied / FILE).unlink()
    elsewhere(copied, FILLED.format(str(collection / "output"), "pass"))
    with pytest.raises(WrongUse, match="has no local features"):
        living.refreshed()
    assert said(living.ask(pictures[4])) == before
    elsewhere(copied, "store.set_meta(complete=None)")
    with pytest.raises(WrongUse, match="is not complete"):
        living.refreshed()
    assert said(living.ask(pictures[4])) == before


def test_local_features_of_another_kind_are_no_fault_meanwhile(living, copied, pictures):
    features = "Features((300, 400), np.zeros((9, 4), np.float32), np.zeros((9, 128), np.uint8), 'sift')"
    meta = "store.restart_features(local_features={'kind': 'sift', 'keypoints': 9, 'side': 800}, votes=None)"
    elsewhere(copied, f"{meta}; store.put_features([(4, {features})])")
    assert {one.evidence.matches for one in living.ask(pictures[4]).after} == {0}
    with pytest.raises(WrongUse, match="no index of keypoints"):
        living.refreshed()
    elsewhere(copied, "votes.update(store, 500, None)")
    assert living.refreshed().extractor.kind == "sift"


def test_other_weights_are_not_taken_for_the_same(living, copied):
    elsewhere(copied, "store.set_meta(weights_digest='0' * 64)")
    with pytest.raises(WrongUse, match="other weights"):
        living.refreshed()
    assert not living.is_current()


def test_weights_that_changed_are_loaded_anew(copied, engine, bundled_model, pictures):
    elsewhere(copied, "store.set_meta(weights_digest='of earlier weights')")
    living = Engine(Store.reading(copied), engine.reading, engine.describer, SETTINGS)
    elsewhere(copied, f"store.set_meta(weights_digest={weights.digest(bundled_model)!r})")
    fresh = living.refreshed()
    assert fresh.store is living.store and fresh.describer.network is not living.describer.network
    _alike(fresh.ask(pictures[1]), engine.ask(pictures[1]))


def test_several_threads_may_refresh_at_once(living, copied):
    shutil.copy(copied / FILE, copied / "copy")
    (copied / "copy").replace(copied / FILE)
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: living.refreshed(), range(4)))
    assert all(engine.is_current() and engine.images == living.images for engine in engines)
    assert len({engine.store for engine in engines} - {living.store}) == 1


def test_threads_get_their_answers_while_the_engine_is_refreshed(living, copied, engine, pictures):
    """Four threads ask, each whichever engine is the latest, while images come and the store is moved away and back."""
    latest = [living]
    asked = list(pictures.values())[::2] * 4
    alone = [engine.ask(picture) for picture in asked[:6]] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(lambda picture: latest[0].ask(picture), picture) for picture in asked]
        for change in ("touched", "replaced", "touched"):
            if change == "replaced":
                shutil.copy(copied / FILE, copied / "copy")
                (copied / "copy").replace(copied / FILE)
            else:
                elsewhere(copied, "store.set_meta(anything=1)")
            latest[0] = latest[0].refreshed()
        for answer, expected in zip(answers, alone, strict=True):
            _alike(answer.result(), expected)
    assert latest[0].is_current()
    assert latest[0].store is not living.store


# The second look


def on_a_wall(picture):
    """A small work on a large wall, left of and below its middle."""
    wall = np.full((700, 700, 3), (90, 120, 200), np.uint8)
    small = cv2.resize(picture, (250, 250 * picture.shape[0] // picture.shape[1]), interpolation=cv2.INTER_AREA)
    wall[300 : 300 + small.shape[0], 60 : 60 + small.shape[1]] = small
    return wall


def test_a_small_work_on_a_wall_is_found_by_looking_again(collection, engine, pictures):
    """With one candidate a look, the wall around a small work leads some photographs astray, and its outline back."""

    def found(second_looks):
        asking = engine.settings
        engine.settings = replace(asking, shortlist=1, voted=0, second_looks=second_looks, query_keypoints=600)
        try:
            answers = [(image, engine.ask(on_a_wall(picture))) for image, picture in pictures.items()]
        finally:
            engine.settings = asking
        assert all(answer.seconds["detection"] > 0 for _, answer in answers if answer.verdict is not Verdict.FOUND)
        return {image for image, answer in answers if answer.verdict is Verdict.FOUND and answer.after[0].id == image}

    once, again = found(second_looks=0), found(second_looks=2)
    assert once < again
    assert len(again) >= len(pictures) - 2


# Votes


def test_votes_lead_to_a_work_that_the_descriptor_does_not_lead_to(engine, pictures):
    """With one candidate by descriptor, turned pictures lead astray; with one more by votes, none does."""
    alone = Engine(engine.store, engine.reading, engine.describer, NARROW)
    both = Engine(engine.store, engine.reading, engine.describer, replace(NARROW, voted=1))
    astray = 0
    for quarters, (image, picture) in product((1, 2, 3), pictures.items()):
        answer = both.ask(np.rot90(picture, quarters))
        assert (answer.after[0].id, answer.verdict) == (image, Verdict.FOUND)
        assert len(answer.before) <= 2 and answer.after[0].votes > 0.2
        astray += alone.ask(np.rot90(picture, quarters)).verdict is not Verdict.FOUND
    assert astray >= 4


def test_a_candidate_by_votes_has_its_similarity_too(engine, pictures):
    picture = np.rot90(pictures[3])
    both = Engine(engine.store, engine.reading, engine.describer, replace(NARROW, voted=12))
    expected = {one.id: one.similarity for one in engine.ask(picture).before}
    found = {one.id: one.similarity for one in both.ask(picture).before}
    assert len(found) > 1
    assert found == pytest.approx({image: expected[image] for image in found}, abs=2e-3)


def test_a_turned_picture_of_an_excluded_work_is_not_found(engine, pictures):
    answer = engine.ask(np.rot90(pictures[4]), exclude={4})
    assert {candidate.id for candidate in answer.before} == set(pictures) - {4}
    assert answer.verdict is not Verdict.FOUND

"""Step 3: pre_compute_descriptor.py as a person runs it, killed and continued, and what an update does."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import pre_compute_descriptor
from config import Settings
from models.collection.features import Features
from models.collection.lists import read_skipped
from models.collection.reading import Reading
from models.collection.store import FILE, Store
from models.local.filling import AT_ONCE
from models.local.kinds import KINDS
from utils.errors import WrongUse

ROOT = Path(__file__).parents[2]
ORB = {"kind": "orb", "keypoints": 500, "side": 800}


def paint(path: Path, seed: int, width: int = 160, height: int = 120) -> None:
    """A picture of coloured tiles, full of corners."""
    tiles = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    picture = cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def fill(folder: Path, paths: list[str] | None = None) -> None:
    """What train.py leaves: a complete store of the pictures (descriptors of ones will do here)."""
    reading = Reading.of(folder / "images", Settings())
    paths = sorted(path.name for path in (folder / "images").iterdir()) if paths is None else paths
    with Store.writing(folder / "output", 1) as store:
        store.put_images("descriptors", [(reading.content(path)[0], np.ones(8)) for path in paths])
        store.set_meta(complete=True)


def read(folder: Path) -> dict[str, Features | None]:
    store = Store.reading(folder / "output")
    images = store.images()
    found = dict(zip((stamp.path for stamp in images.values()), store.features(images), strict=True))
    store.close()
    return found


def meta(folder: Path, name: str):
    store = Store.reading(folder / "output")
    value = store.get_meta(name)
    store.close()
    return value


def rows(folder: Path) -> list[tuple[bytes, bytes]]:
    store = Store.reading(folder / "output")
    with store.environment.begin() as reading:
        found = list(reading.cursor(store.tables["features"]))
    store.close()
    return found


def arguments(folder: Path, *more: str) -> list[str]:
    return ["--dataset", f"{folder}/images", "--lists", f"{folder}/lists", "--output", f"{folder}/output", *more]


@pytest.fixture(autouse=True)
def one_worker(monkeypatch):
    monkeypatch.setenv("RETRIEVAL_WORKERS", "1")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three pictures in a complete store; one shows nothing but one colour."""
    (tmp_path / "images").mkdir()
    for number in range(2):
        paint(tmp_path / "images" / f"{number}.png", number)
    (tmp_path / "images" / "flat.png").write_bytes(
        cv2.imencode(".png", np.full((90, 90, 3), 99, np.uint8))[1].tobytes()
    )
    fill(tmp_path)
    return tmp_path


def run(capsys, folder: Path, *more: str) -> str:
    """What it prints."""
    pre_compute_descriptor.main(arguments(folder, *more))
    return capsys.readouterr().out


def test_every_picture_gets_its_features_and_one_without_keypoints_is_legal(folder, capsys):
    assert run(capsys, folder) == f"3 images with local features in {folder / 'output' / FILE}: 3 added\n"
    found = read(folder)
    for path, features in found.items():
        expected = KINDS["orb"](ORB["keypoints"], ORB["side"]).extract(cv2.imread(str(folder / "images" / path)))
        assert features.frame == expected.frame
        np.testing.assert_array_equal(features.keypoints, expected.keypoints)
        np.testing.assert_array_equal(features.descriptors, expected.descriptors)
    assert found["flat.png"].keypoints.shape == (0, 4) and found["flat.png"].descriptors.shape == (0, 32)
    assert len(found["0.png"].keypoints) > 20
    assert meta(folder, "local_features") == ORB
    # Once more: there is nothing to do, not even for the picture without keypoints.
    assert run(capsys, folder).endswith(": nothing to do\n")


def test_an_update_finds_what_is_new_with_the_options_of_the_first_run(folder, capsys):
    run(capsys, folder, "--feature", "sift", "--keypoints", "20")
    before = read(folder)
    paint(folder / "images" / "new.png", 9)
    paint(folder / "images" / "1.png", 10)
    fill(folder, ["new.png", "1.png"])
    assert run(capsys, folder, "--update").endswith(": 2 added\n")
    after = read(folder)
    assert meta(folder, "local_features") == {"kind": "sift", "keypoints": 20, "side": 800, "thresholds": [0.01, 30]}
    for path, features in after.items():
        assert features.descriptors.shape[1] == 128 and len(features.keypoints) <= 20
        same = path in before and np.array_equal(features.descriptors, before[path].descriptors)
        assert same == (path in ("0.png", "flat.png"))


def test_features_of_other_thresholds_are_made_anew(folder, capsys):
    run(capsys, folder, "--feature", "sift", "--keypoints", "20")
    with Store.writing(folder / "output", gigabytes=1) as store:
        store.set_meta(local_features={"kind": "sift", "keypoints": 20, "side": 800, "thresholds": [0.04, 10]})
    assert "all are computed again" in run(capsys, folder, "--update")
    assert meta(folder, "local_features")["thresholds"] == [0.01, 30]


def test_other_options_make_all_local_features_anew(folder, capsys):
    run(capsys, folder)
    wanted = {"kind": "orb", "keypoints": 30, "side": 800}
    told = run(capsys, folder, "--keypoints", "30")
    assert told == (
        f"The local features were {ORB}; all are computed again as {wanted}.\n"
        f"3 images with local features in {folder / 'output' / FILE}: 3 added\n"
    )
    assert meta(folder, "local_features") == wanted
    assert all(len(features.keypoints) <= 30 for features in read(folder).values())
    # With --update an option given counts, the others stay.
    run(capsys, folder, "--update", "--feature", "sift")
    assert meta(folder, "local_features") == wanted | {"kind": "sift", "thresholds": [0.01, 30]}
    # Without it, the defaults hold.
    run(capsys, folder)
    assert meta(folder, "local_features") == ORB


def test_what_changed_is_gone_or_damaged_since_train_is_skipped_with_its_sentence(folder, capsys):
    paint(folder / "images" / "0.png", 50)
    (folder / "images" / "1.png").unlink()
    paint(folder / "images" / "cut.png", 4)
    (folder / "images" / "cut.png").write_bytes((folder / "images" / "cut.png").read_bytes()[:100])
    fill(folder, ["cut.png"])
    told = run(capsys, folder)
    assert told == (
        "skipped: 0.png: changed since train.py: run train.py --update first\n"
        "skipped: 1.png: No such file or directory\n"
        "skipped: cut.png: damaged or cut off\n"
        f"1 images with local features in {folder / 'output' / FILE}: 1 added, 3 skipped\n"
    )
    assert read_skipped(folder / "lists") == [
        ("0.png", "changed since train.py: run train.py --update first", "pre_compute_descriptor.py"),
        ("1.png", "No such file or directory", "pre_compute_descriptor.py"),
        ("cut.png", "damaged or cut off", "pre_compute_descriptor.py"),
    ]
    assert {path for path, features in read(folder).items() if features} == {"flat.png"}
    fill(folder, ["0.png"])
    assert ": 1 added, 2 skipped\n" in run(capsys, folder)


def test_a_picture_deleted_from_the_store_takes_its_features_along(folder, capsys):
    run(capsys, folder)
    with Store.writing(folder / "output", 1) as store:
        store.delete(["0.png"])
        assert store.count("features") == 2


def process(folder: Path, *more: str, **options) -> subprocess.Popen:
    command = [sys.executable, "pre_compute_descriptor.py", *arguments(folder, *more)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(started: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, standard output, and what was told on standard error besides the progress."""
    shown, told = started.communicate(timeout=120)
    lines = [line for line in told.splitlines(keepends=True) if not line.startswith("Finding features:")]
    return started.returncode, shown, "".join(lines)


def test_without_a_complete_collection_it_is_wrong_use(folder):
    nowhere = folder / "nowhere"
    code, shown, told = finish(process(nowhere))
    sentence = f"There is no collection in {nowhere / 'output'}: run train.py first."
    assert (code, shown, told) == (2, "", f"pre_compute_descriptor.py: {sentence}\n")
    assert not nowhere.exists()
    with Store.writing(folder / "output", 1) as store:
        store.set_meta(complete=None)
    with pytest.raises(WrongUse, match=r"is not complete: run train\.py first; it continues where it stopped\."):
        pre_compute_descriptor.main(arguments(folder))


@pytest.mark.parametrize("option", [("--feature", "akaze"), ("--keypoints", "0"), ("--keypoints", "many")])
def test_options_that_do_not_fit_are_refused(folder, option, capsys):
    with pytest.raises(SystemExit) as left:
        pre_compute_descriptor.main(arguments(folder, *option))
    assert left.value.code == 2
    assert option[0] in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--update",)])
def test_a_kind_of_local_features_that_there_is_not_is_refused(folder, more, capsys):
    run(capsys, folder)
    code, shown, told = finish(process(folder, *more, env=os.environ | {"RETRIEVAL_FEATURE": "nonsense"}))
    sentence = "RETRIEVAL_FEATURE='nonsense' is unknown: choose one of orb, sift."
    assert (code, shown, told) == (2, "", f"pre_compute_descriptor.py: {sentence}\n")


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Enough pictures for three transactions, twelve of them different."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "images").mkdir()
    for number in range(12):
        paint(folder / "images" / f"{number}.png", number, 640, 480)
    for number in range(12, 2 * AT_ONCE + 30):
        os.link(folder / "images" / f"{number % 12}.png", folder / "images" / f"{number}.png")
    fill(folder)
    return folder


def wait_for_features(started: subprocess.Popen, folder: Path, count: int) -> None:
    store = Store.reading(folder / "output")
    while started.poll() is None and store.count("features") < count:
        time.sleep(0.002)
    store.close()


def test_killed_and_interrupted_at_random_moments_it_ends_with_the_same_features(many, tmp_path):
    shutil.copytree(many, tmp_path / "killed", copy_function=os.link, ignore=shutil.ignore_patterns("output"))
    shutil.copytree(many / "output", tmp_path / "killed" / "output")
    assert finish(process(many))[0] == 0
    expected = rows(many)
    assert len(expected) == 2 * AT_ONCE + 30
    moments = random.Random(3)
    # Ctrl-C on a terminal reaches the processes that find the features as well.
    for least, most, how in ((1, 64, signal.SIGKILL), (65, 128, signal.SIGINT)):
        started = process(tmp_path / "killed", start_new_session=True)
        wait_for_features(started, tmp_path / "killed", moments.randint(least, most))
        (os.kill if how == signal.SIGKILL else os.killpg)(started.pid, how)
        code, shown, told = finish(started)
        if how == signal.SIGINT:
            sentence = "Interrupted. Finished work is kept: repeat the command to continue."
            assert (code, shown, told) == (1, "", f"pre_compute_descriptor.py: {sentence}\n")
        else:
            assert code == -signal.SIGKILL
        assert 0 < len(rows(tmp_path / "killed")) < len(expected)
    code, shown, told = finish(process(tmp_path / "killed"))
    assert (code, told) == (0, "") and f"{len(expected)} images with local features" in shown
    assert rows(tmp_path / "killed") == expected

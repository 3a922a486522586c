"""The training that makes the weights that ship: teacher, student, crops, and the command as a person runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.signal import correlate2d

from models.description import vgg16_model
from models.description.backend import keras
from models.description.vgg16_model import MEAN, vgg16_cam
from models.training import crops, distill
from models.training import student as student_file
from models.training.crops import Crops
from models.training.student import CONVOLUTIONS, GUIDED, fit_adapters, fold, student, unfold
from models.training.teacher import INCEPTIONS, LocalResponseNormalization, Teacher
from utils.errors import WrongUse

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("RETRIEVAL_DATA", ROOT.parent / "shared" / "data"))
TEACHER = DATA / "teacher" / "googlenet_imagenet_f16.npz"
CHANNELS, CLASSES = 8, 10  # of the small teacher's last maps and of its classifier
ADAPTERS = (3, 4, 8, 8, 8)


# A small teacher: each branch of an inception has two channels.


def small_teacher() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {}

    def add(name, *shape):
        arrays[f"{name}/kernel"] = rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype(np.float16)
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float16)

    add("conv1/7x7_s2", 7, 7, 3, 3)
    add("conv2/3x3_reduce", 1, 1, 3, 3)
    add("conv2/3x3", 3, 3, 3, 4)
    for name in INCEPTIONS:
        wide = 4 if name == "3a" else CHANNELS
        add(f"inception_{name}/1x1", 1, 1, wide, 2)
        add(f"inception_{name}/3x3_reduce", 1, 1, wide, 2)
        add(f"inception_{name}/3x3", 3, 3, 2, 2)
        add(f"inception_{name}/5x5_reduce", 1, 1, wide, 2)
        add(f"inception_{name}/5x5", 5, 5, 2, 2)
        add(f"inception_{name}/pool_proj", 1, 1, wide, 2)
    add("classifier", CHANNELS, CLASSES)
    arrays["classifier/kernel"] /= 20  # the maps are large: scores of ordinary size
    return arrays


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "small.npz"
    np.savez(path, **small_teacher())
    return path


def clouds(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A picture of coloured clouds; every seed gives another one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


# GoogLeNet by hand, with NumPy and SciPy.


def convolve(maps, arrays, name, stride=1):
    kernel, bias = (arrays[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    outs = [
        sum(correlate2d(maps[..., i], kernel[..., i, o], mode="same") for i in range(maps.shape[2])) + bias[o]
        for o in range(kernel.shape[3])
    ]
    return np.maximum(np.stack(outs, axis=2)[::stride, ::stride], 0)


def pool(maps, stride):
    """3 x 3; a window that reaches beyond the lower or the right edge counts (PyTorch's ceil_mode)."""
    before = 1 if stride == 1 else 0
    padded = np.pad(maps, ((before, 2), (before, 2), (0, 0)), constant_values=-np.inf)
    rows, columns = (range(0, side, stride) for side in maps.shape[:2])
    return np.array([[padded[y : y + 3, x : x + 3].max((0, 1)) for x in columns] for y in rows])


def normalise(maps):
    out = np.empty_like(maps)
    for k in range(maps.shape[2]):
        around = maps[..., max(0, k - 2) : k + 3]
        out[..., k] = maps[..., k] / (1 + 1e-4 / 5 * (around**2).sum(2)) ** 0.75
    return out


def googlenet(pixels, arrays):
    def inception(x, name):
        name = f"inception_{name}"
        deep = [convolve(convolve(x, arrays, f"{name}/{k}_reduce"), arrays, f"{name}/{k}") for k in ("3x3", "5x5")]
        first, last = convolve(x, arrays, f"{name}/1x1"), convolve(pool(x, 1), arrays, f"{name}/pool_proj")
        return np.concatenate([first, *deep, last], axis=2)

    maps = {"conv1": convolve(pixels, arrays, "conv1/7x7_s2", stride=2)}
    x = convolve(normalise(pool(maps["conv1"], 2)), arrays, "conv2/3x3_reduce")
    maps["conv2"] = convolve(x, arrays, "conv2/3x3")
    x = pool(normalise(maps["conv2"]), 2)
    for name in INCEPTIONS:
        maps[name] = x = inception(x, name)
        if name in ("3b", "4e"):
            x = pool(x, 2)
    return [maps[name] for name in ("conv1", "conv2", "3b", "4c", "4e", "5b")]


def test_teacher_gives_the_maps_of_googlenet(teacher_file):
    picture = clouds(1, 64, 96)
    teacher = Teacher(teacher_file)
    pixels = picture - np.array([104, 117, 123], np.float32)
    expected = googlenet(pixels.astype(np.float64), small_teacher())
    result = [np.asarray(maps)[0] for maps in teacher.maps.predict_on_batch(pixels[None])]
    for ours, theirs, stride in zip(result, expected, (2, 4, 8, 16, 16, 32), strict=True):
        assert ours.shape[:2] == (64 // stride, 96 // stride)
        assert theirs.max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.max())
    last, middle = teacher(picture[None])
    np.testing.assert_allclose(last[0], result[5], rtol=1e-5)
    np.testing.assert_allclose(middle[0], result[4], rtol=1e-5)
    assert teacher.kernel.shape == (CHANNELS, CLASSES)


def test_local_response_normalization_by_hand():
    # Large numbers, or the normalisation would do next to nothing.
    maps = np.random.default_rng(0).normal(0, 500, (1, 3, 4, 9)).astype(np.float32)
    result = np.asarray(keras.ops.convert_to_numpy(LocalResponseNormalization()(maps)))[0]
    expected = normalise(maps[0].astype(np.float64))
    assert np.abs(expected / maps[0]).min() < 0.2
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_the_imagenet_teacher_knows_its_classes():
    files = sorted((DATA / "unlabelled" / "imagenet_sample").glob("n*.jpg"))
    if not TEACHER.is_file() or len(files) < 1000:
        pytest.skip(f"{DATA} does not hold the teacher and one picture of each of ImageNet's classes")
    teacher = Teacher(TEACHER)
    chosen = range(0, 1000, 50)
    last, middle = teacher(np.stack([crops.centre(cv2.imread(str(files[k])), 224) for k in chosen]))
    assert (last.shape, middle.shape) == ((20, 7, 7, 1024), (20, 14, 14, 832))
    best = np.argsort(-(last.mean((1, 2)) @ teacher.kernel + teacher.bias))[:, :5]
    assert sum(k in row for k, row in zip(chosen, best, strict=True)) >= 16


# The student.


@pytest.fixture(scope="module")
def plain():
    """A small VGG16-CAM whose every weight counts."""
    keras.utils.set_random_seed(0)
    model = vgg16_cam(CHANNELS, CLASSES)
    rng = np.random.default_rng(0)
    model.set_weights([w if w.ndim > 1 else rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


def pixels(count: int) -> np.ndarray:
    return np.stack([clouds(seed, 64, 64) for seed in range(count)]) - MEAN


def test_student_starts_as_the_plain_network_and_folds_back(plain):
    made = student(ADAPTERS, CHANNELS)
    unfold(plain, made, [pixels(3), pixels(2)])
    for name in CONVOLUTIONS:  # the statistics are those of the pictures, or training would begin with a jolt
        assert made.get_layer(f"{name}_norm").get_weights()[3].max() != 1
    expected = plain.predict_on_batch(pixels(4))
    assert expected.std() > 0
    kernel, bias = plain.get_layer("classifier").get_weights()
    scores = made.predict_on_batch(pixels(4))[-1].mean((1, 2)) @ kernel + bias
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * expected.std())
    folded = fold(made, kernel, bias).predict_on_batch(pixels(4))
    np.testing.assert_allclose(folded, expected, rtol=1e-3, atol=1e-3 * expected.std())


def test_unfolded_normalisation_meets_the_statistics_of_its_pictures(plain):
    made = student(ADAPTERS, CHANNELS)
    unfold(plain, made, [pixels(4)])
    calm = made.predict_on_batch(pixels(4))[-1]
    training = np.asarray(keras.ops.convert_to_numpy(made(pixels(4), training=True)[-1]))
    np.testing.assert_allclose(training, calm, rtol=0.02, atol=0.02 * calm.std())


def test_fold_of_a_student_with_any_normalisation():
    keras.utils.set_random_seed(1)
    made = student(ADAPTERS, CHANNELS)
    rng = np.random.default_rng(1)
    for name in CONVOLUTIONS:
        norm = made.get_layer(f"{name}_norm")
        width = norm.get_weights()[0].shape
        scale = 100 if name == "block1_conv1" else 2  # pixels are large
        positive = [rng.uniform(0.5, 2, width), rng.uniform(0.5, 2, width) * scale**2]
        norm.set_weights([positive[0], rng.normal(0, 0.5, width), rng.normal(0, 0.5, width), positive[1]])
    kernel, bias = rng.normal(0, 1, (CHANNELS, CLASSES)), rng.normal(0, 1, CLASSES)
    expected = made.predict_on_batch(pixels(4))[-1].mean((1, 2)) @ kernel + bias
    assert expected.std() > 0
    result = fold(made, kernel, bias).predict_on_batch(pixels(4))
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3 * expected.std())


def test_adapters_are_fitted_to_what_is_wanted():
    keras.utils.set_random_seed(2)
    made, other = (student(ADAPTERS, CHANNELS) for _ in range(2))
    # The same trunk: then the other's adapters are the answer.
    other.set_weights(made.get_weights())
    for k in range(1, len(GUIDED) + 1):
        layer = other.get_layer(f"adapter{k}")
        layer.set_weights([w + np.random.default_rng(k).normal(0, 1, w.shape) for w in layer.get_weights()])
    wanted = [np.asarray(maps) for maps in other.predict_on_batch(pixels(4))[: len(GUIDED)]]
    fit_adapters(made, [(pixels(4)[:2], [m[:2] for m in wanted]), (pixels(4)[2:], [m[2:] for m in wanted])])
    for result, maps in zip(made.predict_on_batch(pixels(4)), wanted, strict=False):
        assert np.square(result - maps).mean() < 0.05 * maps.var()


def test_fidelity_by_hand():
    wanted = np.random.default_rng(0).normal(size=(20, 10))
    assert distill.fidelity(wanted + 3, wanted) == {"r2": 1, "top5": 1}  # the softmax ignores a constant
    assert distill.fidelity(-wanted, wanted)["top5"] == 0
    assert distill.fidelity(np.broadcast_to(wanted.mean(0), (20, 10)), wanted)["r2"] == pytest.approx(0, abs=0.02)


# Crops.


def test_crops_follow_from_seed_and_step():
    pictures = [clouds(seed) for seed in range(5)]
    made = Crops(pictures, 32, 16, seed=3, steps=range(10))
    later = Crops(pictures, 32, 16, seed=3, steps=range(7, 10))
    assert len(later) == 3
    for ours, theirs in zip(later[0], made[7], strict=True):
        assert (ours.shape, ours.dtype) == ((16, 32, 32, 3), np.uint8)
        np.testing.assert_array_equal(ours, theirs)
    for other in (made[8], Crops(pictures, 32, 16, seed=4, steps=range(10))[7]):
        assert (other[1] != made[7][1]).any()


def test_disturbed_crops_show_the_same_as_clean_ones():
    disturbed, clean = Crops([clouds(seed) for seed in range(20)], 64, 64, seed=0, steps=range(1))[0]
    same = [np.array_equal(one, other) for one, other in zip(disturbed, clean, strict=True)]
    assert 16 < sum(same) < 48
    for one, other in zip(disturbed, clean, strict=True):
        # A blurred copy of the clouds is most alike where it lies on itself: nothing was moved, mirrored or turned.
        alike = [np.corrcoef(one.ravel(), view.ravel())[0, 1] for view in (other, other[:, ::-1], np.rot90(other))]
        assert alike[0] > 0.7
        assert alike[0] == max(alike)


# The command.


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    """Twelve pictures in two folders, and one that is damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(12):
        path = folder / ("one", "two")[seed % 2] / f"{seed:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", clouds(seed))[1].tobytes())
    whole = (folder / "one" / "00.jpg").read_bytes()
    (folder / "one" / "damaged.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


SMALL = ("--start", "none", "--side", "32", "--last-side", "64", "--batch-size", "4", "--precision", "float32")
NARROW = ((4, 4), (6, 6), (8, 8, 8), (8, 8, 8), (8, 8, 8))  # VGG16 with few channels, so that a step takes no time
EVERY_STEP = f"""
from models.training import distill
from models.description import vgg16_model
from models.training import student
from utils import script
vgg16_model.BLOCKS = student.BLOCKS = {NARROW}
distill.CHECKPOINT_SECONDS = distill.PRINT_SECONDS = 0
script.run(distill.main)
"""


@pytest.fixture
def narrow(monkeypatch):
    for file in (vgg16_model, student_file):
        monkeypatch.setattr(file, "BLOCKS", NARROW)


def arguments(teacher: Path, gallery: Path, output: Path, *more: str) -> list[str]:
    folders = [str(gallery / name) for name in ("one", "two")]
    return ["--teacher", str(teacher), "--pictures", *folders, "--output", str(output), *SMALL, *more]


def start(*options: str) -> subprocess.Popen:
    command = [sys.executable, "-c", EVERY_STEP, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_told(shown: str) -> list[int]:
    return [int(step) for step in re.findall(r"^step (\d+)/10 ", shown, re.MULTILINE)]


def test_a_killed_run_goes_on_where_it_stopped(narrow, teacher_file, gallery, tmp_path):
    options = arguments(teacher_file, gallery, tmp_path / "out", "--crops", "40")
    killed = start(*options)
    for line in killed.stdout:
        if line.startswith("step 4/"):
            break
    killed.kill()
    killed.communicate()
    with np.load(tmp_path / "out" / "checkpoint.npz") as file:
        assert "settings" in file.files
    assert not (tmp_path / "out" / "vgg16_cam.weights.h5").exists()

    process = start(*options)
    shown, told = process.communicate(timeout=180)
    assert process.returncode == 0, told
    steps = steps_told(shown)
    assert steps[0] in (4, 5, 6)  # the state of step 3, 4 or 5 was the last on disk
    assert steps == list(range(steps[0], 11))
    assert "damaged.jpg: damaged or cut off" in shown
    report = json.loads((tmp_path / "out" / "distill.json").read_text())
    assert report["run"]["crops"] == 40
    assert report["run"]["files_skipped"] == 1
    assert set(report["held_out"]) == {"losses", "r2", "top5"}

    # What it would have learnt without a break.
    distill.main(arguments(teacher_file, gallery, tmp_path / "whole", "--crops", "40"))
    files = [tmp_path / folder / "vgg16_cam.weights.h5" for folder in ("out", "whole")]
    for file in files:
        assert file.stat().st_size < 42e6
    models = [vgg16_cam(CHANNELS, CLASSES) for _ in files]
    for model, file in zip(models, files, strict=True):
        model.load_weights(file)
    ours, theirs = (model.predict_on_batch(pixels(4)) for model in models)
    np.testing.assert_allclose(ours, theirs, atol=0.1 * theirs.std())

    # Other settings are not mixed with these.
    with pytest.raises(WrongUse, match="belongs to a run with other settings"):
        distill.main([*options, "--seed", "1"])


def test_training_lowers_the_loss(narrow, teacher_file, gallery, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(distill, "PRINT_SECONDS", 0)
    distill.main(
        arguments(teacher_file, gallery, tmp_path, "--crops", "160", "--last-side", "32", "--learning-rate", "0.01")
    )
    losses = [float(loss) for loss in re.findall(r" loss ([\d.]+)", capsys.readouterr().out)]
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def refused(*options: str) -> str:
    with pytest.raises(WrongUse) as caught:
        distill.main(list(options))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_teacher_that_is_none(teacher_file, gallery, tmp_path):
    def sentence(path):
        return refused(*arguments(path, gallery, tmp_path / "out"))

    assert "There is no teacher at" in sentence(tmp_path / "absent.npz")
    text = tmp_path / "text.npz"
    text.write_text("not arrays")
    assert "does not contain GoogLeNet weights" in sentence(text)
    arrays = small_teacher()
    other = tmp_path / "other.npz"
    np.savez(other, **{name: array for name, array in arrays.items() if name != "inception_4c/5x5/bias"})
    assert "inception_4c/5x5/bias is missing" in sentence(other)
    np.savez(other, **arrays | {"inception_3b/3x3/kernel": np.zeros((3, 3, 7, 2), np.float16)})
    assert "does not contain GoogLeNet weights" in sentence(other)
    np.savez(other, **arrays | {"conv2/3x3/bias": np.full(4, np.nan)})
    assert "conv2/3x3/bias contains numbers that are not finite" in sentence(other)


def test_pictures_that_are_none(teacher_file, gallery, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "note.txt").write_text("no picture")
    common = ("--teacher", str(teacher_file), "--output", str(tmp_path / "out"), *SMALL)
    assert "There is no picture in" in refused(*common, "--pictures", str(empty))
    assert "There is no folder" in refused(*common, "--pictures", str(tmp_path / "absent"))


def test_weights_that_do_not_fit_the_teacher(teacher_file, gallery, tmp_path):
    assert "do not fit this teacher" in refused(*arguments(teacher_file, gallery, tmp_path, "--start", "bundled"))
    assert "There are no weights at" in refused(*arguments(teacher_file, gallery, tmp_path, "--start", "absent.h5"))


def test_the_command_tells_wrong_use_in_one_sentence(teacher_file, gallery, tmp_path):
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "models.training.distill", *arguments(teacher_file, gallery, tmp_path / "file")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2, result.stderr
    (sentence,) = result.stderr.splitlines()
    assert "file" in sentence


@pytest.mark.parametrize("side", ["0", "-32", "100", "544", "x"])
def test_sides_that_do_not_fit(side, teacher_file, gallery, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        distill.main(arguments(teacher_file, gallery, tmp_path, "--side", side))
    assert caught.value.code == 2
    assert "--side" in capsys.readouterr().err

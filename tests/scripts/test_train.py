"""Step 2: train.py as a person runs it, killed and continued, and what an update does."""

import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import train
from config import Settings
from models.collection import lists
from models.collection.features import Features
from models.collection.lists import Lists
from models.collection.reading import Outcome, Reading
from models.collection.store import FILE, Stamp, Store, checksum
from models.description.recipe import Recipe
from utils.errors import WrongUse

ROOT = Path(__file__).parents[2]
OPTIONS = ("--weights", "bundled", "--size", "64x64", "--batch-size", "2", "--precision", "float32")
SAMPLE = 6  # pictures the whitening is fitted on
ENVIRONMENT = {"RETRIEVAL_WHITENING_SAMPLE": str(SAMPLE), "RETRIEVAL_WORKERS": "1"}


def paint(path: Path, seed: int, width: int = 160, height: int = 120) -> None:
    """A picture of coloured clouds; every seed gives another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clouds = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    picture = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())


def cut(path: Path) -> None:
    """Damage a picture: only its first half is left."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def listing(dataset: Path) -> Lists:
    """All files of the dataset; those with a v in their name are vertical."""
    names = sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*.jpg"))
    return Lists([name for name in names if "v" not in name], [name for name in names if "v" in name])


def arguments(folder: Path, output: str = "output") -> list[str]:
    return ["--dataset", f"{folder}/images", "--lists", f"{folder}/lists", "--output", f"{folder}/{output}"]


def tables(output: Path) -> dict[str, list[tuple[bytes, bytes]]]:
    """Every row of the store as it is on disk."""
    store = Store.reading(output)
    with store.environment.begin() as read:
        rows = {name: list(read.cursor(table)) for name, table in store.tables.items()}
    store.close()
    return rows


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


# Real processes


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A folder with 15 pictures, one of them damaged, that take a while to decode; and their lists."""
    folder = tmp_path_factory.mktemp("large")
    for seed in range(15):
        width, height = (1800, 1300) if seed < 10 else (1300, 1800)
        paint(folder / "images" / f"{'v' if seed >= 10 else 'h'}{seed}.jpg", seed, width, height)
    cut(folder / "images" / "h4.jpg")
    lists.write(folder / "lists", listing(folder / "images"), [])
    return folder


def start(folder: Path, output: str, *more: str) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETRIEVAL_")}
    command = [sys.executable, "train.py", *arguments(folder, output), *OPTIONS, *more]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment | ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, standard output, and what was told on standard error besides the progress."""
    shown, told = process.communicate(timeout=120)
    lines = [line for line in told.splitlines(keepends=True) if not line.startswith("Describing:")]
    return process.returncode, shown, "".join(lines)


def wait_for_rows(process: subprocess.Popen, output: Path, rows: int) -> None:
    """Wait until the process has written as many rows of images and skipped files."""
    store = None
    while process.poll() is None:
        try:
            store = store or Store.reading(output)
            if store.count("images") + store.count("skipped") >= rows:
                break
        except WrongUse:  # there is none yet
            pass
        time.sleep(0.003)
    if store:
        store.close()


@pytest.fixture(scope="module")
def undisturbed(large) -> Path:
    """The output of a run from beginning to end, in this process."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        train.main([*arguments(large, "undisturbed"), *OPTIONS])
    assert shown.getvalue() == (
        "skipped: h4.jpg: damaged or cut off\n"
        f"14 images with descriptors in {large / 'undisturbed' / FILE}: 14 added, 1 skipped\n"
    )
    assert lists.read_skipped(large / "lists") == [("h4.jpg", "damaged or cut off", "train.py")]
    return large / "undisturbed"


def test_an_undisturbed_run_describes_every_picture_that_can_be_read(large, undisturbed):
    store = Store.reading(undisturbed)
    paths = {known.path for known in store.images().values()}
    assert paths == {path.name for path in (large / "images").iterdir()} - {"h4.jpg"}
    assert set(store.skipped()) == {"h4.jpg"}
    assert sorted(store.images()) == list(range(1, 15)) == store.descriptors()[0].tolist()
    np.testing.assert_allclose(np.linalg.norm(store.descriptors()[1].astype(float), axis=1), 1, atol=2e-3)
    assert store.count("vectors") == 0
    assert store.get_meta("complete") is True
    assert store.get_meta("recipe") == {
        "weights": "bundled",
        "pooling": "cam_gem",
        "classes": 64,
        "dimensions": 512,
        "size": "64x64",
        "network": "vgg16",
    }
    for known in store.images().values():
        content = (large / "images" / known.path).read_bytes()
        assert (known.size, known.checksum) == (len(content), checksum(content))
    store.close()


def test_killed_and_interrupted_at_random_moments_it_ends_with_the_same_store(large, undisturbed):
    moments = random.Random(7)
    # Before the network is there, twice before the whitening, once by Ctrl-C, and once after it.
    stops = [
        (0, signal.SIGKILL),
        (moments.randint(1, 2), signal.SIGKILL),
        (moments.randint(3, SAMPLE - 1), signal.SIGINT),
        (moments.randint(SAMPLE + 1, 11), signal.SIGKILL),
    ]
    for rows, how in stops:
        process = start(large, "killed")
        wait_for_rows(process, large / "killed", rows)
        process.send_signal(how)
        code, shown, told = finish(process)
        assert shown == ""
        if how == signal.SIGKILL:
            assert code == -signal.SIGKILL
        else:
            sentence = "train.py: Interrupted. Finished work is kept: repeat the command to continue.\n"
            assert (code, told) == (1, sentence)
        assert tables(large / "killed") != tables(undisturbed)
    code, shown, told = finish(start(large, "killed"))
    assert (code, told) == (0, "")
    assert "14 images with descriptors in" in shown
    expected, found = tables(undisturbed), tables(large / "killed")
    for name in expected:
        assert found[name] == expected[name], name


def test_what_is_done_is_not_done_again(large, undisturbed, monkeypatch, capsys):
    before = tables(undisturbed)
    train.main([*arguments(large, "undisturbed"), *OPTIONS])
    assert capsys.readouterr().out == f"14 images with descriptors in {undisturbed / FILE}: nothing to do\n"
    assert tables(undisturbed) == before


def test_wrong_use_is_one_sentence_and_exit_code_2(large, undisturbed):
    code, shown, told = finish(start(large, "undisturbed", "--classes", "32"))
    assert (code, shown) == (2, "")
    assert told == (
        f"train.py: {undisturbed / FILE} was made with classes 64: give the same options, choose another --output, "
        f"or delete {undisturbed / FILE} to start again.\n"
    )


# Wrong use, told before or while the network is made


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--weights", "imagenet"), "was made with weights bundled: give the same options"),
        (("--pooling", "gem"), "was made with pooling cam_gem: "),
        (("--dimensions", "128"), "was made with dimensions 512: "),
        (("--size", "128x64"), "was made with size 64x64: "),
        (("--size", "64x128"), "The size '64x128' is not valid: give the long side first, and at most 4096 pixels."),
        (("--size", "32x32"), "The size '32x32' is too small: the network needs at least 64 pixels per side."),
        (("--size", "big"), "The size 'big' is not valid: write it like 512x384."),
        (("--classes", "0"), "0 classes are out of range"),
        (("--classes", "1001"), "1001 classes are out of range"),
        (("--dimensions", "513"), "513 dimensions are out of range"),
        (("--update", "--classes", "16"), "was made with classes 64: "),
    ],
)
def test_options_that_do_not_fit_are_refused(large, undisturbed, option, told):
    before = tables(undisturbed)
    with pytest.raises(WrongUse) as refused:
        train.main([*arguments(large, "undisturbed"), *OPTIONS, *option])
    assert told in str(refused.value) and "\n" not in str(refused.value)
    assert tables(undisturbed) == before


def test_a_store_made_with_other_weights_is_refused(large, undisturbed, tmp_path):
    shutil.copy(undisturbed / FILE, tmp_path / FILE)
    with Store.writing(tmp_path, 1) as store:
        store.set_meta(weights_digest="of others")
    with pytest.raises(
        WrongUse, match=r"was made with other weights than bundled now contains: delete it and run train"
    ):
        train.main([*arguments(large)[:4], "--output", str(tmp_path), *OPTIONS])


def test_a_store_of_another_version_is_refused(large, undisturbed, tmp_path):
    shutil.copy(undisturbed / FILE, tmp_path / FILE)
    with Store.writing(tmp_path, 1) as store:
        store.set_meta(method=0)
    with pytest.raises(WrongUse, match="was made with another version of this project"):
        train.main([*arguments(large)[:4], "--output", str(tmp_path), *OPTIONS])


def test_a_check_verifies_the_store_and_computes_anew_what_is_damaged(large, undisturbed, tmp_path, capsys):
    shutil.copy(undisturbed / FILE, tmp_path / FILE)
    before = tables(tmp_path)
    check = [*arguments(large)[:4], "--output", str(tmp_path), *OPTIONS, "--check"]
    train.main(check)
    assert "values verified. Nothing is damaged.\nLocal features are missing" in capsys.readouterr().out
    content = (tmp_path / FILE).read_bytes()
    key, spoiled = before["descriptors"][4]
    assert spoiled in content
    (tmp_path / FILE).write_bytes(content.replace(spoiled, spoiled[:99] + bytes(1) + spoiled[100:]))
    train.main(check)
    assert "Damaged: 1 of descriptors." in capsys.readouterr().out
    after = tables(tmp_path)
    assert [key for key, _ in after["descriptors"]] == [key for key, _ in before["descriptors"]]
    assert {name: rows for name, rows in after.items() if name != "descriptors"} == {
        name: rows for name, rows in before.items() if name != "descriptors"
    }
    again = dict(after["descriptors"])[key]
    assert cosine(np.frombuffer(again, "<f2"), np.frombuffer(spoiled, "<f2")) > 0.9999


def test_a_check_needs_a_store(large, tmp_path):
    with pytest.raises(WrongUse, match="There is no collection in"):
        train.main([*arguments(large)[:4], "--output", str(tmp_path / "none"), "--check"])
    assert not (tmp_path / "none").exists()


def test_without_lists_the_step_before_is_named(tmp_path):
    with pytest.raises(WrongUse, match=r"No lists in .*: run create_list\.py first\."):
        train.main(arguments(tmp_path))
    assert not (tmp_path / "output").exists()


def test_where_no_picture_can_be_read_each_is_listed_with_its_reason(tmp_path):
    for seed in range(2):
        paint(tmp_path / "images" / f"{seed}.jpg", seed)
        cut(tmp_path / "images" / f"{seed}.jpg")
    lists.write(tmp_path / "lists", listing(tmp_path / "images"), [])
    with pytest.raises(WrongUse, match="could be read"):
        train.main([*arguments(tmp_path), *OPTIONS])
    rows = [(f"{seed}.jpg", "damaged or cut off", "train.py") for seed in range(2)]
    assert lists.read_skipped(tmp_path / "lists") == rows


@pytest.mark.parametrize("update", [[], ["--update"]])
def test_a_dataset_that_is_not_there_empties_no_collection(large, undisturbed, tmp_path, update):
    before = tables(undisturbed)
    with pytest.raises(WrongUse, match=r"None of the listed pictures is in .*: give their folder with --dataset"):
        train.main([*arguments(large, "undisturbed"), *OPTIONS, *update, "--dataset", str(tmp_path)])
    assert tables(undisturbed) == before


# Updates, in this process with the real network


class Counting:
    """A network that notes how many pictures pass it."""

    def __init__(self, network):
        self.network, self.head, self.passed = network, network.head, 0

    def __call__(self, pictures: np.ndarray):
        self.passed += len(pictures)
        return self.network(pictures)


class Collection:
    """A small dataset and its store, described in this process."""

    def __init__(self, folder: Path, network):
        from models.description.describer import Describer

        self.dataset, self.output = folder / "images", folder / "output"
        self.dataset.mkdir(exist_ok=True)
        self.network = Counting(network)
        self.describer = Describer(self.network, Recipe("bundled", "cam", 16, 512, "64x64"))
        self.settings = Settings(batch_size=2, whitening_sample=SAMPLE, workers=2)
        self.reading = Reading.of(self.dataset, self.settings)

    def run(self, update: bool = True, listed: Lists | None = None) -> tuple[Outcome, int]:
        """What it did, and how many pictures passed the network."""
        from models.description.filling import describe

        self.network.passed = 0
        with Store.writing(self.output, 1) as store:
            found = listed or listing(self.dataset)
            outcome = describe(store, self.reading, found, self.describer, self.settings, update)
        return outcome, self.network.passed

    def state(self) -> tuple[dict[str, tuple[int, Stamp]], dict[str, np.ndarray], dict[str, str]]:
        """By path: (id, stamp), descriptor, reason why skipped."""
        store = Store.reading(self.output)
        images, (numbers, matrix), skipped = store.images(), store.descriptors(), store.skipped()
        store.close()
        assert numbers.tolist() == list(images)
        descriptors = {images[image].path: row for image, row in zip(numbers, matrix, strict=True)}
        return (
            {stamp.path: (image, stamp) for image, stamp in images.items()},
            descriptors,
            {path: reason for path, (_, reason) in skipped.items()},
        )

    def assert_as_if_rebuilt(self) -> None:
        """Each descriptor is that of its file as it is now, with the same whitening."""
        from models.description.filling import load_whitening

        store = Store.reading(self.output)
        fitted = load_whitening(store)
        store.close()
        images, descriptors, _ = self.state()
        with ThreadPoolExecutor(1) as pool:
            for path, (_, stamp) in images.items():
                found, content = self.reading.content(path)
                assert found == stamp
                pixels = self.describer.prepare(self.reading.decode(content))
                anew = fitted.descriptor(self.describer.vectors(pixels[None], pool)[0])
                assert cosine(anew, descriptors[path]) > 0.9999, path


@pytest.fixture
def collection(tmp_path, bundled_network) -> Collection:
    """Twelve pictures, described."""
    made = Collection(tmp_path, bundled_network)
    for seed in range(12):
        paint(made.dataset / (f"v{seed}.jpg" if seed % 3 == 0 else f"folder/h{seed}.jpg"), seed)
    outcome, passed = made.run(update=False)
    assert (str(outcome), passed) == ("12 added", 12)
    return made


def whitening_of(collection: Collection) -> list[bytes]:
    return [value for name, value in tables(collection.output)["meta"] if name.startswith(b"whitening")]


def test_an_update_is_as_good_as_a_rebuild(collection):
    images, old, _ = collection.state()
    whitening = whitening_of(collection)
    paint(collection.dataset / "new.jpg", 100)
    paint(collection.dataset / "folder/new v.jpg", 101)
    paint(collection.dataset / "folder/h1.jpg", 102)  # changed
    paint(collection.dataset / "v3.jpg", 103)
    (collection.dataset / "v0.jpg").unlink()
    os.utime(collection.dataset / "v6.jpg", ns=(10**18, 10**18))  # another time, the same content
    cut(collection.dataset / "v9.jpg")
    outcome, passed = collection.run()
    assert str(outcome) == "2 added, 2 changed, 1 deleted, 1 skipped"
    assert outcome.skipped == [("v9.jpg", "damaged or cut off")]
    assert passed == 4
    updated, descriptors, skipped = collection.state()
    assert set(updated) == (set(images) | {"new.jpg", "folder/new v.jpg"}) - {"v0.jpg", "v9.jpg"}
    assert skipped == {"v9.jpg": "damaged or cut off"}
    for path in set(updated) & set(images):
        assert updated[path][0] == images[path][0], "an id never changes"
    assert {updated[path][0] for path in ("new.jpg", "folder/new v.jpg")} == {13, 14}
    for path in set(updated) & set(images) - {"folder/h1.jpg", "v3.jpg"}:
        np.testing.assert_array_equal(descriptors[path], old[path])
    assert updated["v6.jpg"][1].mtime == 10**18
    assert whitening_of(collection) == whitening
    collection.assert_as_if_rebuilt()
    assert collection.run() == (Outcome(), 0)


def test_one_more_picture_passes_the_network_once_and_no_other_does(collection):
    paint(collection.dataset / "one more.jpg", 50)
    outcome, passed = collection.run()
    assert (str(outcome), passed) == ("1 added", 1)
    collection.assert_as_if_rebuilt()


def test_a_touched_picture_keeps_descriptor_and_local_features_without_the_network(collection):
    found = Features((9, 9), np.zeros((1, 4), np.float32), np.zeros((1, 32), np.uint8), "orb")
    with Store.writing(collection.output, 1) as store:
        store.put_features((image, found) for image in store.images())
    _, before, _ = collection.state()
    os.utime(collection.dataset / "v0.jpg", ns=(10**18, 10**18))
    paint(collection.dataset / "v3.jpg", 103)
    assert str(collection.run()[0]) == "1 changed"
    images, after, _ = collection.state()
    np.testing.assert_array_equal(after["v0.jpg"], before["v0.jpg"])
    assert images["v0.jpg"][1].mtime == 10**18
    store = Store.reading(collection.output)
    assert store.without_features() == [images["v3.jpg"][0]]
    store.close()


def test_a_damaged_picture_comes_back_once_it_is_repaired(collection):
    whole = (collection.dataset / "v3.jpg").read_bytes()
    cut(collection.dataset / "v3.jpg")
    assert collection.run()[0] == Outcome(deleted=0, skipped=[("v3.jpg", "damaged or cut off")])
    assert "v3.jpg" not in collection.state()[0]
    assert collection.run() == (Outcome(), 0)  # it is known to be damaged
    (collection.dataset / "v3.jpg").write_bytes(whole)
    outcome, passed = collection.run()
    assert passed == 1 and not outcome.skipped
    assert collection.state()[0]["v3.jpg"][0] == 13 and collection.state()[2] == {}
    collection.assert_as_if_rebuilt()


def test_without_update_a_change_is_left_alone_and_a_new_picture_added(collection):
    paint(collection.dataset / "v3.jpg", 103)
    (collection.dataset / "v6.jpg").unlink()
    paint(collection.dataset / "new.jpg", 104)
    before = collection.state()[1]
    assert str(collection.run(update=False)[0]) == "1 added"
    after = collection.state()[1]
    assert set(after) == {*before, "new.jpg"}
    np.testing.assert_array_equal(after["v3.jpg"], before["v3.jpg"])


@pytest.mark.parametrize("pooling", ["crow", "rmac"])
def test_other_poolings_make_descriptors_too(tmp_path, bundled_network, pooling):
    made = Collection(tmp_path, bundled_network)
    made.describer.recipe = replace(made.describer.recipe, pooling=pooling, dimensions=4)
    for seed in range(8):
        paint(made.dataset / f"{seed}.jpg", seed)
    assert str(made.run(update=False)[0]) == "8 added"
    assert {row.shape for row in made.state()[1].values()} == {(4,)}
    made.assert_as_if_rebuilt()


@pytest.fixture
def of_classes(tmp_path, bundled_model) -> Collection:
    """Eight pictures, described within the maps of classes that they share."""
    from models.description.vgg16 import VGG16

    made = Collection(tmp_path, VGG16(bundled_model, "float32", ("fine", "coarse")))
    made.describer.recipe = replace(made.describer.recipe, pooling="cam_gem", classes=5, dimensions=4)
    for seed in range(8):
        paint(made.dataset / f"{seed}.jpg", seed)
    return made


def test_classes_are_chosen_once_and_kept(of_classes, monkeypatch):
    from models.description import filling as describing
    from models.description.describer import load_classes

    monkeypatch.setattr(describing, "CLASSES_SAMPLE", 3)
    assert of_classes.run(update=False)[1] == 3 + 8
    store = Store.reading(of_classes.output)
    classes = load_classes(store)
    store.close()
    assert classes.shape == (5,)
    of_classes.describer.classes = classes  # as Describer.open finds them
    paint(of_classes.dataset / "new.jpg", 50)
    assert of_classes.run()[1] == 1, "an update trains nothing"
    of_classes.assert_as_if_rebuilt()
    store = Store.reading(of_classes.output)
    assert load_classes(store).tolist() == classes.tolist()
    store.close()


def test_a_run_that_goes_on_keeps_its_classes(of_classes):
    classes = [9, 2, 700, 4, 33]  # which no choice would give
    with Store.writing(of_classes.output, gigabytes=1) as store:
        store.set_meta(frequent_classes=classes)
        store.put_images("vectors", [(Stamp("gone.jpg", 0, 0), np.ones((5, 1024), np.float32))])
    of_classes.describer.classes = np.array(classes)  # as Describer.open finds them
    of_classes.run(update=False)
    with Store.reading(of_classes.output).snapshot() as now:
        assert now.get_meta("frequent_classes") == classes and now.count("images") >= 8


def test_the_most_frequent_classes_are_counted():
    from models.description import filling as describing

    class Head:
        def classes(self, activations, choice):
            return np.argsort(-activations[0, 0])[:choice], None

    class Network:
        head = Head()

        def __call__(self, batch):
            return (batch,)

    shown = np.zeros((3, 1, 1, 9))
    shown[:, 0, 0] = [[9, 8, 0, 0, 0, 0, 0, 0, 0], [0, 9, 0, 0, 0, 8, 0, 0, 0], [0, 9, 8, 0, 0, 0, 0, 0, 0]]
    probable, describing.PROBABLE = describing.PROBABLE, 2
    try:
        assert describing.most_frequent_classes(Network(), [shown[:2], shown[2:]], 4).tolist() == [1, 0, 2, 5]
    finally:
        describing.PROBABLE = probable
    with pytest.raises(WrongUse, match="None of a sample of the listed pictures could be read"):
        describing.most_frequent_classes(Network(), [], 4)


def test_pictures_that_cannot_be_read_are_skipped_counted_and_listed(tmp_path, bundled_network, capsys):
    made = Collection(tmp_path, bundled_network)
    for seed in range(6):
        paint(made.dataset / f"{seed}.jpg", seed)
    for seed in range(10, 20):
        paint(made.dataset / f"{seed}.jpg", seed)
        cut(made.dataset / f"{seed}.jpg")
    odd = os.fsdecode(b'caf\xe9 "x".jpg')
    (made.dataset / odd).write_text("not a picture")
    (made.dataset / "empty.jpg").touch()
    (made.dataset / "folder.jpg").mkdir()
    os.mkfifo(made.dataset / "pipe.jpg")
    made.settings = replace(made.settings, whitening_sample=100)
    found = listing(made.dataset)
    outcome, passed = made.run(update=False, listed=Lists(found.horizontal, ["missing.jpg", "no/folder.jpg"]))
    assert passed == outcome.added == 6
    reasons = dict(outcome.skipped)
    assert made.state()[2] == reasons and len(reasons) == 16
    assert {reasons.pop(f"{seed}.jpg") for seed in range(10, 20)} == {"damaged or cut off"}
    assert reasons == {
        odd: "not a picture of a kind that can be read "
        "(JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw)",
        "empty.jpg": "empty file",
        "folder.jpg": "not a regular file",
        "pipe.jpg": "not a regular file",
        "missing.jpg": "No such file or directory",
        "no/folder.jpg": "No such file or directory",
    }
    outcome.print_skipped()
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 11 and told[-1] == "skipped: 6 more"
    assert str(outcome) == "6 added, 16 skipped"


def test_where_no_picture_can_be_read_the_sentence_says_so_and_a_repair_helps(tmp_path, bundled_network):
    made = Collection(tmp_path, bundled_network)
    for seed in range(6):
        paint(made.dataset / f"{seed}.jpg", seed)
        cut(made.dataset / f"{seed}.jpg")
    with pytest.raises(WrongUse, match="None of the listed pictures could be read") as problem:
        made.run(update=False)
    assert problem.value.skipped == {f"{seed}.jpg": "damaged or cut off" for seed in range(6)}
    for seed in range(6):
        paint(made.dataset / f"{seed}.jpg", seed)
    assert str(made.run(update=False)[0]) == "6 added"


def test_pictures_that_are_all_alike_are_told_in_a_sentence_and_others_help(tmp_path, bundled_network):
    made = Collection(tmp_path, bundled_network)
    made.describer.recipe = replace(made.describer.recipe, pooling="gem")
    for number in range(4):
        paint(made.dataset / f"{number}.jpg", 1)
    with pytest.raises(WrongUse, match=r"All pictures look the same to the network.*: add other pictures"):
        made.run(update=False)
    paint(made.dataset / "another.jpg", 2)
    assert str(made.run(update=False)[0]) == "1 added"
    assert len(made.state()[1]) == 5


def test_a_change_while_a_picture_is_read_shows_in_the_next_update(collection, monkeypatch):
    path = collection.dataset / "v3.jpg"
    true_read, seeds = Path.read_bytes, iter(range(200, 300))

    def read_and_change(self):
        content = true_read(self)
        if self == path:
            paint(path, next(seeds))
        return content

    paint(path, 103)
    monkeypatch.setattr(Path, "read_bytes", read_and_change)
    collection.run()
    monkeypatch.undo()
    assert str(collection.run()[0]) == "1 changed"
    collection.assert_as_if_rebuilt()

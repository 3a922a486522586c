import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from config import Settings
from models.collection.store import Store
from models.description.recipe import Recipe, fingerprint
from utils.errors import WrongUse

SETTINGS = Settings(weights="bundled", pooling="cam", classes=64, dimensions=512, size="512x384")
USUAL = Recipe("bundled", "cam", 64, 512, "512x384")


@pytest.fixture
def store(tmp_path):
    with Store.writing(tmp_path, gigabytes=1) as opened:
        yield opened


def recipe_of(store, update=False, **options):
    given = dict.fromkeys(("weights", "pooling", "classes", "dimensions", "size")) | options
    return Recipe.from_options(SETTINGS, given, store, update)


def test_settings_fill_what_was_not_given(store):
    assert recipe_of(store) == USUAL
    assert recipe_of(store, pooling="gem", dimensions=64) == replace(USUAL, pooling="gem", dimensions=64)


def test_a_file_of_weights_is_remembered_by_its_whole_path(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe_of(store, weights="mine.weights.h5").weights == str(tmp_path.resolve() / "mine.weights.h5")
    assert recipe_of(store, weights="imagenet").weights == "imagenet"


def test_the_same_options_again_are_welcome(store):
    store.set_meta(recipe=asdict(recipe_of(store, pooling="spoc")))
    assert recipe_of(store, pooling="spoc") == replace(USUAL, pooling="spoc")


def test_other_options_than_the_stores_are_refused(store):
    store.set_meta(recipe=asdict(replace(USUAL, pooling="gem", dimensions=64)))
    with pytest.raises(WrongUse) as caught:
        recipe_of(store, dimensions=128)
    sentence = str(caught.value)
    # What the store was made with is named, so that the same can be given again; what agrees is not.
    assert "was made with pooling gem, dimensions 64:" in sentence
    assert str(store.path) in sentence
    assert "--output" in sentence
    assert "classes" not in sentence


def test_update_takes_what_the_store_was_made_with(store):
    made = replace(USUAL, pooling="gem", size="256x192")
    store.set_meta(recipe=asdict(made))
    assert recipe_of(store, update=True) == made
    assert recipe_of(store, update=True, pooling="gem") == made
    with pytest.raises(WrongUse, match="was made with pooling gem:"):
        recipe_of(store, update=True, pooling="mac")


def test_update_of_a_new_store_starts_from_the_settings(store):
    assert recipe_of(store, update=True) == USUAL


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pooling": "vlad"}, "'vlad' is unknown: choose one of cam, cam_gem, crow, spoc, mac, gem, rmac"),
        ({"classes": 0}, "0 classes are out of range"),
        ({"classes": 1001}, "choose 1 to 1000"),
        ({"dimensions": 0}, "0 dimensions are out of range"),
        ({"dimensions": 513}, "choose 1 to 512"),
        ({"size": "512"}, "write it like 512x384"),
        ({"size": "512x384x3"}, "write it like 512x384"),
        ({"size": "largexsmall"}, "write it like 512x384"),
        ({"size": ""}, "write it like 512x384"),
        ({"size": "384x512"}, "long side first"),
        ({"size": "512x63"}, "needs at least 64 pixels per side"),
        ({"size": "4097x384"}, "at most 4096 pixels"),
        ({"size": "-512x-384"}, "long side first"),
    ],
)
def test_options_that_make_no_sense(options, says, store):
    with pytest.raises(WrongUse) as caught:
        recipe_of(store, **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("size", "sides"),
    [("512x384", (512, 384)), ("1024X720", (1024, 720)), ("64x64", (64, 64)), ("4096x4096", (4096, 4096))],
)
def test_sides(size, sides):
    assert replace(USUAL, size=size).sides() == sides


def test_the_limits_are_included(store):
    assert recipe_of(store, classes=1, dimensions=1).classes == 1
    assert recipe_of(store, classes=1000, dimensions=512).dimensions == 512


# The fingerprint.


def fill(store, whitening=None, **meta):
    store.set_meta(recipe=asdict(USUAL), weights_digest="ab12", method=1, **meta)
    if whitening is not None:
        store.whiten({"whitening_mean": whitening[0], "whitening_projection": whitening[1:]}, [])
    return fingerprint(store)


def test_fingerprint_of_a_new_store(store):
    result = fingerprint(store)
    assert result["weights_digest"] is None
    assert result["whitening_digest"] is None


def test_fingerprint_names_all_that_shaped_the_descriptors(store):
    result = fill(store, np.eye(3, 2, dtype=np.float32), local_features="orb 500", frequent_classes=[7, 1])
    assert asdict(USUAL).items() <= result.items()
    assert result["weights_digest"] == "ab12"
    assert result["method"] == 1
    assert (result["local_features"], result["frequent_classes"]) == ("orb 500", [7, 1])
    assert len(result["whitening_digest"]) == 64


def test_fingerprint_changes_with_a_single_number_of_the_whitening(tmp_path):
    whitening = np.eye(3, 2, dtype=np.float32)
    result = []
    for name, change in (("one", 0), ("same", 0), ("other", 1e-3)):
        changed = whitening.copy()
        changed[2, 1] += change
        with Store.writing(tmp_path / name, gigabytes=1) as store:
            result.append(fill(store, changed))
    one, same, other = result
    assert one == same
    assert one["whitening_digest"] != other["whitening_digest"]


def test_the_recipe_does_without_the_network():
    # Wrong use is told at once, so the recipe must not wait the seconds that importing TensorFlow takes.
    script = "import sys, models.description.recipe; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=True, timeout=60)

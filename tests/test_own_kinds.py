"""The contracts: a local feature, a network and a vector index of one's own take one file each.

All four steps work with them.
"""

import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest

import create_list
import pre_compute_descriptor
import test_with_statistics
import train
from config import Settings
from dataset.painting import paint
from models.collection import vector_index
from models.collection.store import Store
from models.description import network
from models.engine import Engine
from models.local import kinds
from models.local.orb import Orb
from tests.own import tiny
from tests.own.patches import Patches
from tests.own.plain_index import PlainIndex
from utils.errors import WrongUse

WORKS = [("portrait", "portrait"), ("landscape", "sea"), ("landscape", "sea"), ("portrait", "portrait")] * 2


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """A dataset of eight painted works with a query of each, and settings that name the kinds of one's own."""
    monkeypatch.setitem(network.NETWORKS, "tiny", tiny.KNOWN)
    monkeypatch.setitem(kinds.KINDS, "patches", Patches)
    monkeypatch.setitem(vector_index.KINDS, "plain", "tests.own.plain_index")
    values = {
        "NETWORK": "tiny",
        "WEIGHTS": "bundled",
        "FEATURE": "patches",
        "INDEX": "plain:",
        "SIZE": "128x96",
        "CLASSES": "5",
    }
    values |= {"DIMENSIONS": "16", "WORKERS": "1", "SECOND_LOOKS": "0"}
    values |= {"DATASET": tmp_path / "images", "LISTS": tmp_path / "lists", "OUTPUT": tmp_path / "output"}
    for name, value in values.items():
        monkeypatch.setenv(f"RETRIEVAL_{name}", str(value))
    for folder in ("images", "queries"):
        (tmp_path / folder).mkdir()
    rows = ["query,relevant"]
    for number, (genre, kind) in enumerate(WORKS):
        picture = paint(genre, kind, number, 400)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), picture)
        height, width = picture.shape[:2]
        cv2.imwrite(str(tmp_path / "queries" / f"q{number}.jpg"), picture[: int(height * 0.9), : int(width * 0.9)])
        rows.append(f"q{number}.jpg,{number}.png")
    (tmp_path / "queries" / "ground_truth.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def answers(folder) -> list[dict]:
    with (folder / "output" / "statistics" / "queries" / "queries.csv").open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_all_four_steps_work_with_a_network_a_local_feature_and_an_index_of_ones_own(steps):
    create_list.main([])
    train.main([])
    pre_compute_descriptor.main([])
    test_with_statistics.main(["-n", str(steps / "queries")])
    rows = answers(steps)
    assert len(rows) == len(WORKS)
    assert {row["rank_after"] for row in rows} == {"1"}
    assert {row["verdict"] for row in rows} == {"found"}
    assert min(int(row["inliers"]) for row in rows) >= 8
    store = Store.reading(steps / "output")
    assert store.get_meta("recipe")["network"] == "tiny"
    assert store.get_meta("local_features") == {"kind": "patches", "keypoints": 500, "side": 800}
    for features in store.features(store.images()):
        assert features.kind == "patches" and features.descriptors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-3)
    store.close()


def test_local_features_of_another_kind_are_no_evidence(steps):
    create_list.main([])
    train.main([])
    pre_compute_descriptor.main([])
    settings, picture = Settings.read(), cv2.imread(str(steps / "images" / "0.png"))
    with Store.writing(settings.output, 1) as store:  # 64 float32 numbers take 256 bytes, as 2 SIFT descriptors do
        store.put_features([(image, Orb(500, 800).extract(picture)) for image in store.images()])
    engine = Engine.open(settings.output, settings.dataset, settings)
    assert isinstance(engine.index, PlainIndex)
    answer = engine.ask(picture)
    assert {candidate.evidence.matches for candidate in answer.after} == {0}
    engine.store.close()


def test_another_network_than_that_of_the_store_is_refused(steps, monkeypatch):
    create_list.main([])
    train.main([])
    monkeypatch.setenv("RETRIEVAL_NETWORK", "vgg16")
    with pytest.raises(WrongUse, match="was made with network tiny"):
        train.main([])
    monkeypatch.setenv("RETRIEVAL_NETWORK", "alexnet")
    with pytest.raises(WrongUse, match=f"'alexnet' is unknown: choose one of {', '.join(network.NETWORKS)}"):
        train.main([])


def test_limits_are_those_of_the_network(steps, monkeypatch):
    create_list.main([])
    for name, value, sentence in [
        ("CLASSES", "6", "the network has 5"),
        ("DIMENSIONS", "25", "choose 1 to 24"),
        ("SIZE", "64x31", "needs at least 32 pixels per side"),
    ]:
        with monkeypatch.context() as changed:
            changed.setenv(f"RETRIEVAL_{name}", value)
            with pytest.raises(WrongUse, match=sentence):
                train.main([])


def test_nothing_of_keras_is_imported_for_a_network_that_needs_none(steps):
    code = (
        "import sys; from models.description import network, recipe, describer, filling; import models.engine; "
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0

"""A dozen painted pictures, described by the weights that ship: a whole collection in a few seconds."""

from dataclasses import asdict, replace
from pathlib import Path

import cv2

from config import Settings
from dataset.motifs import KINDS
from dataset.painting import paint
from models.collection.lists import Lists
from models.collection.reading import Reading
from models.collection.store import Store
from models.description import weights
from models.description.describer import Describer
from models.description.filling import describe
from models.description.recipe import METHOD, Recipe
from models.local.filling import find_features
from models.local.orb import Orb

SETTINGS = replace(Settings(), precision="float32", workers=1, keypoints=300, query_keypoints=600)
# Whitening with more dimensions than a dozen pictures can fit would only whiten noise.
RECIPE = Recipe(weights="bundled", pooling="cam", classes=64, dimensions=32, size="128x96")
IMAGES = 12


def make(folder: Path, model, network, recipe: Recipe = RECIPE) -> None:
    """Paint images/ and describe them into output/, both in `folder`. model, network: of the bundled weights."""
    kinds = [(genre, kind) for genre in KINDS for kind in list(KINDS[genre])[:3]]  # 3 + 3 + 1 + 3
    kinds += [("portrait", "portrait"), ("landscape", "sea")]
    listed = Lists([], [])
    (folder / "images").mkdir()
    for number, (genre, kind) in enumerate(kinds):
        picture, name = paint(genre, kind, 100 + number, 400), f"{kind} {number}.png"
        (listed.horizontal if picture.shape[1] >= picture.shape[0] else listed.vertical).append(name)
        assert cv2.imwrite(str(folder / "images" / name), picture)
    reading = Reading.of(folder / "images", SETTINGS)
    with Store.writing(folder / "output", 1) as store:
        describer = Describer(network, recipe)
        store.set_meta(recipe=asdict(recipe), weights_digest=weights.digest(model), method=METHOD)
        assert describe(store, reading, listed, describer, SETTINGS, update=False).added == IMAGES
        store.set_meta(complete=True)
        extractor = Orb(SETTINGS.keypoints, SETTINGS.feature_side)
        store.restart_features(local_features=extractor.settings())
        assert find_features(store, reading, extractor, workers=1, indexed=SETTINGS.indexed).added == IMAGES

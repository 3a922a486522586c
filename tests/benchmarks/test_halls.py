"""The benchmark of halls: what it keeps of its views, and what it makes of answers."""

import argparse
import csv
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import composing, halls, museum
from benchmarks.halls import Told, Work
from config import Settings
from dataset.painting import paint
from models.answer import Verdict
from models.evaluation.queries import folder_queries
from utils.errors import WrongUse


@pytest.fixture
def data(tmp_path):
    """A museum of six works, and six distractors."""
    kinds = ("village", "sea", "forest")
    for folder, turns in (("museum/gallery", 0), ("museum/gallery", 2), ("distractors/x", 1), ("distractors/y", 3)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            work = np.rot90(paint("landscape", kind, 3, 200), turns)
            cv2.imwrite(str(tmp_path / folder / f"{kind}{turns}.png"), work)
    return tmp_path


def test_views_are_composed_once_and_the_ground_truth_is_read(data, tmp_path, monkeypatch):
    monkeypatch.setattr(composing, "SIDES", (500, 550))  # quicker
    settings, folder = replace(Settings(), data=data, workers=1), tmp_path / "halls"
    options = argparse.Namespace(sets=["choose"], views=2)
    views = halls.composed(settings, folder, options)["choose"]
    before = {path: path.read_bytes() for path in (folder / "choose").glob("*.jpg")}
    assert sorted(path.name for path in before) == ["0000.jpg", "0001.jpg"]
    # Interrupted between the view and its notes: composed again, the same. The other is left alone.
    (folder / "choose/works/0000.json").unlink()
    (folder / "choose/0000.jpg").write_bytes(b"")
    (folder / "choose/0001.jpg").write_bytes(b"kept")
    assert halls.composed(settings, folder, options)["choose"] == views
    assert (folder / "choose/0000.jpg").read_bytes() == before[folder / "choose/0000.jpg"]
    assert (folder / "choose/0001.jpg").read_bytes() == b"kept"
    images = dict(enumerate(museum.works(data)))
    queries = folder_queries(folder / "choose", None, images)
    assert [{images[image] for image in query.expected} for query in queries] == [
        {work.path for work in works} for works in views
    ]
    with (folder / "works.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == sum(map(len, views))
    assert float(rows[0]["x1"]) == views[0][0].outline[0] and float(rows[0]["share"]) == views[0][0].share


def test_no_work_is_twice_on_a_view(data):
    pictures = museum.works(data)
    for seed in range(20):
        drawn = halls._drawn(pictures, np.random.default_rng(seed))
        assert 2 <= len(set(drawn)) == len(drawn) <= 10 and set(drawn) <= set(pictures)


CORNERS = (0, 0, 10, 0, 10, 10, 0, 10)


def work(path: str, held_out: bool = False, clear: bool = True) -> Work:
    return Work("choose", "0000.jpg", path, held_out, clear, 0.1, 1.0, CORNERS)


def test_the_measures_by_hand():
    views = [
        # Two of three clear works in the collection are told, and one that is not there; one has a wrong outline.
        Told((work("a"), work("b"), work("c"), work("d", clear=False), work("e", held_out=True)),
             {"a": 1, "b": 12, "d": 3}, {"a": True, "b": False}, ("z",), True, 1.0),
        # Nothing to be found, and a work told.
        Told((work("a", held_out=True),), {}, {}, ("y",), False, 3.0),
        # A work that is not clear is told as well: right, but not asked for.
        Told((work("a"), work("d", clear=False)), {"a": 2}, {"d": None}, (), True, 2.0),
    ]  # fmt: skip
    shown = halls.measures(views)
    assert shown["views"] == "3" and shown["works on them"] == "8"
    assert [shown[name] for name in list(shown)[2:4]] == ["6", "4"]
    assert shown["recall@1 of these before re-ranking"] == "0.250"
    assert shown["recall@10 of these before re-ranking"] == "0.500"
    assert shown["recall@100 of these before re-ranking"] == shown["on the shortlist at all"] == "0.750"
    assert shown["works told, recall"] == "0.500"  # a and b of a, b, c, a
    assert shown["works told, precision"] == "0.600"  # a, b, d of a, b, z, y, d
    assert shown["... with the right outline"] == "0.500"
    assert shown["views with works in the collection"] == "2" and shown["first right"] == "1.000"
    assert (shown["works wrongly told there"], shown["works falsely told on the others"]) == ("1", "1")
    assert shown["p50, seconds"] == "2.000"


def test_what_is_told_are_the_works_found_or_the_first():
    one, two = (SimpleNamespace(id=number, path=f"{number}.jpg") for number in (1, 2))
    found = SimpleNamespace(candidate=one, verdict=Verdict.FOUND, outline=None)
    unsure = SimpleNamespace(candidate=two, verdict=Verdict.MAYBE, outline=None)
    nothing = SimpleNamespace(candidate=None, verdict=Verdict.NOT_FOUND, outline=None)
    several = SimpleNamespace(works=[found, unsure, nothing])
    assert list(halls._told(several)) == [(1, "1.jpg", None)]
    for verdict, told in ((Verdict.FOUND, [(2, "2.jpg", None)]), (Verdict.MAYBE, [])):
        assert list(halls._told(SimpleNamespace(verdict=verdict, after=[two, one]))) == told


def test_outlines_overlap_by_their_common_area():
    outline = np.reshape(CORNERS, (4, 2)).astype(float)
    assert halls.overlap(outline, outline) == pytest.approx(1)
    assert halls.overlap(outline, outline + np.array([5, 0])) == pytest.approx(50 / 150)
    assert halls.overlap(outline, outline + np.array([20, 0])) == 0


def test_further_pictures_are_linked_in_and_go_when_they_are_not_named(data, tmp_path):
    further, images = tmp_path / "further", tmp_path / "images"
    (further / "deep").mkdir(parents=True)
    (further / "deep/a.png").write_bytes(b"x")
    assert museum.link(data, images, None, further) == 13
    assert (images / "further/deep/a.png").read_bytes() == b"x"
    assert museum.link(data, images, 1) == 7
    assert [path.relative_to(images).as_posix() for path in images.rglob("*.png") if "gallery" not in path.parts] == [
        "distractors/x/forest1.png"
    ]
    with pytest.raises(WrongUse, match="nowhere"):
        museum.link(data, images, None, tmp_path / "nowhere")

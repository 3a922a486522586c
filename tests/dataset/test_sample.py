"""The demonstration gallery: the same everywhere, every picture another, and nobody's files in danger."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from database import catalog
from dataset import sample
from dataset.motifs import KINDS
from dataset.painting import paint
from utils.errors import WrongUse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def small():
    """Of each genre two pictures, one of them photographed, and a photograph of one that is not in the gallery."""
    return sample.plan(each=2, photographed=1, absent=1)


def places(folder):
    return folder / "images", folder / "queries", folder / "catalog.csv"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def painted(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("painted")
    written = sample.make(small, *places(folder), workers=2)
    assert written == 8 + 8 + 2
    return folder


def test_the_plan_has_the_promised_numbers():
    plan = sample.plan()
    works = [painting.file for painting in plan if painting.file]
    photographs = [painting for painting in plan if painting.photograph]
    assert len(set(works)) == len(works) == 240
    assert sorted(painting.photograph for painting in photographs) == [f"photo_{n:03}.jpg" for n in range(1, 73)]
    assert sum(not painting.file for painting in photographs) == 12
    assert len({painting.seed for painting in plan}) == len(plan)
    assert {painting.kind for painting in plan} == {kind for kinds in KINDS.values() for kind in kinds}


def test_every_painting_looks_different():
    thumbnails = []
    for painting in sample.plan():
        sketch = paint(painting.genre, painting.kind, painting.seed, long_side=64)
        thumbnails.append(cv2.resize(sketch, (16, 16), interpolation=cv2.INTER_AREA).ravel())
    thumbnails = np.float32(thumbnails)
    apart = np.sqrt(((thumbnails[:, None] - thumbnails[None]) ** 2).mean(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 8  # grey levels, root mean square


@pytest.mark.parametrize(("genre", "kind"), [(genre, kind) for genre, kinds in KINDS.items() for kind in kinds])
def test_a_painting_depends_on_its_seed_alone(genre, kind):
    first = paint(genre, kind, 7, long_side=120)
    assert first.dtype == np.uint8 and first.ndim == 3 and max(first.shape) == 120
    np.testing.assert_array_equal(first, paint(genre, kind, 7, long_side=120))
    other = paint(genre, kind, 8, long_side=120)
    assert first.shape != other.shape or np.abs(first.astype(int) - other).mean() > 5


def test_two_runs_give_the_same_bytes(small, painted, tmp_path):
    sample.make(small, *places(tmp_path), workers=1)
    assert contents(tmp_path) == contents(painted)


def test_files_ground_truth_and_catalogue_agree(small, painted):
    images, queries, catalog_file = places(painted)
    works = {path.relative_to(images).as_posix() for path in images.rglob("*.jpg")}
    assert works == {painting.file for painting in small if painting.file}
    for path in [*images.rglob("*.jpg"), *queries.glob("*.jpg")]:
        assert 640 <= max(cv2.imread(str(path)).shape) <= 1000
    with (queries / "ground_truth.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["query"] for row in rows) == sorted(path.name for path in queries.glob("*.jpg"))
    shown = [row["relevant"] for row in rows if row["relevant"]]
    assert set(shown) <= works and len(shown) == 4 and len(rows) == 8
    listed = catalog.read(catalog_file)
    assert {work.file for work in listed} == works
    assert all(work.author and work.title and work.school and work.type for work in listed)


def test_a_photograph_shows_the_work_that_the_ground_truth_names(painted):
    """ORB and a homography find each photographed work, in its own photograph better than in another."""
    images, queries, _ = places(painted)
    with (queries / "ground_truth.csv").open(newline="", encoding="utf-8") as file:
        truth = {row["query"]: row["relevant"] for row in csv.DictReader(file)}
    orb = cv2.ORB_create(2000)
    works = {path.relative_to(images).as_posix(): _features(orb, path) for path in images.rglob("*.jpg")}
    for query, relevant in truth.items():
        if relevant:
            seen = _features(orb, queries / query)
            inliers = {work: _inliers(seen, features) for work, features in works.items()}
            assert max(inliers, key=inliers.get) == relevant
            assert inliers[relevant] > 25


def _features(orb, path):
    return orb.detectAndCompute(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), None)


def _inliers(query, work):
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(query[1], work[1], k=2)
    good = [first for first, second in pairs if first.distance < 0.8 * second.distance]
    if len(good) < 4:
        return 0
    source = np.float32([query[0][match.queryIdx].pt for match in good])
    target = np.float32([work[0][match.trainIdx].pt for match in good])
    _, mask = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 5.0)
    return 0 if mask is None else int(mask.sum())


def test_titles_are_unique_and_painters_were_alive():
    rows = sample.catalogue([painting for painting in sample.plan() if painting.file])
    assert len({row.title for row in rows}) == len(rows) == 240
    alive = {painter[0]: painter[1:3] for painter in (*sample.PAINTERS, *sample.MODERN)}
    for row in rows:
        born, died = alive[row.author]
        year = int(row.date.removeprefix("c. "))
        first, last = map(int, row.timeframe.split("-"))
        assert born < year <= died and first <= year <= last


def test_a_second_run_writes_nothing_and_leaves_additions_alone(small, painted):
    images, queries, catalog_file = places(painted)
    added = images / "mine.jpg"
    added.write_bytes(b"mine")
    before = contents(painted)
    try:
        assert sample.make(small, images, queries, catalog_file, workers=1) == 0
        assert contents(painted) == before
    finally:
        added.unlink()


def test_an_interrupted_run_is_completed(small, painted):
    images, queries, catalog_file = places(painted)
    whole = contents(painted)
    (images / "abstract" / "abstract_001.jpg").unlink()
    (images / "abstract" / ".abstract_001.jpg.part").write_bytes(b"half")
    (queries / "photo_003.jpg").unlink()
    (queries / "ground_truth.csv").unlink()
    catalog_file.unlink()
    assert sample.make(small, images, queries, catalog_file, workers=1) == 4
    assert contents(painted) == whole


@pytest.mark.parametrize("place", ["images/holiday.jpg", "images/landscape/landscape_001.jpg", "queries/me.jpg"])
def test_other_peoples_files_are_neither_touched_nor_mixed_with_ours(small, tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mine")
    with pytest.raises(WrongUse, match=f"{file.name}.*move it away, or choose another folder with --"):
        sample.make(small, *places(tmp_path), workers=1)
    assert {name for name in contents(tmp_path) if not name.endswith(sample.MARKER)} == {place}
    assert file.read_bytes() == b"mine"


def test_another_catalogue_stays(small, tmp_path):
    theirs = tmp_path / "catalog.csv"
    catalog.write(theirs, [catalog.Work(author="AACHEN, Hans von", title="Allegory", file="a.jpg")])
    before = theirs.read_bytes()
    with pytest.raises(WrongUse, match="another catalogue"):
        sample.make(small, *places(tmp_path), workers=1)
    assert theirs.read_bytes() == before


@pytest.mark.parametrize(("dataset", "queries"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_photographs_may_not_lie_among_the_works(tmp_path, dataset, queries):
    arguments = ["--dataset", str(tmp_path / dataset), "--queries", str(tmp_path / queries)]
    with pytest.raises(WrongUse, match="must not contain each other"):
        sample.main([*arguments, "--catalog", str(tmp_path / "catalog.csv")])
    assert not contents(tmp_path)


def test_the_script_leaves_with_2_and_one_sentence(tmp_path):
    (tmp_path / "images").mkdir()
    odd = os.fsencode(tmp_path / "images") + b"/caf\xe9\n.jpg"
    Path(os.fsdecode(odd)).write_bytes(b"mine")
    command = [sys.executable, str(ROOT / "dataset" / "sample.py"), "--dataset", str(tmp_path / "images")]
    command += ["--queries", str(tmp_path / "queries"), "--catalog", str(tmp_path / "catalog.csv")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("sample.py: ") and "caf\\xe9" in ended.stderr
    assert "Traceback" not in ended.stderr

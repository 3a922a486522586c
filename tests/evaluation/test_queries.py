"""What is asked for: pictures of a folder, and transformed copies of the collection."""

from pathlib import Path

import numpy as np
import pytest

from config import Settings
from models.evaluation.queries import folder_queries, picture_of, transformed_queries
from models.evaluation.run import _identity
from tests.evaluation.stand_in import IMAGES, alone, paint
from utils.errors import WrongUse


def test_twins_are_as_right_as_the_image_and_held_out_with_it():
    collection = {image: f"{image}.png" for image in range(10)}
    pairs = [image ^ 1 for image in range(10)]  # 0 and 1, 2 and 3, ...
    made = transformed_queries(
        Path("d"), collection, lambda image: {pairs[image]}, sample=5, copies=1, absent=5, seed=3
    )
    assert {query.expected for query in made} - {frozenset()} <= {frozenset({n, n + 1}) for n in range(0, 10, 2)}
    for query in made:
        shown = int(query.path.stem)
        assert (query.expected or query.exclude) == {shown, shown ^ 1}
        assert query.group == f"{shown}.png"
        assert query.works == ((query.expected,) if query.expected else ())


def test_transformed_queries_are_seeded_and_keep_held_out_images_apart():
    collection = {image: f"{image}.png" for image in range(10, 60)}
    made = transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=3)
    assert made == transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=3)
    present = [query for query in made if query.expected]
    absent = [query for query in made if not query.expected]
    assert (len(present), len(absent)) == (20, 5)
    assert all(query.exclude == set() for query in present)
    assert all(len(query.exclude) == 1 and query.expected == set() for query in absent)
    assert not {image for query in present for image in query.expected} & {i for query in absent for i in query.exclude}
    assert {query.group for query in present} == {collection[image] for query in present for image in query.expected}
    assert {query.group for query in absent} == {collection[image] for query in absent for image in query.exclude}
    assert len({query.seed for query in made}) == len({query.name for query in made}) == 25
    other = transformed_queries(Path("d"), collection, alone, sample=10, copies=2, absent=5, seed=4)
    assert [query.path for query in other] != [query.path for query in made]
    with pytest.raises(WrongUse, match="--absent"):
        transformed_queries(Path("d"), collection, alone, sample=10, copies=1, absent=50, seed=0)


def test_copies_on_walls_are_photographs_of_the_framed_image(engine):
    sizes = {"sample": 3, "copies": 1, "absent": 1, "seed": 0}
    plain = transformed_queries(engine.dataset, IMAGES, alone, **sizes)
    walls = transformed_queries(engine.dataset, IMAGES, alone, **sizes, walls=True)
    assert [query.name for query in walls] == [query.name for query in plain]
    for query in walls:
        picture, changes = picture_of(query, Settings())
        assert 800 <= max(picture.shape[:2]) <= 1000  # as transforms.photograph makes them
        assert changes == ["on a wall"]
        assert np.array_equal(picture, picture_of(query, Settings())[0])
    assert _identity(engine, plain, Settings()) != _identity(engine, walls, Settings())


def test_folders_that_cannot_be_asked(tmp_path):
    with pytest.raises(WrongUse, match="not a folder"):
        folder_queries(tmp_path / "missing", None, {})
    with pytest.raises(WrongUse, match="no files"):
        folder_queries(tmp_path, None, {})


def test_hidden_files_and_sub_folders_are_no_queries(tmp_path):
    paint(tmp_path / "seen.png", 1)
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    assert [query.name for query in folder_queries(tmp_path, None, {})] == ["seen.png"]

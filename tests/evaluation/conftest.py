"""A stand-in engine, and a folder of pictures that it has answers for."""

import pytest

from models.answer import Verdict
from tests.evaluation.stand_in import IMAGES, StandIn, answer, candidate, paint
from utils.images import ImageProblem


@pytest.fixture
def engine(tmp_path):
    for image, path in IMAGES.items():
        paint(tmp_path / "images" / path, image)
    return StandIn(tmp_path / "images", IMAGES, {})


@pytest.fixture
def museum(engine, tmp_path):
    """A folder of seven files with their answers: right, wrong first, missed, false, maybe, unknown, no picture."""
    similarities = {1: 0.9, 2: 0.7, 5: 0.6, 8: 0.5}
    one, two, three, five = (candidate(IMAGES, image, similarities[image]) for image in IMAGES)
    engine.answers = {
        "1 right.png": answer(Verdict.FOUND, [two, one, three], [one, two, three]),
        "2 wrong.png": answer(Verdict.FOUND, [three, one, two]),
        "3 missed.png": answer(Verdict.NOT_FOUND, [one, two]),
        "4 false.png": answer(Verdict.FOUND, [five, two]),
        "5 maybe.png": answer(Verdict.MAYBE, [five, two]),
        "6 unknown.png": answer(Verdict.MAYBE, [two]),
        "7 text.jpg": ImageProblem("not a picture"),
    }
    folder = tmp_path / "photographs"
    for number, name in enumerate(engine.answers):
        paint(folder / name, 100 + number)
    (folder / "ground_truth.csv").write_text(
        "query,relevant\n"
        "1 right.png,one.png\n"
        "2 wrong.png,two.png five.png\n"
        "3 missed.png,a/one.png\n"
        "4 false.png,\n"
        "5 maybe.png,\n"
    )
    return folder


@pytest.fixture
def place(tmp_path):
    return tmp_path / "statistics" / "photographs"

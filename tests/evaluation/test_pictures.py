"""Drawings of wrong answers."""

import cv2
import numpy as np

from models.answer import Verdict
from tests.evaluation.stand_in import IMAGES, answer, candidate, run


def test_pictures_show_query_and_work_at_the_scale_of_their_frames(engine, museum, place):
    run(engine, museum, place)
    drawn = cv2.imread(str(place / "pictures" / "000004-answered.jpg"))
    assert drawn.shape[:2] == (60, 80 + 12 + 80)
    work = cv2.imread(str(engine.dataset / "b/five.png"))
    corner = (slice(30, 60), slice(50, 80))  # no points there
    assert np.abs(drawn[:, 92:][corner].astype(int) - work[corner]).mean() < 12


def test_an_empty_shortlist_and_a_work_gone_from_the_dataset(engine, museum, place):
    (engine.dataset / "b/five.png").unlink()
    engine.answers["2 wrong.png"] = answer(Verdict.NOT_FOUND, [])
    engine.answers["1 right.png"] = answer(Verdict.FOUND, [candidate(IMAGES, 8)])
    summary = run(engine, museum, place)
    assert summary["wrong_answers"]["wrong first"] == 2
    assert summary["after"]["shortlisted"] == 1
    assert (place / "pictures" / "000001-answered.jpg").is_file()
    assert not (place / "pictures" / "000002-answered.jpg").exists()
    assert (place / "pictures" / "000002-expected.jpg").is_file()

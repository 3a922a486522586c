"""The table of answers of a folder of photographs, and the report that shows each of them."""

import csv
from dataclasses import fields

import openpyxl
import pytest

from config import Settings
from models.answer import Verdict
from models.answer_table import COLUMNS, Described, Row
from models.evaluation.queries import folder_queries, transformed_queries
from models.evaluation.run import evaluate
from tests.evaluation.stand_in import IMAGES, alone, answer, candidate, run

REGISTER = {
    "a/one.png": Described("1921.2", "=HYPERLINK(1)", "MARVEEN, Joost van"),
    "b/five.png": Described("1", "The <b>Sea</b>", ""),
}


@pytest.fixture
def asked(engine, museum, place):
    """The folder of a run over the museum, whose works have a register."""
    evaluate(engine, folder_queries(museum, None, engine.images), place, Settings(), REGISTER)
    return place


def test_the_columns_are_those_of_a_row_in_its_order():
    assert list(COLUMNS) == [field.name for field in fields(Row)]


def test_the_table_names_the_work_of_each_photograph_and_is_no_formula(asked):
    with (asked / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS.values())
    named = [(row["photograph"], row["inventory number"], row["title"], row["image"], row["verdict"]) for row in rows]
    assert named == [
        ("1 right.png", "1921.2", "'=HYPERLINK(1)", "a/one.png", "found"),
        ("2 wrong.png", "", "", "b/<three> & four.png", "found"),
        ("3 missed.png", "", "", "", "not found"),  # it names no work
        ("4 false.png", "1", "The <b>Sea</b>", "b/five.png", "found"),
        ("5 maybe.png", "1", "The <b>Sea</b>", "b/five.png", "not sure"),
        ("6 unknown.png", "", "", "a/two.png", "not sure"),
        ("7 text.jpg", "", "", "", ""),
    ]
    assert (rows[0]["artist"], rows[0]["probability"], rows[0]["review"]) == ("MARVEEN, Joost van", "0.95", "")
    assert rows[0]["link"] == "report.html#photograph-1" and rows[6]["note"] == "not a picture"

    sheet = openpyxl.load_workbook(asked / "answers.xlsx").active
    table = [[("" if cell is None else cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert table[1][:3] == ["1 right.png", "1921.2", "=HYPERLINK(1)"] and sheet["C2"].data_type == "s"
    assert table[1][6] == 0.95 and sheet["B2"].value == "1921.2"
    assert len(table) == 8


def test_the_report_shows_each_photograph_with_its_title_and_verdict(asked):
    text = (asked / "report.html").read_text(encoding="utf-8")
    shown = [part.split("</article>")[0] for part in text.split('<article id="photograph-')[1:]]
    assert len(shown) == 7
    assert "Found</strong> (95.0 %): =HYPERLINK(1), 1921.2<br>MARVEEN, Joost van" in shown[0]
    assert "The &lt;b&gt;Sea&lt;/b&gt;" in shown[3] and "ground truth: false found" in shown[3]
    assert "Not found</strong>" in shown[2] and "The most similar image: a/one.png" in shown[2]
    assert "<details>" in shown[5] and "ground truth:" not in shown[5]  # nobody knows
    assert "Not used: not a picture." in shown[6] and "<img" not in shown[6]


def test_a_run_that_was_interrupted_still_shows_every_photograph(engine, museum, place):
    good, engine.answers["4 false.png"] = engine.answers["4 false.png"], KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(engine, museum, place)
    engine.answers["4 false.png"] = good
    run(engine, museum, place)
    assert all((place / "pictures" / f"{number:06}-photograph.jpg").is_file() for number in range(1, 7))


def test_transformed_copies_have_no_table(engine, place):
    engine.answers[""] = answer(Verdict.FOUND, [candidate(IMAGES, 1)])
    copies = transformed_queries(engine.dataset, engine.images, alone, sample=2, copies=1, absent=0, seed=0)
    evaluate(engine, copies, place, Settings())
    assert not (place / "answers.csv").exists() and "Every photograph" not in (place / "report.html").read_text()

"""Cells as a spreadsheet gets them."""

import csv
from datetime import datetime

import pytest

from utils import spreadsheet


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_could_be_a_formula_gets_an_apostrophe(text):
    assert next(csv.reader([spreadsheet.line([text, "plain"])])) == [f"'{text}", "plain"]


def test_times_are_written_as_people_read_them():
    assert spreadsheet.line([datetime(2026, 11, 24, 8, 30)]) == "2026-11-24 08:30:00\r\n"


def test_numbers_stay_numbers_and_nothing_stays_empty():
    assert spreadsheet.line([-1, -0.5, None, ""]) == "-1,-0.5,,\r\n"


def test_separators_quotes_and_line_breaks_survive():
    cells = ["a,b", 'say "yes"', "two\nlines", "é"]
    assert next(csv.reader([spreadsheet.line(cells)])) == cells

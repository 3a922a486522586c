"""Text for people."""

from utils.text import counted


def test_a_noun_agrees_with_its_number():
    assert [counted(n, "row") for n in (0, 1, 2500)] == ["0 rows", "1 row", "2,500 rows"]
    assert [counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]

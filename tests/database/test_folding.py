"""What the search and the order of texts compare."""

import pytest

from database.folding import sort_key, words
from database.register.years import years


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Duerer", "Dürer"),
        ("Durer", "DÜRER"),
        ("Mueller", "Müller"),
        ("Oersted", "Ørsted"),
        ("Lodz", "Łódź"),
        ("Sadi", "Saʿdī"),
        ("d'Arc", "d’Arc"),
        ("Toulouse-Lautrec", "Toulouse\u2010Lautrec"),
        ("Groesse", "Größe"),
    ],
)
def test_what_people_type_meets_what_is_written(one, other):
    assert words(one) == words(other)


def test_a_word_of_several_parts_has_them_all():
    assert words("Jeanne d’Arc, 1921.2") == [["jeanne"], ["d", "arc"], ["1921", "2"]]


def test_texts_are_sorted_by_letters_numbers_by_size_and_nothing_last():
    names = ["DÜRER, Albrecht", "Émile Bernard", "Ørsted", "van Gogh, Vincent", "Zurbarán", ""]
    assert sorted(set(names), key=sort_key) == names
    numbers = ["1921.2", "1921.10", "1921.10.1", "A 3", "A10"]
    assert sorted(set(numbers), key=sort_key) == numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1502", (1502, 1502)),
        ("c. 1500-05", (1500, 1505)),
        ("1499–1502", (1499, 1502)),
        ("1780/85", (1780, 1785)),
        ("1923-05-01", (1923, 1923)),
        ("01.05.1923", (1923, 1923)),
        ("16th century", (1501, 1600)),
        ("late 15th century", (1471, 1500)),
        ("1. Hälfte 17. Jh.", (1601, 1650)),
        ("fin du XIXe siècle", (1871, 1900)),
        ("siglo XVI", (1501, 1600)),
        ("secolo XV", (1401, 1500)),
        ("17e eeuw", (1601, 1700)),
        ("1890er Jahre", (1890, 1899)),
        ("ca. 300 BC", (-300, -300)),
        ("undated", None),
        ("", None),
    ],
)
def test_the_years_of_a_date_as_it_is_written(text, expected):
    assert years(text) == expected

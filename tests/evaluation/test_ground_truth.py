import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import ground_truth
from utils.errors import WrongUse

IMAGES = {
    1: "aachen/allegory.jpg",
    2: "aachen/portrait.jpg",
    3: "bosch/portrait.jpg",
    4: "the kiss.jpg",
    5: "klimt/the kiss (detail).jpg",
    6: os.fsdecode(b"names/\xff.jpg"),
    7: 'names/the "night watch".jpg',
}
QUERIES = ["0001.jpg", "0002.jpg", "0003.jpg", "a b.jpg", os.fsdecode(b"\xfe.jpg")]


@pytest.fixture
def read(tmp_path):
    def read(text: str | bytes):
        path = tmp_path / "truth.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ground_truth.read(path, QUERIES, IMAGES)

    return read


def test_paths_bare_names_several_and_none(read):
    assert read(
        "query,relevant\n0001.jpg,aachen/allegory.jpg\n0002.jpg,allegory.jpg  bosch/portrait.jpg\n\n0003.jpg,\n"
    ) == {"0001.jpg": {1}, "0002.jpg": {1, 3}, "0003.jpg": set()}


def test_queries_without_a_row_are_not_in_the_result(read):
    assert read("query,relevant\n") == {}


def test_names_with_blanks(read):
    assert read("query,relevant\na b.jpg,the kiss.jpg\n") == {"a b.jpg": {4}}
    assert read("query,relevant\n0001.jpg,the kiss (detail).jpg\n") == {"0001.jpg": {5}}
    assert read('query,relevant\n0001.jpg,allegory.jpg "the kiss.jpg"\n') == {"0001.jpg": {1, 4}}
    assert read('query,relevant\n0001.jpg,"""the kiss.jpg"" allegory.jpg"\n') == {"0001.jpg": {1, 4}}


def test_spreadsheet_bytes_and_names_that_are_not_utf8(read):
    assert read(b"\xef\xbb\xbfquery,relevant\r\n\xfe.jpg,\xff.jpg\r\n") == {QUERIES[4]: {6}}


def test_a_path_wins_over_the_same_bare_name(tmp_path):
    (tmp_path / "truth.csv").write_text("query,relevant\nq.jpg,a.jpg\n")
    images = {1: "x/a.jpg", 2: "a.jpg", 3: "y/a.jpg"}
    assert ground_truth.read(tmp_path / "truth.csv", ["q.jpg"], images) == {"q.jpg": {2}}


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("query;relevant\n0001.jpg;allegory.jpg\n", 1, "query;relevant"),
        ("image,relevant\n", 1, "image,relevant"),
        ("query,relevant,more\n", 1, "query,relevant,more"),
        ("", 1, "query,relevant"),
        ("query,relevant\n0001.jpg,\n0009.jpg,allegory.jpg\n", 3, "0009.jpg"),
        ("query,relevant\n0001.jpg,nowhere.jpg\n", 2, "nowhere.jpg"),
        ("query,relevant\n0001.jpg,allegory.jpg nowhere.jpg\n", 2, "nowhere.jpg"),
        ("query,relevant\n0001.jpg,portrait.jpg\n", 2, "portrait.jpg"),
        ("query,relevant\n0001.jpg,\n\n0001.jpg,allegory.jpg\n", 4, "0001.jpg"),
        ("query,relevant\n0001.jpg\n", 2, "0001.jpg"),
        ("query,relevant\n0001.jpg,allegory.jpg,the kiss.jpg\n", 2, "0001.jpg"),
        ('query,relevant\n0001.jpg,"the kiss.jpg" allegory.jpg\n', 2, "CSV"),
        (b"query,relevant\n\xfd.jpg,\n", 2, r"\\xfd.jpg"),
    ],
)
def test_what_does_not_fit_names_file_line_and_name(read, tmp_path, text, line, name):
    with pytest.raises(WrongUse) as problem:
        read(text)
    sentence = str(problem.value)
    assert sentence.startswith(f"{tmp_path / 'truth.csv'}, line {line}: ")
    assert name in sentence
    sentence.encode()  # can be printed anywhere


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(WrongUse, match="does not exist"):
        ground_truth.read(tmp_path / "missing.csv", [], {})
    with pytest.raises(WrongUse, match="is a folder"):
        ground_truth.read(tmp_path, [], {})


@given(st.lists(st.text(alphabet='ab" \n\u00a0ü', min_size=1), max_size=4))
def test_split_takes_apart_what_join_puts_together(names):
    assert ground_truth.split(ground_truth.join(names)) == names


def test_printable_keeps_utf8_and_shows_other_bytes():
    assert ground_truth.printable("Dürer\n.jpg") == "Dürer\n.jpg"
    assert ground_truth.printable(os.fsdecode(b"\xff.jpg")) == r"\xff.jpg"


def test_an_inventory_number_names_all_images_of_its_work(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("query,relevant\nq1,1921.2\nq2,back.jpg\nq3,other.jpg\nq4,1921.2 other.jpg\n")
    images = {1: "front.jpg", 2: "back.jpg", 3: "other.jpg"}
    works = [("1921.2", frozenset({1, 2})), ("", frozenset({3}))]
    truth = ground_truth.read(path, ["q1", "q2", "q3", "q4"], images, works)
    assert truth == {"q1": {1, 2}, "q2": {1, 2}, "q3": {3}, "q4": {1, 2, 3}}


def test_a_file_goes_before_an_inventory_number_of_the_same_name(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("query,relevant\nq,a.jpg\n")
    assert ground_truth.read(path, ["q"], {1: "a.jpg", 2: "b.jpg"}, [("a.jpg", frozenset({2}))]) == {"q": {1}}

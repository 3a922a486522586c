"""Which row gets which pictures: by name, stem and inventory number; what is ambiguous is told."""

import unicodedata

import pytest

from database.catalog import Work as Row
from database.register.files import Matcher, role_of


def matched(rows: list[Row], *paths: str) -> tuple[list[list[str]], list[str]]:
    """The pictures of each row, and the reason of each."""
    images = dict(enumerate(paths, 1))
    results = list(Matcher(lambda: iter(rows), images))
    return [[images[shown.image] for shown in pictures] for _, pictures, _ in results], [why for _, _, why in results]


@pytest.mark.parametrize(
    "cell",
    ["b/Hare_1.jpg", "b/hare_1.JPG", "HARE_1.tif", "hare_1", r"C:\Photos\b\Hare_1.jpg", "./b/hare_1.jpg",
     "file:///srv/b/Hare%5F1.jpg", "/mnt/share/Hare_1.jpeg"],
)  # fmt: skip
def test_a_file_is_found_whatever_its_case_extension_and_path(cell):
    assert matched([Row(title="t", file=cell)], "b/Hare_1.jpg", "b/other.jpg") == ([["b/Hare_1.jpg"]], [""])


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_is_found_whatever_its_unicode_form(forms):
    cell, path = (unicodedata.normalize(form, "b/Dürer_Selbst.jpg") for form in forms)
    assert matched([Row(title="t", file=cell)], path) == ([[path]], [""])


@pytest.mark.parametrize("cell", ["a.jpg|b.jpg", "a.jpg; b.jpg", "a | b", "a.jpg\nb.jpg"])
def test_a_cell_may_name_several_files(cell):
    assert matched([Row(title="t", file=cell)], "x/a.jpg", "x/b.jpg") == ([["x/a.jpg", "x/b.jpg"]], [""])


def test_a_name_that_holds_a_separator_is_one_name():
    assert matched([Row(title="t", file="a;b.jpg")], "a;b.jpg", "a.jpg")[0] == [["a;b.jpg"]]


def test_of_several_files_the_missing_one_is_told_and_the_others_are_taken():
    assert matched([Row(title="t", file="a.jpg|z.jpg")], "a.jpg") == (
        [["a.jpg"]],
        ["there is no picture of the name z.jpg"],
    )


def test_the_very_extension_goes_before_another_one():
    assert matched([Row(title="t", file="a.tif")], "a.tif", "a.jpg")[0] == [["a.tif"]]
    assert matched([Row(title="t", file="a.png")], "a.tif", "a.jpg") == ([[]], ["2 pictures have the name a.png"])


def test_the_row_with_the_right_folder_goes_before_one_with_another():
    rows = [Row(title="c", file="c/x.jpg"), Row(title="a", file="a/x.jpg")]
    found, reasons = matched(rows, "a/x.jpg")
    assert found == [[], ["a/x.jpg"]]
    assert reasons == ["another row has the picture a/x.jpg already", ""]


def test_between_rows_with_wrong_folders_nothing_is_guessed():
    found, reasons = matched([Row(title="c", file="c/x.jpg"), Row(title="d", file="d/x.jpg")], "a/x.jpg")
    assert found == [[], []]
    assert reasons == ["2 rows, none with its folder, name a/x.jpg"] * 2


def test_pictures_are_found_by_the_inventory_number_in_their_names():
    rows = [Row(title=number, number=number) for number in ("1921.2", "1921.10", "1921.2.1", "NG 12")]
    found, reasons = matched(
        rows, "1921.2.jpg", "x/1921_2_verso.jpg", "1921-10.tif", "1921.2.1.png", "ng12_detail.jpg", "1921.20.jpg"
    )
    assert found == [["1921.2.jpg", "x/1921_2_verso.jpg"], ["1921-10.tif"], ["1921.2.1.png"], ["ng12_detail.jpg"]]
    assert reasons == [""] * 4


def test_a_short_number_is_no_count_in_a_name():
    found, reasons = matched([Row(title="t", number="12")], "12_angry_men.jpg", "IMG_0012.jpg", "hall 12 b.jpg")
    assert (found, reasons) == ([[]], ["no picture has its inventory number in its name"])
    assert matched([Row(title="t", number="12")], "12.jpg", "12_back.jpg")[0] == [["12.jpg", "12_back.jpg"]]


def test_a_picture_that_fits_two_numbers_is_told():
    rows = [Row(title="a", number="1921.2"), Row(title="b", number="1921-2")]
    found, reasons = matched(rows, "1921_2.jpg")
    assert found == [[], []]
    assert reasons == ["1921_2.jpg fits several inventory numbers: 1921.2, 1921-2"] * 2


def test_rows_of_one_inventory_number_are_one_work():
    rows = [
        Row(title="t", number="1", file="b_back.jpg"),
        Row(title="t", number="1", file="a_front.jpg"),
        Row(number="1", file="c.jpg"),
    ]
    found, reasons = matched(rows, "a_front.jpg", "b_back.jpg", "c.jpg")
    assert (found, reasons) == ([["a_front.jpg", "c.jpg", "b_back.jpg"], [], []], ["", "", ""])


def test_an_inventory_number_that_comes_again_with_another_title_is_told():
    rows = [Row(title="t", number="1", file="a.jpg"), Row(title="other", number="1", file="b.jpg")]
    found, reasons = matched(rows, "a.jpg", "b.jpg")
    assert found == [["a.jpg"], []]
    assert reasons == ["", "an earlier row with another title has the inventory number 1"]


@pytest.mark.parametrize(
    ("name", "role"),
    [("1921.2_verso.jpg", "back"), ("1921.2 Rückseite.tif", "back"), ("1921.2_r.jpg", "front"),
     ("1921.2-detail.jpg", "detail"),
     ("1921.2.jpg", ""), ("revolution.jpg", "")],
)  # fmt: skip
def test_the_name_says_what_a_picture_shows(name, role):
    assert role_of(name, "1921.2") == role

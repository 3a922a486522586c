"""The catalogue: separators, encodings, Excel, order and case of columns, and what is refused."""

import datetime
import io
import zipfile

import openpyxl
import pytest

from database import catalog
from database.catalog import Work
from utils.errors import WrongUse

HEADER = "AUTHOR;BORN-DIED;TITLE;DATE;TECHNIQUE;LOCATION;URL;FORM;TYPE;SCHOOL;TIMEFRAME"
PAGE = "https://www.wga.hu/html/a/aachen/allegory.html"
AACHEN = Work(
    author="AACHEN, Hans von",
    born_died="(b. 1552, Köln, d. 1615, Praha)",
    title="Allegory; or Peace",
    date="1598",
    technique='Oil on "copper"',
    location="Museé, Łódź",
    url=PAGE,
    form="painting",
    type="mythological",
    school="German",
    timeframe="1601-1650",
)
ROW = [getattr(AACHEN, name) for name in catalog.GALLERY[:-1]]


def text(separator: str, row: list[str] = ROW) -> str:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in row]
    return HEADER.replace(";", separator) + "\r\n" + separator.join(quoted) + "\r\n"


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_in_unicode(tmp_path, separator, encoding):
    path = tmp_path / "catalog.csv"
    path.write_bytes(text(separator).encode(encoding))
    assert catalog.read(path) == [AACHEN]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_csv_in_latin_1(tmp_path, separator):
    row = ["DÜRER, Albrecht", "", "Nürnberg – “Haus”", "", "", "", PAGE, "", "", "", ""]
    path = tmp_path / "catalog.csv"
    # The dash and the quotation marks are Windows-1252, as Excel writes them into a "Latin-1" file.
    path.write_bytes(text(separator, row).encode("cp1252"))
    assert catalog.read(path) == [Work(author="DÜRER, Albrecht", title="Nürnberg – “Haus”", url=PAGE)]


def test_a_byte_that_windows_1252_does_not_know_is_latin_1(tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_bytes(b"AUTHOR;TITLE;URL\nD\xdcRER;a\x81b;u\n")
    assert catalog.read(path) == [Work(author="DÜRER", title="a\x81b", url="u")]


def test_excel_gives_values_as_text(tmp_path):
    book = openpyxl.Workbook()
    book.active.append([])
    book.active.append(HEADER.split(";"))
    book.active.append(ROW)
    book.active.append([None] * 11)
    book.active.append(["A", None, "B", 1598.0, 12, 1.5, PAGE, datetime.date(1923, 5, 1), "  x  "])
    path = tmp_path / "no extension"
    book.save(path)
    first, second = catalog.read(path)
    assert first == AACHEN
    assert (second.date, second.technique, second.location, second.type) == ("1598", "12", "1.5", "x")
    assert second.form == "1923-05-01"
    assert second.school == ""


def test_excel_with_a_wrong_dimension_loses_no_row(tmp_path):
    book = openpyxl.Workbook()
    for row in (HEADER.split(";"), ROW, ROW):
        book.active.append(row)
    whole = io.BytesIO()
    book.save(whole)
    path = tmp_path / "catalog.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                assert b'ref="A1:K3"' in data
                data = data.replace(b'ref="A1:K3"', b'ref="A1:A1"')
            new.writestr(name, data)
    assert catalog.read(path) == [AACHEN, AACHEN]


def test_columns_in_any_order_and_case_and_unknown_ones(tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_text("Title, file ,Colour,born/died,AUTHOR\n  T  ,a/b.jpg,red, 1500 ,Ä\n,,,,\n ,,blue,,\n\nU\n")
    assert catalog.read(path) == [
        Work(title="T", file="a/b.jpg", born_died="1500", author="Ä", more={"Colour": "red"}),
        Work(more={"Colour": "blue"}),
        Work(title="U"),
    ]


def test_a_title_may_hold_line_breaks(tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_text('AUTHOR;TITLE;URL\nA;"one\ntwo";u\nB;"C" etc;v\n')
    assert [work.title for work in catalog.read(path)] == ["one\ntwo", "C etc"]


def test_what_is_written_is_read_back(tmp_path):
    works = [AACHEN, Work(author="B", title="x\ny", file="00000/b.jpg")]
    path = tmp_path / "catalog.csv"
    catalog.write(path, works)
    assert catalog.read(path) == works
    assert path.read_bytes().startswith((HEADER + ";FILE\n").encode())
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_catalogue(tmp_path):
    path = tmp_path / "catalog.csv"
    catalog.write(path, [AACHEN])

    def works():
        yield Work(author="new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.write(path, works())
    assert catalog.read(path) == [AACHEN]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n;;\n", "is empty"),
        (b"AUTHOR;DATE;URL\na;b;c\n", r"no column TITLE \(or INVENTORY NUMBER\); its first row is 'AUTHOR, DATE, URL'"),
        (b"AUTHOR;TITLE\na;b\n", r"no column URL \(or FILE, or INVENTORY NUMBER\)"),
        (b"<!DOCTYPE html>\n<html>\n", "not a catalogue of works"),
        (b"AUTHOR;TITLE;URL;title\n", "TITLE is there more than once"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither text"),
        (b"PK\x03\x04 broken", "cannot be read as one"),
        (
            b'AUTHOR;TITLE;URL\na;"b;c\nd;e;f\n',
            "quotation mark that is not closed in the row that begins at line 2 and ends at line 3",
        ),
        (b"AUTHOR;TITLE;URL\na;" + b"x" * 17_000_000 + b";u\n", "line 2 is no row"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_its_name(tmp_path, content, said):
    path = tmp_path / "my catalogue"
    path.write_bytes(content)
    with pytest.raises(WrongUse, match=said) as raised:
        catalog.read(path)
    assert str(path) in str(raised.value)


def test_a_zip_that_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("catalog.csv", text(";"))
    with pytest.raises(WrongUse, match=r"data\.zip looks like an Excel or OpenDocument file"):
        catalog.read(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(WrongUse, match=r"nowhere\.csv cannot be read: No such file"):
        catalog.read(tmp_path / "nowhere.csv")
    with pytest.raises(WrongUse, match="cannot be read: Is a directory"):
        catalog.read(tmp_path)

"""Registers as museums have them: what is read of each kind, and what is refused in one sentence."""

import datetime
import io
import zipfile

import openpyxl
import pytest

from database import catalog
from database.catalog import Register, Work
from database.register import columns
from utils.errors import WrongUse


@pytest.fixture
def saved(tmp_path):
    """saved(content, name="..."): the path of a file with this content, text or bytes."""

    def save(content: str | bytes, name: str = "register.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return save


@pytest.fixture
def workbook(tmp_path):
    """workbook(rows, ...): the path of an .xlsx whose sheets hold these rows."""

    def save(*sheets, hidden=(), change=lambda book: None):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for number, rows in enumerate(sheets):
            sheet = book.create_sheet(f"Sheet {number + 1}")
            for row in rows:
                sheet.append(row)
            if number in hidden:
                sheet.sheet_state = "hidden"
        change(book)
        book.save(tmp_path / "register.xlsx")
        return tmp_path / "register.xlsx"

    return save


def notes(register: Register) -> str:
    """All that a register tells after a whole reading."""
    list(register)
    return "\n".join([*register.notes, *register.last_notes])


# CSV


def test_cells_of_several_lines_may_hold_delimiters(saved):
    path = saved(
        'AUTHOR,TITLE,FILE,NOTES\n"A, B",Hare,a.jpg,"one, two;\nthree, four, five,\nsix, 1920."\nB,C,b.jpg,x\n'
    )
    assert [work.title for work in catalog.read(path)] == ["Hare", "C"]
    assert catalog.read(path)[0].more == {"NOTES": "one, two;\nthree, four, five,\nsix, 1920."}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", ":", "\x1f"])
def test_any_delimiter_is_made_out(saved, delimiter):
    path = saved("Artist;Title;Image\nDürer;Hare;a.jpg\n".replace(";", delimiter))
    assert catalog.read(path) == [Work(author="Dürer", title="Hare", file="a.jpg")]


@pytest.mark.parametrize("first", ["sep=#\n", "SEP=#\r\n", '"sep=#"\n'])
def test_a_line_that_names_the_delimiter_is_believed(saved, first):
    path = saved(first + "Artist#Title#Image\nA, B; C#Hare#a.jpg\n")
    assert catalog.read(path) == [Work(author="A, B; C", title="Hare", file="a.jpg")]


def test_rows_above_the_header_are_left_out_and_told(saved):
    path = saved("Museum\n\nObject list, 2024;;\nInventory No;Artist;Title;Image\n1921.2;Dürer;Hare;a.jpg\n")
    register = Register(path)
    assert list(register) == [Work(number="1921.2", author="Dürer", title="Hare", file="a.jpg")]
    assert "2 rows above the header" in notes(register)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_unicode_of_every_width(saved, encoding):
    path = saved("AUTHOR\tTITLE\tFILE\r\nDÜRER\tHase\ta.jpg\r\n".encode(encoding))
    assert catalog.read(path) == [Work(author="DÜRER", title="Hase", file="a.jpg")]


def test_a_blank_may_stand_between_delimiter_and_quotation_mark(saved):
    assert catalog.read(saved('Title, Image\n"A, B", "b, c.jpg"\n')) == [Work(title="A, B", file="b, c.jpg")]


def test_line_ends_of_old_macs(saved):
    assert len(catalog.read(saved("Artist;Title;Image\rA;B;c.jpg\rD;E;f.jpg\r"))) == 2


def test_cells_beyond_the_header_are_kept_and_told(saved):
    register = Register(saved("Title;Image\nHare;a.jpg;lost?\n"))
    assert list(register) == [Work(title="Hare", file="a.jpg", more={"Column 3": "lost?"})]
    assert "1 cell beyond the header, kept as" in notes(register)


def test_blanks_and_unknown_columns_are_told(saved):
    register = Register(saved("Title;Image;Insured\nHare;a.jpg;12\n;b.jpg;\n"))
    assert "Kept under their own names: Insured" in notes(register)
    assert "Of 2 rows, 1 has no title" in notes(register)
    assert next(iter(register)).more == {"Insured": "12"}


def test_a_quotation_mark_that_is_closed_by_a_later_one_swallows_no_row_in_silence(saved):
    with pytest.raises(WrongUse, match="begins at line 2 and ends at line 3"):
        catalog.read(saved('Artist;Title;Image\na;"b;c\nd;"e";f\n'))


def test_what_a_spreadsheet_would_compute_is_text(saved):
    path = saved("Title;Image\n=cmd|' /C calc'!A0;a.jpg\n'=1+1;b.jpg\n")
    assert [work.title for work in catalog.read(path)] == ["=cmd|' /C calc'!A0", "=1+1"]


# Columns


@pytest.mark.parametrize(
    "header",
    [
        "Inventory No;Artist;Title;Image",
        "Inventar-Nr.;Künstler/in;Titel;Bilddatei",
        "N° d’inventaire;Auteur;Titre;Fichier",
        "Nº de inventario;Autor;Título;Imagen",
        "Numero d'inventario;Autore;Titolo;Immagine",
        "Inventarisnummer;Kunstenaar;Titel;Afbeelding",
        "ACCESSION NUMBER;Maker(s);Object name;File_name",
    ],
)
def test_columns_are_known_in_six_languages(saved, header):
    path = saved(header + "\n1921.2;Dürer;Hare;a.jpg\n")
    assert catalog.read(path) == [Work(number="1921.2", author="Dürer", title="Hare", file="a.jpg")]


def test_columns_are_mapped_by_hand(saved):
    mapping = columns.parse_mapping(["Image file=Aufnahme Nr", "Artist = Wer"])
    path = saved("Wer;Was;Aufnahme Nr;Titel\nDürer;x;a.jpg;Hase\n")
    assert catalog.read(path, mapping=mapping) == [Work(author="Dürer", title="Hase", file="a.jpg", more={"Was": "x"})]


@pytest.mark.parametrize("option", ["Image file", "Colour=Farbe", "Title="])
def test_a_mapping_that_makes_no_sense_is_refused(option):
    with pytest.raises(WrongUse, match="does not fit"):
        columns.parse_mapping([option])


def test_of_two_columns_for_one_field_the_better_name_has_it_and_the_other_is_kept(saved):
    path = saved("Object name;Title;Image\nDrawing;Hare;a.jpg\n")
    assert catalog.read(path) == [Work(title="Hare", file="a.jpg", more={"Object name": "Drawing"})]


# Workbooks

HEADER = ["Inventory No", "Artist", "Title", "Image"]


def test_only_visible_sheets_are_read(workbook):
    path = workbook([HEADER, ["1", "old", "OLD", "a"]], [HEADER, ["1", "new", "NEW", "a"]], hidden=[0])
    assert [work.title for work in catalog.read(path)] == ["NEW"]
    assert [work.title for work in catalog.read(path, sheet="Sheet 1")] == ["OLD"]
    with pytest.raises(WrongUse, match="has no sheet 'Sheet 9': it has Sheet 2, Sheet 1"):
        catalog.read(path, sheet="Sheet 9")


def test_a_sheet_that_is_no_register_is_passed_over_and_others_are_told(workbook):
    register = Register(workbook([["Read me"]], [HEADER, ["1", "A", "B", "c"]], [HEADER]))
    assert [work.title for work in register] == ["B"]
    assert "Sheet 'Sheet 2' is read; use --sheet for another: Sheet 1, Sheet 3" in notes(register)


def test_dates_are_days_and_numbers_have_no_point(workbook):
    row = ["1", "Klee", datetime.datetime(1923, 5, 1), 1598.0, "a", datetime.datetime(1924, 1, 1, 13, 30)]
    (work,) = catalog.read(workbook([["Inv", "Artist", "Date", "Title", "Image", "Seen"], row]))
    assert (work.date, work.title, work.more["Seen"]) == ("1923-05-01", "1598", "1924-01-01 13:30")


def test_merged_cells_are_filled(workbook):
    rows = [["Objects of 2024"], HEADER, ["1", "Dürer", "A", "a"], ["2", None, "B", "b"], ["3", None, "C", "c"]]

    def merge(book):
        book.active.merge_cells("A1:D1")
        book.active.merge_cells("B3:B5")

    register = Register(workbook(rows, change=merge))
    assert [work.author for work in register] == ["Dürer"] * 3
    assert "5 cells in merged ranges filled" in notes(register)


def test_formulas_without_a_value_are_told(workbook):
    register = Register(workbook([HEADER, ["1", "=A2", "B", "c"]]))
    assert next(iter(register)).author == ""
    assert "1 formula without a stored value" in notes(register)


def test_a_day_before_1900_that_excel_cannot_hold_is_told(workbook):
    rows = [["Inv", "Title", "Date", "Image"], ["1", "Hare", -227, "a"], ["2", "Crab", 61, "b"]]

    def format_as_dates(book):
        for row in (2, 3):
            book.active.cell(row, 3).number_format = "DD.MM.YYYY"

    register = Register(workbook(rows, change=format_as_dates))
    assert [work.date for work in register] == ["", "1900-03-01"]
    assert "1 date before 1900, or the time 0:00, read as blank" in notes(register)


def test_inventory_numbers_kept_as_numbers_are_told(workbook):
    assert "what was typed as 1921.10 has become 1921.1" in notes(Register(workbook([HEADER, [1921.1, "A", "B", "c"]])))


def test_a_workbook_with_a_cell_in_the_last_corner_is_refused(workbook):
    def far(book):
        book.active["XFD1048576"] = "x"

    with pytest.raises(WrongUse, match="16,384 columns; a register has 2,000 at most"):
        catalog.read(workbook([HEADER, ["1", "A", "B", "c"]], change=far))


def test_a_zip_bomb_is_refused(workbook, tmp_path):
    path = workbook([HEADER, ["1", "A", "B", "c"]])
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        with new.open("xl/worksheets/filler.xml", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    with pytest.raises(WrongUse, match=r"unpacks to more than 1\d\d MB"):
        catalog.read(bomb)


def test_entities_of_xml_are_not_followed(workbook, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET")
    path, evil = workbook([HEADER, ["1", "A", "B", "c"]]), tmp_path / "evil.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/sharedStrings.xml":
                start = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'.encode()
                data = start + data[data.index(b"<sst") :].replace(b"<t>B</t>", b"<t>&e;</t>")
            new.writestr(name, data)
    try:
        found = str(catalog.read(evil))
    except WrongUse as problem:
        found = str(problem)
    assert "TOP SECRET" not in found


# What is refused


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100), "neither text"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)), "neither text"),
        (";".join(f"column {n}" for n in range(10_000)).encode() + b";Title;Image\n", "10,002 columns"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "not a catalogue"),
        (b"PK\x03\x04" + bytes(200), "cannot be read as one"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "cannot be read as one"),
        (b"query,relevant\na.jpg,b.jpg\n", "not a catalogue"),
    ],
)
def test_what_is_no_register_is_refused_in_one_sentence(saved, content, said):
    with pytest.raises(WrongUse, match=said):
        catalog.read(saved(content))


def test_a_cell_of_a_megabyte_is_read_whole(saved):
    path = saved("Title;Image;Note\nHare;a.jpg;" + "x" * 1_000_000 + "\n")
    assert len(catalog.read(path)[0].more["Note"]) == 1_000_000


def test_rows_are_read_one_by_one(saved):
    """A register that is larger than what may be in memory: only as much is read as is asked for."""
    path = saved("Title;Image\n" + "".join(f"Title {n};{n}.jpg\n" for n in range(300_000)))
    rows = iter(Register(path))
    assert next(rows).title == "Title 0"
    rows.close()
    assert sum(1 for _ in Register(path)) == 300_000


MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'


def test_an_opendocument_sheet_is_read(tmp_path):
    content = (
        '<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
        '<table:table table:name="Liste">'
        + "".join(
            "<table:table-row>"
            + "".join(
                f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
                for text in row
            )
            + "</table:table-row>"
            for row in (["Titel", "Bild"], ["Hase", "a.jpg"])
        )
        + "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    path, data = tmp_path / "register.ods", io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", content)
    path.write_bytes(data.getvalue())
    assert catalog.read(path) == [Work(title="Hase", file="a.jpg")]

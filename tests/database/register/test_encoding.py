"""Encodings that no file names: what each gives, and that a doubt is told with a name."""

import pytest

from database.register import encoding
from utils.errors import WrongUse

NAMES = {
    "cp1250": [
        "CHEŁMOŃSKI, Józef;Żurawie", "Wyspiański;Śpiące dziecko", "Antonín Slavíček;Náměstí svaté Kateřiny",
        "Mucha;Řeč",
        "Ivan Meštrović;Zdenac života", "Gyárfás Jenő;Tetemrehívás", "Nicolae Grigorescu;Ţărancă din Muscel;Ştefan",
    ],
    "mac_roman": ["Dürer, Albrecht", "Cézanne;Pommes", "Müller;Köln", "Géricault;Le Radeau de la Méduse", "Größe"],
    "cp1252": [
        "DÜRER;Nürnberg – “Haus”", "Cézanne", "Goya;La niña", "L’Été", "Hokusai – Wave", "Ørsted", "Hammershøi",
        "Ångström", "Œuvre de sœur", "10 × 12 cm; 5½", "50 €", "Šíma",
        "Camões;Três nações", "Gesù e Maria;Verità", "Þorláksson;Þingvellir",
        "Scène où l’on voit une pièce",
    ],
    "cp1251": ["Репин;Бурлаки на Волге"],
    "cp1253": ["Θεοτοκόπουλος;Άποψη του Τολέδο"],
    "cp850": ["Dürer;Köln"],
    "iso8859_2": ["Šíma;Žena"],
    "utf-16-le": ["DÜRER, Albrecht"],
    "utf-16-be": ["DÜRER, Albrecht"],
    "utf-16": ["DÜRER, Albrecht"],
    "utf-8-sig": ["DÜRER, Albrecht"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in NAMES.items() for text in texts])
def test_names_are_read_as_they_were_written(tmp_path, name, text):
    path = tmp_path / "register.csv"
    whole = f"AUTHOR;TITLE;FILE\n{text};a.jpg\n"
    path.write_bytes(whole.encode(name))
    found = encoding.find(path)
    assert path.read_text(found.name, found.errors) == whole


@pytest.mark.parametrize(
    ("name", "text"), [("cp1250", "Kőszeg"), ("cp1257", "Žvaigždžių sonata"), ("cp1254", "Kaplumbağa")]
)
def test_a_doubt_is_told_with_both_readings(tmp_path, name, text):
    path = tmp_path / "register.csv"
    path.write_bytes(f"AUTHOR;TITLE\nA;{text}\n".encode(name))
    found = encoding.find(path)
    assert "does not say its encoding" in found.warning and repr(text) in found.warning


def test_a_few_spoilt_bytes_do_not_make_a_file_another_encoding(tmp_path):
    path = tmp_path / "register.csv"
    path.write_bytes("AUTHOR\nDürer é è à ö\n".encode() + b"D\xfcrer\n")
    found = encoding.find(path)
    assert path.read_text(found.name, found.errors).endswith("Dürer\n")
    assert "1 bytes" in found.warning


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF", b"GIF89a" + bytes(range(32))]
)
def test_a_picture_is_no_text(tmp_path, content):
    path = tmp_path / "register.csv"
    path.write_bytes(content)
    with pytest.raises(WrongUse, match="neither text"):
        encoding.find(path)

"""How the steps read files, and what they tell of it."""

import io

import numpy as np
from PIL import Image

from models.collection import reading
from models.collection.reading import Outcome, Reading


def jpeg() -> bytes:
    rows, columns = np.mgrid[:300, :400]
    file = io.BytesIO()
    Image.fromarray(np.stack([rows % 256, columns % 256, rows * 0], -1).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def test_a_large_file_is_not_held_in_memory_and_reads_the_same(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    reader = Reading(tmp_path, 1_000_000, 16, 100)
    stamp, content = reader.content("a.jpg")
    monkeypatch.setattr(reading, "LARGE", 100)
    large, file = reader.content("a.jpg")
    assert content == jpeg() and file == tmp_path / "a.jpg"
    assert large == stamp and stamp.checksum
    assert np.array_equal(reader.decode(file), reader.decode(content))


def test_what_is_read_all_the_same_is_noted_and_told(capsys):
    notes = []
    Reading(None, 1_000_000, 16, 100).decode(jpeg()[:-2], notes)
    Outcome(noted=[("a.jpg", *notes)], skipped=[("b.jpg", "damaged or cut off")]).print_skipped()
    skipped, noted = capsys.readouterr().out.splitlines()
    assert skipped == "skipped: b.jpg: damaged or cut off"
    assert noted.startswith("noted: a.jpg: its end is missing")

"""create_list.py as a person runs it: a real process, its files, its exit code and its sentence."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import create_list
from models.collection import lists

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dataset(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def paint(path: Path, width: int, height: int, form: str = "JPEG", **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, form, **options)


def run(dataset: Path, **environment: str) -> subprocess.CompletedProcess:
    """The process; its lists go to `lists` beside the dataset."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RETRIEVAL_")}
    command = [sys.executable, "create_list.py", "--dataset", dataset, "--lists", dataset.parent / "lists"]
    return subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=60)


def skipped(dataset: Path) -> dict[str, str]:
    path = dataset.parent / "lists" / "skipped.csv"
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return {row["file"]: row["reason"] for row in csv.DictReader(file)}


def test_pictures_are_sorted_into_horizontal_vertical_and_skipped(dataset):
    turned = Image.Exif()
    turned[0x0112] = 6
    paint(dataset / "wide.jpg", 60, 40)
    paint(dataset / "square.png", 40, 40, "PNG")
    paint(dataset / "in a folder" / "tall.gif", 40, 60, "GIF")
    paint(dataset / "turned.jpg", 60, 40, exif=turned)
    paint(dataset / "turned.tif", 60, 40, "TIFF", exif=turned)
    paint(dataset / "really a webp.jpg", 60, 40, "WEBP")
    paint(dataset / "no suffix", 60, 40, "BMP")
    paint(dataset / os.fsdecode(b"caf\xe9.jpg"), 60, 40)
    paint(dataset / "new\nline.jpg", 60, 40)
    paint(dataset / "dot.jpg", 1, 1)
    paint(dataset / ".hidden.jpg", 60, 40)
    (dataset / "empty.jpg").write_bytes(b"")
    (dataset / "text.jpg").write_text("not a picture at all")
    (dataset / "catalogue.csv").write_text("a,b\n")
    (dataset / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(500))
    (dataset / "broken link.jpg").symlink_to("nowhere")
    (dataset / "again").symlink_to(".")
    os.mkfifo(dataset / "pipe.jpg")

    done = run(dataset)
    where = dataset.parent / "lists" / "skipped.csv"
    assert done.returncode == 0
    assert done.stdout == f"8 images: 5 horizontal, 3 vertical; 9 skipped ({where})\n"
    assert "Traceback" not in done.stderr
    found = lists.read(dataset.parent / "lists")
    assert found.horizontal == [
        os.fsdecode(b"caf\xe9.jpg"),
        "no suffix",
        "really a webp.jpg",
        "square.png",
        "wide.jpg",
    ]
    assert found.vertical == ["in a folder/tall.gif", "turned.jpg", "turned.tif"]
    other = (
        "not a picture of a kind that can be read "
        "(JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw)"
    )
    assert skipped(dataset) == {
        "Thumbs.db": other,
        "again": "the same folder as the dataset, which is listed once",
        "broken link.jpg": "cannot be read (No such file or directory)",
        "catalogue.csv": other,
        "dot.jpg": "too small (1 x 1 pixels)",
        "empty.jpg": "empty file",
        "new\nline.jpg": "a line break in its name or folder, and lists have one path a line; rename it",
        "pipe.jpg": "not a regular file",
        "text.jpg": other,
    }


def test_two_runs_give_the_same_bytes(dataset):
    for number in range(40):
        paint(dataset / f"{number % 7}" / f"{number}.jpg", 30 + number, 50)
        (dataset / f"{number}.txt").write_text("x")
    seen = []
    for workers in ("1", "8"):
        assert run(dataset, RETRIEVAL_WORKERS=workers).returncode == 0
        seen.append({path.name: path.read_bytes() for path in (dataset.parent / "lists").iterdir()})
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"horizontal.txt", "vertical.txt", "skipped.csv"}


def test_limits_come_from_the_settings(dataset):
    paint(dataset / "a.png", 100, 50, "PNG")
    paint(dataset / "b.png", 100, 60, "PNG")
    assert run(dataset, RETRIEVAL_MIN_SIDE="55").returncode == 0
    assert skipped(dataset) == {"a.png": "too small (100 x 50 pixels)"}
    assert run(dataset, RETRIEVAL_MAX_PIXELS="5000").returncode == 0
    assert skipped(dataset) == {"b.png": "too large (100 x 60 pixels; the limit is 5000 pixels, RETRIEVAL_MAX_PIXELS)"}


@pytest.mark.parametrize("name", ["none", "a file", "empty"])
def test_a_dataset_that_is_missing_or_empty(tmp_path, name):
    (tmp_path / "a file").write_text("x")
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("create_list.py: ")
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / name) in done.stderr
    assert "--dataset" in done.stderr
    assert not (tmp_path / "lists").exists()


def test_a_dataset_without_a_usable_picture_says_why_and_keeps_older_lists(dataset):
    paint(dataset / "a.jpg", 60, 40)
    assert run(dataset).returncode == 0
    (dataset / "a.jpg").write_bytes(b"")
    done = run(dataset)
    assert done.returncode == 2
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith(f"create_list.py: No usable picture in {dataset} (")
    assert str(dataset.parent / "lists" / "skipped.csv") in sentence
    assert skipped(dataset) == {"a.jpg": "empty file"}
    assert lists.read(dataset.parent / "lists").horizontal == ["a.jpg"]


def test_the_lists_folder_is_a_file(dataset):
    paint(dataset / "a.jpg", 60, 40)
    (dataset.parent / "lists").write_text("x")
    done = run(dataset)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("is not a folder: choose another one with --lists.")


def test_help_shows_examples():
    done = subprocess.run([sys.executable, "create_list.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "python create_list.py --dataset" in done.stdout


def test_it_can_be_imported_and_called(dataset, capsys, monkeypatch):
    monkeypatch.delenv("RETRIEVAL_WORKERS", raising=False)
    paint(dataset / "a.jpg", 40, 60)
    create_list.main(["--dataset", str(dataset), "--lists", str(dataset.parent / "lists")])
    assert capsys.readouterr().out.startswith("1 image: 0 horizontal, 1 vertical; 0 skipped (")

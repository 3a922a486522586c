"""The walk through a dataset, and the lists written and read back byte by byte."""

import errno
import json
import os
from pathlib import Path

import pytest

from models.collection import lists
from models.collection.lists import Lists
from utils.errors import WrongUse

NOBODY = 65534


def touch(folder: Path, *names: str | bytes) -> None:
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def as_ordinary_user(function):
    """What the function returns where permissions count: root forks a child that is nobody."""
    if os.geteuid() != 0:
        return function()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.seteuid(NOBODY)
            os.write(writer, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def test_walk_finds_files_in_sub_folders_sorted_by_their_bytes(tmp_path):
    names = [b"b.jpg", b"B.jpg", b"a/z.jpg", b"a b/1.jpg", b"a.jpg", b"a/b/c/deep", "é.jpg".encode(), b"\xff.jpg"]
    touch(tmp_path, *names)
    paths, problems = lists.walk(tmp_path)
    assert [os.fsencode(path) for path in paths] == sorted(names)
    assert problems == []


def test_walk_keeps_odd_names(tmp_path):
    names = [
        " ",
        "two  words.jpg",
        "'single' \"double\".jpg",
        "tab\t.jpg",
        "comma,.csv",
        "back\\slash",
        "-n",
        "#",
        "a\x85b",
    ]
    touch(tmp_path, *names)
    assert lists.walk(tmp_path) == (sorted(names, key=os.fsencode), [])


def test_walk_leaves_hidden_files_and_folders_out(tmp_path):
    touch(tmp_path, "a.jpg", ".DS_Store", ".thumbnails/b.jpg", "c/.hidden.jpg", "c/d.jpg")
    assert lists.walk(tmp_path) == (["a.jpg", "c/d.jpg"], [])


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
def test_walk_lists_names_with_line_breaks_as_problems(tmp_path, line_break):
    file, folder = f"new{line_break}line.jpg", f"fold{line_break}er/a.jpg"
    touch(tmp_path, "a.jpg", file, folder)
    paths, problems = lists.walk(tmp_path)
    assert paths == ["a.jpg"]
    assert [path for path, _ in problems] == [folder, file]
    assert all("line break" in reason and "rename" in reason for _, reason in problems)


def test_walk_follows_links_to_folders_and_files(tmp_path):
    dataset, elsewhere = tmp_path / "dataset", tmp_path / "elsewhere"
    touch(elsewhere, "b.jpg", "deeper/c.jpg")
    touch(dataset, "a.jpg")
    (dataset / "link").symlink_to(elsewhere)
    (dataset / "file").symlink_to(elsewhere / "b.jpg")
    assert lists.walk(dataset) == (["a.jpg", "file", "link/b.jpg", "link/deeper/c.jpg"], [])


def test_walk_gives_broken_links_to_whoever_reads_them(tmp_path):
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    assert lists.walk(tmp_path) == (["broken", "itself"], [])


def test_walk_notices_cycles(tmp_path):
    touch(tmp_path, "a/b/picture.jpg")
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "a/top").symlink_to(tmp_path)
    paths, problems = lists.walk(tmp_path)
    assert paths == ["a/b/picture.jpg"]
    assert problems == [
        ("a/b/up", "the same folder as a, which is listed once"),
        ("a/top", "the same folder as the dataset, which is listed once"),
    ]


def test_walk_lists_a_folder_once_under_its_own_name(tmp_path):
    touch(tmp_path, "real/picture.jpg")
    (tmp_path / "alias").symlink_to("real")
    assert lists.walk(tmp_path) == (
        ["real/picture.jpg"],
        [("alias", "the same folder as real, which is listed once")],
    )


def test_walk_ends_where_links_multiply(tmp_path):
    # Every folder holds two links to the next: 2 ** 40 ways to the picture.
    for level in range(40):
        (tmp_path / f"{level}").mkdir()
        (tmp_path / f"{level}/x").symlink_to(f"../{level + 1}")
        (tmp_path / f"{level}/y").symlink_to(f"../{level + 1}")
    touch(tmp_path, "40/picture.jpg")
    paths, problems = lists.walk(tmp_path)
    assert paths == ["40/picture.jpg"]
    assert len(problems) == 80


def test_walk_lists_unreadable_folders(tmp_path, monkeypatch):
    touch(tmp_path, "open/a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above belong to root alone
    paths, problems = as_ordinary_user(lambda: lists.walk(Path()))
    (tmp_path / "closed").chmod(0o755)
    assert paths == ["open/a.jpg"]
    assert [tuple(problem) for problem in problems] == [("closed", "folder cannot be read (Permission denied)")]


def test_what_is_written_is_read_back(tmp_path):
    names = ["a.jpg", "a b.jpg", " ", "'\".jpg", "é.jpg", os.fsdecode(b"\xff\xfe.jpg"), "x\u2028y", "x\x85y", "x\x0by"]
    folder = tmp_path / "new" / "lists"
    lists.write(folder, Lists(names, ["b/v.jpg"]), [])
    assert lists.read(folder) == Lists(sorted(names, key=os.fsencode), ["b/v.jpg"])


def test_the_files_byte_by_byte(tmp_path):
    images = Lists(["b.jpg", os.fsdecode(b"a\xff.jpg")], ["é/ü.png"])
    lists.write(tmp_path, images, [("z", "empty file"), ('new\nline, "q"', "damaged"), (os.fsdecode(b"\xfe"), "x")])
    assert (tmp_path / "horizontal.txt").read_bytes() == b"a\xff.jpg\nb.jpg\n"
    assert (tmp_path / "vertical.txt").read_bytes() == "é/ü.png\n".encode()
    assert (tmp_path / "skipped.csv").read_bytes() == (
        b'file,reason,step\n"new\nline, ""q""",damaged,create_list.py\nz,empty file,create_list.py\n'
        b"\xfe,x,create_list.py\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["horizontal.txt", "skipped.csv", "vertical.txt"]


def test_every_step_names_what_it_skipped_and_replaces_only_its_own_rows(tmp_path):
    lists.write(tmp_path, Lists(["a.jpg", "b.jpg", "c.jpg"], []), [("x.txt", "no picture")])
    lists.write_skipped(tmp_path, [("a.jpg", "damaged"), ("b.jpg", "damaged")], "train.py")
    lists.write_skipped(tmp_path, [("b.jpg", "changed")], "pre_compute_descriptor.py")
    assert lists.read_skipped(tmp_path) == [
        ("a.jpg", "damaged", "train.py"),
        ("b.jpg", "changed", "pre_compute_descriptor.py"),
        ("b.jpg", "damaged", "train.py"),
        ("x.txt", "no picture", "create_list.py"),
    ]
    lists.write_skipped(tmp_path, [("b.jpg", "damaged")], "train.py")
    lists.write(tmp_path, Lists(["a.jpg", "c.jpg", "b.jpg"], []), [("y.txt", "no picture")])
    assert [row[0] for row in lists.read_skipped(tmp_path)] == ["b.jpg", "b.jpg", "y.txt"]
    lists.write(tmp_path, Lists(["a.jpg"], []), [])  # what is no longer listed is nobody's to skip
    assert lists.read_skipped(tmp_path) == []


def test_a_list_of_skipped_files_of_an_earlier_version_is_step_one_s(tmp_path):
    (tmp_path / "skipped.csv").write_bytes(b"file,reason\na\xff.jpg,damaged\n")
    assert lists.read_skipped(tmp_path) == [(os.fsdecode(b"a\xff.jpg"), "damaged", "create_list.py")]
    (tmp_path / "skipped.csv").write_text("something else\n1\n")
    assert lists.read_skipped(tmp_path) == []


def test_a_full_disk_leaves_the_old_lists(tmp_path, monkeypatch):
    lists.write(tmp_path, Lists(["old.jpg"], []), [])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        lists.write(tmp_path, Lists(["new.jpg"], []), [("a", "b")])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_lists_that_are_not_there(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(WrongUse, match=r"No lists in .*: run create_list\.py first"):
            lists.read(folder)
    touch(tmp_path, "horizontal.txt")
    with pytest.raises(WrongUse, match=r"run create_list\.py first"):
        lists.read(tmp_path)


def test_the_lists_folder_is_a_file(tmp_path):
    touch(tmp_path, "file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WrongUse, match="is not a folder"):
            lists.write(folder, Lists([], []), [])
        with pytest.raises(WrongUse, match=r"run create_list\.py first"):
            lists.read(folder)


@pytest.mark.parametrize("line", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "..", "a\0b"])
@pytest.mark.parametrize("name", ["horizontal.txt", "vertical.txt"])
def test_a_path_that_leaves_the_dataset_is_refused(tmp_path, line, name):
    lists.write(tmp_path, Lists([], []), [])
    (tmp_path / name).write_text(f"a.jpg\n{line}\n")
    with pytest.raises(WrongUse) as problem:
        lists.read(tmp_path)
    assert f"{tmp_path / name}, line 2: {line!r}" in str(problem.value)


def test_dots_in_names_are_no_parents(tmp_path):
    names = ["..a.jpg", "a..jpg", "b/...", "c../d.jpg"]
    lists.write(tmp_path, Lists(names, []), [])
    assert lists.read(tmp_path).horizontal == names


def test_lists_that_an_editor_has_touched(tmp_path):
    lists.write(tmp_path, Lists([], []), [])
    (tmp_path / "horizontal.txt").write_bytes(b"a.jpg\r\n\r\n b .jpg\r\n\nc.jpg")
    assert lists.read(tmp_path).horizontal == ["a.jpg", " b .jpg", "c.jpg"]

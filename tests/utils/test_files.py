"""Files written whole: what readers see, what failures and killed processes leave behind."""

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from utils import files

ROOT = Path(__file__).parent.parent.parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(b"old")
    return path


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "list.csv"
    for content in (b"first", b"", b"second\n\xff"):
        files.write(path, content)
        assert path.read_bytes() == content
        assert names(tmp_path) == ["list.csv"]


def test_the_old_file_stays_until_the_block_ends(path):
    with files.whole(path) as part:
        assert part.parent == path.parent and part.name.startswith("list.csv.") and part.suffix == files.PART
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["list.csv"]


@pytest.mark.parametrize("problem", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(path, problem):
    with pytest.raises(problem), files.whole(path) as part:
        part.write_bytes(b"ne")
        raise problem
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["list.csv"]


def test_a_disk_that_is_full_at_the_end_leaves_the_old_file(path, monkeypatch):
    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["list.csv"]


def test_a_folder_in_its_place_stays_and_no_temporary_file_is_left(tmp_path):
    (tmp_path / "list.csv").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path / "list.csv", b"new")
    assert names(tmp_path) == ["list.csv"]


def test_a_process_killed_in_between_leaves_the_old_file_whole(path):
    script = """
import sys
from pathlib import Path
from utils import files
with files.whole(Path(sys.argv[1])) as part, part.open("wb") as file:
    file.write(b"ne")
    file.flush()
    print("half", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"half\n"
        process.kill()
    assert path.read_bytes() == b"old"
    left, name = sorted(names(path.parent), key=len, reverse=True)
    assert name == "list.csv" and left.endswith(files.PART)
    files.write(path, b"new")  # what was left behind is in nobody's way
    assert path.read_bytes() == b"new"


def test_no_reader_sees_half_a_file_while_several_write(path):
    contents = [bytes([65 + number]) * 200_000 for number in range(4)]
    path.write_bytes(contents[0])
    written = threading.Event()
    seen = []

    def read() -> None:
        while not written.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: files.write(path, contents[number % 4]), range(40)))
    written.set()
    reader.join()
    assert seen and set(seen) <= set(contents)
    assert names(path.parent) == ["list.csv"]


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    files.write(tmp_path / "new", b"")
    (tmp_path / "usual").touch()
    assert permissions(tmp_path / "new") == permissions(tmp_path / "usual")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_a_replaced_file_keeps_its_permissions(path, mode):
    path.chmod(mode)
    with files.whole(path) as part:
        assert permissions(part) & ~0o200 & ~mode == 0  # not even meanwhile do others read it
        part.write_bytes(b"new")
    assert permissions(path) == mode and path.read_bytes() == b"new"


def test_a_secret_is_readable_by_its_owner_only_from_the_start(path):
    with files.whole(path, 0o600) as part:
        assert permissions(part) == 0o600
        part.write_bytes(b"secret")
    assert permissions(path) == 0o600


def test_a_library_that_insists_on_an_ending_gets_it(path):
    with files.whole(path, ending=".weights.h5") as part:
        assert part.name.endswith(".weights.h5")
        part.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_a_temporary_file_goes_even_where_it_was_moved_or_linked(path):
    with files.temporary(path) as part:
        part.write_bytes(b"new")
        (path.parent / "link").hardlink_to(part)
    assert names(path.parent) == ["link", "list.csv"]
    with files.temporary(path) as part:
        part.unlink()
    assert names(path.parent) == ["link", "list.csv"]

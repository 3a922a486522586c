"""The download of the Web Gallery of Art, against a server on 127.0.0.1 that misbehaves."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from database import catalog
from database.catalog import Work
from dataset import download_wga, fetching
from tests.dataset.server import BLUE, RED, break_off, drip, endless, give, hang_up, picture
from utils.errors import Failed, WrongUse

ROOT = Path(__file__).resolve().parents[2]


def make_catalog(path: Path, pages: list[str], **extra: str) -> Path:
    catalog.write(path, [Work(author="A", title=f"T{i}", url=page, **extra) for i, page in enumerate(pages)])
    return path


def download(*arguments: str) -> None:
    download_wga.main(["--pause", "0", "--retries", "2", *map(str, arguments)])


def failed() -> list[tuple[str, str, str]]:
    with Path("database/failed.csv").open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    assert rows[0] == ("file", "url", "reason")
    return rows[1:]


def files() -> dict[str, bytes]:
    base = Path("dataset/images")
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def test_fetches_then_asks_for_nothing_again(server, place, capsys):
    server.answers = {"/art/a/aachen/allegory.jpg": [give(RED)], "/art/b/x.jpg": [give(BLUE)]}
    pages = [f"{server.url}/html/a/aachen/allegory.html", f"{server.url}/html/b/x.html"]
    source = make_catalog(place / "wga.csv", pages)
    download(source)
    expected = {"00000/a_aachen_allegory.jpg": RED, "00000/b_x.jpg": BLUE}
    assert files() == expected
    assert [work.file for work in catalog.read("database/catalog.csv")] == list(expected)
    assert "2 works: 0 pictures were there, 2 fetched, 0 failed" in capsys.readouterr().out
    assert not Path("database/failed.csv").exists()
    assert server.agents == {download_wga.AGENT}
    assert server.most_in_flight == 1

    first = Path("database/catalog.csv").read_bytes()
    download(source)
    download("database/catalog.csv")  # the copy serves as well
    assert sorted(server.asked) == ["/art/a/aachen/allegory.jpg", "/art/b/x.jpg"]
    assert Path("database/catalog.csv").read_bytes() == first
    assert "2 works: 2 pictures were there, 0 fetched, 0 failed" in capsys.readouterr().out


def test_mishaps_are_retried_and_failures_listed(server, place, capsys):
    server.answers = {
        "/art/broken.jpg": [break_off, hang_up, give(RED)],
        "/art/busy.jpg": [give(b"", 429, Retry_After="0"), give(RED)],
        "/art/error.jpg": [give(b"", 500), give(RED)],
        "/art/always.jpg": [break_off],
        "/art/html.jpg": [give(b"<!DOCTYPE html><p>Not found, but politely")],
        "/art/empty.jpg": [give(b"")],
        "/art/endless.jpg": [endless],
        "/art/large.jpg": [give(RED, Content_Length=str(download_wga.MAX_BYTES + 1))],
        "/art/moved.jpg": [give(b"", 302, Location="/art/busy.jpg")],
        "/art/elsewhere.jpg": [give(b"", 302, Location="file:///etc/passwd")],
        "/art/circle.jpg": [give(b"", 302, Location="/art/circle.jpg")],
        "/art/long.jpg": [give(bytes(100_000), 302, Location="/art/busy.jpg")],
        "/art/unavailable.jpg": [give(b"", 503, Retry_After="0")],
    }
    names = [Path(path).stem for path in server.answers] + ["missing"]
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/{name}.html" for name in names])
    with pytest.raises(Failed, match=r"database/failed\.csv"):
        download(source)
    good = {"00000/broken.jpg", "00000/busy.jpg", "00000/error.jpg", "00000/moved.jpg"}
    assert files() == dict.fromkeys(good, RED)
    reasons = {Path(file).stem: (url, reason) for file, url, reason in failed()}
    assert set(reasons) == set(names) - {Path(name).stem for name in good}
    assert reasons["missing"] == (f"{server.url}/art/missing.jpg", "status 404")
    assert reasons["html"][1] == reasons["empty"][1] == "not a picture"
    assert reasons["endless"][1] == reasons["large"][1] == "larger than 50 MB"
    assert reasons["unavailable"][1] == "status 503"
    assert "broken off" in reasons["always"][1]
    assert "redirect" in reasons["long"][1]
    asked = {name: server.asked.count(f"/art/{name}.jpg") for name in names}
    assert asked["broken"] == asked["always"] == asked["unavailable"] == 3  # once and two retries
    assert asked["missing"] == asked["html"] == asked["endless"] == 1
    assert "14 works: 0 pictures were there, 4 fetched, 10 failed" in capsys.readouterr().out

    # The next run tries again what failed, and nothing else; with the last failure the list goes.
    server.asked.clear()
    server.answers = {f"/art/{name}.jpg": [give(BLUE)] for name in names}
    download(source)
    assert sorted(server.asked) == sorted(f"/art/{name}.jpg" for name in reasons)
    assert len(files()) == 14
    assert not Path("database/failed.csv").exists()


def test_a_body_that_never_ends_slowly_is_given_up(server, place, monkeypatch):
    def slowly(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.stop.wait(0.01):
            handler.wfile.write(b"x")

    monkeypatch.setattr(fetching, "MAX_SECONDS", 0.05)
    server.answers = {"/art/a.jpg": [slowly, give(RED)]}
    download(make_catalog(place / "wga.csv", [f"{server.url}/html/a.html"]))
    assert files() == {"00000/a.jpg": RED}


def test_waits_as_long_as_asked_within_bounds(server, place, monkeypatch):
    waits = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    server.answers = {
        "/art/a.jpg": [give(b"", 503, Retry_After="7"), give(b"", 429, Retry_After="99999"), give(b"", 500), give(RED)],
        "/art/b.jpg": [give(b"", 500), give(b"", 500), give(RED)],
    }
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/{name}.html" for name in "ab"])
    download_wga.main([str(source), "--pause", "1.5", "--retries", "3"])
    # The server's 7 s; the most we wait; 1.5 s doubled three times; the pause; doubled once and twice.
    assert waits == [7, fetching.MAX_WAIT, 12, 1.5, 3, 6]


def test_stops_when_the_server_is_away(server, place):
    pages = [f"{server.url}/html/{i}.html" for i in range(30)]
    server.answers = {f"/art/{i}.jpg": [hang_up] for i in range(30)}
    with pytest.raises(Failed, match="does not answer"):
        download(make_catalog(place / "wga.csv", pages), "--retries", "0")
    assert len(server.asked) == len(failed()) == fetching.MAX_IN_A_ROW


@pytest.mark.parametrize("kind", ["utf-8;", "utf-8,", "latin-1;", "latin-1,", "xlsx"])
def test_catalogues_as_they_are_published(server, place, kind):
    server.answers = {"/art/d/durer/selfport.jpg": [give(RED)]}
    rows = [["AUTHOR", "TITLE", "URL"], ["DÜRER, Albrecht", "Selbst", f"{server.url}/html/d/durer/selfport.html"]]
    source = place / "published"
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(source)
    else:
        with source.open("w", encoding=kind[:-1], newline="") as file:
            csv.writer(file, delimiter=kind[-1]).writerows(rows)
    download(source)
    work = Work(author="DÜRER, Albrecht", title="Selbst", url=rows[1][2], file="00000/d_durer_selfport.jpg")
    assert catalog.read("database/catalog.csv") == [work]
    assert files() == {work.file: RED}


def test_hostile_addresses_stay_in_their_folder(server, place):
    pages = [
        "/html/../../etc/passwd.html",
        "/html/%2e%2e/%2e%2e/etc/passwd.html",
        "/html/a%2f..%2f..%2fpasswd.html",
        "/html/a\\..\\..\\passwd.html",
        "/html//etc/passwd.html",
        "/html/.html",
        "/cgi-bin/passwd",
    ]
    odd = {
        '/html/o\'brien/"x" y.html': "o_brien_x_y.jpg",
        "/html/-rf/.hidden.html": "rf_hidden.jpg",
        "/html/a/%252e%252e%252fb.html": "a_2e_2e_2fb.jpg",
        "/html/%00%0a.html": "picture.jpg",
        "/html/" + "long" * 100 + ".html": "long" * 30 + ".jpg",
        "/html/B/x.html": "B_x.jpg",
        "/html/b_x.html": "b_x-2.jpg",  # the same name on a file system that knows no case
        "/html/b/x.html": "b_x-3.jpg",
    }
    other = ["file:///html/etc/passwd.html", "ftp://127.0.0.1/html/a.html", "http://[/html/a.html", "", "html/a.html"]
    everything = [server.url + page for page in [*pages, *odd]] + other
    source = make_catalog(place / "wga.csv", everything)
    before = set(place.parent.iterdir())
    with pytest.raises(Failed):
        download(source)  # the server has none of them; what is asked for is what counts
    assert {row[0] for row in failed()} == {"", *(f"00000/{name}" for name in odd.values())}
    assert [row[1] for row in failed() if not row[0]] == everything[: len(pages)] + other
    assert len(server.asked) == len(odd)
    assert all(path.startswith("/art/") and ".." not in path for path in server.asked)

    server.answers = {path: [give(RED)] for path in server.asked}
    with pytest.raises(Failed):
        download(source)
    assert files() == {f"00000/{name}": RED for name in odd.values()}
    assert set(place.parent.iterdir()) == before


def test_a_user_name_in_an_address_is_not_sent():
    assert download_wga.picture_address("http://me:secret@host:81/html/a/b.html?q#f") == "http://host:81/art/a/b.jpg"


def test_base_overrides_the_host(server, place):
    server.answers = {"/mirror/art/a/x.jpg": [give(RED)]}
    source = make_catalog(place / "wga.csv", ["https://www.wga.hu/html/a/x.html"])
    download(source, "--base", server.url + "/mirror/")
    assert files() == {"00000/a_x.jpg": RED}
    assert catalog.read("database/catalog.csv")[0].url == "https://www.wga.hu/html/a/x.html"


def test_folders_of_3000_by_row():
    works = [Work(title=str(i), url=f"https://www.wga.hu/html/{i}.html") for i in range(6001)]
    works[1] = Work(title="no page")
    works[2] = works[0]
    named, pictures, failures = download_wga.plan(works, {}, None)
    assert [named[i].file for i in (0, 1, 2, 2999, 3000, 5999, 6000)] == [
        *("00000/0.jpg", "", "00000/0.jpg", "00000/2999.jpg"),
        *("00001/3000.jpg", "00001/5999.jpg", "00002/6000.jpg"),
    ]
    assert len(pictures) == 5999
    assert [failure.reason for failure in failures] == ["not an http or https address"]


def test_a_newer_edition_keeps_the_files_of_the_older(server, place):
    server.answers = {f"/art/{name}.jpg": [give(RED)] for name in ("a/x", "a_x", "0")}
    old = [f"{server.url}/html/a/x.html"]
    download(make_catalog(place / "old.csv", old))
    # In the newer one the old page comes last, behind one that wants the same name.
    new = make_catalog(place / "new.csv", [f"{server.url}/html/0.html", f"{server.url}/html/a_x.html", *old])
    download(new)
    assert server.asked == ["/art/a/x.jpg", "/art/0.jpg", "/art/a_x.jpg"]
    assert set(files()) == {"00000/a_x.jpg", "00000/a_x-2.jpg", "00000/0.jpg"}
    assert [work.file for work in catalog.read("database/catalog.csv")][2] == "00000/a_x.jpg"


def test_a_file_column_that_climbs_is_not_followed(server, place):
    server.answers = {"/art/x.jpg": [give(RED)]}
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/x.html"], file="../../evil.jpg")
    Path("database").mkdir()
    Path("database/catalog.csv").write_bytes(source.read_bytes())
    download(source)
    assert files() == {"00000/x.jpg": RED}
    assert not (place / "evil.jpg").exists()


def test_another_catalogue_is_not_lost(server, place):
    server.answers = {"/art/x.jpg": [give(RED)]}
    Path("database").mkdir()
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/x.html"])
    catalog.write("database/catalog.csv", [Work(author="Demo", title="Lake", file="lake.jpg")])
    demonstration = Path("database/catalog.csv").read_bytes()
    with pytest.raises(WrongUse, match=r"database/catalog\.csv is another catalogue.*--catalog-copy"):
        download(source)
    assert Path("database/catalog.csv").read_bytes() == demonstration
    assert server.asked == []
    download(source, "--catalog-copy", "database/wga/catalog.csv")
    assert Path("database/catalog.csv").read_bytes() == demonstration
    assert catalog.read("database/wga/catalog.csv")[0].file == "00000/x.jpg"


@pytest.mark.parametrize(
    "arguments",
    [["--pause", "-1"], ["--pause", "nan"], ["--retries", "-1"], ["--base", "ftp://x"], ["--dataset", "wga.csv"]],
)
def test_wrong_use_is_told(place, arguments):
    make_catalog(place / "wga.csv", ["http://127.0.0.1:9/html/a.html"])
    with pytest.raises(WrongUse):
        download("wga.csv", *arguments)
    assert not Path("database/catalog.csv").exists()


# Real processes


def start(source: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, ROOT / "dataset/download_wga.py", source, "--pause", "0", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RETRIEVAL_")}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_of_a_picture(server, place, stop):
    server.answers = {"/art/a.jpg": [give(RED)], "/art/b.jpg": [drip, give(RED)], "/art/c.jpg": [give(RED)]}
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/{name}.html" for name in "abc"])
    with start(source) as process:
        assert server.dripping.wait(20)
        with pytest.raises(WrongUse, match="Another download"):
            download(source)
        process.send_signal(stop)
        _, said = process.communicate(timeout=20)
    assert process.returncode == (1 if stop == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    assert files() == {"00000/a.jpg": RED}

    download(source)
    assert files() == {f"00000/{name}.jpg": RED for name in "abc"}
    assert server.asked.count("/art/a.jpg") == 1


def test_exit_codes_and_what_is_said(server, place):
    source = make_catalog(place / "wga.csv", [f"{server.url}/html/gone.html"])
    with start(source) as process:
        out, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == "1 works: 0 pictures were there, 0 fetched, 1 failed; catalogue in database/catalog.csv.\n"
    assert said.splitlines()[-1].startswith("download_wga.py: database/failed.csv lists")

    (place / "letter.txt").write_text("Dear gallery,\n")
    with start(place / "letter.txt") as process:
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out, said.count("\n")) == (2, "", 1)
    assert "letter.txt is not a catalogue" in said


def test_what_is_a_picture():
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        download_wga.check(picture("red", kind), 64 * 48)
    with pytest.raises(fetching.NotFetched, match="too many pixels"):
        download_wga.check(RED, 64 * 48 - 1)
    bomb = bytearray(picture("red", "BMP"))
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2
    with pytest.raises(fetching.NotFetched, match="too many pixels"):
        download_wga.check(bytes(bomb), 200_000_000)

"""The import of IIIF, against a server on 127.0.0.1 that misbehaves."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dataset import fetching, import_iiif
from tests.dataset.iiif_documents import body3, collection3, manifest2, manifest3, pair3, resource2, send
from tests.dataset.server import BLUE, RED, break_off, drip, endless, give, hang_up, picture
from utils.errors import Failed, WrongUse

ROOT = Path(__file__).resolve().parents[2]
GREEN = picture("green")
FOLDER = Path("images/museum")


def fetch(*arguments: str) -> None:
    import_iiif.main(
        ["--dataset", "images", "--name", "museum", "--pause", "0", "--retries", "2", *map(str, arguments)]
    )


def rows() -> list[dict[str, str]]:
    with (FOLDER / "register.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def problems() -> dict[str, str]:
    with (FOLDER / "problems.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["address"]: row["reason"] for row in csv.DictReader(file)}


def pictures() -> list[bytes]:
    return [Path("images", name).read_bytes() for row in rows() for name in filter(None, row["Image file"].split("|"))]


def files() -> set[str]:
    """Whatever is there besides the state."""
    return {str(path) for path in Path().rglob("*") if path.is_file() and ".import.sqlite" not in path.name}


@pytest.fixture
def museum(server, place):
    """Two objects in a collection of version 3: one with two pictures, one with one."""
    url = server.url
    hare = manifest3(
        f"{url}/hare",
        [body3(f"{url}/hare-front.jpg"), body3(f"{url}/hare-back.png")],
        label={"en": ["Hare"], "de": ["Hase"]},
        metadata=[
            pair3({"en": ["Accession Number"], "de": ["Inventarnummer"]}, "1921.2"),
            pair3({"en": ["Artist"], "de": ["Künstler"]}, "Albrecht Dürer"),
            pair3({"en": ["Provenance"], "de": ["Herkunft"]}, {"en": ["Nuremberg"], "de": ["Nürnberg"]}),
            pair3("Date", "1502"),
        ],
        rights="http://creativecommons.org/publicdomain/zero/1.0/",
        homepage=[{"id": "https://museum.example/hare", "type": "Text"}],
    )
    lake = manifest3(f"{url}/lake", [body3(f"{url}/lake.jpg")], label={"en": ["Lake"]})
    server.answers = {
        "/all": [send(collection3(f"{url}/all", [("Manifest", f"{url}/hare"), ("Manifest", f"{url}/lake")]))],
        "/hare": [send(hare)],
        "/lake": [send(lake)],
        "/hare-front.jpg": [give(RED)],
        "/hare-back.png": [give(BLUE)],
        "/lake.jpg": [give(GREEN)],
    }
    return server


def test_a_collection_of_version_3(museum, capsys):
    fetch(f"{museum.url}/all")
    hare, lake = rows()
    assert hare == {
        "Inventory number": "1921.2",
        "Title": "Hare",
        "Artist": "Albrecht Dürer",
        "Date": "1502",
        "Technique": "",
        "Dimensions": "",
        "Rights": "http://creativecommons.org/publicdomain/zero/1.0/",
        "Source address": "https://museum.example/hare",
        "Image file": hare["Image file"],
        "Manifest": f"{museum.url}/hare",
        "Provenance": "Nuremberg",
    }
    assert re.fullmatch(
        r"museum/00000/1921_2_01-[0-9a-f]{10}\.jpg\|museum/00000/1921_2_02-[0-9a-f]{10}\.png", hare["Image file"]
    )
    assert (lake["Title"], lake["Source address"]) == ("Lake", f"{museum.url}/lake")
    assert pictures() == [RED, BLUE, GREEN]
    assert list(hare)[:7] == list(import_iiif.FIRST)
    said = capsys.readouterr().out
    assert "2 objects; 3 pictures: 0 were there, 3 fetched (0 of them changed); 0 problems, 0 no longer" in said
    assert museum.agents == {import_iiif.AGENT} and museum.most_in_flight == 1
    assert "ScalableImageRetrieval" in import_iiif.AGENT
    assert len(files()) == 4  # the pictures and the register


def test_texts_in_the_language_asked_for(museum):
    fetch(f"{museum.url}/all", "--language", "de")
    assert (rows()[0]["Title"], rows()[0]["Herkunft"], rows()[1]["Title"]) == ("Hase", "Nürnberg", "Lake")


def test_a_collection_of_version_2_with_pages_and_collections_within(server, place):
    url = server.url
    service = {"@context": "http://iiif.io/api/image/2/context.json", "@id": f"{url}/i/1", "profile": "level1"}
    hare = manifest2(
        f"{url}/hare",
        [resource2(f"{url}/i/1/full/full/0/default.jpg", service, (3000, 4000)), resource2(f"{url}/back.jpg")],
        label=[{"@value": "Hase", "@language": "de"}, {"@value": "Hare", "@language": "en"}],
        metadata=[{"label": "Inv. Nr.", "value": "7"}, {"label": "Technik", "value": ["Öl", "Holz"]}],
        attribution="© Museum",
        related={"@id": "https://museum.example/7"},
    )
    server.answers = {
        "/all": [send({"@id": f"{url}/all", "@type": "sc:Collection", "collections": [{"@id": f"{url}/inner",
                 "@type": "sc:Collection"}], "first": f"{url}/page/1"})],
        "/inner": [send({"@id": f"{url}/inner", "@type": "sc:Collection", "manifests": [{"@id": f"{url}/hare",
                   "@type": "sc:Manifest", "label": "Hare"}]})],
        "/page/1": [send({"@id": f"{url}/page/1", "@type": "sc:Collection", "next": f"{url}/page/2", "members": [
                     {"@id": f"{url}/hare", "@type": "sc:Manifest"}]})],
        "/page/2": [send({"@id": f"{url}/page/2", "@type": "sc:Collection", "members": [
                     {"@id": f"{url}/lake", "@type": "sc:Manifest"}]})],
        "/hare": [send(hare)],
        "/lake": [send(manifest2(f"{url}/lake", [resource2(f"{url}/lake.jpg")], label="Lake"))],
        "/i/1/full/1600,/0/default.jpg": [give(RED)],
        "/back.jpg": [give(BLUE)],
        "/lake.jpg": [give(GREEN)],
    }  # fmt: skip
    fetch(f"{url}/all")
    first = rows()[0]
    assert [row["Title"] for row in rows()] == ["Hare", "Lake"]
    assert (first["Inventory number"], first["Technique"], first["Rights"]) == ("7", "Öl; Holz", "© Museum")
    assert first["Source address"] == "https://museum.example/7"
    assert pictures() == [RED, BLUE, GREEN]
    assert server.asked.count("/hare") == 1


# A second run


def test_a_second_run_takes_what_is_new_or_has_changed(museum, capsys):
    fetch(f"{museum.url}/all")
    before = rows()
    url = museum.url
    museum.asked.clear()
    museum.answers["/hare-back.png"] = [give(BLUE + b"and more")]
    museum.answers["/new.jpg"] = [give(RED)]
    museum.answers["/new"] = [send(manifest3(f"{url}/new", [body3(f"{url}/new.jpg")], label={"en": ["New"]}))]
    members = [("Manifest", f"{url}/{name}") for name in ("new", "hare", "lake")]
    museum.answers["/all"] = [send(collection3(f"{url}/all", members))]
    capsys.readouterr()
    fetch(f"{url}/all")
    assert [row["Title"] for row in rows()] == ["New", "Hare", "Lake"]
    assert rows()[1:] == before
    assert pictures() == [RED, RED, BLUE + b"and more", GREEN]
    assert "3 objects; 4 pictures: 2 were there, 2 fetched (1 of them changed)" in capsys.readouterr().out
    assert len(files()) == 5

    # The bodies of what has not changed are not fetched: the second time, nothing is written.
    times = {name: Path(name).stat().st_mtime_ns for name in files() if "register" not in name}
    fetch(f"{url}/all")
    assert {name: Path(name).stat().st_mtime_ns for name in times} == times
    assert "4 were there, 0 fetched" in capsys.readouterr().out


def test_what_is_known_is_asked_for_with_its_etag_and_date(museum):
    date = "Mon, 05 Jan 2026 00:00:00 GMT"
    same = give(b"", 304)
    for path in list(museum.answers):
        first = museum.answers[path][0]

        def with_etag(handler, first=first):
            given = handler.send_header

            def send_header(name, value):
                if name == "Content-Length":
                    given("ETag", '"1"')
                    given("Last-Modified", date)
                given(name, value)

            handler.send_header = send_header
            first(handler)

        museum.answers[path] = [with_etag, same]
    fetch(f"{museum.url}/all")
    museum.headers.clear()
    fetch(f"{museum.url}/all")
    assert len(museum.headers) == 6
    assert all(sent["If-None-Match"] == '"1"' and sent["If-Modified-Since"] == date for _, sent in museum.headers)
    assert pictures() == [RED, BLUE, GREEN]


def test_a_word_that_is_replaced_by_one_as_long_is_noticed(museum):
    fetch(f"{museum.url}/all")
    lake = manifest3(f"{museum.url}/lake", [body3(f"{museum.url}/lake.jpg")], label={"en": ["Pond"]})
    museum.answers["/lake"] = [send(lake)]
    fetch(f"{museum.url}/all")
    assert rows()[1]["Title"] == "Pond"


def test_what_is_gone_is_reported_and_kept(museum, capsys):
    fetch(f"{museum.url}/all")
    url = museum.url
    museum.answers["/all"] = [send(collection3(f"{url}/all", [("Manifest", f"{url}/hare")]))]
    museum.answers["/hare"] = [send(manifest3(f"{url}/hare", [body3(f"{url}/hare-front.jpg")]))]
    capsys.readouterr()
    fetch(f"{url}/all")
    assert set(problems()) == {f"{url}/lake", f"{url}/lake.jpg", f"{url}/hare-back.png"}
    assert all("no longer published" in reason for reason in problems().values())
    assert [row["Manifest"] for row in rows()] == [f"{url}/hare", f"{url}/lake"]
    assert pictures() == [RED, GREEN]
    assert sum(name.endswith((".jpg", ".png")) for name in files()) == 3
    said = capsys.readouterr().out
    assert "0 problems, 3 no longer published" in said and "kept" in said


def test_a_bad_moment_makes_nothing_gone(museum):
    fetch(f"{museum.url}/all")
    before = rows()
    good = dict(museum.answers)
    museum.answers |= {"/lake": [give(b"", 503, Retry_After="0")], "/hare-front.jpg": [give(b"", 500)]}
    with pytest.raises(Failed, match=r"problems\.csv"):
        fetch(f"{museum.url}/all")
    assert problems() == {f"{museum.url}/lake": "status 503", f"{museum.url}/hare-front.jpg": "status 500"}
    assert rows() == before and pictures() == [RED, BLUE, GREEN]
    museum.answers["/all"] = [give(b"", 500)]
    with pytest.raises(Failed, match="status 500"):
        fetch(f"{museum.url}/all")
    assert rows() == before
    museum.answers = good
    fetch(f"{museum.url}/all")
    assert rows() == before and not (FOLDER / "problems.csv").exists()


def test_a_picture_that_was_deleted_or_damaged_here_is_fetched_again(museum):
    fetch(f"{museum.url}/all")
    front, back = (Path("images", name) for name in rows()[0]["Image file"].split("|"))
    front.unlink()
    back.write_bytes(BLUE[:100])
    fetch(f"{museum.url}/all")
    assert pictures() == [RED, BLUE, GREEN]


def test_a_picture_that_comes_in_another_format_takes_the_place_of_the_old(museum):
    fetch(f"{museum.url}/all")
    museum.answers["/lake.jpg"] = [give(picture("green", "PNG"))]
    fetch(f"{museum.url}/all")
    assert rows()[1]["Image file"].endswith(".png") and len(files()) == 4


# Bad moments, rubbish and malice


def test_mishaps_are_retried_and_failures_listed(server, place, capsys):
    url = server.url
    answers = {
        "broken.jpg": [break_off, hang_up, give(RED)],
        "busy.jpg": [give(b"", 429, Retry_After="0"), give(RED)],
        "moved.jpg": [give(b"", 302, Location="/busy.jpg")],
        "always.jpg": [break_off],
        "html.jpg": [give(b"<!DOCTYPE html><p>Not found, but politely")],
        "half.jpg": [give(RED[: len(RED) // 3])],
        "empty.jpg": [give(b"")],
        "elsewhere.jpg": [give(b"", 302, Location="file:///etc/passwd")],
        "circle.jpg": [give(b"", 302, Location="/circle.jpg")],
        "away.jpg": [give(b"", 503, Retry_After="0")],
        "large.jpg": [give(RED, Content_Length=str(import_iiif.MAX_BYTES + 1))],
    }
    good = {"broken.jpg", "busy.jpg", "moved.jpg"}
    names = [*answers, "missing.jpg"]
    server.answers = {f"/{name}": answer for name, answer in answers.items()}
    server.answers["/m"] = [
        break_off, give(b"", 429, Retry_After="0"),
        send(manifest3(f"{url}/m", [body3(f"{url}/{name}") for name in names])),
    ]  # fmt: skip
    with pytest.raises(Failed, match=r"museum/problems\.csv"):
        fetch(f"{url}/m")
    assert pictures() == [RED] * 3
    reasons = {address.removeprefix(f"{url}/"): reason for address, reason in problems().items()}
    assert set(reasons) == set(names) - good
    assert reasons["missing.jpg"] == "status 404" and reasons["away.jpg"] == "status 503"
    assert "not a usable picture" in reasons["html.jpg"] and "empty file" in reasons["empty.jpg"]
    assert "damaged or cut off" in reasons["half.jpg"] and "broken off" in reasons["always.jpg"]
    assert reasons["large.jpg"] == "larger than 500 MB"
    asked = {name: server.asked.count(f"/{name}") for name in names}
    assert asked["broken.jpg"] == asked["away.jpg"] == 3  # once and two retries
    assert asked["missing.jpg"] == asked["html.jpg"] == 1
    assert "3 fetched (0 of them changed); 9 problems" in capsys.readouterr().out
    assert len(files()) == 5

    server.asked.clear()
    server.answers |= {f"/{name}": [give(RED)] for name in names}
    fetch(f"{url}/m")
    assert len(pictures()) == len(names) and not (FOLDER / "problems.csv").exists()


def test_broken_manifests_are_reported_and_the_rest_goes_on(museum):
    url = museum.url
    broken = {
        "/html": [give(b"<!DOCTYPE html>")],
        "/deep": [give(b"[" * 100_000)],
        "/list": [send([])],
        "/endless": [endless],
        "/none": [send(manifest3(f"{url}/none", []))],
    }
    museum.answers |= broken
    members = [("Manifest", f"{url}{path}") for path in (*broken, "/gone", "/hare")]
    members.append(("Manifest", "file:///etc/passwd"))
    museum.answers["/all"] = [send(collection3(f"{url}/all", members))]
    with pytest.raises(Failed):
        fetch(f"{url}/all")
    reasons = problems()
    assert set(reasons) == {f"{url}{path}" for path in (*broken, "/gone")} | {"file:///etc/passwd"}
    assert reasons[f"{url}/html"] == reasons[f"{url}/deep"] == "not JSON, or broken"
    assert reasons[f"{url}/list"] == "JSON, but no IIIF manifest or collection"
    assert reasons[f"{url}/endless"] == "larger than 50 MB"
    assert reasons[f"{url}/gone"] == "status 404"
    assert "no picture" in reasons[f"{url}/none"]
    assert reasons["file:///etc/passwd"] == "not an http or https address"
    assert pictures() == [RED, BLUE]


def test_circles_and_repetitions_are_walked_once(museum):
    url = museum.url
    inner = [("Collection", f"{url}/all"), ("Manifest", f"{url}/lake"), ("Collection", f"{url}/inner#again")]
    outer = [("Collection", f"{url}/inner"), ("Manifest", f"{url}/hare"), ("Manifest", f"{url}/hare#2")]
    museum.answers["/inner"] = [send(collection3(f"{url}/inner", inner, next=f"{url}/all"))]
    museum.answers["/all"] = [send(collection3(f"{url}/all", outer * 3))]
    fetch(f"{url}/all")
    assert sorted(museum.asked) == sorted(set(museum.asked))
    assert [row["Title"] for row in rows()] == ["Lake", "Hare"]


def endless_collections(url: str, **more):
    """Each address is a collection that leads to the next one."""

    def answer(handler):
        number = int(handler.path.rpartition("/")[2])
        send(collection3(f"{url}/c/{number}", [("Collection", f"{url}/c/{number + 1}"), *more.get("members", [])]))(
            handler
        )

    return {f"/c/{number}": [answer] for number in range(1000)}


def test_collections_within_each_other_without_end(museum):
    museum.answers |= endless_collections(museum.url, members=[("Manifest", f"{museum.url}/lake")])
    with pytest.raises(Failed):
        fetch(f"{museum.url}/c/0")
    assert problems() == {f"{museum.url}/c/21": "more than 20 collections within each other: not followed"}
    assert pictures() == [GREEN]


def test_more_collections_or_manifests_than_one_import_reads(museum, monkeypatch):
    url = museum.url
    monkeypatch.setattr(import_iiif, "MAX_COLLECTIONS", 5)
    museum.answers |= endless_collections(url)
    museum.answers["/c/0"] = [
        send(collection3(f"{url}/c/0", [("Manifest", f"{url}/lake"), ("Collection", f"{url}/c/1")]))
    ]
    with pytest.raises(Failed):
        fetch(f"{url}/c/0")
    assert problems() == {f"{url}/c/5": "5 collections are the most that one import reads: from here on, nothing more "
                          "is read"}  # fmt: skip
    assert pictures() == [GREEN]
    monkeypatch.setattr(import_iiif, "MAX_MANIFESTS", 1)
    with pytest.raises(Failed):
        fetch(f"{url}/all")
    assert "1 manifests are the most" in problems()[f"{url}/lake"]


def test_addresses_and_labels_from_outside_name_no_file(server, place):
    url = server.url
    odd = ["/../../../etc/cron.d/x", "/%2e%2e%2fevil.jpg", "/a%00b.jpg", "/-rf", "/" + "long" * 200, "/con|pipe.jpg"]
    evil = manifest3(
        f"{url}/../../evil/manifest",
        [body3(url + path) for path in odd],
        label={"en": ["=HYPERLINK(1)"]},
        metadata=[pair3("Accession Number", "../../../../tmp/evil\x00|x"), pair3("=cmd", "@SUM(1)")],
    )
    server.answers = {"/m": [send(evil)]}
    before = set(place.parent.iterdir())
    with pytest.raises(Failed):
        fetch(f"{url}/m")
    server.answers |= {path: [give(RED)] for path in server.asked if path != "/m"}
    fetch(f"{url}/m")
    assert set(place.parent.iterdir()) == before
    (row,) = rows()
    names = row["Image file"].split("|")
    assert len(names) == len(odd)
    assert all(re.fullmatch(r"museum/00000/evil_x_0[1-6]-[0-9a-f]{10}\.jpg", name) for name in names)
    assert files() == {f"images/{name}" for name in names} | {"images/museum/register.csv"}
    assert (row["Title"], row["'=cmd"]) == ("'=HYPERLINK(1)", "'@SUM(1)")  # no spreadsheet takes these for formulas


def test_thousands_of_labels_are_cut_and_said(server, place):
    url = server.url
    server.answers = {"/1.jpg": [give(RED)]}
    for number in range(3):
        pairs = [pair3(f"Label {number} {one}", "x") for one in range(1000)]
        server.answers[f"/{number}"] = [send(manifest3(f"{url}/{number}", [body3(f"{url}/1.jpg")], metadata=pairs))]
    with pytest.raises(Failed):
        fetch(*(f"{url}/{number}" for number in range(3)))
    assert len(rows()[0]) == import_iiif.MAX_COLUMNS
    assert "2,710 labels are left out" in problems()[""]


def test_stops_when_the_server_is_away_and_goes_on_later(server, place):
    url = server.url
    names = [f"{number}.jpg" for number in range(30)]
    server.answers = {"/m": [send(manifest3(f"{url}/m", [body3(f"{url}/{name}") for name in names]))]}
    server.answers |= {f"/{name}": [give(RED) if number < 3 else hang_up] for number, name in enumerate(names)}
    with pytest.raises(Failed, match="does not answer"):
        fetch(f"{url}/m", "--retries", "0")
    assert len(server.asked) == 1 + 3 + fetching.MAX_IN_A_ROW
    assert len(pictures()) == 3
    server.asked.clear()
    server.answers |= {f"/{name}": [give(RED)] for name in names}
    fetch(f"{url}/m")
    assert sorted(server.asked) == sorted(f"/{name}" for name in names[3:])
    assert len(pictures()) == 30


# Sizes


def test_a_service_of_level_0_is_asked_for_what_it_lists(server, place):
    url = server.url
    service = {"id": f"{url}/i", "type": "ImageService3", "profile": "level0"}
    info = {"width": 4000, "height": 3000, "profile": "level0", "sizes": [{"width": 2000, "height": 1500}]}
    server.answers = {
        "/m": [send(manifest3(f"{url}/m", [body3(f"{url}/i/full/max/0/default.jpg", service, (3000, 4000))]))],
        "/i/info.json": [send(info)],
        "/i/full/2000,1500/0/default.jpg": [give(RED)],
    }
    fetch(f"{url}/m")
    assert pictures() == [RED]
    server.asked.clear()
    fetch(f"{url}/m")
    assert server.asked == ["/m", "/i/full/2000,1500/0/default.jpg"]  # how it is had is remembered


@pytest.mark.parametrize("info", [give(b"", 404), give(b"<html>"), send([]), send({"width": 1})])
def test_a_service_that_refuses_is_asked_why_and_then_passed_over(server, place, info):
    url = server.url
    service = {"id": f"{url}/i", "type": "ImageService3", "profile": "level2"}
    server.answers = {
        "/m": [send(manifest3(f"{url}/m", [body3(f"{url}/full.jpg", service, (3000, 4000))]))],
        "/i/full/1600,/0/default.jpg": [give(b"", 400)],
        "/i/info.json": [info],
        "/full.jpg": [give(RED)],
    }
    fetch(f"{url}/m")
    assert pictures() == [RED]


def test_another_side_fetches_again_what_comes_in_sizes_and_nothing_else(server, place):
    url = server.url
    service = {"id": f"{url}/i", "type": "ImageService3", "profile": "level2"}
    bodies = [body3(f"{url}/i.jpg", service, (3000, 4000)), body3(f"{url}/plain.jpg")]
    server.answers = {
        "/m": [send(manifest3(f"{url}/m", bodies))],
        "/i/full/1600,/0/default.jpg": [give(RED)],
        "/i/full/max/0/default.jpg": [give(GREEN)],
        "/plain.jpg": [give(BLUE, ETag='"1"'), give(b"", 304)],
    }
    fetch(f"{url}/m")
    assert pictures() == [RED, BLUE]
    fetch(f"{url}/m", "--side", "0")
    assert pictures() == [GREEN, BLUE]


# Wrong use


@pytest.mark.parametrize(
    "arguments",
    [
        ["file:///etc/passwd"],
        ["museum.example/manifest.json"],
        ["http://127.0.0.1:9/m", "--side", "-1"],
        ["http://127.0.0.1:9/m", "--pause", "nan"],
        ["http://127.0.0.1:9/m", "--name", "../x"],
        ["http://127.0.0.1:9/m", "--language", "../x"],
    ],
)
def test_wrong_use_is_said(place, arguments):
    with pytest.raises(WrongUse):
        import_iiif.main([*arguments, "--dataset", "images"])
    assert not Path("images").exists()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (give(b"<html>"), WrongUse, "not JSON"),
        (give(b"", 404), WrongUse, "status 404"),
        (give(b"", 503, Retry_After="0"), Failed, "status 503"),
    ],
)
def test_an_address_that_is_no_manifest(server, place, answer, error, words):
    server.answers = {"/m": [answer]}
    with pytest.raises(error, match=words):
        fetch(f"{server.url}/m")
    assert not FOLDER.exists()


def test_a_damaged_state_is_said(museum):
    fetch(f"{museum.url}/all")
    (FOLDER / ".import.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(WrongUse, match=r"\.import\.sqlite cannot be read .*delete it"):
        fetch(f"{museum.url}/all")
    (FOLDER / ".import.sqlite").unlink()
    fetch(f"{museum.url}/all")
    assert len(files()) == 4  # under the same names as before


def test_the_folder_is_named_after_the_address(museum):
    address = f"{museum.url}/all"
    import_iiif.main([address, "--dataset", "images", "--pause", "0"])
    (folder,) = Path("images").iterdir()
    assert folder.name == f"127_0_0_1_{museum.server_port}-{hashlib.sha256(address.encode()).hexdigest()[:10]}"


# Real processes


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, ROOT / "dataset/import_iiif.py", *arguments]
    command += ["--dataset", "images", "--name", "museum", "--pause", "0"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RETRIEVAL_")}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("where", ["/lake", "/hare-back.png"])
def test_stopped_in_the_middle_and_started_again(museum, where, stop):
    museum.answers[where].insert(0, drip)
    with start(f"{museum.url}/all") as process:
        assert museum.dripping.wait(60)
        with pytest.raises(WrongUse, match="Another download"):
            fetch(f"{museum.url}/all")
        process.send_signal(stop)
        _, said = process.communicate(timeout=20)
    assert process.returncode == (1 if stop == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    already = list(museum.asked)
    fetch(f"{museum.url}/all")
    assert pictures() == [RED, BLUE, GREEN]
    assert len(museum.asked) == 7  # the one that was cut off twice, all others once
    assert already[-1] == where and museum.asked.count(where) == 2
    assert len(files()) == 4


def test_exit_codes_and_what_is_said(museum):
    with start(f"{museum.url}/all") as process:
        out, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == (
        "2 objects; 3 pictures: 0 were there, 3 fetched (0 of them changed); 0 problems, 0 no longer published; "
        "register in images/museum/register.csv.\n"
    )
    museum.answers["/lake"] = [give(b"<html>")]
    with start(f"{museum.url}/all") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("import_iiif.py: images/museum/problems.csv lists what could not be had")
    with start("http://[/m") as process:
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said.count("\n")) == (2, "", 1)


def test_waits_between_requests_and_as_long_as_asked(museum, monkeypatch):
    waits = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    museum.answers["/lake"].insert(0, give(b"", 429, Retry_After="7"))
    import_iiif.main([f"{museum.url}/all", "--dataset", "images", "--name", "museum", "--pause", "1.5"])
    assert waits == [1.5, 1.5, 7, 1.5, 1.5, 1.5]

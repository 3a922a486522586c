"""Batches: what they are made of, how they are answered, what is refused, and who may see them."""

import io
import os
import re
import stat
import struct
import zipfile
from datetime import timedelta

import pytest

from database.tables import Batch, BatchPhotograph, Job, Photograph, Query, db, now
from tests.web.asked import ask_for, count, files
from tests.web.batched import GREY, answer_all, create, rows_of, send, zipped
from tests.web.conftest import post, signed_in
from tests.web.test_api import Program, program_of
from web import expiry
from web.asking import ask
from web.batches import answering
from web.intake import Region
from web.service import Service


@pytest.fixture
def painting(collection) -> bytes:
    return (collection / "images" / "portrait 6.png").read_bytes()


def test_files_and_a_zip_become_one_batch_and_are_answered(site, member, painting, collection):
    sea = (collection / "images" / "sea 11.png").read_bytes()
    inside = zipped(
        {"a/1.png": sea, "b/1.png": painting, "notes.txt": b"no picture", "__MACOSX/._1.png": b"x", "c/": b""}
    )
    batch = create(member, **{"portrait.png": painting, "room.zip": inside})
    done = answer_all(site, batch)
    assert done == {"photographs": 4, "waiting": 0, "answered": 3, "failed": 1, "state": "done", "problem": ""}
    rows = rows_of(site, batch)
    assert [row.name for row in rows] == ["portrait.png", "a/1.png", "b/1.png", "notes.txt"]
    with site.app_context():
        answers = [db.session.get(Query, row.query_id) for row in rows[:3]]
        assert {query.verdict for query in answers} == {"found"}
        assert [query.work_path for query in answers] == ["portrait 6.png", "sea 11.png", "portrait 6.png"]
    assert rows[3].problem.endswith(".") and rows[3].problem != "."
    assert not [name for name in files(site) if name.endswith((".zip", ".part"))]
    page = member.get(f"/batches/{batch}").get_data(as_text=True)
    assert all(word in page for word in ("portrait 6", "sea 11", "notes.txt", "b/1.png"))
    assert "Depot seven" in member.get("/batches").get_data(as_text=True)
    assert "portrait 6" not in member.get("/history").get_data(as_text=True)  # a batch has a page of its own


def test_a_form_without_scripts_will_do(site, member, painting):
    sent = {"name": "Gift", "files": [(io.BytesIO(painting), "1.png"), (io.BytesIO(painting), "1.png")]}
    answer = post(member, "/batches", sent, content_type="multipart/form-data")
    assert answer.status_code == 303
    batch = answer.location.rsplit("/", 1)[-1]
    assert answer_all(site, batch)["answered"] == 2
    assert [row.name for row in rows_of(site, batch)] == ["1.png", "1.png"]


def test_a_batch_of_nothing_is_refused_and_not_kept(site, member):
    answer = post(member, "/batches", {"name": "x"})
    assert answer.status_code == 400 and "Please choose photographs" in answer.get_data(as_text=True)
    assert count(site, Batch) == 0


def _lying(content: bytes, size: int) -> bytes:
    """The same ZIP with one file, whose list says that it is of another size."""
    place = content.rindex(b"PK\x01\x02") + 24
    return content[:place] + struct.pack("<I", size) + content[place + 4 :]


def test_what_a_zip_must_not_hold_is_told_file_by_file(site, member, painting):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../outside.png", painting)
        made.writestr("/etc/outside.png", painting)
        made.writestr("C:\\outside.png", painting)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("bomb.bmp", bytes(30 << 20), zipfile.ZIP_DEFLATED)
        made.writestr("good.png", painting)
        made.writestr("filling.bin", os.urandom(1 << 20), zipfile.ZIP_STORED)
    batch = create(member)
    answer = send(member, batch, "mixed.zip", archive.getvalue())
    problems = {each["name"]: each["problem"] for each in answer.json["failed"]}
    assert problems == {
        "outside.png": "Its name leads out of the ZIP.",
        "etc/outside.png": "Its name leads out of the ZIP.",
        "C:/outside.png": "Its name leads out of the ZIP.",
        "link.png": "It is a link to another file.",
        "bomb.bmp": "It is compressed more than 200 times, which no photograph can be.",
    }
    assert answer.json["added"] == 7
    done = answer_all(site, batch)
    assert (done["answered"], done["failed"]) == (1, 6)
    folder = site.extensions["uploads"].folder
    assert all(re.fullmatch(r"[\w-]{22}\.(small\.)?jpg", name) for name in files(site))
    assert not (folder.parent.parent / "outside.png").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped({f"{number}.png": b"" for number in range(10_000)}), "has 10,000 files"),
        (zipped({"bomb.bmp": bytes(300 << 20)}, zipfile.ZIP_DEFLATED), "more than 200 times as large"),
        (zipped({"a.png": GREY})[:-30], "cannot be read"),
        (b"PK\x03\x04 and nothing more", "cannot be read"),
        (zipped({}), "no file"),
        (zipped({".hidden": b"x", "Thumbs.db": b"x"}), "no file"),
    ],
    ids=["10,000 files", "bomb", "cut off", "no zip", "empty", "hidden"],
)
def test_a_zip_that_cannot_be_used_is_refused_in_a_sentence(site, member, content, words):
    batch = create(member)
    answer = send(member, batch, "room.zip", content)
    assert answer.status_code == 400 and words in answer.json["error"], answer.json
    assert count(site, BatchPhotograph) == 0 and files(site) == set()


def test_a_zip_that_lies_about_sizes_is_read_no_further_than_a_photograph_may_be_large(make_site, painting):
    site = make_site(upload_megabytes=1)
    member = signed_in(site, "ada")
    large = os.urandom(3 << 20)
    batch = create(member, **{"lies.zip": _lying(zipped({"large.png": large}), 1000)})
    assert answer_all(site, batch)["failed"] == 1
    (row,) = rows_of(site, batch)
    assert row.problem in ("Its part of the ZIP is damaged.", "It is larger than 1 MB.")


def test_a_protected_or_damaged_part_fails_alone(site, member, painting):
    content = zipped({"protected.png": painting, "damaged.png": painting, "good.png": painting})
    places = [found.start() for found in re.finditer(b"PK\x01\x02", content)]
    content = bytearray(content)
    content[places[0] + 8] |= 1
    content[content.index(painting, places[0] // 3) + 500] ^= 255
    batch = create(member, **{"room.zip": bytes(content)})
    assert (answer_all(site, batch)["answered"], [row.problem for row in rows_of(site, batch)]) == (
        1,
        ["It is protected by a password.", "Its part of the ZIP is damaged.", ""],
    )


def test_the_limits_of_a_batch_are_told(make_site, painting):
    site = make_site(batch_photographs=2, batch_megabytes=1, upload_megabytes=1)
    member = signed_in(site, "ada")
    batch = create(member, **{"1.png": GREY, "2.png": GREY})
    answer = send(member, batch, "3.png", GREY)
    assert answer.status_code == 400 and "a batch holds 2 photographs" in answer.json["error"]
    answer = send(member, batch, "room.zip", zipped({"large.bin": bytes(3 << 19)}))
    assert answer.status_code == 413
    assert len(rows_of(site, batch)) == 2


def test_a_photograph_that_ended_the_process_several_times_is_given_up(site, member, painting):
    batch = create(member, **{"1.png": painting, "2.png": painting})
    with site.app_context():
        db.session.execute(
            db.update(BatchPhotograph).where(BatchPhotograph.name == "1.png").values(attempts=answering.ATTEMPTS)
        )
        db.session.commit()
    done = answer_all(site, batch)
    assert (done["answered"], done["failed"]) == (1, 1)
    assert "interrupted 3 times" in rows_of(site, batch)[0].problem


def test_an_answer_that_was_just_given_when_the_worker_was_killed_is_taken(site, member, painting):
    batch = create(member, **{"1.png": painting})
    (row,) = rows_of(site, batch)
    with site.app_context():
        (query,) = ask(db.session.get(Photograph, row.photograph_id), [Region()])
        given = query.id
    assert answer_all(site, batch)["answered"] == 1
    assert rows_of(site, batch)[0].query_id == given and count(site, Query) == 1


def test_it_waits_while_there_is_no_engine_and_says_why(make_site, painting):
    site = make_site(ready=Service(lambda: None, 1, 1))
    member = signed_in(site, "ada")
    batch = create(member, **{"1.png": painting})
    done = answer_all(site, batch)
    assert done["waiting"] == 1 and done["state"] == "waiting" and "starting up" in done["problem"]
    assert "wait for it" in member.get(f"/batches/{batch}").get_data(as_text=True)


def test_it_is_deleted_with_all_that_belongs_to_it(site, member, painting):
    keep = ask_for(site, "ada", painting)[0]
    batch = create(member, **{"1.png": painting, "room.zip": zipped({"2.png": painting})})
    with site.app_context():
        assert db.session.get(Query, keep)
    post(member, f"/batches/{batch}/delete")
    assert [count(site, table) for table in (Batch, BatchPhotograph, Photograph, Query)] == [0, 0, 1, 1]
    assert len(files(site)) == 1


def test_it_expires_with_its_photographs_and_leaves_no_zip(site, member, painting):
    old = create(member, **{"room.zip": zipped({"1.png": painting, "2.png": painting})})
    young = create(member, **{"room.zip": zipped({"1.png": painting})})
    with site.app_context():
        db.session.get(Batch, old).created_at = now() - timedelta(days=400)
        db.session.commit()
        expiry.sweep(now() + timedelta(days=2))  # a photograph that waits is not one that nobody asked about
    assert [count(site, table) for table in (Batch, BatchPhotograph)] == [1, 1]
    assert len([name for name in files(site) if name.endswith(".zip")]) == 1
    assert answer_all(site, young)["answered"] == 1


ROUTES = [
    ("get", "/batches/{batch}"),
    ("get", "/batches/{batch}/progress"),
    ("get", "/batches/{batch}/review"),
    ("get", "/batches/{batch}/review/{id}"),
    ("get", "/batches/{batch}/answers.csv"),
    ("get", "/batches/{batch}/answers.xlsx"),
    ("get", "/batches/{batch}/sheet"),
    ("get", "/batches/{batch}/delete"),
    ("post", "/batches/{batch}/start"),
    ("post", "/batches/{batch}/files"),
    ("post", "/batches/{batch}/review/{id}"),
    ("post", "/batches/{batch}/undo"),
    ("post", "/batches/{batch}/share"),
    ("post", "/batches/{batch}/delete"),
]


def test_each_route_is_for_the_owner_and_for_administrators(site, client, member, other, admin, painting):
    batch = create(member, **{"1.png": painting})
    answer_all(site, batch)
    (row,) = rows_of(site, batch)
    for method, route in [*ROUTES, ("get", "/batches"), ("post", "/batches")]:
        address = route.format(batch=batch, id=row.id)
        asked = client.get(address) if method == "get" else post(client, address, page="/user/sign-in")
        assert asked.status_code == 302 and "/user/sign-in" in asked.location, address
    for method, route in ROUTES:
        address = route.format(batch=batch, id=row.id)
        asked = other.get(address) if method == "get" else post(other, address, page="/batches")
        assert asked.status_code == 404, address
        if method == "get":
            assert admin.get(address).status_code in (200, 302, 303), address
    assert send(admin, batch, "2.png", painting).status_code == 403
    assert "Depot seven" not in other.get("/batches").get_data(as_text=True)
    assert "Depot seven" in admin.get("/batches").get_data(as_text=True)
    for wrong in ("x", "a" * 22, "%00" * 22):
        assert member.get(f"/batches/{wrong}").status_code == 404
    assert member.get(f"/batches/{batch}/review/{row.id + 1}").status_code == 404
    assert member.get(f"/batches/{batch}?show=nonsense").status_code == 400
    assert count(site, Batch) == 1 and count(site, Job) == 1


def test_colleagues_review_what_is_shared_and_change_nothing_else(site, client, member, other, painting):
    batch = create(member, **{"1.png": painting})
    answer_all(site, batch)
    (row,) = rows_of(site, batch)
    post(member, f"/batches/{batch}/share", {"shared": "on"}, page="/batches")
    answer = f"/answers/{row.query_id}"
    for method, route in ROUTES:
        address = route.format(batch=batch, id=row.id)
        asked = other.get(address) if method == "get" else post(other, address, page="/batches")
        may_not = route.rsplit("/", 1)[1] in ("delete", "files", "share")
        refused = (400,) if route.endswith(("undo", "{id}")) and method == "post" else (200, 302, 303)
        assert asked.status_code in ((403,) if may_not else refused), (address, asked.status_code)
        assert client.get(address).status_code in (302, 405)
    assert "Depot seven" in other.get("/batches").get_data(as_text=True)
    for part in ("", "/picture.jpg", "/thumbnail.jpg", "/attention.png"):
        assert other.get(answer + part).status_code == 200
    assert "Delete this answer" not in other.get(answer).get_data(as_text=True)
    assert other.get(f"{answer}/delete").status_code == other.get(f"{answer}/correct").status_code == 404
    assert post(other, f"{answer}/delete", page="/batches").status_code == 404
    data = {"feedback": "right", "seen": ""}
    assert post(other, f"/batches/{batch}/review/{row.id}", data, page="/batches").status_code == 303
    with site.app_context():
        assert db.session.get(Query, row.query_id).judge.username == "bob"

    post(member, f"/batches/{batch}/share", {"shared": "off"}, page="/batches")
    assert other.get(f"/batches/{batch}").status_code == other.get(answer).status_code == 404


def test_nothing_is_changed_without_the_forms_secret(site, member, painting):
    batch = create(member, **{"1.png": painting})
    for route in ("start", "files", "undo", "delete"):
        assert member.post(f"/batches/{batch}/{route}").status_code == 400
    assert count(site, Batch) == 1


# The API


def test_a_program_gives_a_batch_and_reads_its_answers(site, painting):
    ada, bob = program_of(site, "ada"), program_of(site, "bob")
    room = zipped({"shelf 2/1.png": painting, "list.txt": b"x"})
    sent = {"name": "Depot seven", "files": [(io.BytesIO(painting), "1.png"), (io.BytesIO(room), "room.zip")]}
    made = ada.post("/api/v1/batches", data=sent, content_type="multipart/form-data")
    assert made.status_code == 201, made.json
    address = made.headers["Location"]
    batch = made.json["id"]
    assert (made.json["photographs"], made.json["waiting"], made.json["name"]) == (3, 3, "Depot seven")
    more = ada.post(f"{address}/photographs", data={"files": (io.BytesIO(painting), "2.png")})
    assert more.status_code == 201 and more.json["photographs"] == 4
    answer_all(site, batch)
    done = ada.get(address).json
    assert [done[name] for name in ("waiting", "answered", "failed", "reviewed")] == [0, 3, 1, 0]
    schemas = ada.get("/api/openapi.json").json["components"]["schemas"]
    assert set(done) == set(schemas["Batch"]["properties"])
    page = ada.get(f"{address}/answers?page_size=3").json
    assert (page["total"], page["pages"], len(page["answers"])) == (4, 2, 3)
    answers = {
        each["photograph"]: each
        for each in page["answers"] + ada.get(f"{address}/answers?page=2&page_size=3").json["answers"]
    }
    assert set(answers["1.png"]) == set(schemas["BatchAnswer"]["properties"])
    assert answers["shelf 2/1.png"]["work"]["file"] == "portrait 6.png"
    assert answers["1.png"]["verdict"] == answers["2.png"]["verdict"] == "found"
    assert answers["list.txt"]["state"] == "failed" and answers["list.txt"]["problem"]
    assert ada.get(f"/api/v1/queries/{answers['1.png']['query']}").status_code == 200
    assert [each["id"] for each in ada.get("/api/v1/batches").json] == [batch]

    for method, path in [("get", ""), ("get", "/answers"), ("post", "/photographs")]:
        assert getattr(bob, method)(address + path).status_code == 404
        assert getattr(Program(site, None), method)(address + path).status_code == 401
    assert bob.get("/api/v1/batches").json == []
    for path in ("/api/v1/batches", f"{address}/photographs"):
        assert ada.post(path, data={"name": "x"}, content_type="multipart/form-data").status_code == 422
    refused = ada.post("/api/v1/batches", data={"files": (io.BytesIO(b"PK\x03\x04"), "a.zip")})
    assert refused.status_code == 400 and "cannot be read" in refused.json["message"]
    assert count(site, Batch) == 1

"""The collection kept on the site: who may, the indexing, added pictures, registers, and who changed what."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from database import kept, works
from database.catalog import Work as Row
from database.tables import CollectionChange, Indexing, Job, Picture, Work, db
from models.collection.store import Store
from tests.web.batched import GREY, zipped
from tests.web.conftest import csrf_token, post, signed_in
from web import jobs
from web.curating import indexing
from web.curating.pictures import safe_path
from web.curating.removing import _move

HOME = "/admin/collection"
PAGES = [HOME, f"{HOME}/progress"]
ACTIONS = [
    f"{HOME}/index",
    f"{HOME}/stop",
    f"{HOME}/pictures",
    f"{HOME}/pictures/abc",
    f"{HOME}/pictures/abc/finish",
    f"{HOME}/register",
    f"{HOME}/put-back/abc",
    f"{HOME}/register/abc",
    f"{HOME}/register/earlier/2026.csv",
    f"{HOME}/remove/1",
]


@pytest.fixture
def settings(settings, tmp_path):
    """With a folder of pictures of its own, and its lists."""
    (tmp_path / "pictures").mkdir()
    return settings.__class__(**{**vars(settings), "dataset": tmp_path / "pictures", "lists": tmp_path / "lists"})


def text(answer) -> str:
    return answer.get_data(as_text=True)


def changes(site) -> list[str]:
    """What was noted, the newest first, with who did it."""
    with site.app_context():
        asked = db.select(CollectionChange).order_by(CollectionChange.created_at.desc())
        return [f"{change.user.username}: {change.what}" for change in db.session.scalars(asked)]


def picture(shade: int = 90, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, np.full((60, 80, 3), shade, np.uint8))[1].tobytes()


# Who may


@pytest.mark.parametrize("page", [*PAGES, *ACTIONS[-3:]])
def test_pages_are_for_administrators(client, member, admin, page):
    assert client.get(page).location == f"/user/sign-in?next={page}"
    assert member.get(page).status_code == 403
    assert admin.get(page).status_code == (404 if "/register/" in page else 200)


@pytest.mark.parametrize("address", ACTIONS)
def test_actions_are_for_administrators(site, client, member, admin, address):
    answer = post(client, address, page="/user/sign-in")
    assert answer.status_code == 302 and answer.location.startswith("/user/sign-in")
    assert post(member, address, page="/profile").status_code == 403
    refused = admin.post(address)  # without the secret of the form
    assert refused.status_code == 400 and "The form was not accepted" in text(refused)
    assert changes(site) == []
    with site.app_context():
        assert db.session.scalar(db.select(db.func.count(Job.id))) == 0


# Indexing


@pytest.fixture
def scripts(monkeypatch, site):
    """scripts(first, second): the indexing runs these Python programs in place of the three scripts."""
    monkeypatch.setattr(indexing, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(indexing, "LOOK_SECONDS", 0.05)

    def replace(*programs: str) -> None:
        made = tuple((f"step{number}.py", program) for number, program in enumerate(programs, 1))
        monkeypatch.setattr(indexing, "SCRIPTS", made)
        monkeypatch.setattr(indexing, "_command", lambda script: [sys.executable, "-c", script[1]])

    return replace


def carry_out(site, until=lambda: False) -> Indexing:
    """Do what the site's worker does until nothing is left, or until something holds; the run that counts."""
    with site.app_context():
        for _ in range(2000):
            waiting = db.session.scalars(db.select(Job.id).where(Job.state.in_(("waiting", "running")))).all()
            more = [jobs.carry_out(id) for id in waiting]
            if not any(more) or until():
                return indexing.current()
    raise AssertionError("It did not end.")


def test_the_scripts_run_one_after_the_other(site, admin, scripts, tmp_path):
    told = tmp_path / "told"
    write = f"print('did {{0}}'); open({str(told)!r}, 'a').write('{{0}}')"
    scripts(write.format(1), write.format(2), write.format(3))
    assert "not been indexed here yet" in text(admin.get(HOME))
    assert post(admin, f"{HOME}/index", page=HOME).location == HOME
    assert "waits for its turn" in text(admin.get(HOME))
    assert carry_out(site).state == "done" and told.read_text() == "123"
    page = text(admin.get(HOME))
    assert "The last indexing is finished" in page and "did 1\ndid 2\ndid 3" in page
    assert "Started the indexing" in page and changes(site) == ["root: Started the indexing"]
    assert not re.search(r"<script(?![^>]*src=)", page)


def test_progress_is_told_and_it_stops_and_goes_on(site, admin, scripts):
    ran = "import time; print('Describing: 40%', flush=True); time.sleep(600)"
    scripts("print('listed')", ran)
    post(admin, f"{HOME}/index", page=HOME)
    under_way = carry_out(site, until=lambda: indexing.progress(indexing.current())["line"] == "Describing: 40%")
    assert (under_way.state, under_way.step) == ("running", 2)
    said = admin.get(f"{HOME}/progress").json
    assert (said["state"], said["step"], said["name"], said["line"]) == (
        "running",
        2,
        "Describing them",
        "Describing: 40%",
    )
    assert "Step 2 of 2: Describing them" in text(admin.get(HOME))
    post(admin, f"{HOME}/stop", page=HOME)
    assert carry_out(site).state == "stopped"
    assert "Go on" in text(admin.get(HOME))
    scripts("print('listed')", "print('described')")
    post(admin, f"{HOME}/index", page=HOME)
    assert carry_out(site).state == "done"
    assert changes(site) == [
        "root: Started the indexing",
        "root: Stopped the indexing",
        "root: Started the indexing",
    ]


def test_other_jobs_have_their_turn_meanwhile(site, admin, scripts, monkeypatch):
    scripts("import time; time.sleep(600)")
    post(admin, f"{HOME}/index", page=HOME)
    done = []
    monkeypatch.setitem(jobs._kinds, "other", lambda subject, alive: bool(done.append(subject)))
    with site.app_context():
        jobs.start("other", "batch")
    carry_out(site, until=lambda: bool(done))
    assert done == ["batch"] and indexing_state(site) == "running"
    post(admin, f"{HOME}/stop", page=HOME)
    assert carry_out(site).state == "stopped"


def indexing_state(site) -> str:
    with site.app_context():
        return indexing.current().state


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('step1.py: The disk is full ({output}).')", "The disk is full (the folder of results)."),
        ("import os; os.kill(os.getpid(), 9)", "ended from outside (signal 9), most often because memory ran out"),
        ("1 / 0", "The log says why"),
    ],
)
def test_a_failed_run_says_what_to_do(site, admin, scripts, settings, program, words):
    scripts(program.format(output=settings.output), "print('never')")
    post(admin, f"{HOME}/index", page=HOME)
    run = carry_out(site)
    assert run.state == "failed" and words in run.problem
    assert run.problem.startswith("Step 1 of 2 (looking at the pictures) has failed.")
    page = text(admin.get(HOME))
    assert words in page and "Go on" in page and str(settings.output) not in run.problem


def test_one_run_at_a_time_and_what_a_killed_worker_left_is_begun_again(site, scripts):
    scripts("print('again')")
    with site.app_context():
        held = indexing._hold()
        run = indexing.start()
        assert indexing.start().id == run.id  # it still waits
        job = jobs.of(indexing.KIND, run.id)
        assert jobs.carry_out(job.id) and indexing.current().state == "waiting"  # another holds the lock
        run.state, run.attempts = "running", 1  # as a worker leaves it that is killed
        db.session.commit()
        held.close()
    run = carry_out(site)
    assert (run.state, run.attempts) == ("done", 2)


def test_a_script_that_outlives_its_worker_keeps_others_waiting(site, scripts, tmp_path):
    told, go_on = tmp_path / "told", tmp_path / "go on"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.02)"
    with site.app_context():
        held = indexing._hold()
        orphan = subprocess.Popen([sys.executable, "-c", wait], pass_fds=[held.fileno()])
        held.close()  # as when the worker is killed
        scripts(f"open({str(told)!r}, 'a').write('1')")
        job = jobs.of(indexing.KIND, indexing.start().id)
        assert jobs.carry_out(job.id) and not told.exists() and indexing.current().state == "waiting"
        go_on.touch()
        orphan.wait()
    assert carry_out(site).state == "done" and told.read_text() == "1"


def test_what_ends_its_process_again_and_again_is_given_up(site, scripts):
    scripts("print('never')")
    with site.app_context():
        run = indexing.start()
        run.state, run.attempts = "running", indexing.ATTEMPTS
        db.session.commit()
    run = carry_out(site)
    assert run.state == "failed" and "memory" in run.problem and "Go on" in run.problem


def test_the_very_scripts_index_what_was_added(make_site, settings, collection, tmp_path, monkeypatch):
    shutil.copytree(collection / "images", settings.dataset, dirs_exist_ok=True)
    shutil.copytree(collection / "output", settings.output)
    monkeypatch.setattr(os, "environ", {**os.environ, "RETRIEVAL_PRECISION": "float32", "RETRIEVAL_WORKERS": "1"})
    site = make_site()
    admin = signed_in(site, "root", admin=True)
    added = cv2.imread(str(next(settings.dataset.glob("portrait*.png"))))[::-1]
    content = cv2.imencode(".png", added)[1].tobytes()
    answer = post(admin, f"{HOME}/pictures", {"files": (io.BytesIO(content), "new one.png")}, page=HOME)
    assert answer.status_code == 303, text(answer)
    run = carry_out(site)
    with site.app_context():
        assert run.state == "done", indexing.read_log(run)
    store = Store.reading(settings.output)
    paths = {stamp.path for stamp in store.images().values()}
    assert "new one.png" in paths and len(paths) == 13 and store.count("features") == 13
    store.close()


# Adding pictures


def begin(admin) -> dict:
    answer = admin.post(f"{HOME}/pictures", headers=_as_a_script(admin))
    assert answer.status_code == 201, text(answer)
    return answer.json


def _as_a_script(client) -> dict:
    return {
        "X-CSRFToken": csrf_token(client, HOME),
        "Referer": f"https://localhost{HOME}",
        "Accept": "application/json",
    }


def send(admin, ways: dict, name: str, content: bytes):
    data = {"file": (io.BytesIO(content), name.rsplit("/", 1)[-1]), "name": name}
    return admin.post(ways["add"], data=data, headers=_as_a_script(admin))


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_pictures_folders_and_zips_are_added_and_indexed(site, admin, settings):
    ways = begin(admin)
    assert send(admin, ways, "Saal 1/Müller, Hase.png", picture(1)).json == {"added": 1, "refused": []}
    assert send(admin, ways, "Saal 1/Müller, Hase.png", picture(2)).json == {"added": 1, "refused": []}
    same = send(admin, ways, "Saal 1/Müller, Hase.png", picture(1)).json
    assert same["added"] == 0 and "in the folder of pictures already" in same["refused"][0]
    archive = zipped(
        {
            "a/one.png": picture(3),
            "../out.png": picture(4),
            "/root.png": picture(5),
            "text.jpg": b"no picture",
            ".hidden.png": picture(6),
            "a/two": picture(7, ".jpg"),
        }
    )
    said = send(admin, ways, "room.zip", archive).json
    assert said["added"] == 2 and len(said["refused"]) == 3
    assert any("leads out of the ZIP" in refused for refused in said["refused"])
    assert all(refused.count(". ") == 0 and refused.endswith(".") for refused in said["refused"])
    assert below(settings.dataset) == {
        "Saal 1/Müller, Hase.png",
        "Saal 1/Müller, Hase (2).png",
        "a/one.png",
        "a/two.jpg",
    }
    assert not list(settings.database.glob("pictures.zip*")) and below(settings.dataset.parent) >= {
        "pictures/a/one.png"
    }
    with site.app_context():
        assert db.session.scalar(db.select(db.func.count(Indexing.id))) == 0
    assert admin.post(ways["start"], headers=_as_a_script(admin)).json == {"batch": HOME}
    assert indexing_state(site) == "waiting"
    first, second, third = "Saal 1/Müller, Hase.png", "Saal 1/Müller, Hase (2).png", "a/one.png"
    assert changes(site) == [f"root: Added 4 pictures: {first}, {second}, {third} and others"]
    assert "Added 4 pictures" in text(admin.get(HOME))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.png", b"no picture at all", "notes.png: "),
        ("small.png", cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(), "small.png: "),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "page.svg: "),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(site, admin, settings, name, content, words):
    ways = begin(admin)
    refused = send(admin, ways, name, content).json["refused"]
    assert len(refused) == 1 and refused[0].startswith(words) and refused[0].endswith(".")
    assert below(settings.dataset) == set()
    admin.post(ways["start"], headers=_as_a_script(admin))
    assert changes(site) == []
    with site.app_context():
        assert indexing.current() is None


def test_a_form_without_scripts_adds_pictures_too(site, admin, settings):
    files = [(io.BytesIO(GREY), "grey.png"), (io.BytesIO(b"text"), "text.png")]
    page = post(admin, f"{HOME}/pictures", {"files": files}, page=HOME, follow_redirects=True)
    assert "1 picture added" in text(page) and "1 file not taken: text.png: " in text(page)
    assert below(settings.dataset) == {"grey.png"}
    assert post(admin, f"{HOME}/pictures", page=HOME).status_code == 400


def test_a_folder_with_the_name_of_a_file(admin, settings):
    ways = begin(admin)
    send(admin, ways, "room.png", picture(1))
    refused = send(admin, ways, "room.png/one.png", picture(2)).json["refused"]
    assert refused == ["room.png/one.png: A file has the name of its folder."]


def test_another_administrator_adds_nothing_in_ones_name(site, admin):
    ways = begin(admin)
    other = signed_in(site, "second", admin=True)
    assert send(other, ways, "one.png", picture()).status_code == 403


def test_where_the_folder_cannot_be_written_the_page_says_so(make_site):
    site = make_site(dataset=Path("/proc/self"))
    admin = signed_in(site, "root", admin=True)
    page = text(admin.get(HOME))
    assert "may not write into the folder of pictures" in page and "Add them" not in page
    assert post(admin, f"{HOME}/pictures", page=HOME).status_code == 409


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd.png"),
        ("C:\\Bilder\\Hase.PNG", "C_/Bilder/Hase.PNG"),
        ("a|b;c?.png", "a_b_c_.png"),
        (".htaccess", "htaccess.png"),
        ("a/\u202e/b\n.png", "a/b.png"),
        ("evil.html", "evil.html.png"),
        ("..", "picture.png"),
        ("é" * 200 + ".png", "é" * 60 + ".png"),
        ("1921.2", "1921.2.png"),
        ("/".join("abcdefghijkl") + "/x.png", "e/f/g/h/i/j/k/l/x.png"),
    ],
)
def test_names_are_safe_and_stay_readable(name, safe):
    assert safe_path(name, (".png",)) == safe


# Registers


@pytest.fixture
def files(site, engine) -> list[str]:
    return list(engine.images.values())


def upload(admin, content: str, name: str = "Liste.csv") -> str:
    """The address of the preview."""
    data = {"register": (io.BytesIO(content.encode()), name)}
    answer = post(admin, f"{HOME}/register", data, page=HOME)
    assert answer.status_code == 303, text(answer)
    return answer.location


def titles(site) -> set[str]:
    with site.app_context():
        return {work.title for work in db.session.scalars(db.select(Work))} - {""}


def test_a_register_is_previewed_mapped_loaded_and_gone_back_from(site, admin, settings, files):
    with site.app_context():
        works.load_catalog([Row(title=f"Old {n}", file=file) for n, file in enumerate(files)])
    old = titles(site)
    rows = "\n".join(f"Titel {n};{file};Regal {n}" for n, file in enumerate(files[:11]))
    address = upload(admin, f"Wie es heisst;Aufnahme;Regal\n{rows}\n")
    unclear = admin.get(address)
    page = text(unclear)
    assert unclear.status_code == 400 and "Liste.csv is not a catalogue of works" in page
    assert "Choose below what the columns are" in page and "--map" not in page and str(settings.database) not in page
    assert "Load it" not in page

    said = {"column": ["Wie es heisst", "Aufnahme", "Regal"], "field": ["title", "file", ""], "action": "preview"}
    page = text(post(admin, address, said))
    assert "11 rows, 11 works matched, 0 rows without a work, 1 work without a row." in page
    assert "Kept under their own names: Regal" in page and "use --map" not in page
    assert "1 work would lose its entry." in page and titles(site) == old

    assert "Preview of" in text(post(admin, address, said | {"action": "load"})) and titles(site) == old
    assert post(admin, address, said | {"action": "load", "lose": "on"}).location == HOME
    assert titles(site) == {f"Titel {n}" for n in range(11)}
    assert admin.get(address).status_code == 404 and not list((settings.database / "previews").iterdir())
    assert kept.read_mapping(settings.database) == {"wie es heisst": "title", "aufnahme": "file"}
    assert "11 rows, 11 works matched" in text(admin.get(upload(admin, f"Wie es heisst;Aufnahme;Regal\n{rows}\n")))

    back = re.search(r'href="(/admin/collection/register/earlier/[^"]+)"', text(admin.get(HOME)))[1]
    page = text(admin.get(back))
    assert "12 rows, 12 works matched" in page and "Entries: 1 new, 11 changed, 0 lost." in page
    assert post(admin, back, {"action": "load"}).location == HOME and titles(site) == old
    noted = changes(site)
    assert len(noted) == 2 and noted[1] == "root: Loaded Liste.csv: 11 rows, 11 works matched"
    assert noted[0].startswith("root: Loaded the register that was replaced on ")


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "Liste.csv is empty"), ("<html></html>", "a web page or XML"), ("PK\x03\x04no workbook", "Liste.csv")],
)
def test_what_is_no_register_is_told(site, admin, settings, content, words):
    answer = admin.get(upload(admin, content))
    assert answer.status_code == 400 and words in text(answer) and str(settings.database) not in text(answer)


def test_rows_without_a_work_are_shown_and_fields_are_checked(site, admin, files):
    address = upload(admin, f"Title;File\nHare;{files[0]}\nGone;nowhere.jpg\n")
    page = text(admin.get(address))
    assert "1 row without a work" in page and "Gone, nowhere.jpg: " in page
    assert post(admin, address, {"column": ["Title"], "field": ["no field"]}).status_code == 400


def test_names_of_uploads_lead_nowhere_else(admin, settings):
    address = upload(admin, "Title;File\nHare;a.jpg\n", "../../Liste.csv")
    assert [path.name for path in (settings.database / "previews").glob("*/*")] == ["Liste.csv"]
    assert admin.get(address).status_code == 200
    for name in ("..", "%2e%2e%2fsite.sqlite", "*"):
        assert admin.get(f"{HOME}/register/{name}").status_code == 404
        assert admin.get(f"{HOME}/register/earlier/{name}").status_code == 404


# Removing pictures


def test_a_picture_is_removed_and_put_back(site, admin, client, settings, collection):
    shutil.copytree(collection / "images", settings.dataset, dirs_exist_ok=True)
    before = below(settings.dataset)
    with site.app_context():
        path = db.session.get(Picture, 1).path
    page = text(admin.get("/works/1"))
    assert f'href="{HOME}/remove/1">Remove this picture' in page and "/remove/" not in text(client.get("/works/1"))
    assert "The work has no other picture" in text(admin.get(f"{HOME}/remove/1"))
    assert post(admin, f"{HOME}/remove/1").location == HOME
    assert below(settings.dataset) == before - {path} and indexing_state(site) == "waiting"
    assert post(admin, f"{HOME}/remove/1").status_code == 409  # its file is gone, although it is still indexed
    assert changes(site) == [f"root: Removed the picture {path}"]

    way = re.search(r'action="(/admin/collection/put-back/[^"]+)"', text(admin.get(HOME)))[1]
    (settings.dataset / path).write_bytes(picture())
    answer = post(admin, way, page=HOME)
    assert answer.status_code == 409 and "another file" in text(answer)
    (settings.dataset / path).unlink()
    assert post(admin, way, page=HOME).location == HOME
    assert below(settings.dataset) == before and post(admin, way, page=HOME).status_code == 404
    assert (settings.dataset / path).read_bytes() == (collection / "images" / path).read_bytes()
    assert "put-back" not in text(admin.get(HOME))
    assert changes(site)[0] == f"root: Put the picture {path} back"


def test_where_the_folder_cannot_be_written_nothing_is_removed(make_site):
    site = make_site(dataset=Path("/proc/self"))
    admin = signed_in(site, "root", admin=True)
    assert "/remove/" not in text(admin.get("/works/1"))
    assert "cannot be removed here" in text(admin.get(f"{HOME}/remove/1"))
    assert post(admin, f"{HOME}/remove/1").status_code == 409 and changes(site) == []


def test_a_file_moves_to_another_file_system(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        source, target = tmp_path / "one.png", Path(folder) / "a" / "one.png"
        source.write_bytes(b"one")
        _move(source, target)
        assert target.read_bytes() == b"one" and not source.exists() and below(Path(folder)) == {"a/one.png"}

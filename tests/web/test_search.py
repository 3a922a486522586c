"""Asking: uploads, what is made out on them, and questions about parts of them."""

import io
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from database.tables import Photograph, Query, db
from tests.web.asked import count, files
from tests.web.conftest import browser, csrf_token, signed_in
from tests.web.test_addresses import Pages, local, serve_pages, server  # noqa: F401  (fixtures)
from utils import transforms
from web.addresses import Network
from web.service import Service

SECRET = "/user/sign-in"  # a page with the secret of the session, for members (who are sent on) and strangers
JSON = {"Accept": "application/json"}


@pytest.fixture
def content(collection) -> bytes:
    """A file with a work of the collection, 400 pixels wide or high."""
    return sorted((collection / "images").iterdir())[0].read_bytes()


@pytest.fixture
def wall(collection) -> bytes:
    """A photograph of a work on a white wall, as a file."""
    work = cv2.imread(str(sorted((collection / "images").iterdir())[0]))
    return encoded(hung(work))


def hung(*works: np.ndarray) -> np.ndarray:
    """Works side by side on a white wall, each in a dark frame, 300 pixels high."""
    wall = np.full((600, 100 + 500 * len(works), 3), 235, np.uint8)
    for place, work in enumerate(works):
        work = cv2.resize(work, (round(300 * work.shape[1] / work.shape[0]), 300))
        framed = cv2.copyMakeBorder(work, 14, 14, 14, 14, cv2.BORDER_CONSTANT, value=(25, 35, 45))
        left = 60 + 500 * place
        wall[130 : 130 + framed.shape[0], left : left + framed.shape[1]] = framed
    return wall


def encoded(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def send(client, address: str, data: dict, **headers):
    """As the scripts of the page do."""
    token = csrf_token(client, SECRET)
    return client.post(
        address,
        data=data,
        headers=JSON | {"X-CSRFToken": token, "Referer": "https://localhost/"} | headers,
    )


def upload(client, content: bytes, name: str = "photograph.jpg", source: str = "file"):
    return send(client, "/photographs", {"picture": (io.BytesIO(content), name), "source": source})


def ask(client, photograph: dict, *regions, data: bytes | None = None):
    body = json.dumps({"regions": list(regions)}).encode() if data is None else data
    return send(client, photograph["ask"], body, **{"Content-Type": "application/json"})


@pytest.fixture
def photograph(member, content) -> dict:
    """An upload of Ada's, as the site described it."""
    return upload(member, content).json


# The start page


def test_strangers_are_told_what_the_site_does_and_where_to_sign_in(client):
    page = client.get("/").get_data(as_text=True)
    main = page[page.index("<main") :]
    assert "which work of the collection" in main and "match.jpg" in main
    assert all(link in main for link in ("/user/sign-in", "/user/register", "/collection"))
    assert 'type="file"' not in page


@pytest.mark.parametrize("registration", ["invitation", "closed"])
def test_only_what_is_open_is_offered(make_site, registration):
    page = browser(make_site(registration=registration, private=True)).get("/").get_data(as_text=True)
    assert "/user/register" not in page and "/collection" not in page
    assert ("by invitation" in page) == (registration == "invitation")


def test_members_get_the_control(member):
    page = member.get("/").get_data(as_text=True)
    assert 'type="file"' in page and 'name="csrf-token"' in page
    assert 'name="address"' not in page
    assert "starting up" not in page


def test_a_field_for_addresses_is_there_where_they_are_taken(make_site):
    assert 'name="address"' in signed_in(make_site(addresses=True), "ada").get("/").get_data(as_text=True)


def test_the_state_of_the_engine_is_said(make_site, client):
    assert client.get("/state").json == {"state": "ready"}
    site = make_site(ready=never_ready())
    assert browser(site).get("/state").json == {"state": "warming up"}
    assert "The search is starting up" in signed_in(site, "ada").get("/").get_data(as_text=True)


def never_ready() -> Service:
    service = Service(lambda: None, 1, 0)
    service.start = lambda: None
    return service


# Uploads


def test_an_upload_is_kept_without_metadata_and_described(site, member):
    picture = Image.new("RGB", (300, 200), "red")
    exif = picture.getexif()
    exif[0x010F] = "A camera with a name"
    exif[0x0112] = 6  # lies on its side
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    answer = upload(member, file.getvalue(), "/secret folder/me <b>.jpg", "camera")
    assert answer.status_code == 201
    said = answer.json
    assert (said["width"], said["height"]) == (200, 300)
    assert re.fullmatch(r"/photographs/[\w-]{22}/picture\.jpg", said["picture"])
    assert answer.headers["Location"] == said["picture"]
    shown = member.get(said["picture"])
    assert shown.status_code == 200 and shown.mimetype == "image/jpeg"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Cache-Control"].startswith("private")
    kept = Image.open(io.BytesIO(shown.data))
    assert kept.size == (200, 300) and b"A camera" not in shown.data and not kept.getexif()
    with site.app_context():
        row = db.session.get(Photograph, said["id"])
        assert (row.source, row.name) == ("camera", "me <b>.jpg")


@pytest.mark.parametrize("source", ["file", "drop", "paste", "camera"])
def test_the_way_it_came_is_kept(site, member, content, source):
    upload(member, content, source=source)
    with site.app_context():
        assert db.session.scalar(db.select(Photograph.source)) == source


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        ({}, 400, "Please choose a picture first."),
        ({"picture": (io.BytesIO(b""), "")}, 400, "Please choose a picture first."),
        ({"picture": (io.BytesIO(b""), "a.jpg")}, 400, "The picture cannot be used: empty file."),
        ({"picture": (io.BytesIO(b"<svg onload=alert(1)>"), "a.svg")}, 400, "not a picture"),
        ({"picture": (io.BytesIO(b"\xff\xd8\xff\xe0" + bytes(99)), "a.jpg")}, 400, "The picture cannot be used"),
        ({"picture": "no file"}, 400, "Please choose a picture first."),
        ({"picture": (io.BytesIO(b"x"), "a.jpg"), "source": "somewhere"}, 400, "source of the picture is not known"),
        ({"address": "http://127.0.0.1/"}, 422, "does not fetch pictures"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(site, member, data, code, sentence):
    answer = send(member, "/photographs", data)
    assert answer.status_code == code and sentence in answer.json["error"]
    assert files(site) == set() and count(site, Photograph) == 0


def test_a_jpeg_without_its_end_is_kept_and_the_next_page_says_so(member, collection):
    file = io.BytesIO()
    Image.new("RGB", (400, 300), (10, 90, 200)).save(file, "JPEG")
    assert upload(member, file.getvalue()).status_code == 201
    assert "was read, but" not in member.get("/").text
    assert upload(member, file.getvalue()[:-2]).status_code == 201
    assert "The picture was read, but its end is missing" in member.get("/").text
    assert "was read, but" not in member.get("/").text


def test_what_is_too_large_is_refused(make_site):
    site = make_site(upload_megabytes=1, upload_pixels=10_000)
    member = signed_in(site, "ada")
    for size in ((1 << 20) + 1, 3 << 20):
        answer = upload(member, b"\xff\xd8" + bytes(size))
        assert answer.status_code == 413 and answer.json["error"] == "The file is too large for this site."
    answer = upload(member, encoded(np.zeros((101, 100, 3), np.uint8)))
    assert answer.status_code == 400 and "the limit is 10000 pixels, RETRIEVAL_UPLOAD_PIXELS" in answer.json["error"]
    assert files(site) == set()


def test_uploads_are_limited_in_number_for_each_person(make_site, content):
    site = make_site(config={"RATELIMIT_ENABLED": True})
    # Sign-in is limited as well, so that the two come by the form once each.
    ada, bob = signed_in(site, "ada"), signed_in(site, "bob")
    codes = [upload(ada, b"nothing").status_code for _ in range(31)]
    assert codes == [400] * 30 + [429]
    refused = upload(ada, content)
    assert (
        refused.status_code == 429 and "Too many requests" in refused.json["error"] and "Retry-After" in refused.headers
    )
    assert upload(bob, content).status_code == 201


# Addresses


@pytest.fixture
def fetching(make_site, local):  # noqa: F811
    """A site that takes addresses, and for which this computer's test server is public."""
    return make_site(addresses=True, config={"NETWORK": local})


def test_a_picture_is_fetched_from_an_address(fetching, server, content, monkeypatch):  # noqa: F811
    monkeypatch.setattr(Pages, "picture", lambda self, _rest: self.answer(content, Content_Type="image/png"))
    member = signed_in(fetching, "ada")
    answer = send(member, "/photographs", {"address": f" http://museum.example:{server.server_port}/picture/sea.png "})
    assert answer.status_code == 201, answer.json
    with fetching.app_context():
        row = db.session.scalar(db.select(Photograph))
        assert (row.source, row.name) == ("address", "sea.png")


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        (":{port}/html", 422, "There is no picture at that address."),
        (":{port}/redirect?http://10.0.0.1/", 422, "not on the public internet"),
        (":{port}/picture", 400, "The picture cannot be used"),
        (":22/picture", 422, "standard ports"),
    ],
)
def test_what_an_address_does_not_give_is_said(fetching, server, path, code, sentence):  # noqa: F811
    member = signed_in(fetching, "ada")
    answer = send(member, "/photographs", {"address": "http://museum.example" + path.format(port=server.server_port)})
    assert answer.status_code == code and sentence in answer.json["error"]
    assert files(fetching) == set()


def test_addresses_are_limited_more_than_files(make_site, content):
    nowhere = Network(resolve=lambda host, port: [])
    site = make_site(addresses=True, config={"RATELIMIT_ENABLED": True, "NETWORK": nowhere})
    member = signed_in(site, "ada")
    codes = [send(member, "/photographs", {"address": "http://a.example"}).status_code for _ in range(11)]
    assert codes == [422] * 10 + [429]
    assert upload(member, content).status_code == 201


# What is on a photograph


def test_paintings_are_made_out(member, wall):
    photograph = upload(member, wall).json
    (corners,) = member.get(photograph["paintings"], headers=JSON).json["paintings"]
    left, top, right, bottom = np.array(corners)[[0, 0, 2, 2], [0, 1, 0, 1]]
    assert abs(left - 60) < 12 and abs(top - 130) < 12 and abs(bottom - 458) < 12 and right > left


def test_paintings_are_made_out_while_the_engine_warms_up(make_site, wall):
    member = signed_in(make_site(ready=never_ready()), "ada")
    assert member.get(upload(member, wall).json["paintings"]).status_code == 200


def test_what_is_painted_on_a_work_is_not_offered(member):
    picture = np.full((600, 800, 3), 235, np.uint8)
    for colour, (left, top, right, bottom) in (
        ((60, 40, 20), (100, 100, 500, 500)),  # a work
        ((200, 120, 40), (200, 200, 400, 400)),  # a window on it
    ):
        picture[top:bottom, left:right] = colour
    picture[100:500, 560:760] = (30, 90, 30)  # another work
    found = member.get(upload(member, encoded(picture)).json["paintings"]).json["paintings"]
    assert sorted(round(corners[0][0], -1) for corners in found) == [100, 560]


def test_on_an_empty_wall_there_are_none(member):
    photograph = upload(member, encoded(np.full((300, 400, 3), 200, np.uint8))).json
    assert member.get(photograph["paintings"]).json == {"paintings": []}


# Asking


def stored(site, query_id: str) -> Query:
    with site.app_context():
        query = db.session.get(Query, query_id)
        assert query.answer.content["frame"]
        db.session.expunge_all()
        return query


def test_the_whole_picture_is_asked_for(site, member, photograph):
    answer = ask(member, photograph, {"corners": None, "turns": 0})
    assert answer.status_code == 201
    assert answer.json["answer"] == f"/answers/{answer.json['id']}"
    query = stored(site, answer.json["id"])
    assert (query.verdict, query.corners, query.turns) == ("found", None, 0)
    assert member.get(answer.json["answer"]).status_code == 200


def test_several_parts_are_asked_for_at_once_and_found(site, member, collection):
    paths = sorted((collection / "images").iterdir())[:2]
    photograph = upload(member, encoded(hung(*(cv2.imread(str(path)) for path in paths)))).json
    found = member.get(photograph["paintings"]).json["paintings"]
    assert len(found) == 2
    answer = ask(member, photograph, *({"corners": corners} for corners in sorted(found)))
    assert answer.status_code == 201
    with site.app_context():
        queries = db.session.scalars(db.select(Query).order_by(Query.number)).all()
        assert [query.work_path for query in queries] == [path.name for path in paths]
        assert queries[0].id == answer.json["id"]


def photographed(collection: Path, width: int) -> bytes:
    """A JPEG of a dim photograph of a work, so many pixels wide."""
    work = cv2.imread(str(sorted((collection / "images").iterdir())[0]))
    dim = transforms.noise(transforms.light(hung(work), gamma=2.0), 6, np.random.default_rng(0))
    return cv2.imencode(".jpg", cv2.resize(dim, (width, width)), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


@pytest.mark.parametrize("width", [600, 2600])  # the larger one is reduced while it is decoded
def test_a_file_gets_the_answer_that_the_terminal_gives(site, member, engine, collection, width):
    content = photographed(collection, width)
    photograph = upload(member, content).json
    answer = ask(member, photograph, {}).json["id"]
    assert told(site, answer) == asked(engine, content)
    kept = site.extensions["uploads"].path(photograph["id"])
    assert asked(engine, kept) != told(site, answer)  # what is kept would not do
    assert b"Exif" not in kept.read_bytes()


def test_a_part_is_cut_from_the_pixels_as_they_came(site, member, engine, collection):
    content = photographed(collection, 600)
    part = engine.pixels(content)[100:450, 50:550]
    corners = [[50, 100], [550, 100], [550, 450], [50, 450]]
    answer = ask(member, upload(member, content).json, {"corners": corners}).json["id"]
    assert told(site, answer) == asked(engine, np.ascontiguousarray(part))


def test_a_part_of_a_large_photograph_is_cut_from_the_larger_copy(site, member, collection):
    photograph = upload(member, photographed(collection, 2600)).json
    assert (photograph["width"], photograph["height"]) == (2048, 2048)
    corners = [[0, 0], [1500, 0], [1500, 1500], [0, 1500]]
    answer = ask(member, photograph, {"corners": corners}).json["id"]
    assert cv2.imread(str(site.extensions["uploads"].path(answer))).shape == (1500, 1500, 3)


def asked(engine, picture) -> list[tuple]:
    answer = engine.ask(picture)
    return [(one.id, one.evidence.matches, one.evidence.inliers) for one in answer.after] + [answer.keypoints]


def told(site, query: str) -> list[tuple]:
    """The same of what the site stored."""
    with site.app_context():
        content = db.session.get(Query, query).answer.content
    known = [(image, content["candidates"][str(image)]) for image in content["after"]]
    return [(image, one["matches"], one["inliers"]) for image, one in known] + [content["keypoints"]]


def test_a_turned_part_is_asked_for_upright(site, member, collection):
    path = sorted((collection / "images").iterdir())[0]
    work = cv2.imread(str(path))
    lying = np.ascontiguousarray(np.rot90(work))  # turned to the left, so once to the right sets it upright
    photograph = upload(member, encoded(lying)).json
    query = stored(site, ask(member, photograph, {"corners": None, "turns": 1}).json["id"])
    assert (query.turns, query.work_path, query.verdict) == (1, path.name, "found")
    kept = cv2.imread(str(site.extensions["uploads"].path(query.id)))
    assert kept.shape == work.shape
    assert np.abs(kept.astype(int) - work).mean() < 8


WIDTH, HEIGHT = 400, 300
INSIDE = [[10, 10], [200, 10], [200, 150], [10, 150]]


@pytest.fixture
def plain(member) -> dict:
    """An upload of Ada's, 400 x 300 pixels."""
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return upload(member, encoded(noise)).json


def test_corners_slightly_beyond_the_picture_are_moved_to_its_border(site, member, plain):
    answer = ask(member, plain, {"corners": [[-10, -5], [410, 0], [405, 310], [0, 300]]})
    assert answer.status_code == 201
    assert stored(site, answer.json["id"]).corners == [[0, 0], [400, 0], [400, 300], [0, 300]]


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [{"corners": INSIDE}] * 9,
        ["no region"],
        [None],
        {"corners": INSIDE},
        "no list",
        None,
        [{"corners": INSIDE, "turns": 4}],
        [{"corners": INSIDE, "turns": -1}],
        [{"corners": INSIDE, "turns": "1"}],
        [{"corners": INSIDE, "turns": True}],
        [{"corners": INSIDE, "turns": None}],
        [{"corners": INSIDE, "turns": [1]}],
        [{"corners": INSIDE[:3]}],
        [{"corners": [*INSIDE, [0, 0]]}],
        [{"corners": "abcd"}],
        [{"corners": [[1, 2, 3]] * 4}],
        [{"corners": [["1", "2"]] * 4}],
        [{"corners": [[True, False], *INSIDE[1:]]}],
        [{"corners": [[None, 0], *INSIDE[1:]]}],
        [{"corners": [[float("nan"), 10], *INSIDE[1:]]}],
        [{"corners": [[float("inf"), 10], *INSIDE[1:]]}],
        [{"corners": [[10**400, 10], *INSIDE[1:]]}],
        [{"corners": [[-30, 10], *INSIDE[1:]]}],  # far outside
        [{"corners": [[10, 10], [500, 10], [500, 150], [10, 150]]}],
        [{"corners": INSIDE[::-1]}],  # anticlockwise
        [{"corners": [INSIDE[0], INSIDE[2], INSIDE[1], INSIDE[3]]}],  # crossed
        [{"corners": [[10, 10], [200, 10], [60, 50], [10, 150]]}],  # hollow
        [{"corners": [[10, 10], [100, 10], [200, 10], [10, 150]]}],  # three on a line
        [{"corners": [[10, 10]] * 4}],
        [{"corners": [[10, 10], [20, 10], [20, 20], [10, 20]]}],  # tiny
        [{"corners": [[0, 0], [390, 280], [400, 290], [10, 10]]}],  # a sliver
        [{"corners": [[-20, 0], [0, 0], [0, 300], [-20, 300]]}],  # nothing is left of it in the picture
    ],
)
def test_what_is_no_region_is_refused_and_nothing_is_stored(site, member, plain, regions):
    answer = ask(member, plain, data=json.dumps({"regions": regions}).encode())
    assert answer.status_code == 400 and answer.json["error"].endswith(".")
    assert count(site, Query) == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 60_000], ids=["empty", "half", "list", "null", "bytes", "deep"]
)
def test_what_is_no_question_is_refused(member, plain, body):
    assert ask(member, plain, data=body).status_code == 400


def test_a_question_that_is_not_json_is_refused(member, plain):
    answer = send(member, plain["ask"], {"regions": "[]"})
    assert answer.status_code == 415 and "error" in answer.json


def test_a_photograph_whose_file_is_gone_is_refused(site, member, plain):
    site.extensions["uploads"].delete(plain["id"])
    assert member.get(plain["picture"]).status_code == 404
    assert member.get(plain["paintings"], headers=JSON).status_code == 400
    assert ask(member, plain, {}).status_code == 400


def test_while_the_engine_warms_up_it_is_asked_again_later(make_site, content):
    site = make_site(ready=never_ready())
    member = signed_in(site, "ada")
    photograph = upload(member, content).json
    answer = ask(member, photograph, {"corners": None})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5" and "starting up" in answer.json["error"]
    assert count(site, Query) == 0 and count(site, Photograph) == 1


# The form without scripts


def submit(client, data: dict):
    token = csrf_token(client, SECRET)
    return client.post("/ask", data={"csrf_token": token} | data, headers={"Referer": "https://localhost/"})


def test_the_plain_form_asks_at_once(site, member, content):
    answer = submit(member, {"picture": (io.BytesIO(content), "sea.png"), "source": "file", "address": ""})
    assert answer.status_code == 303 and re.fullmatch(r"/answers/[\w-]{22}", answer.location)
    assert stored(site, answer.location.rsplit("/", 1)[1]).verdict == "found"


def test_the_plain_form_says_what_is_wrong_as_a_page(member):
    answer = submit(member, {"picture": (io.BytesIO(b"text"), "a.txt")})
    assert answer.status_code == 400 and answer.mimetype == "text/html" and "not a picture" in answer.text
    assert submit(member, {}).status_code == 400


def test_the_plain_form_keeps_nothing_where_the_engine_cannot_answer(make_site, content):
    site = make_site(ready=never_ready())
    answer = submit(signed_in(site, "ada"), {"picture": (io.BytesIO(content), "a.png")})
    assert answer.status_code == 503 and "Retry-After" in answer.headers and "starting up" in answer.text
    assert count(site, Photograph) == 0 and files(site) == set()


# Who may do what


def test_a_photograph_is_its_owners(site, member, other, admin, photograph):
    whole = {"corners": None}
    for client, codes in ((member, [200, 200, 201]), (other, [404] * 3), (admin, [200, 200, 404])):
        got = client.get(photograph["picture"]), client.get(photograph["paintings"]), ask(client, photograph, whole)
        assert [answer.status_code for answer in got] == codes
    assert count(site, Query) == 1


def test_strangers_are_told_to_sign_in(client, photograph, content):
    for address in (photograph["picture"], photograph["paintings"]):
        assert client.get(address, headers=JSON).status_code == 401
        assert "/user/sign-in" in client.get(address).location
    assert upload(client, content).status_code == 401
    assert ask(client, photograph, {}).status_code == 401
    assert "/user/sign-in" in submit(client, {"picture": (io.BytesIO(content), "a.png")}).location


@pytest.mark.parametrize(
    "photograph_id", ["", "x" * 22, "..%2f..%2fetc%2fpasswd", "a" * 21 + "%00", "é" * 22, "a" * 9999]
)
def test_what_is_no_photograph_is_not_found(member, photograph_id):
    assert member.get(f"/photographs/{photograph_id}/picture.jpg").status_code == 404
    assert member.get(f"/photographs/{photograph_id}/paintings").status_code == 404


def test_nothing_is_taken_without_the_secret_of_the_session(site, member, photograph, content):
    picture = {"picture": (io.BytesIO(content), "a.png")}
    answer = member.post("/photographs", data=picture, headers=JSON)
    assert answer.status_code == 400 and "form was not accepted" in answer.json["error"]
    assert member.post(photograph["ask"], json={"regions": [{}]}, headers=JSON).status_code == 400
    assert member.post("/ask", data={"picture": (io.BytesIO(content), "a.png")}).status_code == 400
    assert (count(site, Photograph), count(site, Query)) == (1, 0)


@pytest.mark.parametrize("address", ["/photographs", "/ask"])
def test_addresses_that_only_take_are_not_read(member, address):
    assert member.get(address).status_code == 405


def test_the_scripts_and_styles_of_the_page_are_there_and_nothing_is_inline(member):
    page = member.get("/").get_data(as_text=True)
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page)
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert member.get(name).status_code == 200
    scripts = Path("static/js").glob("ask*.js")
    imported = {name for script in scripts for name in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert imported and all(Path("static/js", name).is_file() for name in imported)

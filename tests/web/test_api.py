"""The interface for programs: who may use it, what it answers, how it refuses, and its description."""

import hashlib
import io
import json
import re
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from database.catalog import Work as Row
from database.tables import Answer, Photograph, Picture, Query, Token, User, Work, db
from database.works import load_catalog
from dataset.painting import paint
from tests.test_works_on_a_photograph import TWO, wall_with
from tests.web.conftest import add_user, browser, signed_in
from web import addresses
from web.security import limiter
from web.service import Service


class Program:
    """A program that sends a token with each request, and no cookies."""

    def __init__(self, site, token: str | None):
        self.client = browser(site)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, address: str, **options):
        return self.client.get(address, headers=self.headers, **options)

    def post(self, address: str = "/api/v1/search", **options):
        return self.client.post(address, headers=self.headers, **options)


def give_token(site, user: int) -> str:
    with site.app_context():
        token = f"token-of-{user}"
        db.session.add(Token(user_id=user, name="test", digest=hashlib.sha256(token.encode()).hexdigest()))
        db.session.commit()
        return token


def program_of(site, name: str, **options) -> Program:
    return Program(site, give_token(site, add_user(site, name, **options)))


@pytest.fixture
def stranger(site) -> Program:
    return Program(site, None)


@pytest.fixture
def program(site) -> Program:
    """Of Ada."""
    return program_of(site, "ada")


@pytest.fixture
def photograph(engine) -> bytes:
    """A file that shows work 1."""
    return (engine.dataset / engine.images[1]).read_bytes()


def form(content: bytes, name: str = "photo.png", **fields) -> dict:
    return {"data": {"picture": (io.BytesIO(content), name), **fields}}


def check_refused(answer, code: int, *words: str) -> None:
    """An error is JSON with code, status and a sentence."""
    assert answer.status_code == code, answer.get_data(as_text=True)
    assert answer.mimetype == "application/json"
    assert answer.json["code"] == code and answer.json["status"] and answer.json["message"]
    for word in words:
        assert word in answer.get_data(as_text=True)


def stored(site) -> list[int]:
    with site.app_context():
        return [db.session.scalar(db.select(db.func.count()).select_from(kind)) for kind in (Photograph, Query, Answer)]


# Who may use it


@pytest.mark.parametrize("address", ["/api/v1/works", "/api/v1/works/1", "/api/v1/works/1/similar"])
def test_an_open_collection_needs_no_token(stranger, program, address):
    assert stranger.get(address).status_code == 200
    assert program.get(address).status_code == 200


@pytest.mark.parametrize("address", ["/api/v1/works", "/api/v1/works/1", "/api/v1/works/1/similar"])
def test_a_private_collection_needs_a_token(make_site, address):
    site = make_site(private=True)
    answer = Program(site, None).get(address)
    check_refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert program_of(site, "ada").get(address).status_code == 200
    check_refused(signed_in(site, "bob").get(address), 401)  # a cookie is no token


def test_a_program_may_fetch_the_pictures_of_a_private_collection(make_site):
    site = make_site(private=True)
    ada = program_of(site, "ada")
    for link in ("picture", "thumbnail", "manifest"):
        assert ada.get(ada.get("/api/v1/works/1").json["links"][link]).status_code == 200
    assert Program(site, "wrong").get("/works/1/picture.jpg").status_code == 401


def test_asking_needs_a_token_and_no_cookie_will_do(site, stranger, member, photograph):
    check_refused(stranger.post(**form(photograph)), 401)
    check_refused(member.post("/api/v1/search", **form(photograph)), 401)
    check_refused(stranger.get("/api/v1/queries/" + "a" * 22), 401)
    assert stored(site) == [0, 0, 0]


@pytest.mark.parametrize("token", ["wrong", "", " ", "ä", "a" * 5000, "' OR '1'='1"])
def test_a_wrong_token_is_refused_everywhere(site, program, photograph, token):
    wrong = Program(site, None)
    wrong.headers = {"Authorization": f"Bearer {token}"}
    for answer in (wrong.get("/api/v1/works"), wrong.post(**form(photograph))):
        check_refused(answer, 401)
        assert "error=invalid_token" in answer.headers["WWW-Authenticate"]


def test_another_way_to_sign_in_is_no_token(site, photograph):
    basic = Program(site, None)
    basic.headers = {"Authorization": "Basic YTpi"}
    assert basic.get("/api/v1/works").status_code == 200
    check_refused(basic.post(**form(photograph)), 401)


def test_the_token_of_a_disabled_or_unconfirmed_user_is_worth_nothing(site, program):
    check_refused(program_of(site, "eve", confirmed=False).get("/api/v1/works"), 401)
    with site.app_context():
        db.session.scalar(db.select(User).filter_by(username="ada")).active = False
        db.session.commit()
    check_refused(program.get("/api/v1/works"), 401)


# Asking


def test_a_picture_is_found(site, program, photograph):
    answer = program.post(**form(photograph))
    assert answer.status_code == 201, answer.json
    said = answer.json
    assert (said["verdict"], said["work"]["id"]) == ("found", 1)
    assert answer.headers["Location"] == f"/api/v1/queries/{said['id']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["created_at"])
    evidence = said["evidence"]
    assert evidence["inliers"] > 50 and evidence["matches"] >= evidence["inliers"]
    assert 0.3 < evidence["work_area"] <= 1 and 0.3 < evidence["query_area"] <= 1
    assert np.allclose(evidence["outline"], [[0, 0], [1, 0], [1, 1], [0, 1]], atol=0.03)
    assert said["ranking"]["after"][0]["work"] == 1
    similarities = [place["similarity"] for place in said["ranking"]["before"]]
    assert len(similarities) == 12 and similarities == sorted(similarities, reverse=True)
    assert said["seconds"]["network"] > 0
    assert said["links"]["page"] == f"https://localhost/answers/{said['id']}"
    assert program.get(answer.headers["Location"]).json == said
    with site.app_context():
        assert db.session.scalar(db.select(Photograph.source)) == "api"


def test_what_is_amiss_with_a_picture_is_said_then_and_later(program, photograph):
    pixels = cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR)
    content = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert program.post(**form(content)).json["notes"] == []
    said = program.post(**form(content[:-2])).json
    assert len(said["notes"]) == 1 and said["notes"][0].startswith("its end is missing")
    assert program.get(f"/api/v1/queries/{said['id']}").json["notes"] == said["notes"]


def test_the_owner_sees_the_answer_on_the_site(site, program, photograph):
    said = program.post(**form(photograph)).json
    owner = browser(site)
    with site.app_context():
        assert db.session.get(Query, said["id"]).user.username == "ada"
    assert owner.get(said["links"]["page"]).status_code == 302  # to sign in


def test_a_part_of_a_picture_is_asked_for(program, engine):
    """The right half of a photograph with two works, on its side: corners and turns set it right."""
    works = [cv2.imread(str(engine.dataset / engine.images[id])) for id in (1, 2)]
    left, right = (cv2.resize(work, (600, 400)) for work in works)
    right = cv2.rotate(right, cv2.ROTATE_90_COUNTERCLOCKWISE)
    canvas = np.full((600, 1200, 3), 200, np.uint8)
    canvas[:400, :600], canvas[:, 700:1100] = left, right
    content = cv2.imencode(".png", canvas)[1].tobytes()
    corners = [[700 / 1200, 0], [1100 / 1200, 0], [1100 / 1200, 1], [700 / 1200, 1]]
    said = program.post(**form(content, corners=json.dumps(corners), turns="1")).json
    assert said["work"] and said["work"]["id"] == 2, said


def test_what_shows_nothing_is_not_found(program):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    said = program.post(**form(cv2.imencode(".png", noise)[1].tobytes())).json
    assert said["verdict"] == "not found" and said["work"] is None and said["evidence"] is None
    assert said["ranking"]["before"]


def test_all_works_on_a_picture_are_told(site, program, engine):
    pictures = {place: cv2.imread(str(engine.dataset / engine.images[image])) for image, place in TWO.items()}
    wall, outlines = wall_with(pictures | {(60, 330, 270): paint("abstract", "grid", 77, 400)})
    said = program.post(**form(cv2.imencode(".png", wall)[1].tobytes())).json
    told = {work["picture"]: work for work in said["works"]}
    assert len(said["works"]) == 2 and set(told) == set(TWO)
    for image, outline in zip(TWO, outlines, strict=False):
        assert told[image]["work"]["id"] == image and told[image]["verdict"] == "found"
        assert told[image]["probability"] is None and told[image]["inliers"] > 10
        assert np.allclose(told[image]["outline"], outline / wall.shape[1::-1], atol=0.03)
    assert np.allclose(said["unidentified"], [outlines[2] / wall.shape[1::-1]], atol=0.03)
    assert said["works"][0]["picture"] == said["ranking"]["after"][0]["picture"]
    with site.app_context():
        db.session.delete(db.session.get(Work, 7))
        db.session.commit()
    again = program.get(f"/api/v1/queries/{said['id']}").json
    assert {work["picture"]: work["work"] is None for work in again["works"]} == {7: True, 11: False}


def test_an_answer_is_for_its_owner_and_for_administrators(site, program, photograph):
    address = program.post(**form(photograph)).headers["Location"]
    check_refused(program_of(site, "bob").get(address), 404)
    assert program_of(site, "root", admin=True).get(address).status_code == 200


def test_a_work_that_has_left_the_collection_is_no_longer_told(site, program, photograph):
    address = program.post(**form(photograph)).headers["Location"]
    with site.app_context():
        db.session.get(Picture, 1).path = "another.jpg"
        db.session.commit()
    said = program.get(address).json
    assert said["verdict"] == "found" and said["work"] is None and said["evidence"]["inliers"]


@pytest.mark.parametrize("id", ["x", "a" * 22, "%00" * 22, "..", "a" * 5000])
def test_an_answer_that_does_not_exist_is_not_found(program, id):
    check_refused(program.get(f"/api/v1/queries/{id}"), 404)


def test_an_address_is_fetched_where_the_site_allows_it(make_site, monkeypatch, photograph):
    asked = []

    def fetch(address):
        asked.append(address)
        if "refused" in address:
            raise addresses.Refused("That address is not on the public internet.")
        return photograph, "seen.jpg"

    site = make_site(addresses=True)
    monkeypatch.setattr(addresses, "fetch_for_site", fetch)
    ada = program_of(site, "ada")
    assert ada.post(json={"address": "https://example.org/a.jpg"}).json["work"]["id"] == 1
    assert ada.post(data={"address": "https://example.org/b.jpg", "turns": "0"}).status_code == 201
    check_refused(ada.post(json={"address": "http://refused.example"}), 422, "not on the public internet")
    assert asked[:2] == ["https://example.org/a.jpg", "https://example.org/b.jpg"]


def test_addresses_are_refused_where_the_site_does_not_fetch(program):
    check_refused(program.post(json={"address": "https://example.org/a.jpg"}), 422)


# Refusals


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"<svg/>"])
def test_a_bad_picture_is_refused_and_nothing_is_kept(site, program, content):
    answer = program.post(**form(content))
    check_refused(answer, 400)
    assert stored(site) == [0, 0, 0]


CLOCKWISE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"turns": "4"}, "turns"),
        ({"turns": "x"}, "turns"),
        ({"corners": "[[0,0]]"}, "corners"),
        ({"corners": "no JSON"}, "corners"),
        ({"corners": "[" * 100_000}, "corners"),
        ({"corners": json.dumps(CLOCKWISE[::-1])}, "corners"),
        ({"corners": json.dumps([CLOCKWISE[0], CLOCKWISE[2], CLOCKWISE[1], CLOCKWISE[3]])}, "corners"),
        ({"corners": json.dumps([[0.5, 0.5]] * 4)}, "corners"),
        ({"corners": json.dumps([[0.1, 0.1], [0.5, 0.1], [0.9, 0.1], [0.1, 0.9]])}, "corners"),  # three on a line
        ({"corners": "[[0,0],[1.5,0],[1,1],[0,1]]"}, "corners"),
        ({"corners": "[[0,0],[NaN,0],[1,1],[0,1]]"}, "corners"),
        ({"address": "https://example.org"}, "picture"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(site, program, photograph, fields, named):
    answer = program.post(**form(photograph, **fields))
    check_refused(answer, 422)
    assert named in answer.json["errors"]
    assert stored(site) == [0, 0, 0]


@pytest.mark.parametrize("sent", [{}, {"address": ""}, {"address": 7}, [], "x", {"corners": CLOCKWISE}])
def test_json_without_an_address_is_refused(program, sent):
    check_refused(program.post(json=sent), 422)


def test_requests_that_cannot_be_read_are_refused(program, photograph):
    check_refused(program.post(data=b"{", content_type="application/json"), 400)
    check_refused(program.post(data=photograph, content_type="image/png"), 415)
    check_refused(program.post(), 415)


def test_a_file_that_is_too_large_is_refused(make_site, photograph):
    site = make_site(upload_megabytes=1)
    ada = program_of(site, "ada")
    check_refused(ada.post(**form(photograph + b"\0" * (3 << 20))), 413)
    check_refused(ada.post(**form(b"\0" * ((1 << 20) + 1))), 413)
    assert stored(site) == [0, 0, 0]


def test_addresses_and_methods_that_do_not_exist_are_refused_in_json(program):
    check_refused(program.get("/api/v1/nothing"), 404)
    check_refused(program.get("/api/v1/search"), 405)
    check_refused(program.get("/api/v1/works/999"), 404)
    check_refused(program.get("/api/v1/works/" + "9" * 30), 404)
    check_refused(program.get("/api/v1/works/999/similar"), 404)


def test_while_the_engine_warms_up_it_says_when_to_try_again(make_site, photograph):
    waits = threading.Event()
    warming = Service(lambda: waits.wait(30), 1, 1)
    site = make_site(warming)
    ada = program_of(site, "ada")
    for answer in (ada.post(**form(photograph)), ada.get("/api/v1/works/1/similar")):
        check_refused(answer, 503, "starting up")
        assert int(answer.headers["Retry-After"]) > 0
    assert stored(site) == [0, 0, 0]
    warming._stopped.set()
    waits.set()


def test_where_the_line_is_full_nothing_is_kept(make_site, engine, photograph):
    full = Service(lambda: engine, computing=1, waiting=0)
    full._take(engine)
    site = make_site(full)
    ada = program_of(site, "ada")
    with full.turn():
        check_refused(ada.post(**form(photograph)), 503)
    assert stored(site) == [0, 0, 0]
    assert not list(site.extensions["uploads"].folder.glob("*"))
    assert ada.post(**form(photograph)).status_code == 201
    full.stop()


def test_an_error_of_the_site_is_json_too(make_site, photograph, monkeypatch):
    site = make_site(config={"PROPAGATE_EXCEPTIONS": False, "TESTING": False})
    monkeypatch.setattr("web.api.views.answer_json", lambda query: 1 / 0)
    check_refused(program_of(site, "ada").post(**form(photograph)), 500)


def test_each_program_asks_sixty_times_a_minute(make_site):
    site = make_site(config={"RATELIMIT_ENABLED": True})
    limiter.reset()
    ada, bob = program_of(site, "ada"), program_of(site, "bob")
    for _ in range(60):
        assert ada.post().status_code == 415
    answer = ada.post()
    check_refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    assert bob.post().status_code == 415
    limiter.reset()


# The collection


def test_works_are_listed_page_by_page(stranger):
    first = stranger.get("/api/v1/works?page_size=5").json
    assert (first["total"], first["page"], first["pages"]) == (12, 1, 3)
    seen = [
        work["id"]
        for page in (1, 2, 3)
        for work in stranger.get(f"/api/v1/works?page_size=5&page={page}").json["works"]
    ]
    assert sorted(seen) == list(range(1, 13))
    header = json.loads(stranger.get("/api/v1/works?page_size=5&page=2").headers["X-Pagination"])
    assert (header["total"], header["previous_page"], header["next_page"]) == (12, 1, 3)
    assert stranger.get("/api/v1/works?page=99999999999999999999").json["works"] == []


def test_works_are_searched_and_narrowed_down(site, stranger):
    with site.app_context():
        path = db.session.get(Work, 3).path
        load_catalog([Row(author="DÜRER, Albrecht", title="Hare", school="German", form="graphics", file=path)])
    (found,) = stranger.get("/api/v1/works?q=durer&school=German").json["works"]
    assert (found["id"], found["title"], found["author"], found["file"]) == (3, "Hare", "DÜRER, Albrecht", path)
    assert stranger.get("/api/v1/works?q=durer&school=Dutch").json["total"] == 0
    assert stranger.get("/api/v1/works?q=%00&school=%00").status_code == 200
    assert stranger.get("/api/v1/works/3").json == found


@pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=101", "page_size=0", "sort=words", "q=" + "a" * 201])
def test_a_list_of_works_that_cannot_be_is_refused(stranger, query):
    answer = stranger.get(f"/api/v1/works?{query}")
    check_refused(answer, 422)
    assert query.split("=")[0] in str(answer.json["errors"])


def test_the_links_of_a_work_lead_somewhere(stranger):
    for link in stranger.get("/api/v1/works/1").json["links"].values():
        assert link.startswith("https://localhost/") and stranger.get(link).status_code == 200


def test_similar_works_come_with_their_similarity(stranger, engine):
    said = stranger.get("/api/v1/works/1/similar?count=3").json
    assert [(it["work"]["id"], it["similarity"]) for it in said] == [
        (id, pytest.approx(similarity, abs=1e-4)) for id, similarity in engine.similar(1, 3)
    ]
    check_refused(stranger.get("/api/v1/works/1/similar?count=101"), 422)


# The description


def references(part) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def test_the_description_is_whole_and_names_every_address(site, client):
    spec = client.get("/api/openapi.json").json
    assert spec["openapi"].startswith("3.") and spec["info"]["title"] and spec["info"]["version"]
    assert spec["components"]["securitySchemes"]["token"] == {
        "type": "http",
        "scheme": "bearer",
        "description": spec["components"]["securitySchemes"]["token"]["description"],
    }
    described = {(method, path) for path, item in spec["paths"].items() for method in item if method != "parameters"}
    routes = {
        (method.lower(), re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in site.url_map.iter_rules()
        if rule.endpoint.startswith("v1.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert described == routes and len(routes) == 10
    for reference in references(spec):
        part = spec
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    ids = set()
    for path, item in spec["paths"].items():
        named = {parameter["name"] for parameter in item.get("parameters", []) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for method, operation in item.items():
            if method == "parameters":
                continue
            ids.add(operation["operationId"])
            assert operation["summary"]
            assert all(
                response.get("description") or "$ref" in response for response in operation["responses"].values()
            )
    assert len(ids) == 10


def test_answers_are_as_the_description_says(client, program, photograph):
    schemas = client.get("/api/openapi.json").json["components"]["schemas"]
    said = program.post(**form(photograph)).json
    assert set(said) == set(schemas["Answer"]["properties"])
    assert set(said["work"]) == set(schemas["Work"]["properties"])
    assert set(said["evidence"]) == set(schemas["Evidence"]["properties"])
    assert set(said["ranking"]["after"][0]) == set(schemas["Place"]["properties"])
    assert set(said["works"][0]) == set(schemas["Sighting"]["properties"])


def test_a_page_shows_the_description(client, member):
    for somebody in (client, member):
        page = somebody.get("/api").get_data(as_text=True)
        for path in ("/api/v1/search", "/api/v1/queries/{id}", "/api/v1/works", "/api/v1/works/{id}/similar"):
            assert path in page
        assert (
            "curl -H &#34;Authorization: Bearer $TOKEN&#34; -F picture=@photograph.jpg https://localhost/api/v1/search"
            in page
        )
        anchors = set(re.findall(r'href="#([^"]+)"', page)) - {"main"}
        assert anchors and anchors <= set(re.findall(r'id="([^"]+)"', page))


def test_a_picture_with_metadata_is_kept_without(site, program):
    picture = Image.new("RGB", (64, 48), "red")
    exif = picture.getexif()
    exif[0x010F] = "a camera of mine"
    content = io.BytesIO()
    picture.save(content, "JPEG", exif=exif)
    assert program.post(**form(content.getvalue())).status_code == 201
    (kept,) = site.extensions["uploads"].folder.glob("*.jpg")
    assert b"camera" not in kept.read_bytes()

"""Manifests, checked by what IIIF Presentation 3.0 says a client MUST find (https://iiif.io/api/presentation/3.0/)."""

import io
import json
import re
from urllib.parse import urlsplit

import pytest
from PIL import Image

from database.catalog import Work as Row
from database.tables import Picture, Work, db
from database.works import follow, load_catalog
from web import collection

CONTEXT = "http://iiif.io/api/presentation/3/context.json"


@pytest.fixture
def manifest(site, client):
    with site.app_context():
        path = db.session.get(Work, 1).path
        load_catalog([Row(author="DÜRER", title="Hare", date="1502", url="https://museum.example/hare", file=path)])
    answer = client.get("/works/1/manifest.json")
    assert answer.status_code == 200
    return json.loads(answer.data)


def check_language_map(value: dict) -> None:
    """MUST: a JSON object of language codes (or "none"), each with an array of strings."""
    assert isinstance(value, dict) and value
    for language, texts in value.items():
        assert language == "none" or re.fullmatch(r"[a-z]{2,3}(-\w+)*", language)
        assert isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)


def check_address(value: str) -> None:
    parts = urlsplit(value)
    assert parts.scheme in ("http", "https") and parts.netloc


def test_its_type_and_context_are_told(client):
    answer = client.get("/works/1/manifest.json")
    assert answer.content_type == f'application/ld+json;profile="{CONTEXT}"'
    assert next(iter(json.loads(answer.data).items())) == ("@context", CONTEXT)  # SHOULD come first


def test_the_manifest_has_what_it_must(manifest):
    assert manifest["type"] == "Manifest"
    assert manifest["id"] == "https://localhost/works/1/manifest.json"
    check_language_map(manifest["label"])
    assert isinstance(manifest["items"], list) and len(manifest["items"]) == 1
    for pair in manifest["metadata"]:
        check_language_map(pair["label"])
        check_language_map(pair["value"])
    for thumbnail in manifest["thumbnail"]:
        check_address(thumbnail["id"])
        assert thumbnail["type"] == "Image"
    for page in manifest["homepage"]:
        check_address(page["id"])
        check_language_map(page["label"])
        assert page["type"] == "Text"


def test_the_canvas_and_its_annotation_have_what_they_must(manifest):
    (canvas,) = manifest["items"]
    check_address(canvas["id"])
    assert "#" not in canvas["id"] and canvas["type"] == "Canvas"
    assert canvas["height"] > 0 and canvas["width"] > 0
    assert isinstance(canvas["height"], int) and isinstance(canvas["width"], int)
    (page,) = canvas["items"]
    check_address(page["id"])
    assert page["type"] == "AnnotationPage"
    (annotation,) = page["items"]
    check_address(annotation["id"])
    assert annotation["type"] == "Annotation" and annotation["motivation"] == "painting"
    assert annotation["target"] == canvas["id"]
    body = annotation["body"]
    check_address(body["id"])
    assert body["type"] == "Image" and body["format"] == "image/jpeg"
    ids = [manifest["id"], canvas["id"], page["id"], annotation["id"], body["id"]]
    assert len(set(ids)) == len(ids)


def test_the_canvas_is_as_large_as_the_picture(manifest, client):
    (canvas,) = manifest["items"]
    body = canvas["items"][0]["items"][0]["body"]
    picture = Image.open(io.BytesIO(client.get(urlsplit(body["id"]).path).data))
    assert picture.size == (canvas["width"], canvas["height"]) == (body["width"], body["height"])


def test_it_says_what_the_catalogue_says(manifest):
    assert manifest["label"] == {"none": ["Hare"]}
    said = {pair["label"]["en"][0]: pair["value"]["none"][0] for pair in manifest["metadata"]}
    assert said == {"Artist": "DÜRER", "Title": "Hare", "Date": "1502"}
    assert [page["id"] for page in manifest["homepage"]] == [
        "https://localhost/works/1",
        "https://museum.example/hare",
    ]


def test_viewers_on_other_sites_may_read_it(client):
    answer = client.get("/works/1/manifest.json", headers={"Origin": "https://viewer.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_without_a_picture_there_is_no_manifest(site, client):
    with site.app_context():
        db.session.get(Picture, 1).path = "gone.jpg"
        db.session.commit()
    assert client.get("/works/1/manifest.json").status_code == 404


def test_a_forged_host_is_refused(client):
    assert client.get("/works/1/manifest.json", headers={"Host": "evil.example"}).status_code == 400


def test_the_page_of_the_work_links_to_it(client):
    assert 'href="/works/1/manifest.json"' in client.get("/works/1").get_data(as_text=True)


# The collection of all works


def test_all_works_are_in_collections_of_a_page_each(client, monkeypatch):
    monkeypatch.setattr(collection, "IIIF_PAGE", 5)
    answer = client.get("/collection/iiif.json")
    assert answer.content_type == f'application/ld+json;profile="{CONTEXT}"'
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    top = json.loads(answer.data)
    assert next(iter(top.items())) == ("@context", CONTEXT)
    assert (top["type"], top["id"]) == ("Collection", "https://localhost/collection/iiif.json")
    check_language_map(top["label"])
    assert [page["label"]["en"] for page in top["items"]] == [
        ["Works 1 to 5 of 12"],
        ["Works 6 to 10 of 12"],
        ["Works 11 to 12 of 12"],
    ]
    manifests = []
    for page in top["items"]:
        assert page["type"] == "Collection" and "items" not in page
        said = json.loads(client.get(urlsplit(page["id"]).path).data)
        assert (said["id"], said["label"], said["partOf"][0]["id"]) == (page["id"], page["label"], top["id"])
        for item in said["items"]:
            check_language_map(item["label"])
            assert item["type"] == "Manifest"
        manifests += [item["id"] for item in said["items"]]
    assert manifests == [f"https://localhost/works/{id}/manifest.json" for id in range(1, 13)]
    assert client.get(urlsplit(manifests[-1]).path).status_code == 200
    assert 'href="/collection/iiif.json"' in client.get("/collection").get_data(as_text=True)


@pytest.mark.parametrize("number", ["0", "2", "-1", "2147483", "2147484", "x"])
def test_a_page_that_is_not_there_is_not_found(client, number):
    assert client.get(f"/collection/iiif/{number}.json").status_code == 404


def test_a_private_collection_of_works_is_for_people_with_an_account(make_site):
    client = make_site(private=True).test_client()
    for address in ("/collection/iiif.json", "/collection/iiif/1.json"):
        answer = client.get(address, base_url="https://localhost")
        assert answer.status_code == 401 and "Access-Control-Allow-Origin" not in answer.headers


def test_an_empty_collection_of_works_has_no_pages(site, client):
    with site.app_context():
        follow({})
    assert json.loads(client.get("/collection/iiif.json").data)["items"] == []

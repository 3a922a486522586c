"""What is read out of manifests, collections and image services, of every version and with the usual mistakes."""

import pytest

from dataset import iiif
from dataset.iiif import NotIIIF, Picture, Service
from tests.dataset.iiif_documents import body3, manifest2, manifest3, pair3, resource2

SERVICE2 = {"@context": "http://iiif.io/api/image/2/context.json", "@id": "http://m/i/1", "profile": "level2"}


def metadata(*pairs: dict, languages: tuple[str, ...] = ("en",), **more) -> iiif.Manifest:
    return iiif.read_manifest(manifest3("http://m/1", [], metadata=list(pairs), **more), languages)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html>",
        b'{"type": "Manifest"',
        b"[" * 100_000,
        b'{"type": "Mani\xff"}',
        b"[]",
        b"null",
        b'{"type": ["Manifest"]}',
        b'{"type": "Canvas"}',
        b"1" * 10_000,
    ],
)
def test_rubbish_is_no_manifest(data):
    with pytest.raises(NotIIIF):
        iiif.parse(data)


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [None], [1], ["x"], [[]], [{}], {"a": 1}, {"items": 1}, True])
def test_a_manifest_with_junk_in_any_place_is_read_as_far_as_it_goes(junk):
    whole3 = manifest3("http://m/1", [body3("http://m/1.jpg", SERVICE2)], metadata=[pair3("Artist", "Dürer")])
    whole2 = manifest2("http://m/1", [resource2("http://m/1.jpg", SERVICE2)], metadata=[{"label": "A", "value": "B"}])

    def spoil(document: dict | list) -> None:
        for key in list(document) if isinstance(document, dict) else range(len(document)):
            kept = document[key]
            if isinstance(kept, (dict, list)):
                spoil(kept)
            document[key] = junk
            manifest = iiif.read_manifest(whole)
            iiif.members(whole)
            for picture in manifest.pictures:
                assert isinstance(picture.id, str)
                iiif.sized(picture, 100)
            assert all(isinstance(text, str) for text in manifest.fields.values())
            document[key] = kept

    for whole in (whole3, whole2):
        spoil(whole)
        assert [picture.id for picture in iiif.read_manifest(whole).pictures] == ["http://m/i/1"]


@pytest.mark.parametrize(
    ("label", "column"),
    [
        ("Accession Number:", "Inventory number"),
        ("Inventar-Nr.", "Inventory number"),
        ("N° d'inventaire", "Inventory number"),
        ("Número de inventario", "Inventory number"),
        ("Numero d’inventario", "Inventory number"),
        ("Inventarisnummer", "Inventory number"),
        ("Identifier", "Inventory number"),
        ("Künstler", "Artist"),
        ("Künstler/in", "Artist"),
        ("VERVAARDIGER", "Artist"),
        ("Titre", "Title"),
        ("Entstehungszeit", "Date"),
        ("Datación", "Date"),
        ("Matériaux et techniques", "Technique"),
        ("Medium", "Technique"),
        ("Maße", "Dimensions"),
        ("Afmetingen", "Dimensions"),
        ("Nutzungsrechte", "Rights"),
    ],
)
def test_labels_in_the_usual_languages(label, column):
    assert metadata(pair3({"none": [label]}, "x"), label={}).fields == {column: "x"}


def test_the_label_in_another_language_than_the_one_shown_tells_the_meaning():
    read = metadata(pair3({"fi": ["Tekijä"], "en": ["Artist"]}, {"fi": ["Dürer"]}), languages=("fi",))
    assert read.fields["Artist"] == "Dürer"


def test_of_several_labels_that_mean_the_same_the_better_one_is_taken_and_none_lost():
    read = metadata(
        pair3("Identifier", "urn:9"),
        pair3("Accession Number", "1921.2"),
        pair3("Maker", "Workshop"),
        pair3("Artist", "Dürer"),
        pair3("Artist", "Aachen"),
        pair3("Provenance", "Paris"),
        pair3("provenance", "Rome"),
        pair3("Image file", "evil.jpg"),
        pair3("Manifest", "a list"),
    )
    assert read.fields | {"Title": ""} == {"Inventory number": "1921.2", "Artist": "Dürer; Aachen", "Title": ""}
    assert read.further == [
        ("Other Identifier", "urn:9"),
        ("Other Maker", "Workshop"),
        ("Provenance", "Paris; Rome"),
        ("Other Image file", "evil.jpg"),
        ("Other Manifest", "a list"),
    ]


SEVERAL3 = {"de": ["Hase"], "fr-CH": ["Lièvre"], "en": ["Hare"]}
SEVERAL2 = [{"@value": text, "@language": language} for language, (text,) in SEVERAL3.items()]


@pytest.mark.parametrize("value", [SEVERAL3, SEVERAL2], ids=["version 3", "version 2"])
@pytest.mark.parametrize(
    ("wanted", "text"),
    [(("de",), "Hase"), (("fr", "en"), "Lièvre"), (("nl", "en"), "Hare"), (("nl",), "Hase")],
)
def test_texts_in_several_languages(value, wanted, text):
    assert iiif.text_in(value, wanted) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Hare", "Hare"),
        ({"none": ["Hare", "Rabbit", "Hare"]}, "Hare; Rabbit"),
        ({"@none": "Hare"}, "Hare"),
        (["Hare", {"@value": "Rabbit"}], "Hare; Rabbit"),
        ({"en_GB": ["Hare"], "de": ["Hase"]}, "Hare"),
        ({"en": [1921, None]}, "1921"),
        ('<p>By <a href="http://x">D&uuml;rer</a><br/>1502</p>', "By Dürer\n1502"),
        ("<script", "<script"),
        ("Oil &amp; gold", "Oil & gold"),
        ("a\x00b\ud800  c\r\n\n d", "ab c\nd"),
        ("x" * 100_000, "x" * (iiif.MAX_TEXT - 4) + " ..."),
    ],
)
def test_a_text_is_plain(value, text):
    assert iiif.text_in(value, ("en",)) == text


def test_rights_come_from_every_place_that_has_them():
    statement = pair3("Attribution", "<span>© Museum</span>")
    read = metadata(pair3("Rights", "Ask us"), rights="http://cc/0", requiredStatement=statement)
    assert read.fields["Rights"] == "http://cc/0; © Museum; Ask us"
    old = iiif.read_manifest(manifest2("http://m/1", [], license="http://cc/by", attribution="© Museum"))
    assert old.fields["Rights"] == "http://cc/by; © Museum"


def test_what_kind_of_object_it_is_is_no_title():
    read = metadata(pair3("Object name", "Painting"), label={"en": ["Hare"]})
    assert read.fields["Title"] == "Hare" and read.further == [("Other Object name", "Painting")]


def test_the_title_is_the_metadata_s_or_else_the_label():
    assert metadata(label={"en": ["Hare"]}).fields["Title"] == "Hare"
    both = metadata(pair3("Title", "Hare"), label={"en": ["Dürer, Hare"]})
    assert both.fields["Title"] == "Hare" and both.further == [("Manifest label", "Dürer, Hare")]


def test_a_page_about_the_object():
    assert metadata(homepage=[{"id": "http://m/page", "type": "Text"}]).homepage == "http://m/page"
    for related in ("http://m/page", {"@id": "http://m/page"}, [{"@id": "http://m/page"}, "http://m/other"]):
        assert iiif.read_manifest(manifest2("http://m/1", [], related=related)).homepage == "http://m/page"


# Pictures


def pictures(*bodies: dict) -> list[Picture]:
    return iiif.read_manifest(manifest3("http://m/1", list(bodies))).pictures


def test_the_first_of_a_choice_and_the_source_of_a_part():
    choice = {"type": "Choice", "items": [body3("http://m/visible.jpg"), body3("http://m/x-ray.jpg")]}
    part = {"type": "SpecificResource", "source": body3("http://m/whole.jpg")}
    video = {"id": "http://m/film.mp4", "type": "Video"}
    assert [one.full for one in pictures(choice, part, video)] == ["http://m/visible.jpg", "http://m/whole.jpg"]
    old = {"@type": "oa:Choice", "default": resource2("http://m/a.jpg"), "item": [resource2("http://m/b.jpg")]}
    cut = {"@type": "oa:SpecificResource", "full": resource2("http://m/c.jpg")}
    read = iiif.read_manifest(manifest2("http://m/1", [old, cut])).pictures
    assert [one.full for one in read] == ["http://m/a.jpg", "http://m/c.jpg"]


def test_what_is_not_painted_is_no_picture():
    document = manifest3("http://m/1", [body3("http://m/1.jpg")])
    document["items"][0]["items"][0]["items"][0]["motivation"] = "commenting"
    document["thumbnail"] = [body3("http://m/small.jpg")]
    assert iiif.read_manifest(document).pictures == []


def test_a_picture_that_is_painted_twice_counts_once():
    assert len(pictures(body3("http://m/1.jpg"), body3("http://m/1.jpg"))) == 1


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"id": "http://m/i", "type": "ImageService3", "profile": "level1"}, Service("http://m/i", 3, 1)),
        ({"@id": "http://m/i/", "@type": "ImageService2", "profile": "level0"}, Service("http://m/i", 2, 0)),
        (SERVICE2, Service("http://m/i/1", 2, 2)),
        (
            {"@id": "http://m/i/info.json", "profile": ["http://iiif.io/api/image/2/level2.json", {"maxWidth": 9}]},
            Service("http://m/i", 2, 2),
        ),
        (
            {"@id": "http://m/i", "profile": "http://library.stanford.edu/iiif/image-api/1.1/conformance.html#level1"},
            Service("http://m/i", 1, 1),
        ),
        ({"@id": "http://m/login", "profile": "http://iiif.io/api/auth/1/login"}, None),
        ({"type": "ImageService3"}, None),
    ],
)
def test_services(service, expected):
    (picture,) = pictures(body3("http://m/1.jpg", service))
    assert picture.service == expected


@pytest.mark.parametrize(
    ("version", "size", "side", "request_"),
    [
        (2, (3000, 4000), 1600, "1600,/0/default.jpg"),
        (2, (4000, 3000), 1600, ",1600/0/default.jpg"),
        (3, (4000, 3000), 1600, ",1600/0/default.jpg"),
        (1, (3000, 4000), 1600, "1600,/0/native.jpg"),
        (2, (300, 400), 1600, "full/0/default.jpg"),  # never larger than it is
        (3, (300, 400), 1600, "max/0/default.jpg"),
        (3, (3000, 4000), 0, "max/0/default.jpg"),
    ],
)
def test_a_size_is_asked_for_as_every_service_from_level_1_understands(version, size, side, request_):
    picture = Picture("http://m/1.jpg", Service("http://m/i", version, 1), *size)
    assert iiif.sized(picture, side) == f"http://m/i/full/{request_}"


def test_without_a_service_it_is_the_full_picture_and_without_a_level_the_service_is_asked_first():
    assert iiif.sized(Picture("http://m/1.jpg", None, 3000, 4000), 100) == "http://m/1.jpg"
    for service in (Service("http://m/i", 3, 0), Service("http://m/i", 3, None)):
        assert iiif.sized(Picture("http://m/1.jpg", service, 3000, 4000), 100) is None
    assert iiif.sized(Picture("http://m/1.jpg", Service("http://m/i", 3, 2), 0, 0), 100) is None


SIZES = [{"width": 1000, "height": 750}, {"width": 2000, "height": 1500}, {"width": "x"}, 7]


@pytest.mark.parametrize(
    ("version", "info", "side", "size"),
    [
        (3, {"profile": "level2"}, 1600, "1600,"),
        (3, {"profile": "level0", "sizes": SIZES}, 900, "1000,750"),
        (2, {"profile": ["http://iiif.io/api/image/2/level0.json"], "sizes": SIZES}, 1600, "2000,"),
        (3, {"profile": "level0", "sizes": SIZES}, 3000, "max"),
        (3, {"profile": "level0"}, 900, "max"),
        (3, {"profile": "level2", "maxWidth": 1200}, 1600, "1200,"),
        (3, {"profile": "level2", "maxWidth": 1200}, 800, "800,"),
        (2, {"profile": ["level2", {"maxWidth": 1200, "maxHeight": 300}]}, 0, "400,"),
        (3, {"profile": "level2", "maxArea": 120_000}, 0, "400,"),
        (3, {"profile": "level2", "maxWidth": 9999}, 0, "max"),
    ],
)
def test_a_service_that_describes_itself_is_believed(version, info, side, size):
    address = iiif.sized_by({"width": 4000, "height": 3000} | info, Service("http://m/i", version, None), side)
    assert address == f"http://m/i/full/{size}/0/default.jpg"


@pytest.mark.parametrize("info", [None, [], "x", {}, {"width": "wide", "height": 3}, {"width": -1, "height": 10**30}])
def test_a_service_that_describes_nothing(info):
    assert iiif.sized_by(info, Service("http://m/i", 3, None), 100) is None

"""All works on a photograph: on the page of an answer, in the API, and in what is stored."""

import html
import re

import cv2
import numpy as np
import pytest

from database.tables import Answer, Picture, Query, Work, db
from dataset.painting import paint
from tests.test_works_on_a_photograph import TWO, wall_with
from tests.web.asked import ask_for, work_of
from web.sightings import shares, sightings, unknown


@pytest.fixture(scope="module")
def hall(engine) -> tuple[bytes, dict[int, list]]:
    """A photograph of two works and of a stranger, as a file, and where each of the works is, in shares."""
    pictures = {place: cv2.imread(str(engine.dataset / engine.images[image])) for image, place in TWO.items()}
    wall, outlines = wall_with(pictures | {(60, 330, 270): paint("abstract", "grid", 77, 400)})
    size = wall.shape[1::-1]
    places = {image: (outline / size).tolist() for image, outline in zip(TWO, outlines, strict=False)}
    return cv2.imencode(".png", wall)[1].tobytes(), places


@pytest.fixture
def answer(site, member, hall) -> str:
    """The id of Ada's answer."""
    return ask_for(site, "ada", hall[0])[0]


def items(page: str) -> dict[int, str]:
    """Number -> text of the entries in the list of works."""
    found = re.findall(r'<li id="work-(\d+)">(.*?)</li>', page, re.DOTALL)
    return {int(number): html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text))) for number, text in found}


def test_the_page_lists_all_works_and_outlines_them(site, member, engine, answer, hall):
    with site.app_context():
        first = db.session.get(Work, work_of(site, engine.images[11]))
        first.title, first.author, first.number = "A <Circle>", "OSTERWELD, Hanne", "1921.2"
        db.session.commit()
    page = member.get(f"/answers/{answer}").get_data(as_text=True)
    listed = items(page)
    assert list(listed) == [1, 2]
    (entry,) = [text for text in listed.values() if "A <Circle>" in text]
    assert "by Hanne Osterweld" in entry and "Inventory number 1921.2" in entry and "Found" in entry
    assert engine.images[7].removesuffix(".png") in " ".join(listed.values())
    drawn = re.search(r'<svg class="layer-works" viewBox="0 0 1024 700".*?</svg>', page, re.DOTALL)[0]
    assert sorted(re.findall(r'<a href="#work-(\d)"', drawn)) == ["1", "2"]
    assert "A &lt;Circle&gt;, found" in drawn and "<script" not in drawn and "style=" not in drawn
    assert drawn.count('class="is-found"') == 2 and drawn.count('class="is-unknown"') == 1
    assert sorted(re.findall(r">(\d)</text>", drawn)) == ["1", "2"]
    assert "Outlined in grey: 1 place that looks like a work, but leads to none" in page
    others = page.partition('id="the-others"')[2].partition("</section>")[0]
    assert not any(f'alt="{engine.images[image].removesuffix(".png")}"' in others for image in TWO)


def test_outlines_are_stored_and_told_where_the_works_are(site, member, answer, hall):
    with site.app_context():
        content = db.session.get(Query, answer).answer.content
        pictures = {picture.id: picture for picture in db.session.scalars(db.select(Picture))}
        found = sightings(content, pictures)
        assert {sighting.image for sighting in found} == set(TWO)
        for sighting in found:
            assert np.abs(np.array(sighting.outline) - hall[1][sighting.image]).max() < 0.03
            assert np.abs(np.array(sighting.middle) - np.mean(hall[1][sighting.image], axis=0)).max() < 0.03
            assert (sighting.work.id, sighting.verdict, sighting.probability) == (sighting.image, "found", None)
        assert len(unknown(content)) == 1


def test_two_images_of_one_work_are_listed_once(site, member, answer):
    with site.app_context():
        content = db.session.get(Query, answer).answer.content
        pictures = {picture.id: picture for picture in db.session.scalars(db.select(Picture))}
        assert [sighting.number for sighting in sightings(content, pictures)] == [1, 2]
        pictures[7] = pictures[11]
        (only,) = sightings(content, pictures)
        assert (only.number, only.work.id) == (1, 11)


def test_one_work_alone_is_outlined_and_shown_large_without_a_list(site, member, collection):
    content = (collection / "images" / "portrait 6.png").read_bytes()
    page = member.get(f"/answers/{ask_for(site, 'ada', content)[0]}").get_data(as_text=True)
    assert items(page) == {} and 'id="the-work"' in page
    assert page.count('class="is-found"') == 1 and '<a href="#the-work"' in page


def test_an_answer_of_an_earlier_version_still_shows(site, member, answer):
    with site.app_context():
        kept = db.session.scalar(db.select(Answer).join(Query).where(Query.id == answer))
        kept.content = {name: value for name, value in kept.content.items() if name not in ("works", "unknown")}
        db.session.commit()
    page = member.get(f"/answers/{answer}")
    assert page.status_code == 200 and "layer-works" not in page.get_data(as_text=True)
    assert 'id="the-work"' in page.get_data(as_text=True)


def test_a_work_that_left_the_collection_is_listed_as_gone(site, member, engine, answer):
    with site.app_context():
        db.session.delete(db.session.get(Work, work_of(site, engine.images[7])))
        db.session.commit()
    listed = items(member.get(f"/answers/{answer}").get_data(as_text=True))
    (entry,) = [text for text in listed.values() if engine.images[7] in text]
    assert "No longer in the collection" in entry


def test_shares_by_hand():
    assert shares([[0, 0], [512, 0], [1024, 350], [-256, 700]], [700, 1024]) == [[0, 0], [0.5, 0], [1, 0.5], [-0.25, 1]]
    assert shares([[1e9, -1e9]], [700, 1024]) == [[4, -4]]
    assert shares(None, [700, 1024]) is None

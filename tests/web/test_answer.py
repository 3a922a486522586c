"""The answer: what it says, what it shows, who may see it, and what becomes of it."""

import html
import io
import json
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from database.tables import Photograph, Query, Work, db
from tests.web.asked import add_query, ask_for, count, files, work_of
from tests.web.conftest import post
from web import evidence
from web.evidence import draw, heat_map, reason
from web.intake import Region

ADDRESSES = ("", "/picture.jpg", "/thumbnail.jpg", "/attention.png", "/delete")


@pytest.fixture
def portrait(collection) -> bytes:
    """A picture of the collection, as a file."""
    return (collection / "images" / "portrait 6.png").read_bytes()


@pytest.fixture
def found_answer(site, member, portrait) -> str:
    """Ada's answer to a picture that is in the collection."""
    return ask_for(site, "ada", portrait)[0]


@pytest.fixture
def missing(site, member) -> str:
    """Ada's answer to a picture that is not."""
    return ask_for(site, "ada", _png(np.full((300, 400, 3), 120, np.uint8)))[0]


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _text(response) -> str:
    assert response.status_code == 200, response.get_data(as_text=True)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.get_data(as_text=True)))


def _content(site, query_id: str) -> dict:
    with site.app_context():
        return db.session.get(Query, query_id).answer.content


def test_what_is_found_is_named_first_and_explained(site, member, found_answer):
    with site.app_context():
        work = db.session.get(Work, work_of(site, "portrait 6.png"))
        work.title, work.author = "A <Miller>", "OSTERWELD, Hanne"
        db.session.commit()
    page = member.get(f"/answers/{found_answer}")
    text = _text(page)
    assert "This is A &lt;Miller&gt; by Hanne Osterweld" in text
    inliers = _content(site, found_answer)["candidates"][str(work_of(site, "portrait 6.png"))]["inliers"]
    assert f"{inliers} details of your picture are in the same places on this work" in text
    assert f"/works/{work_of(site, 'portrait 6.png')}/similar" in page.get_data(as_text=True)


def test_what_is_not_found_says_what_was_tried_and_shows_what_comes_near(member, missing):
    page = member.get(f"/answers/{missing}")
    text = _text(page)
    assert "Not found in the collection" in text and "its details, and any paintings detected in it" in text
    assert "Most similar works" in text and "Matching details" not in text
    assert page.get_data(as_text=True).count('class="wall-item"') == 6


def test_a_doubt_is_said_and_explained(site, member, found_answer):
    with site.app_context():
        db.session.get(Query, found_answer).verdict = "maybe"
        db.session.commit()
    text = _text(member.get(f"/answers/{found_answer}"))
    assert "Not sure: this may be portrait 6" in text and "Please compare the two yourself." in text


def test_the_reason_fits_the_verdict_and_its_evidence():
    def said(verdict: str, inliers: int) -> str:
        content = {"after": [7], "candidates": {"7": {"inliers": inliers, "work_area": 0.614}}}
        return reason(Query(verdict=verdict), content)

    assert said("found", 38).startswith("38 details") and "cover 61% of it" in said("found", 38)
    assert "can happen by chance" in said("maybe", 7)
    assert "look similar overall" in said("maybe", 2)
    assert "No work in the collection matches" in said("not found", 2)
    assert "The collection is still empty" in reason(Query(verdict="not found"), {"after": []})


def test_the_answer_of_an_empty_collection_is_a_page_too(site, member):
    query = add_query(site, "ada")
    assert "The collection is still empty" in _text(member.get(f"/answers/{query}"))


def test_the_drawing_puts_every_point_where_it_is(site, member, found_answer):
    content = _content(site, found_answer)
    candidate = content["candidates"][str(content["after"][0])]
    drawing = draw(content, candidate)
    assert drawing.query_points.count("h0") == candidate["inliers"] == drawing.work_points.count("h0")
    beside, stacked = drawing.layouts
    assert (beside.name, stacked.name) == ("beside", "stacked")
    (height, width), (work_height, work_width) = drawing.query_frame, drawing.work_frame
    for layout in drawing.layouts:
        assert "".join(layout.lines).count("M") == drawing.lines <= candidate["inliers"]
        for x, y, u, v in re.findall(r"M(\S+) (\S+)L(\S+) (\S+?)(?=M|$)", "\n".join(layout.lines), re.MULTILINE):
            start = (float(x) - layout.query.x) / layout.query.width * width, float(y) / layout.query.height * height
            end = (
                (float(u) - layout.work.x) / layout.work.width * work_width,
                (float(v) - layout.work.y) / layout.work.height * work_height,
            )
            apart = np.abs(np.array(candidate["query_points"]) - start) + np.abs(
                np.array(candidate["work_points"]) - end
            )
            assert apart.sum(axis=1).min() < 1
    # The picture is the work itself, so the outline is its border.
    corners = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", drawing.outline), float)
    assert np.allclose(corners, [[0, 0], [width, 0], [width, height], [0, height]], atol=5)


def test_the_pictures_of_a_drawing_do_not_overlap(site, member, found_answer):
    content = _content(site, found_answer)
    beside, stacked = draw(content, content["candidates"][str(content["after"][0])]).layouts
    assert beside.query.height == beside.work.height == beside.height
    assert beside.query.width < beside.work.x and beside.work.x + beside.work.width == beside.width
    assert stacked.query.width == stacked.work.width == stacked.width
    assert stacked.query.height < stacked.work.y and stacked.work.y + stacked.work.height == stacked.height


def test_crowded_points_share_a_line():
    points = np.array([[10, 10], [11, 11], [90, 90], [12, 9]], float)
    assert evidence._one_of_each_cell(points, (100, 100)).tolist() == [0, 2]


def test_the_page_draws_both_layouts_and_can_switch_each_part(member, found_answer):
    page = member.get(f"/answers/{found_answer}").get_data(as_text=True)
    assert page.count('role="img"') == 2
    for part in ("lines", "points", "outline", "attention"):
        assert f'id="show-{part}"' in page and f'for="show-{part}"' in page
    assert " style=" not in page and "<script>" not in page


def test_other_candidates_show_their_evidence(site, member, found_answer):
    content = _content(site, found_answer)
    other = content["after"][1]
    text = _text(member.get(f"/answers/{found_answer}?candidate={other}"))
    assert "Details matching" in text and "Back to the answer" in text
    for wrong in ("x", "999999", "-1", "%00", ""):
        assert member.get(f"/answers/{found_answer}?candidate={wrong}").status_code == 404


def test_the_rankings_stand_in_their_order(site, member, found_answer):
    content = _content(site, found_answer)
    page = member.get(f"/answers/{found_answer}").get_data(as_text=True)
    tables = page.split('<table class="table table-sm ranking">')[1:]
    for table, order in zip(tables, (content["before"], content["after"]), strict=True):
        assert [int(work) for work in re.findall(r'<a href="/works/(\d+)"', table)] == order


def test_a_work_that_left_the_collection_is_said_to_be_gone(site, member, found_answer):
    with site.app_context():
        db.session.delete(db.session.get(Work, work_of(site, "portrait 6.png")))
        db.session.commit()
    page = member.get(f"/answers/{found_answer}")
    assert "This work has since left the collection. Its file was portrait 6.png." in _text(page)


def test_an_id_that_is_of_another_work_now_is_not_taken_for_it(site, member, found_answer):
    with site.app_context():
        work = db.session.get(Work, work_of(site, "portrait 6.png"))
        work.pictures[0].path, work.title = "another.png", "Another"
        db.session.commit()
    text = _text(member.get(f"/answers/{found_answer}"))
    assert "This is portrait 6" in text and "Another" not in text


def test_works_on_one_photograph_lead_to_each_other(site, member, collection):
    sea = cv2.imread(str(collection / "images" / "sea 1.png"))
    both = np.hstack([sea, sea])
    height, width = both.shape[:2]
    halves = [
        Region([[left, 0], [left + width / 2, 0], [left + width / 2, height], [left, height]])
        for left in (0, width / 2)
    ]
    first, second = ask_for(site, "ada", _png(both), *halves)
    assert f'href="/answers/{second}"' in member.get(f"/answers/{first}").get_data(as_text=True)
    assert f'href="/answers/{first}"' in member.get(f"/answers/{second}").get_data(as_text=True)
    # Each has a picture of its own, and goes alone; the photograph goes with the last.
    assert len(files(site)) == 3
    post(member, f"/answers/{first}/delete")
    assert len(files(site)) == 2 and count(site, Photograph) == 1
    post(member, f"/answers/{second}/delete")
    assert not files(site) and count(site, Photograph) == 0


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_answer_is_seen_by_its_owner_and_administrators_only(address, member, other, admin, client, found_answer):
    assert member.get(f"/answers/{found_answer}{address}").status_code == 200
    assert admin.get(f"/answers/{found_answer}{address}").status_code == 200
    assert other.get(f"/answers/{found_answer}{address}").status_code == 404
    answer = client.get(f"/answers/{found_answer}{address}")
    assert answer.status_code == 302 and "/user/sign-in" in answer.location


@pytest.mark.parametrize("wrong", ["x", "A" * 22, "A" * 5000, "%00" * 22, "..%2f..%2fsecret_key", "é" * 22])
@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_id_leads_nowhere(address, wrong, member):
    assert member.get(f"/answers/{wrong}{address}").status_code == 404


def test_the_picture_is_private_and_asked_for_only_once(member, found_answer):
    first = member.get(f"/answers/{found_answer}/picture.jpg")
    assert first.mimetype == "image/jpeg" and Image.open(io.BytesIO(first.data)).format == "JPEG"
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    for address in ("picture.jpg", "thumbnail.jpg", "attention.png"):
        first = member.get(f"/answers/{found_answer}/{address}")
        again = member.get(f"/answers/{found_answer}/{address}", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304 and not again.data
        assert again.headers["Cache-Control"] == "private, no-cache"


def test_the_thumbnail_is_small_and_made_once(site, member):
    query = ask_for(site, "ada", _png(np.full((900, 1200, 3), 90, np.uint8)))[0]
    small = Image.open(io.BytesIO(member.get(f"/answers/{query}/thumbnail.jpg").data))
    assert small.size == (320, 240)
    (path,) = site.extensions["uploads"].folder.glob("*.small.jpg")
    made = path.stat().st_mtime_ns
    member.get(f"/answers/{query}/thumbnail.jpg")
    assert path.stat().st_mtime_ns == made


def test_a_picture_that_is_gone_is_not_found(site, member, found_answer):
    for path in site.extensions["uploads"].folder.iterdir():
        path.unlink()
    assert member.get(f"/answers/{found_answer}/picture.jpg").status_code == 404
    assert member.get(f"/answers/{found_answer}/thumbnail.jpg").status_code == 404
    assert member.get(f"/answers/{found_answer}").status_code == 200


def test_the_map_of_attention_is_clear_where_nothing_was_looked_at(member, found_answer):
    image = Image.open(io.BytesIO(member.get(f"/answers/{found_answer}/attention.png").data))
    assert image.mode == "RGBA"
    alpha = np.asarray(image)[..., 3]
    assert alpha.min() < 20 and 150 < alpha.max() < 255


def test_the_map_of_attention_has_the_shape_of_the_picture_and_shines_where_it_looked():
    small = np.zeros((6, 8), np.uint8)
    small[1, 6] = 255
    content = {"frame": [600, 800], "attention": evidence.base64.b64encode(_png(small)).decode()}
    image = np.asarray(Image.open(io.BytesIO(heat_map(content))))
    assert image.shape == (360, 480, 4)
    row, column = np.unravel_index(image[..., 3].argmax(), image.shape[:2])
    assert abs(row - 1.5 * 60) < 10 and abs(column - 6.5 * 60) < 10


def test_feedback_is_kept_changed_and_taken_back(site, member, found_answer):
    def said():
        with site.app_context():
            query = db.session.get(Query, found_answer)
            return query.feedback, query.feedback_at is not None

    for word in ("right", "wrong", "absent"):
        answer = post(member, f"/answers/{found_answer}/feedback", {"feedback": word}, page=f"/answers/{found_answer}")
        assert answer.status_code == 303 and answer.location == f"/answers/{found_answer}#feedback"
        assert said() == (word, True)
        page = member.get(f"/answers/{found_answer}").get_data(as_text=True)
        assert page.count('aria-pressed="true"') == 1 and "to undo" in page
    post(member, f"/answers/{found_answer}/feedback", {"feedback": ""}, page=f"/answers/{found_answer}")
    assert said() == (None, False)


def test_feedback_that_makes_no_sense_is_refused(member, found_answer):
    answer = post(member, f"/answers/{found_answer}/feedback", {"feedback": "bad"}, page=f"/answers/{found_answer}")
    assert answer.status_code == 400 and "must be right, wrong or absent" in _page(answer)


def test_only_who_asked_gives_feedback(site, member, other, admin, client, found_answer):
    def says(who):
        return post(who, f"/answers/{found_answer}/feedback", {"feedback": "wrong"}, page="/history").status_code

    assert (says(other), says(admin)) == (404, 403)
    assert (
        post(client, f"/answers/{found_answer}/feedback", {"feedback": "wrong"}, page="/user/sign-in").status_code
        == 302
    )
    with site.app_context():
        assert db.session.get(Query, found_answer).feedback is None
    assert "has not given feedback yet" in _text(admin.get(f"/answers/{found_answer}"))


@pytest.mark.parametrize("address", ["feedback", "delete"])
def test_a_form_without_its_secret_is_refused(site, address, member, found_answer):
    answer = member.post(f"/answers/{found_answer}/{address}", data={"feedback": "right"})
    assert answer.status_code == 400 and count(site, Query) == 1


def test_an_answer_is_deleted_with_all_its_files_after_a_question(site, member, found_answer):
    member.get(f"/answers/{found_answer}/thumbnail.jpg")
    assert len(files(site)) == 2
    assert "Delete this answer?" in _text(member.get(f"/answers/{found_answer}/delete"))
    answer = post(member, f"/answers/{found_answer}/delete")
    assert answer.status_code == 303 and answer.location == "/history"
    assert not files(site) and count(site, Query) == count(site, Photograph) == 0
    assert member.get(f"/answers/{found_answer}").status_code == 404


def test_nobody_else_deletes_it_but_an_administrator(site, other, admin, client, found_answer):
    assert post(other, f"/answers/{found_answer}/delete", page="/history").status_code == 404
    assert post(client, f"/answers/{found_answer}/delete", page="/user/sign-in").status_code == 302
    assert count(site, Query) == 1
    assert post(admin, f"/answers/{found_answer}/delete").status_code == 303
    assert count(site, Query) == 0


def test_a_name_from_outside_is_only_text(site, member, portrait):
    from tests.web.asked import user_of
    from web.asking import ask
    from web.intake import keep_photograph

    with site.app_context():
        photograph = keep_photograph(user_of("ada"), portrait, "file", '"><script>alert(1)</script>.jpg')
        query = ask(photograph, [Region()])[0].id
    assert "<script>alert" not in member.get(f"/answers/{query}").get_data(as_text=True)


def _page(answer) -> str:
    return answer.get_data(as_text=True)


def test_one_can_ask_again_with_the_same_photograph(site, member, other, admin, client, found_answer):
    with site.app_context():
        photograph = db.session.get(Query, found_answer).photograph_id
    assert f'href="/?photograph={photograph}"' in _page(member.get(f"/answers/{found_answer}"))
    again = re.search(r'data-again="([^"]+)"', _page(member.get(f"/?photograph={photograph}")))
    assert json.loads(html.unescape(again[1]))["picture"] == f"/photographs/{photograph}/picture.jpg"
    for address in (f"/?photograph={photograph}", f"/?photograph={'A' * 22}", "/?photograph=%00"):
        assert other.get(address).status_code == admin.get(address).status_code == 404
    assert client.get(f"/?photograph={photograph}").status_code == 200  # what anybody sees
    assert "data-again" not in _page(member.get("/"))

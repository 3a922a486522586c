"""The review of a batch: its order, what people say, undoing it, two people at once, and the table that results."""

import csv
import io
import re

import openpyxl
import pytest
from sqlalchemy import event

from database.tables import Picture, Query, User, Work, db
from models.answer import Answer
from tests.web.asked import ask_for, work_of
from tests.web.batched import GREY, add_answered, rows_of
from tests.web.conftest import post
from web.batches.answering import doubt


@pytest.fixture(scope="module")
def answers(engine, collection) -> dict[str, Answer]:
    """What the engine says to photographs of a portrait, of the sea, and of nothing."""
    paintings = {name: (collection / "images" / f"{name}.png").read_bytes() for name in ("portrait 6", "sea 11")}
    photographs = {"portrait.png": paintings["portrait 6"], "sea.png": paintings["sea 11"], "grey.png": GREY}
    return {name: engine.ask(content) for name, content in photographs.items()}


@pytest.fixture
def batch(site, member, answers) -> str:
    """Ada's batch of the three."""
    return add_answered(site, "ada", answers)


@pytest.fixture
def ids(site, batch) -> dict[str, int]:
    """Name -> id of the photographs."""
    return {row.name: row.id for row in rows_of(site, batch)}


def seen(client, batch: str, id: int) -> str:
    """What a page of the review says that it has seen."""
    page = client.get(f"/batches/{batch}/review/{id}").get_data(as_text=True)
    return re.search(r'name="seen" value="([^"]*)"', page)[1]


def say(client, batch: str, id: int, feedback: str, **more):
    data = {"feedback": feedback, "seen": seen(client, batch, id), **more}
    return post(client, f"/batches/{batch}/review/{id}", data, page="/batches")


def query_of(site, batch: str, name: str) -> Query:
    with site.app_context():
        row = next(row for row in rows_of(site, batch) if row.name == name)
        query = db.session.get(Query, row.query_id)
        assert query.judge is None or query.judge.username
        return query


def test_it_begins_with_the_most_doubtful_and_goes_through_all(site, member, batch, ids):
    with site.app_context():
        for row, verdict, doubt in zip(
            rows_of(site, batch), ("found", "maybe", "not found"), (0.1, 1.5, 0.6), strict=True
        ):
            db.session.get(Query, row.query_id).verdict = verdict
            db.session.merge(row).doubt = doubt
        db.session.commit()
    order = []
    address = member.get(f"/batches/{batch}/review").location
    for _ in range(3):
        id = int(address.rsplit("/", 1)[1])
        order.append(id)
        answer = say(member, batch, id, "wrong")
        assert answer.status_code == 303
        address = answer.location
    assert order == [ids["sea.png"], ids["grey.png"], ids["portrait.png"]]
    assert address.endswith(f"/batches/{batch}")
    assert "Every answer of this batch has been reviewed." in member.get(address).get_data(as_text=True)


def test_the_doubt_is_that_of_the_verdict():
    def of(verdict: str, probability: float | None = None, inliers: int = 0) -> float:
        return doubt(Query(verdict=verdict, inliers=inliers), probability)

    assert of("found", 0.999) == pytest.approx(0.002) and of("maybe", 0.5) == 2 and of("not found", 0.25) == 0.5
    assert of("found", inliers=10) == 0.5 and of("found", inliers=90) == pytest.approx(0.1)
    assert of("not found", inliers=0) == 0 and of("maybe", inliers=10) == 1.5


@pytest.mark.parametrize("page", ["", "/answers.csv", "/sheet"])
def test_it_asks_the_database_as_often_for_many_photographs_as_for_few(site, member, answers, page):
    def statements(count: int) -> int:
        batch = add_answered(site, "ada", {f"{number}.png": answers["portrait.png"] for number in range(count)})
        asked = []
        with site.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
        assert member.get(f"/batches/{batch}{page}").status_code == 200
        return len(asked)

    assert statements(2) == statements(9) > 0


def test_a_page_narrowed_to_a_verdict_stays_so(site, member, batch, ids):
    page = member.get(f"/batches/{batch}?show=found").get_data(as_text=True)
    assert "portrait.png" in page and "grey.png" not in page
    assert "show=found" in member.get(f"/batches/{batch}/review?show=found").location
    answer = say(member, batch, ids["portrait.png"], "right", show="found")
    assert answer.location.endswith(f"/review/{ids['sea.png']}?show=found")


def test_what_a_person_says_becomes_feedback_with_the_work(site, member, batch, ids):
    sea = work_of(site, "sea 11.png")
    say(member, batch, ids["portrait.png"], "right")
    query = query_of(site, batch, "portrait.png")
    assert (query.feedback, query.confirmed_path, query.feedback_by) == ("right", "portrait 6.png", query.user_id)

    say(member, batch, ids["portrait.png"], "work", picture=str(sea))
    query = query_of(site, batch, "portrait.png")
    assert (query.feedback, query.confirmed_id, query.confirmed_path) == ("wrong", sea, "sea 11.png")

    say(member, batch, ids["sea.png"], "work", picture=str(sea))
    assert query_of(site, batch, "sea.png").feedback == "right"  # it is what was found

    say(member, batch, ids["grey.png"], "absent")
    query = query_of(site, batch, "grey.png")
    assert (query.feedback, query.confirmed_id) == ("absent", None)

    say(member, batch, ids["grey.png"], "")
    query = query_of(site, batch, "grey.png")
    assert (query.feedback, query.feedback_at, query.feedback_by) == (None, None, None)


@pytest.mark.parametrize(
    "form",
    [{"feedback": "nonsense"}, {"feedback": "work"}, {"feedback": "work", "picture": "999999"},
     {"feedback": "work", "picture": "9" * 30}, {"feedback": "work", "picture": "-1"}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(site, member, batch, ids, form):
    id = ids["sea.png"]
    answer = post(member, f"/batches/{batch}/review/{id}", {"seen": "", **form}, page="/batches")
    assert answer.status_code == 400 and query_of(site, batch, "sea.png").feedback is None
    answer = post(member, f"/batches/{batch}/review/{id}", {"feedback": "right"}, page="/batches")
    assert answer.status_code == 400  # does not tell what was seen


def test_it_is_undone_to_what_was_said_before(site, member, batch, ids):
    say(member, batch, ids["sea.png"], "wrong")
    say(member, batch, ids["sea.png"], "work", picture=str(work_of(site, "portrait 6.png")))
    answer = post(member, f"/batches/{batch}/undo", page="/batches")
    assert answer.status_code == 303 and answer.location.endswith(f"/review/{ids['sea.png']}")
    query = query_of(site, batch, "sea.png")
    assert (query.feedback, query.confirmed_id) == ("wrong", None)
    answer = post(member, f"/batches/{batch}/undo", page="/batches")
    assert answer.status_code == 400 and "nothing to undo" in answer.get_data(as_text=True)
    say(member, batch, ids["sea.png"], "absent")
    post(member, f"/batches/{batch}/undo", page="/batches")
    assert query_of(site, batch, "sea.png").feedback == "wrong"


def test_two_reviewers_do_not_overwrite_each_other(site, member, admin, batch, ids):
    id = ids["sea.png"]
    both = seen(member, batch, id)
    assert both == seen(admin, batch, id) == ""
    first = post(member, f"/batches/{batch}/review/{id}", {"feedback": "right", "seen": both}, page="/batches")
    second = post(admin, f"/batches/{batch}/review/{id}", {"feedback": "wrong", "seen": both}, page="/batches")
    assert (first.status_code, second.status_code) == (303, 409)
    assert "ada says that it is right, since this page was opened" in second.get_data(as_text=True)
    assert query_of(site, batch, "sea.png").feedback == "right"

    say(admin, batch, id, "absent")  # having looked again
    assert query_of(site, batch, "sea.png").feedback == "absent"
    answer = post(member, f"/batches/{batch}/undo", page="/batches")  # of what is no longer there
    assert answer.status_code == 409 and "root says that it is not in the collection" in answer.get_data(as_text=True)
    assert query_of(site, batch, "sea.png").feedback == "absent"


def test_another_work_is_found_by_its_words(site, member, batch, ids):
    page = member.get(f"/batches/{batch}/review/{ids['grey.png']}?q=portrait").get_data(as_text=True)
    work = work_of(site, "portrait 6.png")
    results = page[page.index('id="search-title"') :]
    assert f'name="picture" value="{work}"' in results and "No work has" not in results
    assert "No work has these words" in member.get(f"/batches/{batch}/review/{ids['grey.png']}?q=xyz").get_data(
        as_text=True
    )


def test_the_table_has_what_was_found_and_what_people_say(site, member, batch, ids):
    with site.app_context():
        work = db.session.get(Work, work_of(site, "portrait 6.png"))
        work.number, work.title, work.author = "1921.2", "=HYPERLINK(1)", "MARVEEN, Joost van"
        db.session.commit()
    say(member, batch, ids["sea.png"], "work", picture=str(work_of(site, "portrait 6.png")))
    say(member, batch, ids["grey.png"], "absent")
    answer = member.get(f"/batches/{batch}/answers.csv")
    assert answer.mimetype == "text/csv" and "answers_Depot_seven.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [row["photograph"] for row in rows] == ["portrait.png", "sea.png", "grey.png"]
    portrait, sea, grey = rows
    assert (portrait["inventory number"], portrait["artist"], portrait["title"]) == (
        "1921.2",
        "MARVEEN, Joost van",
        "'=HYPERLINK(1)",
    )
    assert (portrait["verdict"], portrait["review"], portrait["reviewed by"]) == ("found", "", "")
    assert (sea["inventory number"], sea["review"], sea["reviewed by"]) == ("1921.2", "corrected", "ada")
    assert (grey["inventory number"], grey["image"], grey["review"]) == ("", "", "not in the collection")
    assert re.search(r"^https?://localhost/answers/[\w-]{22}$", sea["link"])

    answer = member.get(f"/batches/{batch}/answers.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
    table = [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert table[0] == list(rows[0])
    assert table[1][2] == "=HYPERLINK(1)" and sheet["C2"].data_type == "s"  # text, no formula
    assert [row[0] for row in table[1:]] == ["portrait.png", "sea.png", "grey.png"]
    printed = member.get(f"/batches/{batch}/sheet").get_data(as_text=True)
    assert "1921.2" in printed and "not in the collection (ada)" in printed


def test_a_work_that_has_left_is_not_called_by_another_ones_name(site, member, batch, ids):
    say(member, batch, ids["sea.png"], "right")
    with site.app_context():
        db.session.get(Picture, work_of(site, "sea 11.png")).path = "another.png"
        db.session.commit()
    rows = list(csv.DictReader(io.StringIO(member.get(f"/batches/{batch}/answers.csv").data.decode("utf-8-sig"))))
    assert (rows[1]["image"], rows[1]["review"]) == ("", "right")
    assert member.get(f"/batches/{batch}/review/{ids['sea.png']}").status_code == 200


# Answers to single photographs


def test_on_every_answer_a_person_says_which_work_it_is(site, member, other, collection):
    query = ask_for(site, "ada", (collection / "images" / "sea 11.png").read_bytes())[0]
    portrait = work_of(site, "portrait 6.png")
    page = member.get(f"/answers/{query}").get_data(as_text=True)
    assert "It is this one" in page and f'href="/answers/{query}/correct"' in page
    assert "portrait 6" in member.get(f"/answers/{query}/correct?q=portrait+6").get_data(as_text=True)
    answer = post(
        member, f"/answers/{query}/feedback", {"feedback": "work", "picture": portrait}, page=f"/answers/{query}"
    )
    assert answer.status_code == 303
    page = member.get(f"/answers/{query}").get_data(as_text=True)
    assert "You said that it is" in page and "portrait 6" in page
    with site.app_context():
        found = db.session.get(Query, query)
        assert (found.feedback, found.confirmed_id) == ("wrong", portrait)
    assert other.get(f"/answers/{query}/correct").status_code == 404


def test_a_second_window_does_not_overwrite_what_the_first_said(site, member, collection):
    query = ask_for(site, "ada", GREY)[0]
    post(member, f"/answers/{query}/feedback", {"feedback": "absent", "seen": ""}, page=f"/answers/{query}")
    answer = post(member, f"/answers/{query}/feedback", {"feedback": "wrong", "seen": ""}, page=f"/answers/{query}")
    assert answer.status_code == 409
    with site.app_context():
        assert db.session.get(Query, query).feedback == "absent"
        assert db.session.scalar(db.select(db.func.count(User.id))) == 1

"""Each person's history: what it lists, what it filters, what it deletes, and the table it gives."""

import csv
import io
import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from database.tables import Answer, Photograph, Query, Work, db
from tests.web.asked import add_query, count, files, work_of
from tests.web.conftest import csrf_token, post

NOON = datetime(2026, 3, 10, 12)


def _ids(answer) -> list[str]:
    """The answers that a page of the history lists, in its order."""
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return re.findall(r'name="query" value="([^"]+)"', answer.get_data(as_text=True))


def _table(answer) -> list[dict]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


def test_an_empty_history_says_what_to_do(member):
    text = member.get("/history").get_data(as_text=True)
    assert "No answers yet" in text and "Identify a work" in text


def test_one_sees_ones_own_newest_first(site, member, other):
    old = add_query(site, "ada", at=NOON)
    new = add_query(site, "ada", at=NOON + timedelta(days=1))
    theirs = add_query(site, "bob")
    assert _ids(member.get("/history")) == [new, old]
    assert _ids(other.get("/history")) == [theirs]


@pytest.mark.parametrize("address", ["/history", "/history.csv", "/history/delete?all=1"])
def test_the_history_is_for_people_with_an_account(address, client):
    answer = client.get(address)
    assert answer.status_code == 302 and "/user/sign-in" in answer.location


def test_it_names_the_work_and_the_verdict(site, member):
    work = work_of(site, "sea 1.png")
    add_query(site, "ada", "found", work_id=work, work_path="sea 1.png", feedback="wrong")
    add_query(site, "ada", "not found", work_id=work, work_path="sea 1.png")
    add_query(site, "ada", "maybe", work_id=work, work_path="another.png")
    text = member.get("/history").get_data(as_text=True)
    # Neither what was not found, nor a work that left, is called by the name of another.
    assert text.count("<br>sea 1") == 1
    assert all(
        word in text for word in (" Found</span>", " Not sure</span>", " Not found</span>", "you rated it wrong")
    )


def test_a_page_asks_the_database_as_often_for_many_answers_as_for_few(site, member):
    def statements() -> int:
        asked = []
        with site.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
        member.get("/history")
        return len(asked)

    work = work_of(site, "sea 1.png")
    add_query(site, "ada", "found", work_id=work, work_path="sea 1.png")
    few = statements()
    for _ in range(9):
        add_query(site, "ada", "found", work_id=work, work_path="sea 1.png")
    assert statements() == few


def test_it_is_filtered_by_verdict_and_day(site, member):
    first = add_query(site, "ada", "found", at=datetime(2026, 3, 9, 23, 59, 59, 999999))
    second = add_query(site, "ada", "maybe", at=datetime(2026, 3, 10))
    third = add_query(site, "ada", "found", at=datetime(2026, 3, 10, 23, 59, 59))
    fourth = add_query(site, "ada", "not found", at=datetime(2026, 3, 11))

    def listed(query: str) -> list[str]:
        return _ids(member.get(f"/history?{query}"))

    assert listed("verdict=found") == [third, first]
    assert listed("verdict=not+found") == [fourth]
    assert listed("verdict=&from=&to=") == [fourth, third, second, first]
    assert listed("from=2026-03-10&to=2026-03-10") == [third, second]
    assert listed("from=2026-03-11") == [fourth]
    assert listed("to=2026-03-09") == [first]
    assert listed("verdict=found&from=2026-03-10") == [third]
    assert listed("to=9999-12-31&from=0001-01-01") == [fourth, third, second, first]
    assert "No answer matches this filter" in member.get("/history?from=2027-01-01").get_data(as_text=True)


@pytest.mark.parametrize(
    "query", ["verdict=x", "from=yesterday", "to=2026-02-30", "from=2026-03-11&to=2026-03-10", "from=%00"]
)
@pytest.mark.parametrize("address", ["/history", "/history.csv"])
def test_a_filter_that_makes_no_sense_is_refused_in_a_sentence(address, query, member):
    answer = member.get(f"{address}?{query}")
    assert answer.status_code == 400 and "Traceback" not in answer.get_data(as_text=True)


def test_it_has_pages(site, member):
    made = [add_query(site, "ada", "found", at=NOON + timedelta(minutes=minute)) for minute in range(30)][::-1]
    first = member.get("/history?verdict=found")
    assert _ids(first) == made[:24]
    assert "/history?page=2&amp;verdict=found" in first.get_data(as_text=True)
    assert _ids(member.get("/history?page=2")) == made[24:]
    for wrong in ("3", "0", "-1", "x", "9" * 30, ""):
        assert member.get(f"/history?page={wrong}").status_code == 404


def test_the_chosen_are_deleted_after_a_question(site, member):
    keep, *gone = (add_query(site, "ada") for _ in range(3))
    page = member.get(f"/history/delete?query={gone[0]}&query={gone[1]}").get_data(as_text=True)
    assert "Delete 2 answers?" in page and count(site, Query) == 3
    answer = post(member, "/history/delete", {"query": gone}, page="/history")
    assert answer.status_code == 303 and "2 answers have been deleted." in member.get("/history").get_data(as_text=True)
    assert _ids(member.get("/history")) == [keep]
    assert count(site, Photograph) == count(site, Answer) == len(files(site)) == 1


def test_what_belongs_to_others_is_left_out(site, member, other):
    mine, theirs = add_query(site, "ada"), add_query(site, "bob")
    assert post(member, "/history/delete", {"query": [theirs]}, page="/history").status_code == 400
    post(member, "/history/delete", {"query": [mine, theirs, "x", "\0" * 22]}, page="/history")
    assert _ids(other.get("/history")) == [theirs] and count(site, Query) == 1


def test_all_are_deleted_or_all_that_pass_the_filter(site, member, other):
    kept = add_query(site, "ada", "found")
    add_query(site, "ada", "maybe")
    theirs = add_query(site, "bob", "maybe")
    page = member.get("/history/delete?all=1&verdict=maybe").get_data(as_text=True)
    assert "Delete this answer?" in page and "that match the filter" in page
    post(member, "/history/delete", {"all": "1", "verdict": "maybe"}, page="/history")
    assert _ids(member.get("/history")) == [kept]
    post(member, "/history/delete", {"all": "1"}, page="/history")
    assert _ids(member.get("/history")) == [] and _ids(other.get("/history")) == [theirs]


def test_to_choose_none_is_told(site, member):
    add_query(site, "ada")
    for address in ("/history/delete", "/history/delete?query=x"):
        answer = member.get(address)
        assert answer.status_code == 400 and "select at least one" in answer.get_data(as_text=True)
    assert post(member, "/history/delete", page="/history").status_code == 400
    assert count(site, Query) == 1


def test_nothing_is_deleted_without_the_forms_secret(site, member):
    query = add_query(site, "ada")
    csrf_token(member, "/history")
    assert member.post("/history/delete", data={"query": query}).status_code == 400
    assert count(site, Query) == 1


def test_the_table_holds_the_same_answers(site, member, other):
    work = work_of(site, "sea 1.png")
    with site.app_context():
        db.session.get(Work, work).author = "OSTERWELD, Hanne"
        db.session.commit()
    add_query(site, "bob")
    add_query(site, "ada", "not found", at=NOON)
    query = add_query(
        site, "ada", "found", at=NOON, work_id=work, work_path="sea 1.png", similarity=0.5, matches=9, inliers=8
    )
    answer = member.get("/history.csv?verdict=found")
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    (row,) = _table(answer)
    assert row["submitted (UTC)"] == "2026-03-10 12:00:00" and row["picture"] == "my photograph.jpg"
    assert (row["verdict"], row["artist"], row["file"]) == ("found", "OSTERWELD, Hanne", "sea 1.png")
    assert (row["similarity"], row["matches"], row["inliers"]) == ("0.5", "9", "8")
    assert row["address"].endswith(f"/answers/{query}")
    assert len(_table(member.get("/history.csv"))) == 2


def test_the_table_of_a_long_history_is_whole(site, member):
    made = [add_query(site, "ada", at=NOON + timedelta(minutes=minute)) for minute in range(30)][::-1]
    assert [row["address"].rsplit("/", 1)[1] for row in _table(member.get("/history.csv"))] == made


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_of_the_table_is_a_formula(start, site, member):
    work = work_of(site, "sea 1.png")
    with site.app_context():
        db.session.get(Work, work).title = f'{start}HYPERLINK("http://example.com")'
        db.session.commit()
    add_query(site, "ada", "found", work_id=work, work_path="sea 1.png", similarity=-0.25)
    (row,) = _table(member.get("/history.csv"))
    assert row["title"] == f'\'{start}HYPERLINK("http://example.com")'
    assert row["similarity"] == "-0.25"  # a number is none

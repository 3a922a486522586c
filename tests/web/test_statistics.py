"""The statistics pages: who may see them, what they say of a run, and what they refuse."""

import csv
import io
import json
import os
import re
from dataclasses import asdict, replace
from datetime import timedelta

import cv2
import numpy as np
import pytest
from flask import abort

import app_statistics
from database.tables import Event, Photograph, Picture, Query, User, db, now, random_id
from models.collection.store import Store
from models.duplicates import Pair
from models.verdict.calibration import Calibration
from tests.web import runs
from tests.web.conftest import add_user, browser, post, signed_in
from tests.web.test_api import program_of
from utils.statistics import wilson
from web.statistics import measures
from web.statistics import usage as usage_page
from web.statistics.runs import Row
from web.statistics.survey import FORMAT, Survey, surveying

PAGES = ("/statistics/evaluation", "/statistics/usage", "/statistics/collection")
OTHERS = (
    "/statistics",
    "/statistics/plotly.js",
    "/statistics/usage/days.csv",
    "/statistics/evaluation/museum/1/query.jpg",
    "/statistics/evaluation/museum/1/answered.jpg",
    "/statistics/works/1.jpg",
)
FORMS = ("/statistics/evaluation/thresholds", "/statistics/collection/survey")
EVALUATION, USAGE, COLLECTION = PAGES


@pytest.fixture
def run(settings, engine):
    """A run by the name of "museum", with pictures of its queries."""
    pictures = settings.output / "photographs"
    pictures.mkdir(parents=True)
    for number in range(1, len(runs.ANSWERS) + 1):
        cv2.imwrite(str(pictures / f"photo {number}.jpg"), np.full((40, 60, 3), 30 * number, np.uint8))
    cv2.imwrite(str(settings.output / "secret.jpg"), np.zeros((40, 60, 3), np.uint8))
    return runs.write(settings.output, engine, folder=pictures)


def told(page: str) -> dict[str, str]:
    """The figures of the page that the sliders change."""
    return dict(re.findall(r'data-out="([a-z_-]+)">([^<]*)<', page))


# Who


@pytest.mark.parametrize("address", [*PAGES, *OTHERS])
def test_pages_are_for_administrators(client, member, run, address):
    assert client.get(address).status_code == 302
    assert client.get(address).headers["Location"].startswith("/user/sign-in")
    assert member.get(address).status_code == 403


@pytest.mark.parametrize("address", FORMS)
def test_forms_are_for_administrators_who_came_from_the_page(client, member, admin, run, address):
    assert post(client, address, page="/user/sign-in").status_code == 302
    assert post(member, address, page="/").status_code == 403
    assert admin.post(address).status_code == 400  # without the page's secret


@pytest.mark.parametrize("address", PAGES)
def test_pages_open_and_link_to_each_other(admin, run, address):
    page = admin.get(address)
    assert page.status_code == 200
    assert all(f'href="{other}"' in page.text for other in PAGES)
    assert "style=" not in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_the_site_links_to_them_for_administrators_only(member, admin):
    assert 'href="/statistics"' in admin.get("/").text
    assert 'href="/statistics"' not in member.get("/").text
    assert admin.get("/statistics").headers["Location"] == EVALUATION


def test_plotly_comes_from_here_and_stays_in_the_cache(admin):
    response = admin.get("/statistics/plotly.js")
    assert response.status_code == 200
    assert b"plotly.js v" in response.data[:200]
    assert "max-age=2592000" in response.headers["Cache-Control"]
    assert response.headers["Content-Type"].startswith("text/javascript")


# The site of its own


@pytest.fixture
def alone(settings, service, engine, migrated, make_site):
    """The site of app_statistics.py, with an administrator and a member signed in."""
    make_site()  # its database
    app = app_statistics.create_app(settings, TESTING=True, RATELIMIT_ENABLED=False, PREFERRED_URL_SCHEME="https")
    yield app, signed_in(app, "chief", admin=True), signed_in(app, "visitor")
    app.extensions["service"].stop()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_alone_it_shows_the_same_pages_with_the_same_accounts(alone, run):
    app, admin, member = alone
    for address in PAGES[:2]:
        assert browser(app).get(address).status_code == 302
        assert member.get(address).status_code == 403
        assert admin.get(address).status_code == 200
    assert admin.get("/").headers["Location"] == "/statistics"


@pytest.mark.parametrize("address", ["/collection", "/history", "/admin/users", "/api/v1/works", "/nothing"])
def test_alone_it_shows_nothing_else(alone, address):
    _, admin, _ = alone
    assert admin.get(address).status_code == 404


def test_alone_it_reads_the_collection_without_the_network(alone, collection):
    settings = replace(alone[0].extensions["settings"], output=collection / "output")
    opened = app_statistics.Collection(Store.reading(settings.output), settings)
    assert len(opened.images) == opened.store.count("descriptors") == 12
    assert opened.is_current()


# A run


def test_a_run_is_judged_by_the_thresholds_that_hold(admin, run):
    page = admin.get(EVALUATION).text
    figures = told(page)
    # Found: answers 1, 2, 5 and 6; of these 1 and 2 are right. Five queries show works of the collection.
    assert figures["found"], figures["right_found"] == ("4", "2")
    assert figures["precision"] == "50.0 %"
    assert figures["recall"] == "40.0 %"
    assert figures["maybe"] == "1"
    assert figures["not_found"] == "2"
    assert (figures["wrong_found"], figures["false_found"]) == ("1", "1")
    low, high = wilson(2, 4)
    assert figures["precision-interval"] == f"{low:.1%} to {high:.1%}".replace("%", " %")
    assert "7 queries" in page
    assert "1 could not be read" in page
    assert "set by hand" in page


def test_before_and_after_re_ranking(admin, run):
    page = admin.get(EVALUATION).text
    assert re.search(r"right before</th><td>3</td><td>1</td>", page)
    assert re.search(r"wrong before</th><td>1</td><td>0</td>", page)


def test_other_thresholds_without_a_script(admin, run):
    figures = told(
        admin.get(f"{EVALUATION}?found_inliers=100&sure_inliers=100&maybe_inliers=100&maybe_similarity=1").text
    )
    assert (figures["found"], figures["precision"], figures["maybe"], figures["not_found"]) == (
        "1",
        "100.0 %",
        "0",
        "6",
    )


@pytest.mark.parametrize("value", ["-1", "101", "nan", "inf", "many", ""])
def test_thresholds_that_are_none_are_refused(admin, run, value):
    response = admin.get(f"{EVALUATION}?found_inliers={value}")
    assert response.status_code == 400
    assert "must be a number from 0 to 100" in response.text


def test_the_plots_hold_what_the_tables_hold(admin, run):
    page = admin.get(EVALUATION).text
    figures = {name: json.loads(text) for name, text in re.findall(r'data-figure="([^"]+)">([^<]+)</script>', page)}
    assert set(figures) == {"0-similarity", "0-inliers", "0-recall", "0-precision-recall", "0-seconds"}
    right, wrong = figures["0-inliers"]["data"]
    assert (sum(right["y"]), sum(wrong["y"])) == (4, 3)
    assert right["y"][-1] == 1  # 120 inliers lie in the last column
    assert {shape["name"]: shape["x0"] for shape in figures["0-inliers"]["layout"]["shapes"]} == {
        "found_inliers": 8,
        "sure_inliers": 40,
        "maybe_inliers": 6,
    }
    before, after = figures["0-recall"]["data"]
    assert before["y"][:2] == [0.8, 1.0]
    assert after["y"][:2] == [0.8, 1.0]
    point = figures["0-precision-recall"]["data"][1]
    assert (point["x"], point["y"]) == ([0.4], [0.5])
    # At the right answers of the list below: (1/1 + 2/2 + 3/4 + 4/6) of five queries with works in the collection.
    assert f"(GAP) is {(1 + 1 + 3 / 4 + 4 / 6) / 5:.3f}." in page


def test_precision_and_recall_at_every_threshold():
    works = [f"{number}.jpg" for number in range(8)]
    rows = [_row(works, number, answer) for number, answer in enumerate(runs.ANSWERS, start=1)]
    curve = measures.precision_recall(rows, measures.confidence_of(rows, None))
    # By score: 1 right (12.9), 2 right (4.4), 6 false (1.75), 3 right (1.5), 5 wrong (1.45), 4 right (0.5), 7 (0.1).
    expected = [(1 / 5, 1), (2 / 5, 1), (2 / 5, 2 / 3), (3 / 5, 3 / 4), (3 / 5, 3 / 5), (4 / 5, 4 / 6), (4 / 5, 4 / 7)]
    assert np.array(curve)[:, :2] == pytest.approx(np.array(expected))


def _row(works, number, answer):
    return Row(**vars(runs.record(works, number, answer)), number=number)


def test_wrong_answers_come_first_and_the_table_can_be_narrowed(admin, run):
    def files(query=""):
        return re.findall(r'<span class="name">(photo \d)\.jpg</span>', admin.get(f"{EVALUATION}?{query}").text)

    assert files() == [f"photo {number}" for number in (4, 5, 6, 1, 2, 3, 7)]
    assert files("show=wrong") == ["photo 4", "photo 5", "photo 6"]
    assert files("show=missed") == ["photo 4"]
    assert files("show=all&sort=seconds&order=descending")[0] == "photo 7"
    assert files("sort=inliers&order=ascending")[0] == "photo 7"
    assert files("q=PHOTO+2") == ["photo 2"]
    assert files("q=nothing+like+it") == []


def test_two_runs_side_by_side(admin, run, settings, engine):
    runs.write(settings.output, engine, "second", seconds=9.0)
    page = admin.get(f"{EVALUATION}?run=museum&other=second").text
    assert page.count("data-panel=") == 2
    assert 'data-figure="1-seconds"' in page


def test_a_run_without_ground_truth(admin, settings, engine):
    runs.write(settings.output, engine, expected=None, result=None, rank_before=None, rank_after=None)
    page = admin.get(EVALUATION)
    assert page.status_code == 200
    assert "no ground truth" in page.text


def test_pictures_of_queries_and_works(admin, run, engine):
    response = admin.get("/statistics/evaluation/museum/3/query.jpg")
    assert response.status_code == 200
    pixels = cv2.imdecode(np.frombuffer(response.data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (40, 60, 3)
    assert abs(int(pixels.mean()) - 90) < 3
    page = admin.get(EVALUATION).text
    works = set(re.findall(r"/statistics/works/\d+\.jpg", page))
    assert len(works) == len({answer[2] for answer in runs.ANSWERS})
    assert all(admin.get(address).mimetype == "image/jpeg" for address in works)
    assert admin.get(f"/statistics/works/{max(engine.images) + 1}.jpg").status_code == 404


def test_pictures_of_copies_are_those_they_were_made_of(admin, settings, engine):
    work = sorted(engine.images.values())[3]
    place = runs.write(settings.output, engine, group=work, file=f"{work} (copy 1)")
    summary = json.loads((place / "summary.json").read_text())
    (place / "summary.json").write_text(json.dumps(summary | {"queries_folder": None}))
    assert admin.get("/statistics/evaluation/museum/1/query.jpg").status_code == 200


def test_no_path_from_outside_reaches_a_file(admin, run, settings, engine):
    """Neither the address nor a table that was tampered with leads out of the folder of queries."""
    table = (run / "queries.csv").read_text()
    for name in ("../secret.jpg", str(settings.output / "secret.jpg"), "..", ".", ""):
        (run / "queries.csv").write_text(table.replace("photo 1.jpg", name))
        assert admin.get("/statistics/evaluation/museum/1/query.jpg").status_code == 404
    (run / "queries.csv").write_text(table)
    for number in (0, 9, 99999999999999999999):
        assert admin.get(f"/statistics/evaluation/museum/{number}/query.jpg").status_code == 404
    for kind in ("answered", "..%2fsummary", "other"):
        assert admin.get(f"/statistics/evaluation/museum/1/{kind}.jpg").status_code == 404


HOSTILE = (
    "..",
    "../..",
    "%2e%2e",
    "..%2F..%2Fetc",
    "/etc",
    "a" * 5000,
    "museum/../museum",
    "museum%00",
    ".hidden",
    "%FF",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_run_is_one_that_is_not_there(admin, run, name):
    response = admin.get(f"{EVALUATION}?run={name}")
    assert response.status_code == 404
    assert "no run with this name" in response.text
    assert admin.get(f"/statistics/evaluation/{name}/1/query.jpg").status_code in (404, 308)
    assert post(admin, FORMS[0], {"run": name, "found": "1", "maybe": "0"}, page=EVALUATION).status_code == 404


def test_what_a_table_says_is_shown_as_text(admin, settings, engine):
    runs.write(settings.output, engine, file="<script>alert(1)</script>.jpg")
    page = admin.get(EVALUATION).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


# Runs that are not whole


def test_no_run_yet(admin):
    page = admin.get(EVALUATION)
    assert page.status_code == 200
    assert "There is no run yet" in page.text


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda run: (run / "summary.json").unlink(), "was interrupted: summary.json is missing"),
        (lambda run: (run / "queries.csv").unlink(), "was interrupted: queries.csv is missing"),
        (lambda run: (run / "summary.json").write_text("{"), "damaged: summary.json cannot be read"),
        (lambda run: (run / "summary.json").write_text("[]"), "damaged: summary.json cannot be read"),
        (lambda run: (run / "summary.json").write_bytes(b"\xff\xfe"), "damaged: summary.json cannot be read"),
        (lambda run: (run / "summary.json").write_text('{"format": 99}'), "made by a later version"),
        (lambda run: (run / "queries.csv").write_text("a,b\n1,2\n"), "another version: queries.csv has no column"),
        (lambda run: (run / "queries.csv").write_text(""), "another version: queries.csv has no column"),
        (lambda run: _append(run, b"yes,x,x," + b",?" * 40), "damaged: queries.csv cannot be read"),
        (lambda run: _append(run, b"\xff\xff"), "damaged: queries.csv cannot be read"),
    ],
)
def test_a_run_that_is_not_whole_is_told_in_a_sentence(admin, run, spoil, sentence):
    spoil(run)
    response = admin.get(f"{EVALUATION}?run=museum")
    assert response.status_code == 409
    assert sentence in response.text


def _append(run, content: bytes) -> None:
    with (run / "queries.csv").open("ab") as file:
        file.write(content + b"\n")


def test_one_run_that_is_cut_short_does_not_hide_the_others(admin, run, settings, engine):
    other = runs.write(settings.output, engine, "other")
    (other / "summary.json").unlink()
    (settings.output / "statistics" / ".third.partial").mkdir()
    page = admin.get(EVALUATION)
    assert page.status_code == 200
    assert "“other” was interrupted" in page.text
    assert "“third” is in progress" in page.text
    assert told(page.text)["found"] == "4"


def test_a_summary_of_an_older_version_is_shown_without_what_it_lacks(admin, run):
    summary = json.loads((run / "summary.json").read_text())
    del summary["format"]
    (run / "summary.json").write_text(json.dumps(summary))
    rows = list(csv.DictReader(io.StringIO((run / "queries.csv").read_text())))
    old = [name for name in rows[0] if name not in ("group", "probability", "normalised", "margin", "scale", "lead")]
    with (run / "queries.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, old, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    page = admin.get(EVALUATION)
    assert page.status_code == 200
    assert told(page.text)["found"] == "4"


# The calibration


@pytest.fixture
def calibrated(run, engine, settings):
    """The run, with a calibration in force."""
    runs.calibration(engine).write(settings.output)
    return run


def test_a_calibration_decides_and_its_curve_is_drawn(admin, calibrated):
    page = admin.get(EVALUATION).text
    figures = told(page)
    # Log-odds of 0.9 and of 0.5 are 2.2 and 0: found from 17 inliers on, not found below 2.
    assert (figures["found"], figures["maybe"], figures["not_found"]) == ("2", "4", "1")
    assert figures["precision"] == "100.0 %"
    drawn = json.loads(re.search(r'data-figure="0-logistic">([^<]+)<', page)[1])
    assert sorted(drawn["data"][1]["x"])[-1] == pytest.approx(runs.log_odds(120))
    assert {shape["name"]: round(shape["x0"], 3) for shape in drawn["layout"]["shapes"]} == {"found": 2.197, "maybe": 0}
    assert "set by hand" not in page


def test_use_these_writes_the_thresholds(admin, calibrated, settings):
    chosen = {"run": "museum", "found": f"{runs.log_odds(11)}", "maybe": "-3"}
    response = post(admin, FORMS[0], chosen, page=EVALUATION)
    assert response.status_code == 302, response.text
    written = Calibration.read(settings.output)
    assert written.found == pytest.approx(1 / (1 + np.exp(-runs.log_odds(11))))
    assert written.maybe == pytest.approx(1 / (1 + np.exp(3)))
    assert written.coefficients == runs.calibration(_Of(written)).coefficients
    assert written.measured["run"] == "museum"
    assert written.measured["found"] == 4
    assert "Thresholds saved" in admin.get(EVALUATION).text


class _Of:
    def __init__(self, calibration):
        self.fingerprint = calibration.fingerprint


def test_thresholds_that_make_no_sense_change_nothing(admin, calibrated, settings):
    before = (settings.output / "verdict.json").read_bytes()
    for found, maybe in [("1", "2"), ("nan", "0"), ("99", "0"), ("x", "0")]:
        chosen = {"run": "museum", "found": found, "maybe": maybe}
        assert post(admin, FORMS[0], chosen, page=EVALUATION).status_code == 400
    assert (settings.output / "verdict.json").read_bytes() == before


def test_without_a_calibration_there_are_no_thresholds_to_write(admin, run):
    response = post(admin, FORMS[0], {"run": "museum", "found": "1", "maybe": "0"}, page=EVALUATION)
    assert response.status_code == 409
    assert "There is no calibration yet" in response.text


def test_the_thresholds_of_another_collection_are_not_touched(admin, run, engine, settings):
    replace(runs.calibration(engine), fingerprint={"another": 1}).write(settings.output)
    page = admin.get(EVALUATION).text
    assert "with another collection" in page
    assert told(page)["found"] == "4"  # by the thresholds set by hand, as the engine would
    response = post(admin, FORMS[0], {"run": "museum", "found": "1", "maybe": "0"}, page=EVALUATION)
    assert response.status_code == 409
    assert "another collection" in response.text


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}', '{"format": 1}', ""])
def test_a_damaged_calibration_is_told(admin, run, settings, content):
    (settings.output / "verdict.json").write_text(content)
    page = admin.get(EVALUATION)
    assert page.status_code == 200
    assert "verdict.json" in page.text
    assert "last valid calibration" in page.text
    assert told(page.text)["found"] == "4"  # by the thresholds set by hand
    response = post(admin, FORMS[0], {"run": "museum", "found": "1", "maybe": "0"}, page=EVALUATION)
    assert response.status_code == 409
    assert (settings.output / "verdict.json").read_text() == content


# Usage


@pytest.fixture
def asked(site):
    """Three queries of Ada and one of Bob, an hour ago."""
    ada, bob = add_user(site, "ada"), add_user(site, "bob")
    with site.app_context():
        for user, verdict, feedback in [(ada, "found", "right"), (ada, "found", "wrong"), (ada, "maybe", None)]:
            _asked(user, verdict, feedback)
        _asked(bob, "not found", "absent")


def _asked(user: int, verdict: str, feedback: str | None) -> None:
    moment = now() - timedelta(hours=1)
    photograph = Photograph(
        id=random_id(), user_id=user, created_at=moment, source="camera", name="", height=9, width=9
    )
    query = Query(id=random_id(), user_id=user, created_at=moment, verdict=verdict, work_id=1, feedback=feedback)
    query.seconds = 0.25
    photograph.queries.append(query)
    db.session.add(photograph)
    db.session.commit()


def test_usage_shows_what_was_asked(admin, asked):
    page = admin.get(f"{USAGE}?days=7").text
    assert "4 queries." in page
    assert "2 people sent queries" in page
    assert re.search(r"ada</th>\s*<td>3</td>", page)
    assert "2 of 3 rated answers were right: 66.7 %" in page
    assert "Half of the answers took at most 0.25 s" in page
    assert re.search(r"camera</th>\s*<td>4</td>", page)
    assert "11 of 12 works." in page


def _table(response) -> list[list[str]]:
    assert response.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(response.get_data(as_text=True).lstrip("\ufeff"))))


def test_every_table_can_be_downloaded(admin, asked):
    for name in usage_page.TABLES:
        response = admin.get(f"/statistics/usage/{name}.csv?days=7")
        assert response.status_code == 200
        assert len(_table(response)[0]) >= 2
        assert f'filename="{name} ' in response.headers["Content-Disposition"]
    assert admin.get("/statistics/usage/users.csv").status_code == 404


def test_the_download_can_leave_out_names(admin, asked):
    named = _table(admin.get("/statistics/usage/people.csv?days=7"))
    assert [row[:2] for row in named] == [["name", "queries"], ["ada", "3"], ["bob", "1"]]
    nameless = admin.get("/statistics/usage/people.csv?days=7&names=no")
    assert [row[0] for row in _table(nameless)] == ["queries", "3", "1"]
    assert "ada" not in nameless.get_data(as_text=True)


def test_a_name_is_no_formula_in_the_download(site, admin):
    signed_in(site, "=1+1")
    with site.app_context():
        _asked(db.session.scalar(db.select(User.id).where(User.username == "=1+1")), "found", None)
    assert _table(admin.get("/statistics/usage/people.csv"))[1][0] == "'=1+1"


def test_the_download_has_all_rows(admin, site):
    assert len(_table(admin.get("/statistics/usage/never-found.csv?days=7"))) == 1 + 12


def test_a_range_without_data(admin):
    page = admin.get(f"{USAGE}?from=1999-01-01&to=1999-12-31")
    assert page.status_code == 200
    assert "No queries in this period." in page.text
    assert admin.get("/statistics/usage/seconds.csv?from=1999-01-01&to=1999-01-02").status_code == 200


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=2026-11-24&to=2026-11-23", "comes after the last day"),
        ("from=yesterday", "Dates must be written like"),
        ("from=0001-01-01", "Dates must be written like"),
        ("to=9999-12-31", "Dates must be written like"),
        ("tz=Mars/Olympus", "Unknown time zone"),
        ("tz=../../etc/passwd", "Unknown time zone"),
        ("tz=" + "a" * 5000, "Unknown time zone"),
        ("tz=%00", "Unknown time zone"),
        ("tz=Europe", "Unknown time zone"),
        ("days=eternity", "must be one of"),
    ],
)
def test_a_span_that_is_none_is_refused_in_a_sentence(admin, query, sentence):
    for address in (USAGE, "/statistics/usage/days.csv"):
        response = admin.get(f"{address}?{query}")
        assert response.status_code == 400
        assert sentence in response.text


@pytest.mark.parametrize("query", ["from=1970-01-01&to=2100-12-31", "days=all", "tz=Asia/Kathmandu&days=365"])
def test_spans_of_all_lengths(admin, asked, query):
    response = admin.get(f"{USAGE}?{query}")
    assert response.status_code == 200
    assert "4 queries." in response.text


def test_storage_is_measured(admin, site, settings):
    usage_page.storage.wait()
    usage_page.storage.__init__()
    (settings.database / "uploads").mkdir(parents=True)
    (settings.database / "uploads" / "a.jpg").write_bytes(b"x" * 3_000_000)
    admin.get(USAGE)
    usage_page.storage.wait()
    rows = dict(_table(admin.get("/statistics/usage/storage.csv"))[1:])
    assert float(rows["uploads"]) == pytest.approx(3.0, abs=0.1)
    assert float(rows["database"]) > 0
    usage_page.storage.__init__()


def test_refusals_where_people_and_programs_ask_are_counted(site, member, admin):
    broken = {"picture": (io.BytesIO(b"no picture"), "a.jpg")}
    assert post(member, "/photographs", broken, page="/").status_code == 400
    assert member.post("/photographs").status_code == 400  # without the page's secret
    assert program_of(site, "grace").post(data={"picture": (io.BytesIO(b"no picture"), "a.jpg")}).status_code == 400
    assert member.get("/photographs/nothing/picture.jpg").status_code == 404
    assert member.get("/statistics/usage").status_code == 403
    rows = _table(admin.get("/statistics/usage/refusals.csv"))[1:]
    assert sum(int(row[3]) for row in rows) == 3
    assert {tuple(row[:3]) for row in rows} == {
        ("400", "Bad Request", "search.upload"),
        ("400", "Bad Request", "v1.search"),
    }


@pytest.mark.parametrize("code", [413, 422, 429, 503])
def test_refusals_of_each_kind_are_counted(make_site, code):
    site = make_site()
    site.add_url_rule("/refused", "search.refused", lambda: abort(code))
    client = signed_in(site, "grace")
    assert client.get("/refused").status_code == client.get("/refused").status_code == code
    with site.app_context():
        counts = [(event.status, event.count) for event in db.session.scalars(db.select(Event))]
        grace = db.session.scalar(db.select(User.id).where(User.username == "grace"))
        assert {event.user_id for event in db.session.scalars(db.select(Event))} == {grace}
    assert sum(count for _, count in counts) == 2
    assert {status for status, _ in counts} == {code}


def test_what_a_failed_request_left_open_is_not_written(make_site):
    site = make_site(config={"PROPAGATE_EXCEPTIONS": False})

    @site.get("/broken", endpoint="search.broken")
    def broken():
        db.session.add(User(username="half", email="half@example.com"))
        db.session.flush()
        raise RuntimeError("on purpose")

    assert browser(site).get("/broken").status_code == 500
    with site.app_context():
        assert db.session.scalar(db.select(User).where(User.username == "half")) is None
        (event,) = db.session.scalars(db.select(Event))
        assert (event.status, event.endpoint, event.user_id) == (500, "search.broken", None)


# The collection


def test_the_collection_in_numbers(admin, settings):
    page = admin.get(COLLECTION).text
    assert re.search(r"Pictures</dt><dd>12</dd>", page)
    assert "has not been examined yet" in page
    assert re.search(r"title</th><td>0 of 12</td><td>0.0 %</td>", page)
    assert "inventory number</th><td>0 of 12" in page and "period</th><td>0 of 12" in page


def test_skipped_files_of_both_steps(make_site, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "skipped.csv").write_text("file,reason\nbroken.jpg,the picture is damaged\n")
    site = make_site(lists=tmp_path / "lists")
    page = signed_in(site, "root", admin=True).get(COLLECTION).text
    assert re.search(r"broken.jpg</th>\s*<td>the picture is damaged</td>\s*<td>create_list.py</td>", page)


def examined(admin, settings) -> dict:
    """The survey after the button was pressed."""
    settings.output.mkdir(parents=True, exist_ok=True)
    response = post(admin, FORMS[1], page=COLLECTION)
    assert response.status_code == 302 and response.headers["Location"].endswith(COLLECTION + "#duplicates")
    surveying.wait(60)
    return json.loads((settings.output / "survey.json").read_text())


def test_a_survey_counts_keypoints_and_says_how_far_it_is(admin, settings, engine):
    survey = examined(admin, settings)
    assert survey["version"] == engine.store.version()
    assert sum(survey["keypoints"]) == 12
    assert survey["pairs"] == [] and survey["found"] == 0
    assert admin.get(FORMS[1]).json == {"running": False, "done": 12, "of": 12}
    page = admin.get(COLLECTION).text
    assert "Examined on" in page and "No two pictures show the same work." in page


@pytest.fixture
def pairs(settings, engine) -> list[Pair]:
    """A survey that has found two pairs."""
    sums = {image: stamp.checksum for image, stamp in engine.store.images().items()}
    pairs = [
        Pair(one, other, (sums[one], sums[other]), similarity=0.2, inliers=100 + one, agreement=0.97)
        for one, other in [(1, 2), (3, 4)]
    ]
    wrote(settings, pairs)
    return pairs


def wrote(settings, pairs: list[Pair]) -> None:
    settings.output.mkdir(parents=True, exist_ok=True)
    survey = Survey(1, "2026-11-27 10:00", [0, 12], len(pairs), pairs)
    (settings.output / "survey.json").write_text(json.dumps({"format": FORMAT} | asdict(survey)))


def shown(admin) -> tuple[str, str]:
    """The list of pairs on the page, and that of those that were dismissed."""
    listed, _, dismissed = admin.get(COLLECTION).text.partition("<summary>Not duplicates")
    return listed, dismissed.partition("</details>")[0]


def test_a_pair_that_is_none_stays_dismissed_until_that_is_taken_back(admin, settings, pairs):
    listed, dismissed = shown(admin)
    assert "101 points match, and the pixels agree to 97 %." in listed and "103 points" in listed and not dismissed
    answer = post(admin, "/statistics/collection/pairs/1-2", {"said": "none"}, page=COLLECTION)
    assert answer.status_code == 302
    wrote(settings, pairs)  # the next survey finds it again
    listed, dismissed = shown(admin)
    assert "101 points" not in listed and "103 points" in listed
    assert "101 points" in dismissed and "Show again" in dismissed
    post(admin, "/statistics/collection/pairs/1-2", {"said": ""}, page=COLLECTION)
    listed, dismissed = shown(admin)
    assert "101 points" in listed and not dismissed


def test_a_dismissed_pair_is_shown_again_when_a_file_has_changed(admin, settings, pairs):
    post(admin, "/statistics/collection/pairs/1-2", {"said": "none"}, page=COLLECTION)
    changed = replace(pairs[0], checksums=(pairs[0].checksums[0], "another"))
    wrote(settings, [changed, pairs[1]])
    assert "101 points" in shown(admin)[0]
    post(admin, "/statistics/collection/pairs/1-2", {"said": "none"}, page=COLLECTION)
    assert "101 points" in shown(admin)[1]


def test_pictures_of_one_work_in_the_register_are_no_pair(admin, site, pairs):
    with site.app_context():
        db.session.get(Picture, 2).work_id = 1
        db.session.commit()
    listed, _ = shown(admin)
    assert "101 points" not in listed and "103 points" in listed


def test_only_administrators_dismiss_and_only_pairs_of_the_survey(admin, member, client, pairs):
    address = "/statistics/collection/pairs/1-2"
    assert post(member, address, {"said": "none"}, page="/").status_code == 403
    assert post(client, address, {"said": "none"}, page="/user/sign-in").status_code == 302
    assert member.get(FORMS[1]).status_code == 403
    assert admin.post(address, data={"said": "none"}).status_code == 400  # without the form's secret
    for other in ("2-1", "1-3", "1-99999999999"):
        assert (
            post(admin, f"/statistics/collection/pairs/{other}", {"said": "none"}, page=COLLECTION).status_code == 404
        )
    assert "101 points" in shown(admin)[0]


def test_a_survey_that_cannot_be_made_says_why(admin, settings, engine):
    engine.store.path.with_name("moved").mkdir()
    index = next(engine.store.path.parent.glob("votes-*.faiss"))
    index.rename(index.parent / "moved" / index.name)
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
        post(admin, FORMS[1], page=COLLECTION)
        surveying.wait(60)
        assert "pre_compute_descriptor.py --update" in admin.get(COLLECTION).text
    finally:
        (index.parent / "moved" / index.name).rename(index)
        engine.store.path.with_name("moved").rmdir()
        surveying.problem = ""


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 2, "pairs": [1]}'])
def test_a_damaged_survey_is_none(admin, settings, content):
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "survey.json").write_text(content)
    page = admin.get(COLLECTION)
    assert page.status_code == 200
    assert "has not been examined yet" in page.text


def test_shares_and_codes_are_written_as_people_read_them():
    assert measures.percent(0.9971) == "99.71 %"
    assert measures.percent(None) == "–"
    assert os.sep not in usage_page._meaning(429)


def test_both_ends_of_an_interval_have_one_precision():
    assert measures.percent_range((0.94, 0.999999)) == "94.0 % to 100.0 %"
    assert measures.percent_range((0.9972, 0.9999)) == "99.72 % to 99.99 %"
    assert measures.percent_range((0.0001, 0.0004)) == "0.010 % to 0.040 %"
    assert measures.percent_range((0.5, 0.5)) == "50.0 % to 50.0 %"
    assert measures.percent_range(None) == "–"

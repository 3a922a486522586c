"""What people say becomes ground truth: which photographs are asked again, and what is expected of each."""

import sys
from types import ModuleType

import pytest

import test_with_statistics
from database.tables import Query, db
from models.evaluation import records
from tests.web.asked import ask_for, user_of, work_of
from tests.web.conftest import add_user, signed_in
from utils.errors import WrongUse
from web.confirmed import photographs
from web.expiry import delete_queries
from web.judging import judge
from web.uploads import uploads


@pytest.fixture
def judged(site, collection) -> dict[str, str]:
    """What was said -> id of the query; all of Ada's, and of the same painting."""
    add_user(site, "ada")
    painting = (collection / "images" / "sea 11.png").read_bytes()
    said = {name: ask_for(site, "ada", painting)[0] for name in ("right", "work", "wrong", "absent", "nothing", "gone")}
    with site.app_context():
        for name, id in said.items():
            if name != "nothing":
                picture = str(work_of(site, "portrait 6.png")) if name == "work" else ""
                judge(db.session.get(Query, id), user_of("ada"), "right" if name == "gone" else name, picture)
        delete_queries([said["gone"]])
    return said


def test_the_ground_truth_is_what_people_said(site, judged):
    with site.app_context():
        found = {file.name: works for file, works in photographs()}
        expected = {
            "right": frozenset({work_of(site, "sea 11.png")}),
            "work": frozenset({work_of(site, "portrait 6.png")}),
            "absent": frozenset(),
        }
        files = {name: uploads().picture_of(db.session.get(Query, judged[name])).name for name in expected}
        assert found == {files[name]: works for name, works in expected.items()}


@pytest.fixture
def script(site, engine, settings, monkeypatch):
    """script(*arguments): test_with_statistics.py over the site's database, with the engine that is loaded."""
    module = ModuleType("models.engine")
    module.Engine = type("Engine", (), {"open": staticmethod(lambda output, dataset, settings: engine)})
    monkeypatch.setitem(sys.modules, "models.engine", module)
    monkeypatch.setenv("RETRIEVAL_DATABASE", str(settings.database))
    monkeypatch.setenv("RETRIEVAL_DATASET", str(settings.dataset))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    output = ["--output", str(settings.output)]
    return lambda *arguments: test_with_statistics.main([*arguments, *output])


def test_the_confirmed_are_asked_again_and_measured(script, judged, settings, monkeypatch, capsys):
    monkeypatch.setenv("RETRIEVAL_USE_CONFIRMED", "on")
    script("--confirmed")
    assert "3 queries, 2 wrong answers, 0 skipped" in capsys.readouterr().out
    _, rows = records.read(settings.output / "statistics" / "confirmed")
    # The engine names the sea each time: once that is right, once another work, once nothing of the collection.
    assert sorted(row.result for row in rows) == ["false found", "right", "wrong first"]
    with pytest.raises(WrongUse, match="too few"):
        script("--calibrate", "confirmed")


def test_they_are_used_with_consent_only(script, judged):
    with pytest.raises(WrongUse, match="RETRIEVAL_USE_CONFIRMED=on"):
        script("--confirmed")


def test_without_any_it_says_what_to_do(script, site, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_USE_CONFIRMED", "on")
    with pytest.raises(WrongUse, match="judge answers on the site first"):
        script("--confirmed")


@pytest.mark.parametrize("address", ["/", "/batches"])
def test_pages_tell_people_of_it(make_site, address):
    words = "used to measure and improve the search"
    assert words in signed_in(make_site(use_confirmed=True), "ada").get(address).get_data(as_text=True)

"""The table of works: in step with the collection store, and with a catalogue."""

import threading

import pytest
from sqlalchemy import event, select

from database import kept
from database.catalog import Work as Row
from database.register.files import Matcher
from database.tables import Work, db
from database.works import FACETS, Wanted, count_facets, count_works, find_works, follow, load_catalog

AACHEN = "https://www.wga.hu/html/a/aachen/allegory.html"
EVERYTHING = Wanted()
BOSCH = "https://www.wga.hu/html/b/bosch/allegory.html"


@pytest.fixture
def context(site):
    with site.app_context():
        yield site


def titles(wanted: Wanted = EVERYTHING, sort: str = "file") -> list[str]:
    return [work.caption for work in find_works(wanted, sort)]


def matched(rows: list[Row], *paths: str) -> tuple[dict[int, str], list[str]]:
    """id -> title of its row, and the reasons of the rows without an image."""
    results = list(Matcher(lambda: iter(rows), dict(enumerate(paths, 1))))
    found = {shown.image: row.title for row, pictures, _ in results for shown in pictures}
    return found, [reason for _, _, reason in results if reason]


def test_several_files_in_folders_are_told_from_one_that_has_such_a_name():
    def shown(cell: str, *paths: str) -> list[int]:
        ((_, pictures, _),) = Matcher(lambda: iter([Row(title="Hare", file=cell)]), dict(enumerate(paths, 1)))
        return [picture.image for picture in pictures]

    assert shown("x/a.jpg|x/b.jpg", "x/a.jpg", "x/b.jpg") == [1, 2]
    assert shown("x/b.jpg; x/a.jpg", "x/a.jpg", "x/b.jpg") == [2, 1]
    assert shown("old/x/a.jpg|old/x/b.jpg", "x/a.jpg", "x/b.jpg") == [1, 2]
    assert shown("x/a;b.jpg", "x/a;b.jpg", "x/b.jpg") == [1]
    assert shown("C:\\old\\a;b.jpg", "x/a;b.jpg") == [1]
    assert shown("x/a.jpg|x/gone.jpg", "x/a.jpg") == [1]


# Following the store


def test_works_come_and_go_with_the_images_of_the_store(context):
    follow({1: "a.jpg", 2: "b.jpg", 3: "c.jpg"})
    assert titles() == ["a", "b", "c"]
    follow({2: "b.jpg", 3: "c.jpg", 4: "d.jpg"})
    assert dict(db.session.execute(select(Work.id, Work.path)).all()) == {2: "b.jpg", 3: "c.jpg", 4: "d.jpg"}


def test_a_store_that_was_made_anew_gives_its_ids_to_other_images(context):
    load_catalog([Row(title="Old", file=path) for path in [db.session.get(Work, 1).path]])
    assert db.session.get(Work, 1).title == "Old"
    follow({1: "another.jpg", 2: "b.jpg"})
    assert (db.session.get(Work, 1).path, db.session.get(Work, 1).title) == ("another.jpg", "")


def test_following_an_unchanged_store_writes_nothing(context, engine):
    written = []
    event.listen(db.engine, "before_cursor_execute", lambda *said: written.append(said[2]))
    follow(engine.images)
    assert written and all(statement.lstrip().startswith("SELECT") for statement in written)


def test_names_that_are_no_text_are_followed(context):
    follow({1: "caf\udce9.jpg", 2: "x/" + "long" * 300 + ".jpg"})
    assert db.session.get(Work, 1).path == "caf\udce9.jpg"
    assert count_works(Wanted("caf")) == 1


def test_two_that_follow_at_once_end_well(context):
    problems = []

    def run(images):
        try:
            with context.app_context():
                follow(images)
        except Exception as problem:
            problems.append(problem)

    images = {number: f"{number}.jpg" for number in range(1, 500)}
    threads = [threading.Thread(target=run, args=(images,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert count_works(Wanted()) == 499


# The catalogue


def test_a_file_column_names_the_image_by_path_or_by_unique_name():
    rows = [Row(title="by path", file="a/x.jpg"), Row(title="by name", file="y.jpg"), Row(title="two", file="x.jpg")]
    found, reasons = matched(rows, "a/x.jpg", "b/x.jpg", "b/y.jpg")
    assert found == {1: "by path", 3: "by name"}
    assert reasons == ["2 pictures have the name x.jpg"]


def test_a_file_column_of_another_system_names_the_same_image():
    assert matched([Row(title="t", file="a\\x.jpg")], "a/x.jpg")[0] == {1: "t"}
    assert matched([Row(title="t", file="./a/x.jpg")], "a/x.jpg")[0] == {1: "t"}


@pytest.mark.parametrize(
    "path",
    [
        "art/a/aachen/allegory.jpg",
        "a/aachen/allegory.jpg",
        "aachen/Allegory.JPG",
        "allegory.png",
        "00000/a_aachen_allegory.jpg",  # as dataset/download_wga.py names it
    ],
)
def test_the_end_of_an_address_names_the_image(path):
    assert matched([Row(title="t", url=AACHEN)], path) == ({1: "t"}, [])


def test_the_longest_end_of_an_address_decides():
    rows = [Row(title="Aachen", url=AACHEN), Row(title="Bosch", url=BOSCH)]
    found, reasons = matched(rows, "b/bosch/allegory.jpg", "a/aachen/allegory.jpg")
    assert (found, reasons) == ({1: "Bosch", 2: "Aachen"}, [])


def test_nothing_is_guessed_between_two_images_or_two_works():
    found, reasons = matched([Row(title="Aachen", url=AACHEN)], "x/allegory.jpg", "y/allegory.jpg")
    assert (found, reasons) == ({}, ["2 pictures have the name allegory"])
    rows = [Row(title="Aachen", url=AACHEN), Row(title="Bosch", url=BOSCH)]
    found, reasons = matched(rows, "allegory.jpg")
    assert found == {}
    assert reasons == ["the addresses of several works end in allegory"] * 2


def test_a_row_that_names_a_file_goes_before_one_with_an_address():
    rows = [Row(title="by address", url=AACHEN), Row(title="by file", file="allegory.jpg")]
    found, reasons = matched(rows, "allegory.jpg")
    assert found == {1: "by file"}
    assert reasons == ["another row has the picture allegory.jpg already"]


def test_rows_that_lead_nowhere_are_told():
    rows = [Row(title="neither"), Row(title="odd", url="http://[broken"), Row(title="gone", url=AACHEN)]
    found, reasons = matched(rows, "b.jpg")
    assert not found
    assert reasons[0] == "it has neither FILE, URL nor INVENTORY NUMBER"
    assert reasons[2] == "there is no picture of the name a/aachen/allegory"


def test_a_catalogue_is_applied_counted_and_kept_for_works_that_come_later(context):
    follow({1: "a.jpg", 2: "b.jpg"})
    loaded = load_catalog([Row(title="A", file="a.jpg"), Row(title="Later", file="later.jpg")])
    assert (loaded.rows, loaded.matched, loaded.without_row) == (2, 1, 1)
    assert [row.title for row, _ in loaded.unmatched] == ["Later"]
    assert titles() == ["A", "b"]
    follow({1: "a.jpg", 2: "b.jpg", 3: "later.jpg"})
    assert titles() == ["A", "b", "Later"]


def test_another_catalogue_takes_the_place_of_the_first(context):
    follow({1: "a.jpg", 2: "b.jpg"})
    load_catalog([Row(title="A", file="a.jpg")])
    load_catalog([Row(title="B", file="b.jpg")])
    assert titles() == ["a", "B"]


def test_cells_that_a_database_would_refuse_are_cut(context):
    follow({1: "a.jpg"})
    load_catalog([Row(title="nul\0" + "t" * 9000, author="a" * 999, form="f" * 999, file="a.jpg")])
    work = db.session.get(Work, 1)
    assert len(work.form) == 200 and len(work.author) == 200 and work.title.startswith("nult")


def test_a_kept_catalogue_that_was_spoilt_does_not_stop_the_site(context):
    (context.extensions["settings"].database / "catalog.csv").write_text("rubbish")
    follow({1: "a.jpg"})
    assert titles() == ["a"]


# Searching


@pytest.fixture
def gallery(context):
    follow({number: f"{number}.jpg" for number in range(1, 5)})
    rows = [
        Row(author="DÜRER, Albrecht", title="Hare", school="German", form="graphics", file="1.jpg"),
        Row(author="DÜRER, Albrecht", title="100% Wing", school="German", form="painting", file="2.jpg"),
        Row(author="KRØYER, Peder", title="Beach", school="Danish", form="painting", file="3.jpg"),
    ]
    load_catalog(rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("durer", ["Hare", "100% Wing"]),
        ("DÜRER hare", ["Hare"]),
        ("hare beach", []),
        ("kroyer", ["Beach"]),
        ("100%", ["100% Wing"]),
        ("%", ["100% Wing"]),
        ("_", []),
        ("4.jpg", ["4"]),
        ("\0", ["Hare", "100% Wing", "Beach", "4"]),
        ("' OR 1=1 --", []),
    ],
)
def test_all_words_must_occur_whatever_their_accents(gallery, text, expected):
    assert titles(Wanted(text)) == expected
    assert count_works(Wanted(text)) == len(expected)


def test_facets_are_counted_under_what_is_wanted(gallery):
    counted = count_facets(Wanted("", {"form": "painting"}), FACETS)
    assert counted["school"] == [("Danish", 1), ("German", 1)]
    assert counted["author"] == [("DÜRER, Albrecht", 1), ("KRØYER, Peder", 1)]
    assert counted["type"] == []
    assert count_facets(Wanted(), FACETS, most=1)["school"] == [("German", 2)]
    assert count_facets(Wanted("hare"), FACETS)["school"] == [("German", 1)]


def test_works_are_sorted_and_those_without_a_name_come_last(gallery):
    assert titles(sort="author") == ["100% Wing", "Hare", "Beach", "4"]
    assert titles(sort="title") == ["100% Wing", "Beach", "Hare", "4"]
    assert titles(sort="file") == ["Hare", "100% Wing", "Beach", "4"]


def test_a_kept_catalogue_is_what_the_reader_reads(context):
    follow({1: "a.jpg"})
    rows = [Row(title="A; B", author="x", url=AACHEN, file="a.jpg")]
    load_catalog(rows)
    assert list(kept.read(context.extensions["settings"].database / "catalog.csv")) == rows

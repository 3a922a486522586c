"""Works, their pictures and the register: what is loaded, kept, restored, exported and found."""

from pathlib import Path

import pytest
from sqlalchemy import text

from database import catalog, fulltext, kept, works
from database.catalog import Work as Row
from database.register import writing
from database.tables import Picture, Work, db
from database.works import Wanted
from utils.errors import WrongUse

IMAGES = {1: "a.jpg", 2: "a_back.jpg", 3: "b.jpg", 4: "c.jpg"}


@pytest.fixture
def loaded(context):
    """Three works, one of two pictures, with a register."""
    works.follow(IMAGES)
    works.load_catalog(
        [
            Row(number="1921.10", author="Dürer; Baldung", title="Hare", date="c. 1500-05", file="a.jpg | a_back.jpg"),
            Row(
                number="1921.2",
                author="Émile Bernard",
                title="Wing",
                file="b.jpg",
                more={"Box": "12", "=x": "=1+1"},
            ),
        ]
    )
    return context


def captions(wanted: Wanted, sort: str = "number") -> list[str]:
    found = [work.caption for work in works.find_works(wanted, sort)]
    assert len(found) == works.count_works(wanted)
    return found


def folder(context) -> Path:
    return context.extensions["settings"].database


# Works and pictures


def test_a_work_has_all_its_pictures_and_the_id_of_the_first(loaded):
    work = db.session.get(Work, 1)
    assert [(each.id, each.path, each.role) for each in work.pictures] == [(1, "a.jpg", ""), (2, "a_back.jpg", "back")]
    assert (work.number, work.artists, work.first_year, work.last_year) == ("1921.10", ["Dürer", "Baldung"], 1500, 1505)
    assert db.session.get(Work, 2) is None and db.session.get(Picture, 2).work is work
    assert db.session.get(Work, 4).caption == "c"


def test_pictures_come_and_go_and_the_register_stays(loaded):
    works.follow({1: "a.jpg", 5: "b.jpg"})
    assert captions(Wanted()) == ["Wing", "Hare"]
    works.follow(IMAGES)
    assert captions(Wanted()) == ["Wing", "Hare", "c"]
    assert len(db.session.get(Work, 1).pictures) == 2


def test_of_several_pictures_the_best_stands_for_its_work(loaded):
    pictures = works.pictures_of([4, 2, 1, 99])
    assert works.once_a_work([2, 4, 1, 99, 3], pictures) == [2, 4, 99, 3]


def test_the_store_decides_what_there_is(loaded):
    works.follow({})
    assert db.session.scalar(text("SELECT count(*) FROM work_texts")) == 0
    assert db.session.scalar(db.select(db.func.count(Picture.id))) == 0


# Loading


def test_a_plan_says_what_would_change_and_changes_nothing(loaded):
    before = (folder(loaded) / kept.NAME).read_bytes()
    rows = [
        Row(number="1921.10", title="Young hare", file="a.jpg"),
        Row(title="C", file="c.jpg"),
        Row(title="D", file="d"),
    ]
    with works.Plan(rows) as plan:
        said = plan.loaded(with_rows=True)
    assert (said.rows, said.matched, said.new, said.changed, said.lost, said.without_row) == (3, 2, 1, 1, 2, 2)
    assert [reason for _, reason in said.unmatched] == ["there is no picture of the name d"]
    assert (folder(loaded) / kept.NAME).read_bytes() == before
    assert captions(Wanted()) == ["Wing", "Hare", "c"]
    assert sorted(path.name for path in folder(loaded).glob("catalog*")) == ["catalog.csv"]


def test_a_register_that_breaks_off_changes_nothing(loaded):
    def rows():
        yield Row(title="C", file="c.jpg")
        raise WrongUse("broken")

    with pytest.raises(WrongUse, match="broken"):
        works.load_catalog(rows())
    assert captions(Wanted()) == ["Wing", "Hare", "c"]
    assert sorted(path.name for path in folder(loaded).glob("catalog*")) == ["catalog.csv"]


def test_the_last_ten_registers_are_kept(loaded):
    for number in range(13):
        works.load_catalog([Row(title=f"Title {number}", file="a.jpg")])
    earlier = kept.list_earlier(folder(loaded))
    assert [next(kept.read(path)).title for path in earlier] == [f"Title {number}" for number in range(11, 1, -1)]
    works.load_catalog(kept.read(earlier[-1]))
    assert captions(Wanted("title")) == ["Title 2"]


def test_a_register_of_an_earlier_version_is_read(context):
    (folder(context) / kept.NAME).write_text("AUTHOR;TITLE;FILE\nDürer;Hare;a.jpg\n", encoding="utf-8")
    works.follow(IMAGES)
    assert captions(Wanted("hare")) == ["Hare"]


# Export


@pytest.mark.parametrize("name", ["register.csv", "register.xlsx"])
def test_what_is_exported_is_loaded_again_without_loss(loaded, tmp_path, name):
    before = dict(db.session.execute(db.select(Work.id, Work.entry)).all())
    rows = list(works.export_rows())
    assert writing.write(tmp_path / name, works.export_rows) == 3
    assert catalog.read(tmp_path / name) == rows
    assert rows[1].more == {"Box": "12", "=x": "=1+1"}
    with works.Plan(catalog.Register(tmp_path / name)) as plan:
        said = plan.loaded()
        assert (said.changed, said.new, said.lost) == (0, 0, 0)
        plan.apply()
    assert dict(db.session.execute(db.select(Work.id, Work.entry)).all()) == before


def test_an_export_is_safe_in_a_spreadsheet(loaded, tmp_path):
    writing.write(tmp_path / "register.csv", works.export_rows)
    content = (tmp_path / "register.csv").read_text(encoding="utf-8-sig")
    assert "'=1+1" in content and ";=1+1" not in content and ";'=x" in content


def test_a_cell_that_excel_cannot_hold_is_told_and_no_half_file_left(context, tmp_path):
    rows = [Row(title="x" * 40_000)]
    with pytest.raises(WrongUse, match=r"40,000 characters.*register\.csv instead"):
        writing.write(tmp_path / "register.xlsx", lambda: iter(rows))
    assert not list(tmp_path.glob("register*"))


@pytest.mark.parametrize(
    ("name", "said"), [("a.txt", "should end in"), ("no folder/a.csv", "no such folder"), ("", "is one")]
)
def test_what_cannot_be_written_is_told(tmp_path, name, said):
    with pytest.raises(WrongUse, match=said):
        writing.write(tmp_path / name, lambda: iter([]))
    with pytest.raises(WrongUse, match=said):
        writing.template(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.csv", "empty.xlsx"])
def test_the_template_is_a_register_without_rows(tmp_path, name):
    writing.template(tmp_path / name)
    register = catalog.Register(tmp_path / name)
    assert list(register) == []
    assert {column.field for column in register.columns} == set(catalog.FIELDS)


# Finding


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("duerer", ["Hare"]),
        ("durer bald", ["Hare"]),
        ("Emile", ["Wing"]),
        ('"emile bernard"', ["Wing"]),
        ('"bernard emile"', []),
        ("bernard, emile", ["Wing"]),
        ("1921.2", ["Wing"]),
        ("1921", ["Wing", "Hare"]),
        ("box", []),
        ("12", ["Wing"]),
        ("back", ["Hare"]),
    ],
)
def test_works_are_found_by_what_people_type(loaded, typed, expected):
    assert captions(Wanted(typed)) == expected


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("Jeanne d’Arc", "d'Arc"),
        ("Jeanne d’Arc", "darc"),
        ("Toulouse Lautrec", "Toulouse-Lautrec"),
        ("Toulouse-Lautrec", "Toulouse Lautrec"),
        ("Toulouse-Lautrec", "ToulouseLautrec"),
        ("AACHEN, Hans von", "Hans, Aachen"),
        ("DÜRER, Albrecht", "Duerer"),
        ("Saʿdī", "Sadi"),
        ("Saʿdī", "Sa'di"),
        ("Georgia O'Keeffe", "OKeeffe"),
        ("Georgia OKeeffe", "O’Keeffe"),
    ],
)
def test_signs_and_marks_do_not_matter(context, written, typed):
    works.follow({1: "a.jpg", 2: "b.jpg"})
    works.load_catalog([Row(title=written, file="a.jpg"), Row(title="Something else", file="b.jpg")])
    assert captions(Wanted(typed)) == [written]


@pytest.mark.parametrize(
    "typed", ['"', '""', "a OR b", "NOT", "*", "a* (", "{title}: x", "':*", "\\", "a\0b", "&|!<->", "'"]
)
def test_what_is_typed_is_never_taken_for_a_command(loaded, typed):
    captions(Wanted(typed), "relevance")


def test_where_it_matches_decides_the_order(context):
    works.follow({n: f"{n}.jpg" for n in range(1, 5)})
    rows = [
        Row(title="Elsewhere", technique="hare's brush", file="1.jpg"),
        Row(title="By him", author="Hare, John", file="2.jpg"),
        Row(title="The hare", file="3.jpg"),
        Row(title="Numbered", number="Hare 1", file="4.jpg"),
    ]
    works.load_catalog(rows)
    assert captions(Wanted("hare"), "relevance") == ["Numbered", "The hare", "By him", "Elsewhere"]


@pytest.mark.parametrize("typed", ["G 12 a", "G12a", "g12", "G-12", "g.12"])
def test_an_inventory_number_is_found_with_and_without_its_blanks(context, typed):
    works.follow({1: "a.jpg", 2: "b.jpg"})
    works.load_catalog([Row(number="G 12 a", title="Head", file="a.jpg"), Row(number="H 12", title="x", file="b.jpg")])
    assert captions(Wanted(typed)) == ["Head"]


def test_works_are_sorted_by_number_date_and_letters(loaded):
    assert captions(Wanted(), "number") == ["Wing", "Hare", "c"]
    assert captions(Wanted(), "date")[0] == "Hare"
    assert captions(Wanted(), "author") == ["Hare", "Wing", "c"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(1505, 1600, ["Hare"]), (1400, 1500, ["Hare"]), (1506, None, []), (None, 1499, []), (None, 1502, ["Hare"])],
)
def test_works_are_found_by_a_range_of_years(loaded, first, last, expected):
    assert captions(Wanted("", {}, first, last)) == expected


def test_years_among_the_words_are_years(loaded):
    expected = {
        "1400-1500": ["Hare"],
        "1400–1500": ["Hare"],
        "durer 1502 - 1899": ["Hare"],
        "emile 1400-1899": [],
        "1899-1400": [],
        '"1400-1500"': [],
        "1506-1900": [],
    }
    assert {typed: captions(Wanted.typed(typed, {})) for typed in expected} == expected


def test_what_looks_like_years_and_is_an_inventory_number_is_that(loaded):
    works.load_catalog([Row(number="1400-1500", title="Leaf", file="b.jpg"), Row(date="1450", file="a.jpg", title="x")])
    assert captions(Wanted.typed("1400-1500", {})) == ["Leaf"]
    assert Wanted.typed("1400-1501", {}) == Wanted("", {}, 1400, 1501)


def test_years_that_are_given_apart_leave_the_words_alone(loaded):
    assert Wanted.typed("1400-1500", {}, 1600) == Wanted("1400-1500", {}, 1600)


@pytest.fixture
def many(context, monkeypatch):
    """Nine works that all have the word "oil", three of them in their titles; more than a search ranks and counts."""
    monkeypatch.setattr(fulltext, "MANY", 5)
    monkeypatch.setattr(works, "COUNTED", 4)
    works.follow({number: f"{number}.jpg" for number in range(1, 10)})
    schools = ["Dutch", "Dutch", "French", "Dutch", "French", "Swiss", "Dutch", "Dutch", "Dutch"]
    rows = [
        Row(title="Oil mill" if number % 3 == 0 else "Mill", technique="oil", school=school, file=f"{number}.jpg")
        for number, school in enumerate(schools, 1)
    ]
    works.load_catalog(rows)
    return context


def test_of_many_works_the_best_come_first_and_pages_go_on_where_the_last_ended(many):
    for size in (1, 2, 3, 4, 9):
        pages = [works.find_works(Wanted("oil"), "relevance", start, size) for start in range(0, 10, size)]
        assert [work.id for page in pages for work in page] == [3, 6, 9, 1, 2, 4, 5, 7, 8]
    assert [work.id for work in works.find_works(Wanted("oil", {"school": "French"}), "relevance")] == [3, 5]
    assert [work.id for work in works.find_works(Wanted("mill"), "relevance", 7)] == [8, 9]


def test_of_many_works_only_some_are_counted(many):
    def counted(wanted):
        return works.count_facets(wanted, ["school"], total=works.count_works(wanted))["school"]

    assert counted(Wanted("oil")) == [("Dutch", 3), ("French", 1)]
    assert counted(Wanted("oil", {"school": "French"})) == [("French", 2)]
    assert counted(Wanted("", {"form": "", "type": ""})) == [("Dutch", 3), ("French", 1)]
    assert counted(Wanted()) == [("Dutch", 6), ("French", 2), ("Swiss", 1)]
    assert works.count_facets(Wanted("oil"), ["school"])["school"] == [("Dutch", 6), ("French", 2), ("Swiss", 1)]


def test_files_are_sorted_however_long_their_paths_are(context):
    long = "/".join(["folder" * 40] * 15)
    works.follow({1: long + "/b.jpg", 2: "z.jpg", 3: "a.jpg"})
    assert [work.id for work in works.find_works(Wanted(), "file")] == [3, 1, 2]


# Migration


def test_numbers_of_an_earlier_index_are_found_in_one_piece_after_an_upgrade(context):
    works.follow({1: "a.jpg", 2: "b.jpg"})
    works.load_catalog([Row(number="G 12 a", title="Head", author="Dürer", file="a.jpg"), Row(title="x", file="b.jpg")])
    connection = db.session.connection()
    fulltext.remove(connection, [1])
    fulltext.add(connection, [(1, "g 12 a", "head", "durer", "a jpg")])  # as it was
    assert captions(Wanted("g12a")) == []
    fulltext.index_numbers(connection, [(1, "G 12 a")])
    for typed in ("g12a", "G 12 a", "head", "durer", "jpg head"):
        assert captions(Wanted(typed)) == ["Head"]
    db.session.rollback()


def test_works_of_the_version_before_keep_their_ids_and_are_found(context):
    from flask_migrate import downgrade, upgrade

    from database.migrate import MIGRATIONS

    if db.engine.dialect.name != "sqlite":
        pytest.skip("the tables of a PostgreSQL are shared by all tests")
    downgrade(directory=str(MIGRATIONS), revision="0002")
    columns = "id, path, author, title, date, born_died, technique, location, url, form, type, school, timeframe, "
    columns += "folder, words"
    row = "(7, :path, 'Dürer', 'Hare', '1502', '', '', '', '', '', '', '', '', '', '')"
    with db.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO works ({columns}) VALUES {row}"), {"path": b"x/hare.jpg"})
    upgrade(directory=str(MIGRATIONS))
    work = db.session.get(Work, 7)
    assert (work.title, work.first_year, work.author_key[:5]) == ("Hare", 1502, "durer")
    assert [(each.id, each.path) for each in work.pictures] == [(7, "x/hare.jpg")]
    assert captions(Wanted("duerer hare")) == ["Hare"]
    assert works.digest(Row(author="Dürer", title="Hare", date="1502", file="hare.jpg")) == work.entry

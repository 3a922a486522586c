"""The register's commands, and pages of works with several pictures."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from database import catalog, works
from database.catalog import Work as Row
from database.tables import Query, Work, db
from models.collection.store import Store
from tests.web.asked import ask_for
from tests.web.conftest import browser, signed_in
from tests.web.test_collection import run, text, works_on
from web.api.views import answer_json


@pytest.fixture
def stored(site, collection, tmp_path):
    """The settings of a site whose store is its own, so that another process may read it."""
    settings = replace(site.extensions["settings"], output=tmp_path / "stored")
    settings.output.mkdir()
    shutil.copy(collection / "output" / "collection.lmdb", settings.output)
    return settings


def paths(settings) -> list[str]:
    store = Store.reading(settings.output)
    found = [stamp.path for stamp in store.images().values()]
    store.close()
    return found


def titles(site) -> set[str]:
    with site.app_context():
        return {work.title for work in db.session.scalars(db.select(Work))} - {""}


def test_a_registrars_list_is_previewed_loaded_restored_and_exported(site, stored, tmp_path):
    files = paths(stored)
    first, second = tmp_path / "Liste.csv", tmp_path / "other.csv"
    rows = [f"INV {n};Künstler {n};Titel {n};{path.upper()};Lager" for n, path in enumerate(files)]
    first.write_bytes(("Stand 2024\nInventar-Nr.;Wer;Titel;Aufnahme;Regal\n" + "\n".join(rows)).encode("cp1252"))
    maps = ["--map", "Image file=Aufnahme", "--map", "Artist=Wer"]

    said = run(stored, "load_catalog", first, "--dry-run", *maps).stdout
    assert "12 rows, 12 works matched, 0 rows without a work" in said and "Nothing was changed" in said
    assert (
        "Kept under their own names: Regal. Everyone who may see the collection can read" in said
        and titles(site) == set()
    )

    unknown = run(stored, "load_catalog", first, "--map", "Title=Große  Überschrift", "--map", "Artist=wer")
    assert unknown.returncode == 2
    assert "has no column 'Große  Überschrift' to --map: it has Inventar-Nr., Wer, Titel, Aufnahme" in unknown.stderr

    done = run(stored, "load_catalog", first, *maps)
    assert done.returncode == 0, done.stderr
    assert titles(site) == {f"Titel {n}" for n in range(12)}
    assert "12 works matched" in run(stored, "load_catalog", first, "--dry-run").stdout  # the mapping is remembered

    second.write_text("Title;File\nOnly one;" + files[0] + "\n")
    refused = run(stored, "load_catalog", second)
    assert refused.returncode == 2 and "11 works would lose their entries" in refused.stderr
    assert titles(site) == {f"Titel {n}" for n in range(12)}
    assert run(stored, "load_catalog", second, "--yes").returncode == 0
    assert titles(site) == {"Only one"}

    assert "12 rows, replaced on" in run(stored, "restore_catalog").stdout
    assert run(stored, "restore_catalog", "1").returncode == 0
    assert titles(site) == {f"Titel {n}" for n in range(12)}

    export = tmp_path / "export.xlsx"
    assert "12 rows written to" in run(stored, "export_catalog", export).stdout
    assert {row.file for row in catalog.read(export)} == set(files)
    again = run(stored, "load_catalog", export, "--dry-run").stdout
    assert "Entries: 0 new, 0 changed, 0 lost." in again


def test_files_without_a_row_are_listed(stored, tmp_path):
    first, *others = paths(stored)
    list_ = tmp_path / "list.csv"
    list_.write_text(f"Title;File\nOne;{first}\n")
    previewed = run(stored, "load_catalog", list_, "--dry-run")
    assert previewed.returncode == 0 and "1 row, 1 work matched, 0 rows without a work" in previewed.stdout
    listed = (stored.output / "catalog_files_without_row.csv").read_text().splitlines()
    assert listed[0] == "Image file" and sorted(listed[1:]) == sorted(others)
    assert not (stored.output / "catalog_unmatched.csv").exists()


def test_a_template_is_not_written_over_a_file(stored, tmp_path):
    path = tmp_path / "register.xlsx"
    assert run(stored, "catalog_template", path).returncode == 0
    before = path.read_bytes()
    again = run(stored, "catalog_template", path)
    assert again.returncode == 2 and "is there already" in again.stderr and path.read_bytes() == before


# Pages


@pytest.fixture
def several(site, engine):
    """A work of three pictures: those with the ids 3, 5 and 1, in this order."""
    with site.app_context():
        files = " | ".join(engine.images[image] for image in (3, 5, 1))
        works.load_catalog([Row(number="1921.2", title="Hare", author="A; B", file=files, more={"Box": "12"})])
    return site


def test_the_id_of_any_picture_leads_to_the_work(several):
    client = browser(several)
    assert client.get("/works/5").headers["Location"] == "/works/3"
    page = text(client, "/works/3")
    assert "1921.2" in page and "<dt>Box</dt>" in page
    assert [int(id) for id in re.findall(r'src="/works/(\d+)/thumbnail.jpg"', page)] == [3, 5, 1]
    assert client.get("/works/5/picture.jpg").data != client.get("/works/3/picture.jpg").data


def test_a_work_of_several_pictures_is_one_work_on_the_wall(several):
    page = text(browser(several), "/collection?sort=number")
    assert "10 works" in page and works_on(page)[0] == "Hare" and "1921.2" in page


def test_similar_works_are_others_each_once(several):
    client = browser(several)
    for picture in (3, 5):
        ids = [
            int(id)
            for id in re.findall(r'class="wall-link" href="/works/(\d+)"', text(client, f"/works/{picture}/similar"))
        ]
        assert len(ids) == 9 == len(set(ids)) and not {1, 3, 5} & set(ids)


def test_a_manifest_has_a_canvas_for_each_picture(several):
    manifest = json.loads(browser(several).get("/works/1/manifest.json").data)
    assert manifest["id"] == "https://localhost/works/3/manifest.json"
    bodies = [canvas["items"][0]["items"][0]["body"]["id"] for canvas in manifest["items"]]
    assert bodies == [f"https://localhost/works/{image}/picture.jpg" for image in (3, 5, 1)]
    assert len({canvas["id"] for canvas in manifest["items"]}) == 3
    said = {next(iter(pair["label"].values()))[0]: pair["value"]["none"][0] for pair in manifest["metadata"]}
    assert said["Inventory number"] == "1921.2" and said["Box"] == "12"


def test_works_are_found_by_years_on_the_page(site, engine):
    with site.app_context():
        works.load_catalog([Row(title="Hare", date="1502", file=engine.images[1])])
    client = browser(site)
    assert works_on(text(client, "/collection?from=1500&to=1510")) == ["Hare"]
    assert works_on(text(client, "/collection?from=1503")) == []
    assert len(works_on(text(client, "/collection?from=x&to="))) == 12


# Answers


@pytest.fixture
def asked(several, engine):
    """Ada and her answer to a picture that shows the back of the work of three pictures."""
    ada = signed_in(several, "ada")
    return ada, ask_for(several, "ada", (engine.dataset / engine.images[5]).read_bytes())[0]


def test_an_answer_ranks_works_and_shows_the_picture_that_matched(asked):
    client, id = asked
    page = text(client, f"/answers/{id}")
    assert "This is <cite>Hare</cite>" in page and "Inventory number 1921.2" in page
    assert '<img src="/works/5/picture.jpg" alt="Hare">' in page and '<image href="/works/5/picture.jpg"' in page
    ranked = [int(id) for id in re.findall(r'<th scope="row">.*?<a href="/works/(\d+)">', page, re.DOTALL)]
    assert len(ranked) == 20  # ten works in each of the two rankings
    assert len([image for image in ranked if image in (1, 3, 5)]) == 2


def test_programs_get_each_work_once_with_the_picture_that_matched(several, asked):
    _, id = asked
    with several.test_request_context(base_url="https://localhost"):
        said = answer_json(db.session.get(Query, id))
    assert (said["work"]["id"], said["work"]["number"], said["work"]["artists"]) == (3, "1921.2", ["A", "B"])
    assert [each["id"] for each in said["work"]["pictures"]] == [3, 5, 1]
    for ranking in said["ranking"].values():
        ids = [place["work"] for place in ranking]
        assert len(ids) == len(set(ids)) == 10
    first = said["ranking"]["after"][0]
    assert (first["work"], first["picture"]) == (3, 5)


def test_the_inventory_number_is_in_the_history_and_its_table(asked):
    client, _ = asked
    assert "1921.2" in text(client, "/history")
    header, row = client.get("/history.csv").get_data(as_text=True).splitlines()
    cells = dict(zip(header.lstrip("\ufeff").split(","), row.split(","), strict=True))
    assert cells["inventory number"] == "1921.2" and cells["title"] == "Hare"

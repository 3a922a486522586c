"""The site's own manifests, imported into another folder, and the register from there loaded into a site."""

import threading

import pytest
from werkzeug.serving import make_server

from database.catalog import Register
from database.catalog import Work as Row
from database.tables import Picture, Work, db
from database.works import follow, load_catalog
from dataset import import_iiif
from utils import images
from web import collection


@pytest.fixture
def address(site, monkeypatch):
    """The site at an address of its own, with two works in its register: one with two pictures, one with one."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with site.app_context():
        first, second, third = (db.session.get(Picture, id).path for id in (1, 2, 3))
        hare = Row(number="1921.2", author="Dürer", title="Hare", date="1502", technique="Watercolour", rights="CC0",
                   dimensions="25 x 22.5 cm", file=f"{first}|{second}", more={"Provenance": "Vienna"})  # fmt: skip
        load_catalog([hare, Row(number="1921.10", title="=Lake", file=third)])
    server = make_server("127.0.0.1", 0, site, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_site_s_works_are_imported_and_loaded_elsewhere(site, address, tmp_path, capsys):
    with site.app_context():
        ids = [db.session.query(Work).filter_by(title=title).one().id for title in ("Hare", "=Lake")]
    arguments = [f"{address}/works/{id}/manifest.json" for id in ids]
    arguments += ["--dataset", str(tmp_path / "elsewhere"), "--name", "site", "--pause", "0"]
    import_iiif.main(arguments)
    assert "2 objects; 3 pictures: 0 were there, 3 fetched" in capsys.readouterr().out

    import_iiif.main(arguments)
    assert "3 were there, 0 fetched (0 of them changed); 0 problems, 0 no longer" in capsys.readouterr().out

    register = Register(tmp_path / "elsewhere/site/register.csv")
    hare, lake = register
    assert (hare.number, hare.author, hare.title, hare.date) == ("1921.2", "Dürer", "Hare", "1502")
    assert (hare.technique, hare.dimensions) == ("Watercolour", "25 x 22.5 cm")
    assert hare.url == f"{address}/works/{ids[0]}"
    assert hare.more["Provenance"] == "Vienna"
    assert (lake.number, lake.title) == ("1921.10", "=Lake")
    files = [*hare.file.split("|"), lake.file]
    assert len(set(files)) == 3
    for file in files:
        assert images.probe(tmp_path / "elsewhere" / file, max_pixels=10_000_000, min_side=1).format == "JPEG"

    with site.app_context():
        follow(dict(enumerate(files, 101)))  # the collection of another site, made of the imported pictures
        loaded = load_catalog(Register(register.path))
        assert (loaded.rows, loaded.matched, loaded.unmatched) == (2, 2, [])
        hare = db.session.query(Work).filter_by(number="1921.2").one()
        assert [picture.path for picture in hare.pictures] == files[:2]
        assert hare.more["Provenance"] == "Vienna"


def test_all_works_of_the_site_are_imported_at_once(site, address, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(collection, "IIIF_PAGE", 4)
    with site.app_context():
        assert db.session.query(Work).count() == 11  # three pages
    arguments = [f"{address}/collection/iiif.json", "--dataset", str(tmp_path), "--name", "all", "--pause", "0"]
    import_iiif.main(arguments)
    assert "11 objects; 12 pictures: 0 were there, 12 fetched" in capsys.readouterr().out
    assert {row.title for row in Register(tmp_path / "all/register.csv")} >= {"Hare", "=Lake"}

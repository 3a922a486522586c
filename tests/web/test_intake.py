"""From what is sent to a photograph and its regions: limits, geometry, and what is left behind on failure."""

import io

import cv2
import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from database.tables import Answer, Photograph, Query, User, db
from tests.web.asked import count, files, user_of
from tests.web.conftest import add_user
from utils.images import ImageProblem
from web.asking import ask
from web.expiry import delete_photographs
from web.intake import BadCorners, Region, deleted_on_failure, keep_file, keep_photograph


@pytest.fixture
def content() -> bytes:
    """A PNG of 400 x 300 pixels."""
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


@pytest.fixture
def context(site):
    """Within the site, which Ada has an account on."""
    add_user(site, "ada")
    with site.app_context():
        yield


@pytest.fixture
def photograph(context, content) -> Photograph:
    return keep_photograph(user_of("ada"), content, "file", "noise.png")


def test_a_file_within_the_limit_is_kept_and_one_byte_more_refused(make_site, content):
    site = make_site(upload_megabytes=1)
    add_user(site, "ada")
    limit = 1 << 20
    with site.app_context():
        fits = FileStorage(io.BytesIO(content.ljust(limit, b"\0")), "noise.png")
        assert keep_file(user_of("ada"), fits, "file").name == "noise.png"
        with pytest.raises(RequestEntityTooLarge):
            keep_file(user_of("ada"), FileStorage(io.BytesIO(content.ljust(limit + 1, b"\0"))), "file")
    assert count(site, Photograph) == len(files(site)) == 1


def test_of_a_photograph_without_a_row_no_file_is_kept(site, context, content):
    with pytest.raises(IntegrityError):
        keep_photograph(User(id=999), content, "file", "noise.png")
    assert count(site, Photograph) == 0 and not files(site)


PART = Region([[10, 10], [200, 10], [200, 150], [10, 150]])


@pytest.mark.parametrize("problem", [ImageProblem("too small"), ZeroDivisionError()])
def test_a_failure_leaves_neither_rows_nor_files(site, photograph, problem):
    with pytest.raises(type(problem)), deleted_on_failure(photograph):
        ask(photograph, [Region(), PART])
        assert len(files(site)) == 2
        raise problem
    assert count(site, Photograph) == count(site, Query) == count(site, Answer) == 0
    assert not files(site)


def test_a_failure_of_the_database_itself_leaves_nothing_either(site, photograph):
    with pytest.raises(IntegrityError), deleted_on_failure(photograph):
        db.session.add(Photograph(id=photograph.id[::-1], user_id=999, source="file", name="", height=1, width=1))
        db.session.flush()
    assert count(site, Photograph) == 0 and not files(site)


def test_without_a_failure_all_is_kept(site, photograph):
    with deleted_on_failure(photograph):
        ask(photograph, [PART])
    assert count(site, Photograph) == count(site, Query) == 1 and len(files(site)) == 2


def test_the_first_failure_is_told_where_the_photograph_is_gone_already(site, photograph):
    with pytest.raises(ImageProblem, match="deleted in the meantime"), deleted_on_failure(photograph):
        delete_photographs([photograph.id])
        raise ImageProblem("it has been deleted in the meantime")
    assert count(site, Photograph) == 0 and not files(site)


def test_an_answer_that_cannot_be_stored_leaves_no_file_of_its_part(site, photograph, monkeypatch):
    uploads = site.extensions["uploads"]
    write, written = type(uploads).write, []

    def full(self, name, pixels):
        if written:
            raise OSError("No space left on device")
        written.append(name)
        write(self, name, pixels)

    before = files(site)
    monkeypatch.setattr(type(uploads), "write", full)
    with pytest.raises(OSError, match="No space left"):
        ask(photograph, [PART, PART])
    assert len(written) == 1 and files(site) == before
    assert count(site, Query) == 0 and count(site, Photograph) == 1


def test_a_region_is_moved_into_the_photograph(photograph):
    region = Region.of(photograph, np.array([[-10.0, -5], [410, 0], [405.5, 310], [0.5, 300]]), 3)
    assert region == Region([[0, 0], [400, 0], [400, 300], [0.5, 300]], 3)


@pytest.mark.parametrize(
    ("corners", "problem", "sentence"),
    [
        ([[-30, 10], [200, 10], [200, 150], [10, 150]], BadCorners, "A corner lies outside the photograph."),
        ([[10, 150], [200, 150], [200, 10], [10, 10]], BadCorners, "clockwise"),
        ([[10, 10], [20, 10], [20, 20], [10, 20]], ImageProblem, "the selected part is too small"),
        ([[-20, 0], [0, 0], [0, 300], [-20, 300]], BadCorners, "clockwise"),  # nothing is left of it
    ],
)
def test_what_is_no_region_is_refused_with_a_reason(photograph, corners, problem, sentence):
    with pytest.raises(problem, match=sentence):
        Region.of(photograph, np.array(corners, float), 0)

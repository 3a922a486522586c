"""Batches for tests: photographs, ZIPs of them, and batches that have been answered."""

import io
import zipfile

import cv2
import numpy as np
from flask import Flask
from flask.testing import FlaskClient

from database.tables import Batch, BatchPhotograph, db, random_id
from models.answer import Answer
from tests.web.asked import user_of
from tests.web.conftest import csrf_token
from web import asking, jobs
from web.batches import answering
from web.intake import Region, kept

GREY = cv2.imencode(".png", np.full((300, 400, 3), 120, np.uint8))[1].tobytes()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP of files: name -> content."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def create(client: FlaskClient, name: str = "Depot seven", **files: bytes) -> str:
    """The id of a new batch with these files, sent one by one as a page's script does; it is not started."""
    headers = {"X-CSRFToken": csrf_token(client, "/batches"), "Referer": "https://localhost/batches"}
    headers["Accept"] = "application/json"
    batch = client.post("/batches", data={"name": name}, headers=headers)
    assert batch.status_code == 201, batch.get_data(as_text=True)
    for file, content in files.items():
        answer = send(client, batch.json["id"], file, content)
        assert answer.status_code == 201, answer.get_data(as_text=True)
    return batch.json["id"]


def send(client: FlaskClient, batch: str, name: str, content: bytes):
    """Add a file to a batch as a page's script does."""
    headers = {"X-CSRFToken": csrf_token(client, "/batches"), "Referer": "https://localhost/batches"}
    data = {"file": (io.BytesIO(content), name.rsplit("/", 1)[-1]), "name": name}
    return client.post(f"/batches/{batch}/files", data=data, headers=headers | {"Accept": "application/json"})


def answer_all(site: Flask, batch: str) -> dict:
    """Do what the job does until nothing waits; how far the batch is then."""
    with site.app_context():
        jobs.start(answering.KIND, batch)
        job = jobs.of(answering.KIND, batch)
        while jobs.carry_out(job.id):
            pass
        return answering.progress(db.session.get(Batch, batch))


def add_answered(site: Flask, person: str, answers: dict[str, Answer]) -> str:
    """The id of a batch whose photographs, by their names, have these answers: quicker than to ask for each test."""
    with site.app_context():
        user = user_of(person)
        batch = Batch(id=random_id(), user_id=user.id, name="Depot seven")
        db.session.add(batch)
        db.session.commit()
        for name, answer in answers.items():
            with kept(user.id, GREY, "batch", name) as photograph:
                db.session.flush()
                query = asking._query(photograph, 0, Region(), answer)
                row = BatchPhotograph(batch_id=batch.id, name=name, state="answered", probability=answer.probability)
                row.doubt = answering.doubt(query, answer.probability)
                row.photograph_id, row.query_ = photograph.id, query
                db.session.add_all([query, row])
                db.session.commit()
        return batch.id


def rows_of(site: Flask, batch: str) -> list[BatchPhotograph]:
    """The photographs of a batch, in the order in which they came."""
    with site.app_context():
        asked = db.select(BatchPhotograph).where(BatchPhotograph.batch_id == batch).order_by(BatchPhotograph.id)
        return list(db.session.scalars(asked))

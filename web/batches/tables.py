"""What people take back of a batch: a table as CSV or an Excel workbook, and a sheet to print."""

import io
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, send_file, url_for
from werkzeug.utils import secure_filename

from database.tables import Batch, BatchPhotograph, db
from models.answer_table import WORDS as VERDICTS
from models.answer_table import Row, csv_lines, write_xlsx
from utils.text import printable
from web.batches.entries import Entry, chosen, entries, visible, with_answers
from web.judging import WORDS
from web.search import for_members

SOME = 200  # rows that are read at once
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

blueprint = Blueprint("batch_tables", __name__, url_prefix="/batches")


@blueprint.get("/<batch_id>/answers.csv")
@for_members
def as_csv(batch_id: str) -> Response:
    """The answers as CSV."""
    batch = visible(batch_id)
    response = Response("".join(csv_lines(rows(batch))), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(batch)}.csv"'
    return response


@blueprint.get("/<batch_id>/answers.xlsx")
@for_members
def as_xlsx(batch_id: str) -> Response:
    """The answers as an Excel workbook."""
    batch = visible(batch_id)
    written = io.BytesIO()
    write_xlsx(written, rows(batch))
    written.seek(0)
    return send_file(written, XLSX, as_attachment=True, download_name=f"{_file_name(batch)}.xlsx")


@blueprint.get("/<batch_id>/sheet")
@for_members
def sheet(batch_id: str) -> str:
    """All photographs beside their works, to be printed."""
    batch = visible(batch_id)
    return render_template("batches/sheet.html", batch=batch, entries=list(_all(batch)), words=WORDS)


def _file_name(batch: Batch) -> str:
    return secure_filename(f"answers {batch.name}") or "answers"


def rows(batch: Batch) -> Iterator[Row]:
    """The table of a batch, in the order in which the photographs came."""
    return map(_row, _all(batch))


def _all(batch: Batch) -> Iterator[Entry]:
    asked = with_answers(chosen(batch).order_by(None).order_by(BatchPhotograph.id))
    place = 0
    while some := entries(list(db.session.scalars(asked.offset(place).limit(SOME)))):
        yield from some
        place += SOME


def _row(entry: Entry) -> Row:
    query, work, picture = entry.query, entry.work, entry.picture
    if query is None:
        return Row(entry.row.name, note=entry.row.problem or "It waits for its answer.")
    return Row(
        entry.row.name,
        number=(work.number or "") if work else "",
        title=work.title if work else "",
        artist=work.author if work else "",
        image=printable(picture.path) if picture else "",
        verdict=VERDICTS[query.verdict],
        probability=entry.row.probability,
        review=review_of(entry),
        reviewed_by=query.judge.username if query.judge else "",
        link=url_for("history.answer", query_id=query.id, _external=True),
    )


def review_of(entry: Entry) -> str:
    """What a person says of an answer, in words; empty where nobody has."""
    query = entry.query
    if query is None or query.feedback is None:
        return ""
    return "corrected" if query.feedback == "wrong" and entry.is_confirmed else WORDS[query.feedback]

"""Works have inventory numbers, years and several pictures; an index of their words

Revision: 0003, after 0002; made on 2026-11-26.

Every work keeps its id, and gets the one picture that it was.
"""

import sqlalchemy as sa
from alembic import op

from database import fulltext, tables
from database.catalog import FIELDS, Work
from database.folding import LAST
from database.works import digest, indexed_texts, work_row

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEYS = ("number_key", "author_key", "title_key")
TEXTS = ("dimensions", "credit", "rights")
INDEXES = {
    "ix_works_author_key": ["author_key", "title_key", "id"],
    "ix_works_title_key": ["title_key", "id"],
    "ix_works_number_key": ["number_key", "id"],
    "ix_works_first_year": ["first_year", "last_year"],
}
OLD = [name for name in FIELDS if name not in ("number", "file", *TEXTS)]  # columns that works had before
BATCH = 2000


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("work_id", sa.Integer(), nullable=False),
        sa.Column("path", tables.FilePath(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_pictures_work_id_works"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
    )
    op.create_index(op.f("ix_pictures_work_id"), "pictures", ["work_id"])
    with op.batch_alter_table("works", schema=None) as batch_op:
        batch_op.add_column(sa.Column("number", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("first_year", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("last_year", sa.Integer(), nullable=True))
        for name in TEXTS:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("more", sa.JSON(), nullable=False, server_default="{}"))
        for name in KEYS:
            batch_op.add_column(sa.Column(name, tables.sort_key(), nullable=False, server_default=LAST))
        batch_op.add_column(sa.Column("entry", sa.String(length=32), nullable=False, server_default=""))
        batch_op.drop_column("words")
    with op.batch_alter_table("works", schema=None) as batch_op:
        batch_op.create_unique_constraint(op.f("uq_works_number"), ["number"])
        for name in (*TEXTS, "more", *KEYS, "entry"):
            batch_op.alter_column(name, server_default=None)
    for name, columns in INDEXES.items():
        op.create_index(name, "works", columns)
    fulltext.create(op.get_bind())
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    names = ["id", "path", "more", "first_year", "last_year", *TEXTS, *OLD, *KEYS, "number", "entry", "folder"]
    kinds = {"path": tables.FilePath(), "more": sa.JSON(), "id": sa.Integer(), "first_year": sa.Integer()}
    works = sa.table("works", *(sa.column(name, kinds.get(name, sa.Text())) for name in names))
    pictures = sa.table(
        "pictures",
        *(sa.column(name, kinds.get(name, sa.Integer())) for name in ("id", "work_id", "path", "position")),
        sa.column("role", sa.Text()),
    )
    columns = [works.c.id, works.c.path, *(works.c[name] for name in OLD)]
    for rows in _batches(connection, sa.select(*columns), works.c.id):
        made, indexed = [], []
        for row in rows:
            old = Work(**{name: row[name] for name in OLD})
            new = work_row(row["id"], row["path"], old, digest(old))
            made.append({f"new_{name}": new[name] for name in ("id", "first_year", "last_year", *KEYS, "entry")})
            indexed.append(indexed_texts(row["id"], [row["path"]], old))
        changed: dict[str, object] = {
            name: sa.bindparam(f"new_{name}") for name in ("first_year", "last_year", *KEYS, "entry")
        }
        connection.execute(works.update().where(works.c.id == sa.bindparam("new_id")).values(changed), made)
        connection.execute(
            pictures.insert(),
            [{"id": row["id"], "work_id": row["id"], "path": row["path"], "position": 0, "role": ""} for row in rows],
        )
        fulltext.add(connection, indexed)


def _batches(connection: sa.Connection, chosen: sa.Select, id: sa.ColumnElement):
    """The rows that are chosen, a batch at a time, in the order of their ids."""
    last = None
    while True:
        asked = chosen.order_by(id).limit(BATCH)
        rows = connection.execute(asked if last is None else asked.where(id > last)).mappings().all()
        if not rows:
            return
        yield rows
        last = rows[-1]["id"]


def downgrade() -> None:
    fulltext.drop(op.get_bind())
    op.drop_index(op.f("ix_pictures_work_id"), table_name="pictures")
    op.drop_table("pictures")
    for name in INDEXES:
        op.drop_index(name, table_name="works")
    with op.batch_alter_table("works", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_works_number"), type_="unique")
        for name in ("number", "first_year", "last_year", *TEXTS, "more", *KEYS, "entry"):
            batch_op.drop_column(name)
        batch_op.add_column(sa.Column("words", sa.Text(), nullable=False, server_default=""))

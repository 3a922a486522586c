"""Works are sorted by their files, and counted by their years, from an index; G12 finds the inventory number G 12

Revision: 0005, after 0004; made on 2026-11-27.

Works that were there before 0003, or were loaded by an early version of it, have their inventory number in the index of
words as it is written only; here it is added in one piece.
"""

import sqlalchemy as sa
from alembic import op

from database import fulltext

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BATCH = 2000


def upgrade() -> None:
    op.create_index("ix_works_path", "works", ["path", "id"])
    op.drop_index("ix_works_first_year", table_name="works")
    op.create_index("ix_works_first_year", "works", ["first_year", "last_year", "id"])
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # 0003 makes it too, since there is this migration
        op.execute(
            "CREATE INDEX IF NOT EXISTS ix_work_texts_names ON work_texts USING gin (ts_filter(document, '{a,b,c}'))"
        )
    works = sa.table("works", sa.column("id", sa.Integer()), sa.column("number", sa.Text()))
    numbered = sa.select(works.c.id, works.c.number).where(works.c.number.is_not(None)).order_by(works.c.id)
    rows = [(row.id, row.number) for row in connection.execute(numbered)]
    for start in range(0, len(rows), BATCH):
        fulltext.index_numbers(connection, rows[start : start + BATCH])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX ix_work_texts_names")
    op.drop_index("ix_works_first_year", table_name="works")
    op.create_index("ix_works_first_year", "works", ["first_year", "last_year"])
    op.drop_index("ix_works_path", table_name="works")

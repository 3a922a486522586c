"""Pairs of pictures that are no duplicates

Revision: 0007, after 0006; made on 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dismissed_pairs",
        sa.Column("first", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("second", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_checksum", sa.String(length=64), nullable=False),
        sa.Column("second_checksum", sa.String(length=64), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(), nullable=False),
        sa.Column("dismissed_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dismissed_by"], ["users.id"], name=op.f("fk_dismissed_pairs_dismissed_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("first", "second", name=op.f("pk_dismissed_pairs")),
    )


def downgrade() -> None:
    op.drop_table("dismissed_pairs")

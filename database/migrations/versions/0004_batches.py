"""Batches of photographs, jobs in the background, and which work a photograph shows according to people

Revision: 0004, after 0003; made on 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

from database import tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_batches_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_user_id"), "batches", ["user_id"])
    op.create_index(op.f("ix_batches_created_at"), "batches", ["created_at"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=22), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=False),
        sa.Column("alive_at", sa.DateTime(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_jobs_kind")),
    )
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"])
    op.create_table(
        "batch_photographs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("archive", sa.String(length=22), nullable=True),
        sa.Column("member", sa.Integer(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("doubt", sa.Float(), nullable=False),
        sa.Column("photograph_id", sa.String(length=22), nullable=True),
        sa.Column("query_id", sa.String(length=22), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_batch_photographs_{column}_{table}"), ondelete="CASCADE"
            )
            for column, table in [("batch_id", "batches"), ("photograph_id", "photographs"), ("query_id", "queries")]
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_photographs")),
    )
    op.create_index("ix_batch_photographs_batch_id_state", "batch_photographs", ["batch_id", "state"])
    op.create_index(op.f("ix_batch_photographs_photograph_id"), "batch_photographs", ["photograph_id"])
    op.create_index(op.f("ix_batch_photographs_query_id"), "batch_photographs", ["query_id"])
    with op.batch_alter_table("queries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("feedback_by", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("confirmed_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("confirmed_path", tables.FilePath(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_queries_feedback_by_users"), "users", ["feedback_by"], ["id"], ondelete="SET NULL"
        )
    op.execute("UPDATE queries SET feedback_by = user_id WHERE feedback IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("queries", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_queries_feedback_by_users"), type_="foreignkey")
        batch_op.drop_column("confirmed_path")
        batch_op.drop_column("confirmed_id")
        batch_op.drop_column("feedback_by")
    op.drop_table("batch_photographs")
    op.drop_table("jobs")
    op.drop_table("batches")

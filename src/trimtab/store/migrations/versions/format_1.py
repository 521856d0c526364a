"""Format 1: sessions, their iterations and scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("meta", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "experiment",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("objectives", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    op.create_table(
        "session",
        sa.Column("key", _Key, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("replicate", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.UniqueConstraint("id", name="session_id_once"),
    )
    op.create_table(
        "iteration",
        sa.Column("session_key", _Key, sa.ForeignKey("session.key"), nullable=False),
        sa.Column("iteration", sa.BigInteger, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("extraction", sa.Text, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.Double, nullable=False),
        sa.Column("artefact", sa.Text),
        sa.Column("answer", sa.Text),
        sa.PrimaryKeyConstraint("session_key", "iteration", name="iteration_once"),
    )
    op.create_index("iteration_outline", "iteration", ["session_key", "iteration", "strategy"])
    op.create_table(
        "score",
        sa.Column("session_key", _Key, nullable=False),
        sa.Column("iteration", sa.BigInteger, nullable=False),
        sa.Column("objective", sa.Text, nullable=False),
        sa.Column("repeat", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("session_key", "iteration", "objective", "repeat", name="score_once"),
        sa.ForeignKeyConstraint(["session_key", "iteration"], ["iteration.session_key", "iteration.iteration"]),
        sqlite_with_rowid=False,
    )

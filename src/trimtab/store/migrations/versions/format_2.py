"""Format 2: leases, so that several processes share a run, and answers, so that none is paid for twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two tables; those of format 1 stay as they are."""
    op.create_table(
        "lease",
        sa.Column("session_key", _Key, sa.ForeignKey("session.key"), primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("lease_owner", "lease", ["owner"])
    op.create_table(
        "answer",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.Double, nullable=False),
    )

"""The tables of a SQL store, in portable SQLAlchemy Core.

::

    meta        one row per fact about the file: what it is, and the version of this schema
    experiment  one row: name, objectives and settings
    session     key (order of arrival), id, task, strategy, replicate, model
    iteration   (session_key, iteration), strategy, status, texts
    score       (session_key, iteration, objective, repeat), value, status, evidence
    lease       session_key, who works on the session and until when
    answer      key of a request, what a provider answered to it

Iterations are addressed by (session_key, iteration) and not by a number of their own, so that an iteration and its
scores can be written in bulk without asking the database for keys in between.

A change of these tables is a new `VERSION`, a step in ``migrations/versions`` that leads there from the one before, and
a store written by ``tests/golden/make_store.py``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "APPLICATION",
    "VERSION",
    "answer",
    "experiment",
    "iteration",
    "lease",
    "meta",
    "metadata",
    "score",
    "session",
]

APPLICATION = "trimtab"
VERSION = 2

metadata = MetaData()

# SQLite numbers rows by itself only where the key's type is spelled INTEGER.
_Key = BigInteger().with_variant(Integer(), "sqlite")

meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

experiment = Table(
    "experiment",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("objectives", Text, nullable=False),
    Column("settings", Text, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("replicate", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("meta", Text, nullable=False),
    UniqueConstraint("id", name="session_id_once"),
)

iteration = Table(
    "iteration",
    metadata,
    Column("session_key", _Key, ForeignKey("session.key"), nullable=False),
    Column("iteration", BigInteger, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("extraction", Text, nullable=False),
    Column("meta", Text, nullable=False),
    Column("recorded_at", Double, nullable=False),
    Column("artefact", Text),
    Column("answer", Text),
    PrimaryKeyConstraint("session_key", "iteration", name="iteration_once"),
    # Covers what trajectories need, so that reading them never touches the pages that hold the texts.
    Index("iteration_outline", "session_key", "iteration", "strategy"),
)

score = Table(
    "score",
    metadata,
    Column("session_key", _Key, nullable=False),
    Column("iteration", BigInteger, nullable=False),
    Column("objective", Text, nullable=False),
    Column("repeat", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Double),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "iteration", "objective", "repeat", name="score_once"),
    ForeignKeyConstraint(["session_key", "iteration"], ["iteration.session_key", "iteration.iteration"]),
    # Clustered by its key in SQLite: one tree to write instead of two, and scores lie in the order they are read.
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("session_key", _Key, ForeignKey("session.key"), primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("expires", Double, nullable=False),  # seconds since 1970 by the clock of the database
    Index("lease_owner", "owner"),
)

answer = Table(
    "answer",
    metadata,
    Column("key", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("recorded_at", Double, nullable=False),
)

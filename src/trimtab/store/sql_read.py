"""What is read from a SQL store; each function is part of the transaction that its connection is in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, select

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import RESTARTED, Iteration
from trimtab.store import schema
from trimtab.store.base import Experiment, Outline
from trimtab.store.codec import decode_experiment, decode_iteration, decode_meta, first_restarts
from trimtab.store.stored import StoredColumns

__all__ = ["read_columns", "read_experiment", "read_iterations", "read_outlines"]


def read_experiment(connection: Connection, url: str) -> Experiment | None:
    """Return the experiment, or None if the store is new; `url` is what an error calls the store."""
    row = connection.execute(select(schema.experiment)).one_or_none()
    return None if row is None else decode_experiment(row.name, row.objectives, row.settings, url)


def read_outlines(connection: Connection) -> list[Outline]:
    """Return every iteration by session, then index, without its texts and scores."""
    rows, sessions = schema.iteration.c, schema.session.c
    columns = (sessions.id, rows.iteration, rows.strategy, rows.status, rows.reason, rows.meta, rows.recorded_at)
    query = select(*columns).join(schema.session, sessions.key == rows.session_key)
    found = connection.execute(query.order_by(rows.session_key, rows.iteration))
    return [
        Outline(name, t, strategy, status, reason, decode_meta(meta, name, t), at)
        for name, t, strategy, status, reason, meta, at in found
    ]


def read_iterations(
    connection: Connection,
    *,
    space: ObjectiveSpace | None,
    last: FromClause | None = None,
    between: tuple[int, int] | None = None,
) -> list[Iteration]:
    """Return iterations with their scores, by session, then index.

    Parameters
    ----------
    space
        The objectives in their order.
    last
        Keys of sessions, each with the one iteration that is wanted of it.
    between
        Keys of the first and the last session.
    """
    rows, scores, sessions = schema.iteration, schema.score, schema.session
    wanted = select(rows, sessions.c.id).join(sessions, sessions.c.key == rows.c.session_key)
    judged = select(scores)
    if last is not None:
        wanted = wanted.join(last, _same_place(rows, last))
        judged = judged.join(last, _same_place(scores, last))
    if between is not None:
        wanted = wanted.where(rows.c.session_key.between(*between))
        judged = judged.where(scores.c.session_key.between(*between))
    given: dict[tuple[int, int], list[Any]] = {}
    for score in connection.execute(judged).mappings():
        given.setdefault((score["session_key"], score["iteration"]), []).append(score)
    found = connection.execute(wanted.order_by(rows.c.session_key, rows.c.iteration)).mappings()
    return [
        decode_iteration(row["id"], row, given.get((row["session_key"], row["iteration"]), ()), space) for row in found
    ]


def read_columns(connection: Connection) -> StoredColumns:
    """Return what trajectories are made of, column by column."""
    sessions, rows, scores = schema.session.c, schema.iteration.c, schema.score.c
    queries = (
        select(sessions.key, sessions.id, sessions.task_id, sessions.model).order_by(sessions.key),
        select(rows.session_key, rows.iteration, rows.strategy).order_by(rows.session_key, rows.iteration),
        select(
            scores.session_key, scores.iteration, scores.objective, scores.repeat, scores.status, scores.value
        ).order_by(scores.session_key, scores.iteration, scores.objective, scores.repeat),
    )
    columns: list[Any] = []
    for query in queries:
        # Straight from the driver: a third of the time would go into result objects that nobody looks at.
        result = connection.exec_driver_sql(str(query.compile(connection)))
        fetched = result.cursor.fetchall()
        columns.extend(zip(*fetched, strict=True) if fetched else [()] * len(query.selected_columns))
    restarted = select(rows.session_key, rows.iteration, rows.meta).where(rows.meta.contains(f'"{RESTARTED}":'))
    found = connection.execute(restarted.order_by(rows.session_key, rows.iteration))
    restarts = first_restarts((row.session_key, row.iteration, row.meta) for row in found)
    return replace(StoredColumns(*columns), restarts=restarts)


def _same_place(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(one.c.session_key == other.c.session_key, one.c.iteration == other.c.iteration)

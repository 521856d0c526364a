"""A store in a SQL database: SQLite, through portable SQLAlchemy Core."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, insert, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from trimtab.core.records import RESTARTED, Iteration, Session
from trimtab.core.trajectories import Trajectories
from trimtab.errors import SourceError, StoreError
from trimtab.store import schema
from trimtab.store.base import Experiment
from trimtab.store.codec import (
    Row,
    amended,
    decode_iteration,
    decode_session,
    decode_space,
    encode_iteration,
    encode_json,
    encode_scores,
    encode_session,
    encode_space,
    first_restarts,
    no_iteration,
)
from trimtab.store.sqlite import WRITING, engine_for, explain, path_of, require_database, require_place
from trimtab.store.stored import StoredColumns, chosen_objectives, trajectories_of

__all__ = ["SqlStore"]

_BLOCK = 200  # sessions read at once: few enough to stay small in memory, many enough to be quick


class SqlStore:
    """One experiment in a SQLite file. See `trimtab.store.base.Store` for what each method promises.

    Parameters
    ----------
    url
        ``sqlite:///relative/file.db`` or ``sqlite:////absolute/file.db``.
    create
        Make the file where there is none. Otherwise a missing file is an error and nothing is created.
    busy_timeout
        Seconds to wait for another process that is writing.

    Raises
    ------
    SourceError
        If there is nothing to read, or it is no store.
    StoreError
        If the file cannot be made, is locked, belongs to another program, or was written by a newer version.
    """

    def __init__(self, url: str, *, create: bool = False, busy_timeout: float = 10.0) -> None:
        self.url = url
        self.path = path_of(url)
        if create:
            require_place(self.path)
        else:
            require_database(self.path)
        wal = self.path.with_name(self.path.name + "-wal")
        fixed = not create and not os.access(self.path.parent, os.W_OK) and not wal.exists()
        self._engine = engine_for(self.path, busy_timeout=busy_timeout, immutable=fixed)
        self._keys: dict[str, int] = {}
        self._experiment: Experiment | None = None
        try:
            self._check_schema(create)
        except BaseException:
            self._engine.dispose()
            raise

    def _check_schema(self, create: bool) -> None:
        with self._reading() as connection:
            tables = set(inspect(connection).get_table_names())
        if not tables and create:
            with self._writing() as connection:
                # Looked at again inside the write lock: two processes may both have found an empty file.
                if not inspect(connection).get_table_names():
                    schema.metadata.create_all(connection, checkfirst=False)
                    facts = {"application": schema.APPLICATION, "schema_version": str(schema.VERSION)}
                    rows = [{"name": name, "value": value} for name, value in facts.items()]
                    connection.execute(insert(schema.meta), rows)
            tables = set(schema.metadata.tables)
        if not tables:
            raise SourceError(f"{self.path} is a SQLite database without any table: it holds no store")
        found: dict[str, str] = {}
        if "meta" in tables:
            with self._reading() as connection:
                columns = {column["name"] for column in inspect(connection).get_columns("meta")}
                if columns == {"name", "value"}:
                    found = {row.name: row.value for row in connection.execute(select(schema.meta))}
        if found.get("application") != schema.APPLICATION:
            raise StoreError(
                f"{self.path} is a SQLite database of another program (tables {', '.join(sorted(tables)[:5])}), "
                "not a trimtab store; choose another file"
            )
        version = found.get("schema_version", "")
        if version != str(schema.VERSION):
            raise StoreError(
                f"{self.path} has the store format {version or 'unknown'}, but this version of trimtab reads format "
                f"{schema.VERSION}; use a version of trimtab that is at least as new as the one that wrote it"
            )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except (DBAPIError, sqlite3.Error) as error:
            raise explain(error, self.url) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**WRITING)
                with connection.begin():
                    yield connection
        except (DBAPIError, sqlite3.Error) as error:
            raise explain(error, self.url) from error

    def experiment(self) -> Experiment | None:
        """Return the experiment, or None if the store is new."""
        with self._reading() as connection:
            row = connection.execute(select(schema.experiment)).one_or_none()
        if row is None:
            return None
        self._experiment = Experiment(row.name, decode_space(row.objectives), json.loads(row.settings))
        return self._experiment

    def _known_experiment(self) -> Experiment | None:
        return self._experiment or self.experiment()

    def set_experiment(self, experiment: Experiment) -> None:
        """Write or replace the experiment's name, objectives and settings."""
        table = schema.experiment
        row = {
            "key": 1,
            "name": experiment.name,
            "objectives": encode_space(experiment.space),
            "settings": encode_json(experiment.settings, "the settings"),
        }
        with self._writing() as connection:
            connection.execute(table.delete())
            connection.execute(insert(table), row)
        self._experiment = None

    def add_sessions(self, sessions: Iterable[Session]) -> int:
        """Add the sessions whose id is not there yet, and return how many were new."""
        wanted: dict[str, Row] = {}
        for session in sessions:
            wanted.setdefault(session.id, encode_session(session))
        table = schema.session
        with self._writing() as connection:
            known = set(connection.scalars(select(table.c.id)))
            rows = [row for session_id, row in wanted.items() if session_id not in known]
            if rows:
                connection.execute(insert(table), rows)
        return len(rows)

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order they were added."""
        table = schema.session
        with self._reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.key)).mappings().all()
        return [decode_session(row) for row in rows]

    def _session_key(self, session_id: str) -> int:
        if session_id not in self._keys:
            query = select(schema.session.c.id, schema.session.c.key)
            with self._reading() as connection:
                self._keys = {row.id: row.key for row in connection.execute(query)}
        try:
            return self._keys[session_id]
        except KeyError:
            raise StoreError(f"session {session_id!r} is not in the store; add it before its iterations") from None

    def append(self, iteration: Iteration) -> None:
        """Add one iteration with its scores; ``StoreError`` if its session is unknown or its index is there already."""
        self.extend((iteration,))

    def extend(self, iterations: Iterable[Iteration]) -> None:
        """Add many iterations in one transaction: all or none."""
        experiment = self._known_experiment()
        space = experiment.space if experiment else None
        now = time.time()
        places: list[tuple[str, int]] = []
        rows: list[Row] = []
        scores: list[Row] = []
        for iteration in iterations:
            row = encode_iteration(iteration)
            rows.append(row)
            places.append((iteration.session_id, row["iteration"]))
            judged = encode_scores(iteration, space)
            key = self._session_key(iteration.session_id)
            for part in (row, *judged):
                part["session_key"] = key
            row["recorded_at"] = now
            scores.extend(judged)
        if not rows:
            return
        try:
            with self._writing() as connection:
                connection.execute(insert(schema.iteration), rows)
                if scores:
                    connection.execute(insert(schema.score), scores)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise self._duplicate(places) from error
            raise

    def _duplicate(self, places: list[tuple[str, int]]) -> StoreError:
        table = schema.iteration
        seen: set[tuple[str, int]] = set()
        with self._reading() as connection:
            for session_id, index in places:
                at = and_(table.c.session_key == self._keys[session_id], table.c.iteration == index)
                stored = connection.execute(select(table.c.iteration).where(at)).first() is not None
                if stored or (session_id, index) in seen:
                    return StoreError(f"session {session_id!r} has an iteration {index} already; nothing was written")
                seen.add((session_id, index))
        return StoreError("an iteration or one of its scores is there already; nothing was written")

    def amend(self, session_id: str, index: int, more: Mapping[str, Any]) -> None:
        """Set keys of a stored iteration's meta; ``StoreError`` if there is no such iteration."""
        table = schema.iteration
        at = and_(table.c.session_key == self._session_key(session_id), table.c.iteration == index)
        with self._writing() as connection:
            meta = connection.scalar(select(table.c.meta).where(at))
            if meta is None:
                raise no_iteration(session_id, index)
            connection.execute(table.update().where(at).values(meta=amended(meta, more)))

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every iteration, by session, then index, without its texts and scores."""
        rows = schema.iteration.c
        with self._reading() as connection:
            found = connection.scalars(select(rows.meta).order_by(rows.session_key, rows.iteration))
            yield from map(json.loads, found)

    def last_iterations(self) -> dict[str, Iteration]:
        """Return each started session's iteration of highest index, by session id: where a run goes on."""
        table = schema.iteration
        last = (
            select(table.c.session_key, func.max(table.c.iteration).label("iteration"))
            .group_by(table.c.session_key)
            .subquery()
        )
        with self._reading() as connection:
            records = self._read(connection, last=last)
        return {record.session_id: record for record in records}

    def iterations(self, session_id: str | None = None) -> Iterator[Iteration]:
        """Yield iterations by session, then index, of one session or of all."""
        table = schema.session
        with self._reading() as connection:
            query = select(table.c.key).order_by(table.c.key)
            if session_id is not None:
                query = query.where(table.c.id == session_id)
            keys = list(connection.scalars(query))
        for start in range(0, len(keys), _BLOCK):
            block = keys[start : start + _BLOCK]
            with self._reading() as connection:
                records = self._read(connection, between=(block[0], block[-1]))
            yield from records

    def _read(
        self, connection: Connection, *, last: FromClause | None = None, between: tuple[int, int] | None = None
    ) -> list[Iteration]:
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
        experiment = self._known_experiment()
        space = experiment.space if experiment else None
        found = connection.execute(wanted.order_by(rows.c.session_key, rows.c.iteration)).mappings()
        return [
            decode_iteration(row["id"], row, given.get((row["session_key"], row["iteration"]), ()), space)
            for row in found
        ]

    def trajectories(self, objectives: Iterable[str] | None = None) -> Trajectories:
        """Return the scores as `Trajectories`, of all objectives or those named; ``SourceError`` if there are none."""
        experiment = self.experiment()
        if experiment is None:
            raise SourceError(f"{self.url} holds no iterations yet")
        space = chosen_objectives(experiment.space, objectives)
        sessions, rows, scores = schema.session.c, schema.iteration.c, schema.score.c
        queries = (
            select(sessions.key, sessions.id, sessions.task_id, sessions.model).order_by(sessions.key),
            select(rows.session_key, rows.iteration, rows.strategy).order_by(rows.session_key, rows.iteration),
            select(
                scores.session_key, scores.iteration, scores.objective, scores.repeat, scores.status, scores.value
            ).order_by(scores.session_key, scores.iteration, scores.objective, scores.repeat),
        )
        columns: list[Any] = []
        with self._reading() as connection:
            for query in queries:
                # Straight from the driver: a third of the time would go into result objects that nobody looks at.
                cursor = connection.connection.cursor()
                cursor.execute(str(query.compile(connection)))
                fetched = cursor.fetchall()
                columns.extend(zip(*fetched, strict=True) if fetched else [()] * len(query.selected_columns))
            restarted = select(rows.session_key, rows.iteration, rows.meta).where(rows.meta.contains(f'"{RESTARTED}":'))
            found = connection.execute(restarted.order_by(rows.session_key, rows.iteration))
            restarts = first_restarts((row.session_key, row.iteration, row.meta) for row in found)
        return trajectories_of(replace(StoredColumns(*columns), restarts=restarts), space, self.url)

    def close(self) -> None:
        """Release the connection."""
        self._engine.dispose()


def _same_place(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(one.c.session_key == other.c.session_key, one.c.iteration == other.c.iteration)

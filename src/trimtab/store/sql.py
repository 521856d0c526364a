"""A store in a SQL database, SQLite or PostgreSQL, through portable SQLAlchemy Core."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Session
from trimtab.core.trajectories import Trajectories
from trimtab.errors import SourceError, StoreError
from trimtab.store import schema, sql_leases
from trimtab.store.base import Experiment, Outline
from trimtab.store.codec import (
    Row,
    amended,
    decode_meta,
    decode_session,
    encode_iteration,
    encode_json,
    encode_scores,
    encode_session,
    encode_space,
    no_iteration,
)
from trimtab.store.database import Database
from trimtab.store.format import prepare
from trimtab.store.leases import Lease
from trimtab.store.sql_read import read_columns, read_experiment, read_iterations, read_outlines
from trimtab.store.sql_starts import count_start, read_starts
from trimtab.store.stored import chosen_objectives, trajectories_of

__all__ = ["SqlStore"]

_BLOCK = 200  # sessions read at once: few enough to stay small in memory, many enough to be quick
_NAMES = 5_000  # sessions named in one query; databases allow some tens of thousands


class SqlStore:
    """One experiment in a SQL database. See `trimtab.store.base.Store` for what each method promises.

    Parameters
    ----------
    database
        Where it is. It is closed with the store.
    create
        Make the store where there is none, and bring one of an older format up to date. Otherwise nothing is changed
        by opening it, and a store that is not there is an error.

    Raises
    ------
    SourceError
        If there is nothing to read, or it is no store.
    StoreError
        If it cannot be made, is locked, belongs to another program, or was written by a newer version.
    """

    def __init__(self, database: Database, *, create: bool = False) -> None:
        self.url = database.url
        self._database = database
        self._keys: dict[str, int] = {}
        self._experiment: Experiment | None = None
        self._starts: int | None = None
        try:
            self._format = prepare(database, create)
        except BaseException:
            database.close()
            raise

    def _present(self) -> bool:
        """Tell whether the store has all tables of the present format."""
        return self._format == schema.VERSION

    def _require_present(self) -> None:
        if not self._present():
            raise StoreError(
                f"the store {self.url} has the older format {self._format} and was opened for reading: "
                "give it to trimtab run or import, which bring it up to date"
            )

    def experiment(self) -> Experiment | None:
        """Return the experiment, or None if the store is new."""
        self._experiment = self._database.read(partial(read_experiment, url=self.url))
        return self._experiment

    def _known_space(self) -> ObjectiveSpace | None:
        experiment = self._experiment or self.experiment()
        return experiment.space if experiment else None

    def set_experiment(self, experiment: Experiment) -> None:
        """Write or replace the experiment's name, objectives and settings."""
        self.revise(lambda _: experiment)

    def revise(self, change: Callable[[Experiment | None], Experiment]) -> Experiment:
        """Replace the experiment by what `change` makes of it, while nobody else can; nothing if that raises."""
        table = schema.experiment

        def replaced(connection: Connection) -> Experiment:
            self._starts = read_starts(connection)
            found = read_experiment(connection, self.url)
            wanted = change(found)
            if wanted != found:
                row = {
                    "key": 1,
                    "name": wanted.name,
                    "objectives": encode_space(wanted.space),
                    "settings": encode_json(wanted.settings, "the settings"),
                }
                connection.execute(table.delete())
                connection.execute(insert(table), row)
            return wanted

        self._experiment = None
        return self._database.write(replaced, alone=True)

    def start_over(self) -> None:
        """Forget all but the answers; ``StoreError`` if a session has gone beyond t = 0 or somebody works on one."""
        self._require_present()

        def emptied(connection: Connection) -> None:
            if not sql_leases.is_idle(self._database, connection):
                raise StoreError(f"another run is at work on the store {self.url}: wait, or choose another store")
            if connection.scalar(select(func.max(schema.iteration.c.iteration))):
                raise StoreError(f"the store {self.url} holds iterations already, so it was not started over")
            for table in (schema.lease, schema.score, schema.iteration, schema.session, schema.experiment):
                connection.execute(table.delete())
            self._starts = count_start(connection)

        self._database.write(emptied, alone=True)
        self._keys, self._experiment = {}, None

    def _require_unchanged(self, connection: Connection) -> None:
        """Raise ``StoreError`` if the store was started over since its experiment was last written through this one."""
        starts = read_starts(connection)
        if self._starts not in (None, starts):
            raise StoreError(
                f"another run has begun in the store {self.url} meanwhile, with other settings: choose another store"
            )
        self._starts = starts

    def add_sessions(self, sessions: Iterable[Session]) -> int:
        """Add the sessions whose id is not there yet, and return how many were new."""
        wanted: dict[str, Row] = {}
        for session in sessions:
            wanted.setdefault(session.id, encode_session(session))
        table = schema.session

        def added(connection: Connection) -> int:
            self._require_unchanged(connection)
            known = set(connection.scalars(select(table.c.id)))
            rows = [row for session_id, row in wanted.items() if session_id not in known]
            if rows:
                connection.execute(insert(table), rows)
            return len(rows)

        return self._database.write(added, alone=True)

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order they were added."""
        table = schema.session
        query = select(table).order_by(table.c.key)
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [decode_session(row) for row in rows]

    def _session_key(self, session_id: str) -> int:
        if session_id not in self._keys:
            query = select(schema.session.c.id, schema.session.c.key)
            found = self._database.read(lambda connection: connection.execute(query).all())
            self._keys = {row.id: row.key for row in found}
        try:
            return self._keys[session_id]
        except KeyError:
            raise StoreError(f"session {session_id!r} is not in the store; add it before its iterations") from None

    def append(self, iteration: Iteration, owner: str = "") -> None:
        """Add one iteration with its scores; ``StoreError`` if its session is unknown or its index is there already."""
        self.extend((iteration,), owner)

    def extend(self, iterations: Iterable[Iteration], owner: str = "") -> None:
        """Add many iterations in one transaction: all or none. As `append` does, it asks for the leases of `owner`."""
        space = self._known_space()
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
        attempts = count()
        held = {row["session_key"]: session_id for row, (session_id, _) in zip(rows, places, strict=True)}

        def added(connection: Connection) -> None:
            # The connection may have been lost after the commit and before its confirmation.
            if next(attempts) and _holds(connection, rows[0]):
                return
            if owner:
                sql_leases.hold(connection, owner, held)
            connection.execute(insert(schema.iteration), rows)
            if scores:
                connection.execute(insert(schema.score), scores)

        try:
            self._database.write(added)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise self._duplicate(places) from error
            raise

    def _duplicate(self, places: list[tuple[str, int]]) -> StoreError:
        table = schema.iteration

        def found(connection: Connection) -> StoreError:
            seen: set[tuple[str, int]] = set()
            for session_id, index in places:
                at = and_(table.c.session_key == self._keys[session_id], table.c.iteration == index)
                stored = connection.execute(select(table.c.iteration).where(at)).first() is not None
                if stored or (session_id, index) in seen:
                    return StoreError(f"session {session_id!r} has an iteration {index} already; nothing was written")
                seen.add((session_id, index))
            return StoreError("an iteration or one of its scores is there already; nothing was written")

        return self._database.read(found)

    def amend(self, session_id: str, index: int, more: Mapping[str, Any], owner: str = "") -> None:
        """Set keys of a stored iteration's meta, as `owner` if named; ``StoreError`` if there is no such iteration."""
        table, key = schema.iteration, self._session_key(session_id)
        at = and_(table.c.session_key == key, table.c.iteration == index)

        def changed(connection: Connection) -> None:
            if owner:
                sql_leases.hold(connection, owner, {key: session_id})
            meta = connection.scalar(select(table.c.meta).where(at).with_for_update())
            if meta is None:
                raise no_iteration(session_id, index)
            connection.execute(table.update().where(at).values(meta=amended(meta, more)))

        self._database.write(changed)

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every iteration, by session, then index, without its texts and scores."""
        rows = schema.iteration.c
        query = select(rows.meta).order_by(rows.session_key, rows.iteration)
        yield from map(decode_meta, self._database.read(lambda connection: list(connection.scalars(query))))

    def outlines(self) -> Iterator[Outline]:
        """Yield every iteration by session, then index, without its texts and scores."""
        yield from self._database.read(read_outlines)

    def last_iterations(self, sessions: Iterable[str] | None = None) -> dict[str, Iteration]:
        """Return the iteration of highest index of each started session, or of those named, by session id."""
        table = schema.iteration
        highest = select(table.c.session_key, func.max(table.c.iteration).label("iteration")).group_by(
            table.c.session_key
        )
        parts = [highest]
        if sessions is not None:
            keys = [self._session_key(session_id) for session_id in sessions]
            blocks = [keys[at : at + _NAMES] for at in range(0, len(keys), _NAMES)]
            parts = [highest.where(table.c.session_key.in_(block)) for block in blocks]
        space = self._known_space()
        wanted = [part.subquery() for part in parts]
        found = [self._database.read(partial(read_iterations, space=space, last=part)) for part in wanted]
        return {record.session_id: record for records in found for record in records}

    def heads(self) -> dict[str, int]:
        """Return the highest index of each started session, by session id: `last_iterations` without the texts."""
        rows, sessions = schema.iteration.c, schema.session.c
        highest = select(rows.session_key, func.max(rows.iteration).label("t")).group_by(rows.session_key).subquery()
        query = select(sessions.id, highest.c.t).join(highest, highest.c.session_key == sessions.key)
        return {row[0]: row[1] for row in self._database.read(lambda connection: connection.execute(query).all())}

    def iterations(self, session_id: str | None = None) -> Iterator[Iteration]:
        """Yield iterations by session, then index, of one session or of all."""
        table = schema.session
        query = select(table.c.key).order_by(table.c.key)
        if session_id is not None:
            query = query.where(table.c.id == session_id)
        keys = self._database.read(lambda connection: list(connection.scalars(query)))
        space = self._known_space()
        for start in range(0, len(keys), _BLOCK):
            between = keys[start], keys[min(start + _BLOCK, len(keys)) - 1]
            yield from self._database.read(partial(read_iterations, space=space, between=between))

    def trajectories(self, objectives: Iterable[str] | None = None) -> Trajectories:
        """Return the scores as `Trajectories`, of all objectives or those named; ``SourceError`` if there are none."""
        experiment = self.experiment()
        if experiment is None:
            raise SourceError(f"{self.url} holds no iterations yet")
        space = chosen_objectives(experiment.space, objectives)
        return trajectories_of(self._database.read(read_columns), space, self.url)

    def claim(self, owner: str, sessions: Iterable[str], seconds: float) -> list[str]:
        """Take leases on those of the sessions that nobody alive holds, and return which of them `owner` holds now."""
        self._require_present()
        keys = {self._session_key(session_id): session_id for session_id in sessions}

        def claimed(connection: Connection) -> set[int]:
            self._require_unchanged(connection)
            return sql_leases.claimed(self._database, connection, owner, keys, seconds)

        got = self._database.write(claimed, alone=True)
        return [session_id for key, session_id in keys.items() if key in got]

    def renew(self, owner: str, seconds: float) -> set[str]:
        """Put off the end of all leases of `owner`, and return the sessions that it still holds."""
        got = self._database.write(lambda c: sql_leases.renewed(self._database, c, owner, seconds))
        return {session_id for session_id, key in self._keys.items() if key in got}

    def release(self, owner: str, sessions: Iterable[str] | None = None) -> None:
        """End the leases of `owner` on the sessions, or all of them."""
        keys = None if sessions is None else [self._session_key(session_id) for session_id in sessions]
        self._database.write(lambda c: sql_leases.released(c, owner, keys))

    def claim_report(self, owner: str) -> bool:
        """Tell whether it is for `owner` to report on what is stored now: True to the first alive that asks."""
        return self._database.write(lambda c: sql_leases.report_claimed(c, owner), alone=True)

    def leases(self) -> list[Lease]:
        """Return who holds which session, expired leases among them."""
        return self._database.read(lambda c: sql_leases.held(self._database, c)) if self._present() else []

    def remembers(self) -> bool:
        """Tell whether there is any answer to be had from `cached`."""
        query = select(schema.answer.c.key).limit(1)
        return self._present() and self._database.read(lambda c: c.scalar(query)) is not None

    def cached(self, key: str) -> Mapping[str, Any] | None:
        """Return the answer that was remembered under `key`, None where there is none."""
        query = select(schema.answer.c.body).where(schema.answer.c.key == key)
        body = self._database.read(lambda c: c.scalar(query)) if self._present() else None
        return None if body is None else dict(json.loads(body))

    def remember(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep answers, as JSON values, by key; one that is there already stays."""
        self._require_present()
        now = time.time()
        # In one order always, so that two processes that keep the same ones do not wait for each other in a circle.
        rows = [
            {"key": key, "body": encode_json(answer, "an answer"), "recorded_at": now}
            for key, answer in sorted(answers.items())
        ]
        statement = self._database.insert_or_update(schema.answer).on_conflict_do_nothing()
        if rows:
            self._database.write(lambda connection: connection.execute(statement, rows))

    def close(self) -> None:
        """Release the connection."""
        self._database.close()


def _holds(connection: Connection, row: Row) -> bool:
    """Tell whether an iteration is stored that was recorded at the very moment that `row` says."""
    table = schema.iteration.c
    at = and_(*(table[name] == row[name] for name in ("session_key", "iteration", "recorded_at")))
    return connection.execute(select(table.iteration).where(at)).first() is not None

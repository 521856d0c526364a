"""A store that lives in memory only, for tests and for loops that keep no record."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from trimtab.core.records import Iteration, Session
from trimtab.core.trajectories import Trajectories
from trimtab.errors import SourceError, StoreError
from trimtab.store.base import Experiment, Outline
from trimtab.store.codec import (
    Row,
    amended,
    decode_experiment,
    decode_iteration,
    decode_session,
    encode_iteration,
    encode_json,
    encode_scores,
    encode_session,
    encode_space,
    first_restarts,
    no_iteration,
)
from trimtab.store.leases import Lease, is_gone, taken_over
from trimtab.store.stored import StoredColumns, chosen_objectives, trajectories_of

__all__ = ["MemoryStore"]


class MemoryStore:
    """One experiment in memory. See `trimtab.store.base.Store` for what each method promises, durability aside.

    Records are kept as the same rows that a database would hold, so that what comes back never shares anything
    mutable with what went in.
    """

    def __init__(self) -> None:
        self.url = "memory://"
        self._experiment: tuple[str, str, str] | None = None
        self._sessions: dict[str, Row] = {}
        self._iterations: dict[str, dict[int, tuple[Row, list[Row]]]] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._answers: dict[str, str] = {}
        self._report = (-1, "")
        self._lock = threading.RLock()

    def experiment(self) -> Experiment | None:
        """Return the experiment, or None if the store is new."""
        if self._experiment is None:
            return None
        return decode_experiment(*self._experiment, self.url)

    def set_experiment(self, experiment: Experiment) -> None:
        """Write or replace the experiment's name, objectives and settings."""
        self.revise(lambda _: experiment)

    def revise(self, change: Callable[[Experiment | None], Experiment]) -> Experiment:
        """Replace the experiment by what `change` makes of it, while nobody else can; nothing if that raises."""
        with self._lock:
            wanted = change(self.experiment())
            settings = encode_json(wanted.settings, "the settings")
            self._experiment = (wanted.name, encode_space(wanted.space), settings)
            return wanted

    def start_over(self) -> None:
        """Forget all but the answers; ``StoreError`` if a session has gone beyond t = 0 or somebody works on one."""
        with self._lock:
            if any(lease.alive for lease in self.leases()):
                raise StoreError(f"another run is at work on the store {self.url}: wait, or choose another store")
            if any(self.heads().values()):
                raise StoreError(f"the store {self.url} holds iterations already, so it was not started over")
            self._experiment = None
            for kept in (self._leases, self._iterations, self._sessions):
                kept.clear()

    def add_sessions(self, sessions: Iterable[Session]) -> int:
        """Add the sessions whose id is not there yet, and return how many were new."""
        rows = [encode_session(session) for session in sessions]
        with self._lock:
            before = len(self._sessions)
            for row in rows:
                self._sessions.setdefault(row["id"], row)
            return len(self._sessions) - before

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order they were added."""
        return [decode_session(row) for row in list(self._sessions.values())]

    def append(self, iteration: Iteration, owner: str = "") -> None:
        """Add one iteration with its scores; ``StoreError`` if its session is unknown or its index is there already."""
        self.extend((iteration,), owner)

    def _hold(self, owner: str, session_id: str) -> None:
        if owner and self._leases.get(session_id, ("",))[0] != owner:
            raise taken_over(session_id)

    def extend(self, iterations: Iterable[Iteration], owner: str = "") -> None:
        """Add many iterations in one step: all or none. As `append` does, it asks for the leases of `owner`."""
        experiment = self.experiment()
        space = experiment.space if experiment else None
        records = [(i.session_id, encode_iteration(i), encode_scores(i, space)) for i in iterations]
        now = time.time()
        with self._lock:
            new: set[tuple[str, int]] = set()
            for session_id, row, _ in records:
                self._hold(owner, session_id)
                at = (session_id, row["iteration"])
                if session_id not in self._sessions:
                    raise StoreError(f"session {session_id!r} is not in the store; add it before its iterations")
                if at in new or row["iteration"] in self._iterations.get(session_id, ()):
                    raise StoreError(
                        f"session {session_id!r} has an iteration {row['iteration']} already; nothing was written"
                    )
                new.add(at)
            for session_id, row, scores in records:
                self._iterations.setdefault(session_id, {})[row["iteration"]] = ({**row, "recorded_at": now}, scores)

    def amend(self, session_id: str, index: int, more: Mapping[str, Any], owner: str = "") -> None:
        """Set keys of a stored iteration's meta, as `owner` if named; ``StoreError`` if there is no such iteration."""
        with self._lock:
            self._hold(owner, session_id)
            found = self._iterations.get(session_id, {}).get(index)
            if found is None:
                raise no_iteration(session_id, index)
            row, scores = found
            self._iterations[session_id][index] = ({**row, "meta": amended(row["meta"], more)}, scores)

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every iteration, by session, then index, without its texts and scores."""
        for session_id in list(self._sessions):
            for _, (row, _) in sorted(self._iterations.get(session_id, {}).items()):
                yield json.loads(row["meta"])

    def outlines(self) -> Iterator[Outline]:
        """Yield every iteration by session, then index, without its texts and scores."""
        for session_id in list(self._sessions):
            for t, (row, _) in sorted(self._iterations.get(session_id, {}).items()):
                texts = row["strategy"], row["status"], row["reason"]
                yield Outline(session_id, t, *texts, json.loads(row["meta"]), row["recorded_at"])

    def last_iterations(self, sessions: Iterable[str] | None = None) -> dict[str, Iteration]:
        """Return the iteration of highest index of each started session, or of those named, by session id."""
        experiment = self.experiment()
        space = experiment.space if experiment else None
        with self._lock:
            heads = self.heads()
            wanted = [i for i in (heads if sessions is None else sessions) if i in heads]
            last = {i: self._iterations[i][heads[i]] for i in wanted}
        return {session_id: decode_iteration(session_id, *found, space) for session_id, found in last.items()}

    def heads(self) -> dict[str, int]:
        """Return the highest index of each started session, by session id: `last_iterations` without the texts."""
        with self._lock:
            return {i: max(self._iterations[i]) for i in self._sessions if i in self._iterations}

    def iterations(self, session_id: str | None = None) -> Iterator[Iteration]:
        """Yield iterations by session, then index, of one session or of all."""
        experiment = self.experiment()
        space = experiment.space if experiment else None
        for found in list(self._sessions) if session_id is None else [session_id]:
            for _, (row, scores) in sorted(self._iterations.get(found, {}).items()):
                yield decode_iteration(found, row, scores, space)

    def trajectories(self, objectives: Iterable[str] | None = None) -> Trajectories:
        """Return the scores as `Trajectories`, of all objectives or those named; ``SourceError`` if there are none."""
        experiment = self.experiment()
        if experiment is None:
            raise SourceError(f"{self.url} holds no iterations yet")
        space = chosen_objectives(experiment.space, objectives)
        sessions = list(self._sessions.values())
        stored = [
            (key, row, scores)
            for key, session in enumerate(sessions)
            for _, (row, scores) in sorted(self._iterations.get(session["id"], {}).items())
        ]
        judged = [(key, score) for key, _, scores in stored for score in scores]
        columns = StoredColumns(
            session_key=range(len(sessions)),
            session_id=[session["id"] for session in sessions],
            task_id=[session["task_id"] for session in sessions],
            model=[session["model"] for session in sessions],
            row_key=[key for key, _, _ in stored],
            row_t=[row["iteration"] for _, row, _ in stored],
            row_strategy=[row["strategy"] for _, row, _ in stored],
            score_key=[key for key, _ in judged],
            score_t=[score["iteration"] for _, score in judged],
            score_objective=[score["objective"] for _, score in judged],
            score_repeat=[score["repeat"] for _, score in judged],
            score_status=[score["status"] for _, score in judged],
            score_value=[score["value"] for _, score in judged],
            restarts=first_restarts((key, row["iteration"], row["meta"]) for key, row, _ in stored),
        )
        return trajectories_of(columns, space, self.url)

    def claim(self, owner: str, sessions: Iterable[str], seconds: float) -> list[str]:
        """Take leases on those of the sessions that nobody alive holds, and return which of them `owner` holds now."""
        now, got = time.monotonic(), []
        with self._lock:
            for session_id in sessions:
                if session_id not in self._sessions:
                    raise StoreError(f"session {session_id!r} is not in the store; add it before its iterations")
                holder, expires = self._leases.get(session_id, (owner, 0.0))
                if holder == owner or expires < now or is_gone(holder):
                    self._leases[session_id] = owner, now + seconds
                    got.append(session_id)
        return got

    def renew(self, owner: str, seconds: float) -> set[str]:
        """Put off the end of all leases of `owner`, and return the sessions that it still holds."""
        with self._lock:
            held = {session_id for session_id, (holder, _) in self._leases.items() if holder == owner}
            self._leases.update(dict.fromkeys(held, (owner, time.monotonic() + seconds)))
        return held

    def release(self, owner: str, sessions: Iterable[str] | None = None) -> None:
        """End the leases of `owner` on the sessions, or all of them."""
        with self._lock:
            for session_id in list(self._leases if sessions is None else sessions):
                if self._leases.get(session_id, ("",))[0] == owner:
                    del self._leases[session_id]

    def claim_report(self, owner: str) -> bool:
        """Tell whether it is for `owner` to report on what is stored now: True to the first alive that asks."""
        with self._lock:
            stored = sum(map(len, self._iterations.values()))
            count, other = self._report
            if count == stored and other != owner and not is_gone(other):
                return False
            self._report = stored, owner
            return True

    def leases(self) -> list[Lease]:
        """Return who holds which session, expired leases among them."""
        now = time.monotonic()
        with self._lock:
            held = [
                (session_id, *self._leases[session_id]) for session_id in self._sessions if session_id in self._leases
            ]
        return [Lease(session_id, owner, expires - now) for session_id, owner, expires in held]

    def remembers(self) -> bool:
        """Tell whether there is any answer to be had from `cached`."""
        return bool(self._answers)

    def cached(self, key: str) -> Mapping[str, Any] | None:
        """Return the answer that was remembered under `key`, None where there is none."""
        body = self._answers.get(key)
        return None if body is None else dict(json.loads(body))

    def remember(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep answers, as JSON values, by key; one that is there already stays."""
        for key, body in {key: encode_json(answer, "an answer") for key, answer in answers.items()}.items():
            self._answers.setdefault(key, body)

    def close(self) -> None:
        """Do nothing: the contents go with the object."""

"""Replay: make the decisions of a stored session once more, and say what they went by and whether they are the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.control.decision import Decision
from trimtab.control.live import PilotSession
from trimtab.control.pilot import Pilot
from trimtab.core.records import Iteration
from trimtab.errors import InputError, StoreError
from trimtab.sessions.course import Intake
from trimtab.sessions.inspection import find_session
from trimtab.sessions.kept_meta import meta_of
from trimtab.sessions.kept_settings import settings_of
from trimtab.sessions.steering import in_rounds, pilot_from, round_size
from trimtab.sessions.watch import remarks, was_set_aside
from trimtab.store.base import Store

__all__ = ["Explanation", "Moment", "explain"]

SCHEMA = "trimtab.explanation/1"

_TOLERANCE = 1e-6  # relative: other processors add up in another order


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known and decided after one iteration.

    Parameters
    ----------
    iteration, strategy, base
        Its index, and by which strategy and from which iterate it was made; None for the start.
    failed
        Why its answer could not be used, "" where it could: the program in force stayed the same.
    scores
        As recorded, None where there is none.
    estimate, deviation
        Of the true quality of this iterate as estimated then: its mean and standard deviation, by objective.
    recorded, decided
        The decision in the store, and that of the replay.
    differences
        In which parts the two differ.
    remarks
        Triggers that fired after it, and what was answered.
    """

    iteration: int
    strategy: str | None
    base: int | None
    failed: str
    scores: Mapping[str, float | None]
    estimate: Mapping[str, float]
    deviation: Mapping[str, float]
    recorded: Mapping[str, Any]
    decided: Decision
    differences: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a steered session went as it did.

    Parameters
    ----------
    session, task, policy
        Its id, what it worked on, and what steered it.
    goal
        What was wanted, as in the pilot's document.
    learned_from
        Sessions of former rounds, whose steps were known at its start.
    known_steps
        Steps that tell as much as was known then, by strategy.
    """

    session: str
    task: str
    policy: str
    goal: Mapping[str, Any]
    learned_from: int
    known_steps: Mapping[str, float]
    moments: tuple[Moment, ...]

    @property
    def agrees(self) -> bool:
        """True where the replay gives every recorded decision."""
        return not any(moment.differences for moment in self.moments)

    @property
    def says(self) -> str:
        """One sentence on whether the replay agrees, and if not, where and why it may not."""
        first = next((moment for moment in self.moments if moment.differences), None)
        if first is None:
            return "The replay gives every recorded decision."
        return (
            f"The replay departs from the record after iteration {first.iteration}, in {', '.join(first.differences)}: "
            "another version of trimtab may have decided, or the store may have been changed since."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.explanation/1``, as plain Python values."""
        return {
            "schema": SCHEMA,
            "session": self.session,
            "task": self.task,
            "policy": self.policy,
            "goal": dict(self.goal),
            "learned_from": self.learned_from,
            "known_steps": dict(self.known_steps),
            "agrees": self.agrees,
            "says": self.says,
            "iterations": [
                {
                    "iteration": one.iteration,
                    "strategy": one.strategy,
                    "base": one.base,
                    "failed": one.failed,
                    "scores": dict(one.scores),
                    "estimate": dict(one.estimate),
                    "deviation": dict(one.deviation),
                    "recorded": dict(one.recorded),
                    "decided": one.decided.to_dict(),
                    "differences": [*one.differences],
                    "remarks": [*one.remarks],
                }
                for one in self.moments
            ],
        }


def explain(store: Store, session_id: str) -> Explanation:
    """Replay a session of a steered run from its store.

    The pilot is the one that the run began with. It takes in the sessions of all former rounds, and then this one,
    iteration by iteration, each time deciding anew.

    Raises
    ------
    InputError
        If there is no such session, or it has not begun.
    StoreError
        If the store holds no steered run.
    """
    settings = settings_of(store)
    pilot = pilot_from(settings, store.url)
    sessions = store.sessions()
    planned = find_session(sessions, session_id)
    learned = 0
    for part in in_rounds(sessions, round_size(settings)):
        opened = [pilot.session(one.id) for one in part]
        if any(one.id == session_id for one in part):
            break
        for one in opened:
            intake = Intake(one)
            for record in store.iterations(one.key):
                intake.take(record)
                if was_set_aside(record):
                    break  # what it did once it was resumed was not known to those after it
            one.end()
        learned += len(part)
    records = list(store.iterations(session_id))
    if not records:
        raise InputError(f"the session {session_id!r} has not begun yet: run trimtab run again to go on")
    known = pilot.session(session_id).known
    return Explanation(
        session_id,
        planned.task_id,
        planned.strategy,
        settings["pilot"]["goal"],
        learned,
        dict(zip(known.strategies, known.steps.tolist(), strict=True)),
        tuple(_moments(pilot, pilot.session(session_id), records)),
    )


def _moments(pilot: Pilot, session: PilotSession, records: Sequence[Iteration]) -> list[Moment]:
    found, intake, n = [], Intake(session), pilot.goal.space.n
    for t, record in enumerate(records):
        if intake.session.ended:
            # The replay would have ended here. The record goes on, and so does a second session that knows the same.
            intake = Intake(PilotSession(pilot, session.key, session.index, session.known))
            for earlier in records[:t]:
                intake.take(earlier)
        intake.take(record)
        decided = intake.session.settle()
        now = intake.session.situation
        if now is None:
            raise StoreError(f"session {session.key!r} could not be replayed")
        names = pilot.goal.space.names
        sd = np.sqrt(np.diagonal(now.beliefs.covariance[0])[:n].clip(0))
        recorded = meta_of(record).get("decision") or {}
        found.append(
            Moment(
                record.index,
                record.strategy if record.index else None,
                record.base if record.index else None,
                record.reason if record.status == "failed" else "",
                record.values,
                dict(zip(names, now.state[0].tolist(), strict=True)),
                dict(zip(names, sd.tolist(), strict=True)),
                recorded,
                decided,
                _differences(recorded, decided.to_dict()),
                tuple(remarks(record)),
            )
        )
    return found


def _differences(recorded: Mapping[str, Any], decided: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the parts in which two decisions differ by more than rounding; the words of a reason are no such part."""
    return tuple(name for name, value in decided.items() if name != "reason" and not _alike(recorded.get(name), value))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(one == other)

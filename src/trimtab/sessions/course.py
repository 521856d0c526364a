"""Courses: what a session is to do next, by its plan or by a pilot, and where it goes on after an interruption."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from trimtab.core.records import RESTARTED, Iteration
from trimtab.errors import StoreError
from trimtab.providers.base import Message
from trimtab.sessions.history import Conversation
from trimtab.sessions.plan import Plan, PlannedSession

if TYPE_CHECKING:
    from trimtab.control.live import PilotSession
    from trimtab.control.pilot import Pilot

__all__ = ["Course", "Intake", "PlannedCourse", "SteeredCourse", "Step", "asked", "has_ended"]


_CHANCE = re.compile(r" with probability [\d.]+%| in (fewer than )?[\d.]+% of sessions")


@dataclass(frozen=True, slots=True)
class Step:
    """The next iteration: `session`, whose strategy is the one to use, from the artefact `current` to iteration `t`.

    Parameters
    ----------
    before
        Former exchanges that the request shows, see `trimtab.sessions.history`.
    """

    session: PlannedSession
    current: str
    t: int
    before: tuple[Message, ...] = ()


class Course(Protocol):
    """What one session does, iteration by iteration."""

    done: int
    """Iterations taken in, the start aside; -1 before the start."""

    def take(self, record: Iteration) -> Iteration:
        """Take in the iteration that was made, and return it as it is to be stored."""
        ...

    def next(self) -> Step | None:
        """Return what is to be made next, None at the end."""
        ...


class PlannedCourse:
    """The session's own strategy on the latest artefact, until all iterations are done.

    Parameters
    ----------
    last
        The latest iteration that is stored; None if there is none.
    stored
        Returns all of them, in order. Called only where more than the last is needed, when the session goes on.
    """

    def __init__(
        self,
        plan: Plan,
        session: PlannedSession,
        last: Iteration | None,
        stored: Callable[[], Iterable[Iteration]] = tuple,
    ) -> None:
        self._plan, self._session = plan, session
        self._current, self.done = session.task.artefact, -1
        self._conversation = Conversation(plan, session)
        self._stored = stored if last is not None and self._conversation.kept else None
        if last is not None:
            self._advance(last)

    def take(self, record: Iteration) -> Iteration:
        """See `Course`."""
        self._advance(record)
        self._conversation.take(record)
        return record

    def next(self) -> Step | None:
        """See `Course`."""
        if self.done >= self._plan.iterations:
            return None
        if self._stored is not None:
            for record in self._stored():
                self._conversation.take(record)
            self._stored = None
        return Step(self._session, self._current, self.done + 1, self._conversation.before(self.done))

    def _advance(self, record: Iteration) -> None:
        self.done = record.index
        self._current = self._current if record.artefact is None else record.artefact


class SteeredCourse:
    """What a pilot decides after every iteration; its decision is stored with the iteration that it was taken after.

    Parameters
    ----------
    stored
        The iterations that are there already, in order. Their decisions stand: the pilot only takes them in.
    """

    def __init__(self, plan: Plan, session: PlannedSession, pilot: Pilot, stored: Iterable[Iteration] = ()) -> None:
        self._strategies = {strategy.name: strategy for strategy in plan.strategies}
        self._session, self._pilot = session, pilot.session(session.id)
        self._intake = Intake(self._pilot)
        self._conversation = Conversation(plan, session)
        self._artefacts: list[str] = []
        self._next: Mapping[str, Any] = {}
        self.done = -1
        for record in stored:
            self._observe(record)
            self._next = _decision(record, self._strategies)
        if self._next and self._next["action"] != "continue":
            self._pilot.end()

    def take(self, record: Iteration) -> Iteration:
        """See `Course`."""
        if record.index and self._next["base"] != record.index - 1:
            record = replace(record, meta={**record.meta, RESTARTED: self._next["base"]})
        self._observe(record)
        decision = self._pilot.settle()
        if decision.action != "continue":
            self._pilot.end()
        self._next = decision.to_dict()
        # The start was made by no strategy. It is entered under the one that goes on from it.
        strategy = record.strategy if self.done or decision.strategy is None else decision.strategy
        return replace(record, strategy=strategy, meta={**record.meta, "decision": self._next})

    def next(self) -> Step | None:
        """See `Course`."""
        if self._next["action"] != "continue":
            return None
        strategy, base = self._strategies[self._next["strategy"]], self._next["base"]
        session, before = replace(self._session, strategy=strategy), self._conversation.before(base)
        return Step(session, self._artefacts[base], self.done + 1, before)

    def _observe(self, record: Iteration) -> None:
        self._intake.take(record)
        self._conversation.take(record)
        self.done = record.index
        self._artefacts.append("" if record.artefact is None else record.artefact)


class Intake:
    """Lets a pilot's session take in iterations.

    Where an answer could not be used, the program it was to improve stays in force: so do that one's scores.
    """

    def __init__(self, session: PilotSession) -> None:
        self.session = session
        self._told: list[dict[str, float | None]] = []

    def take(self, record: Iteration) -> None:
        """Take in an iteration, by the strategy and from the iterate that made it."""
        t, base = record.index, record.base
        if t and record.status == "failed":
            scores = self._told[base]
        else:
            scores = record.values
        self._told.append(scores)
        made: dict[str, Any] = {"strategy": record.strategy, "base": base} if t else {}
        self.session.take(scores, **made)


def has_ended(plan: Plan, last: Iteration | None) -> bool:
    """Tell whether a session whose last stored iteration is `last` has nothing left to do."""
    if last is None:
        return False
    if not plan.steered:
        return last.index >= plan.iterations
    return bool(_decision(last, [strategy.name for strategy in plan.strategies])["action"] != "continue")


def asked(record: Iteration) -> str:
    """Return why a steered session ended by calling a human, in words that sessions share; "" where it did not."""
    decision = record.meta.get("decision") or {}
    if decision.get("action") != "ask":
        return ""
    # Before a "but" stands why the session would have stopped, with numbers of its own.
    return _CHANCE.sub("", str(decision["reason"]).rpartition(", but ")[2])


def _decision(record: Iteration, strategies: Collection[str]) -> Mapping[str, Any]:
    """Return the decision that was taken after an iteration; ``StoreError`` where the store holds no usable one."""
    found = record.meta.get("decision")
    if isinstance(found, Mapping):
        action, strategy, base = found.get("action"), found.get("strategy"), found.get("base")
        goes_on = strategy in strategies and isinstance(base, int) and 0 <= base <= record.index
        if action in ("stop", "ask") or (action == "continue" and goes_on):
            return found
    raise StoreError(
        f"session {record.session_id!r} was steered, but the decision after its iteration {record.index} is "
        f"{'not in the store' if found is None else 'none that this run can follow'}"
    )

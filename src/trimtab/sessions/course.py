"""Courses: what a session is to do next, by plan, pilot or recording, and where it goes on after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from trimtab.control.live import PilotSession
from trimtab.core.records import RESTARTED, Iteration
from trimtab.errors import StoreError
from trimtab.providers.base import Message
from trimtab.sessions.desk import Answer
from trimtab.sessions.history import Conversation
from trimtab.sessions.kept_meta import meta_of
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.watch import ANSWERS, EARLIER, ENDS, Watcher, answered, calls, standing, waiting, was_set_aside

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot

__all__ = ["Course", "Intake", "PlannedCourse", "RecordedCourse", "SteeredCourse", "Step", "has_ended"]


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

    latest: Iteration | None
    """The latest of them, as it is stored."""

    def take(self, record: Iteration) -> Iteration:
        """Take in the iteration that was made, and return it as it is to be stored."""
        ...

    def next(self) -> Step | None:
        """Return what is to be made next, None at the end and where the session waits or is set aside."""
        ...

    @property
    def begun(self) -> Iteration:
        """The latest iteration, where there is one."""
        ...

    @property
    def waits(self) -> Literal["", "open", "aside"]:
        """``"open"`` where it goes on if a human says so, ``"aside"`` where it is set aside; "" otherwise."""
        ...

    def options(self) -> Sequence[str]:
        """Return the strategies that a session which waits can go on with, the one it would take first."""
        ...

    def answer(self, answer: Answer) -> list[dict[str, Any]]:
        """Take in what is to become of a session that waits, and return all answers as they are to be stored."""
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
        self.latest: Iteration | None = None
        self._conversation = Conversation(plan, session)
        self._intake: Intake | None = None
        if plan.watch is not None:
            self._intake = Intake(PilotSession(plan.watch, session.id, 0, plan.watch.prior))
            self._watcher = Watcher(plan.watch)
        self._stored = stored if last is not None and (self._conversation.kept or plan.watch) else None
        if last is not None:
            self._advance(last)

    def take(self, record: Iteration) -> Iteration:
        """See `Course`."""
        self._conversation.take(record)
        if self._intake is not None:
            self._intake.take(record)
            record = self._watcher.mark(record, self._intake.session)
            self._watcher.take(record)
        self._advance(record)
        return record

    def next(self) -> Step | None:
        """See `Course`."""
        if self._is_over or self.waits:
            return None
        self._recall()
        return Step(self._session, self._current, self.done + 1, self._conversation.before(self.done))

    @property
    def begun(self) -> Iteration:
        """See `Course`."""
        return _begun(self.latest)

    @property
    def waits(self) -> Literal["", "open", "aside"]:
        """See `Course`."""
        return "" if self._is_over or self.latest is None else waiting(self.latest)

    def options(self) -> Sequence[str]:
        """See `Course`."""
        return [self._session.strategy.name]

    def answer(self, answer: Answer) -> list[dict[str, Any]]:
        """See `Course`."""
        self.latest, answers = answered(self.begun, {"action": answer.action, "by": answer.by}, answer.at)
        if self._intake is not None and self._stored is None:
            self._watcher.take(self.latest)
        return answers

    @property
    def _is_over(self) -> bool:
        latest = self.latest
        return self.done >= self._plan.iterations or (latest is not None and standing(latest) == "stop")

    def _recall(self) -> None:
        for record in () if self._stored is None else self._stored():
            self._conversation.take(record)
            if self._intake is not None:
                self._intake.take(record)
                self._watcher.take(record)
        self._stored = None

    def _advance(self, record: Iteration) -> None:
        self.done, self.latest = record.index, record
        self._current = self._current if record.artefact is None else record.artefact


class RecordedCourse(PlannedCourse):
    """The strategies and bases that were recorded, until the recording ends.

    Parameters
    ----------
    last, stored
        As for `PlannedCourse`.
    """

    def __init__(
        self,
        plan: Plan,
        session: PlannedSession,
        last: Iteration | None,
        stored: Callable[[], Iterable[Iteration]] = tuple,
    ) -> None:
        super().__init__(plan, session, last, stored)
        self._strategies = {strategy.name: strategy for strategy in plan.strategies}
        self._recorded = (plan.course or {})[session.id]
        self._ends = max(self._recorded)
        self._artefacts: list[str] = []
        self._earlier = stored

    def take(self, record: Iteration) -> Iteration:
        """See `Course`."""
        strategy, base = self._made(record.index)
        record = _from_base(replace(record, strategy=strategy), base)
        if record.index >= self._ends:
            record = replace(record, meta={**record.meta, ENDS: True})
        self._artefacts.append(record.artefact or "")
        return super().take(record)

    def next(self) -> Step | None:
        """See `Course`."""
        step = super().next()
        if step is None:
            return None
        if not self._artefacts:
            self._artefacts = [record.artefact or "" for record in self._earlier()]
        name, base = self._made(step.t)
        session = replace(self._session, strategy=self._strategies[name])
        return Step(session, self._artefacts[base], step.t, self._conversation.before(base))

    def options(self) -> Sequence[str]:
        """See `Course`."""
        return [self._made(self.done + 1)[0]]

    def _made(self, t: int) -> tuple[str, int]:
        """Return by which strategy and from which iterate an iteration was made. A hole is as what was before it."""
        before = self._session.strategy.name if self.latest is None else self.latest.strategy
        return self._recorded.get(t, (before, t - 1))


class SteeredCourse:
    """What a pilot decides after every iteration; its decision is stored with the iteration that it was taken after.

    Parameters
    ----------
    stored
        The iterations that are there already, in order. Their decisions stand: the pilot only takes them in.
    """

    def __init__(self, plan: Plan, session: PlannedSession, pilot: Pilot, stored: Iterable[Iteration] = ()) -> None:
        self._strategies = {strategy.name: strategy for strategy in plan.strategies}
        self._most, self._session, self._pilot = plan.iterations, session, pilot.session(session.id)
        self._intake = Intake(self._pilot)
        self._watcher = Watcher(pilot)
        self._conversation = Conversation(plan, session)
        self._artefacts: list[str] = []
        self._next: Mapping[str, Any] = {}
        self.done = -1
        self.latest: Iteration | None = None
        for record in stored:
            self._observe(record)
            self._settle(record)

    def take(self, record: Iteration) -> Iteration:
        """See `Course`."""
        if record.index:
            record = _from_base(record, self._next["base"])
        self._observe(record)
        decision = self._pilot.settle()
        # The start was made by no strategy. It is entered under the one that goes on from it.
        strategy = record.strategy if self.done or decision.strategy is None else decision.strategy
        record = replace(record, strategy=strategy, meta={**record.meta, "decision": decision.to_dict()})
        record = self._watcher.mark(record, self._pilot)
        if standing(record) == "open" and decision.trigger is not None and not calls(record):
            chosen = self._pilot.untriggered()
            if chosen.action != "ask":
                record, _ = answered(record, {**_kept(chosen.to_dict()), "by": EARLIER})
        self._settle(record)
        return record

    def next(self) -> Step | None:
        """See `Course`."""
        if not self._next or self._next["action"] != "continue":
            return None
        strategy, base = self._strategies[self._next["strategy"]], self._next["base"]
        session, before = replace(self._session, strategy=strategy), self._conversation.before(base)
        return Step(session, self._artefacts[base], self.done + 1, before)

    @property
    def begun(self) -> Iteration:
        """See `Course`."""
        return _begun(self.latest)

    @property
    def waits(self) -> Literal["", "open", "aside"]:
        """See `Course`."""
        return "" if self.latest is None or self.done >= self._most else waiting(self.latest)

    def options(self) -> Sequence[str]:
        """See `Course`."""
        first = self._goes_on()["strategy"]
        return [first, *(name for name in self._strategies if name != first)]

    def answer(self, answer: Answer) -> list[dict[str, Any]]:
        """See `Course`."""
        given: dict[str, Any] = {"action": answer.action, "by": answer.by}
        if answer.action == "continue":
            given = {**self._goes_on(), **given}
            given["strategy"] = answer.strategy or given["strategy"]
        record, answers = answered(self.begun, given, answer.at)
        self._settle(record)
        return answers

    def _goes_on(self) -> dict[str, Any]:
        """Return how the session goes on if a human says that it does: as if no trigger had fired."""
        chosen = self._pilot.untriggered()
        if chosen.strategy is not None:
            return _kept(chosen.to_dict())
        best = max(chosen.gains, key=lambda name: chosen.gains[name].expected, default="")
        latest = self.latest.strategy if self.latest is not None else ""
        strategy = best or (latest if latest in self._strategies else next(iter(self._strategies)))
        return {"action": "continue", "strategy": strategy, "base": self.done}

    def _observe(self, record: Iteration) -> None:
        self._intake.take(record)
        self._conversation.take(record)
        self.done = record.index
        self._artefacts.append("" if record.artefact is None else record.artefact)

    def _settle(self, record: Iteration) -> None:
        """Take in what was decided and answered after the latest iteration."""
        self.latest, self._next = record, _decision(record, self._strategies)
        self._watcher.take(record)
        if self._next["action"] == "stop":
            self._pilot.end()
        elif was_set_aside(record):
            # Sessions opened later have learned from this one as it was then, whatever it does once it is resumed.
            self._pilot.end()
            self._pilot = self._intake.session = self._pilot.apart()


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


def has_ended(plan: Plan, last: Iteration | None, *, resume: bool = False) -> bool:
    """Tell whether a session whose last stored iteration is `last` has nothing left to do.

    Parameters
    ----------
    resume
        Go on with sessions that are set aside.
    """
    if last is None:
        return False
    if plan.steered:
        _decision(last, [strategy.name for strategy in plan.strategies])
    if last.index >= plan.iterations:
        return True
    stands = standing(last)
    return stands == "stop" or (stands == "aside" and not resume)


def _decision(record: Iteration, strategies: Collection[str]) -> Mapping[str, Any]:
    """Return what follows an iteration, by the decision taken after it, or by the answer to a question that it was.

    Raises
    ------
    StoreError
        If the store holds no usable one.
    """
    found = meta_of(record).get("decision")
    if isinstance(found, Mapping) and found.get("action") in ("continue", "stop", "ask"):
        stands = standing(record)
        if stands != "go":
            return {"action": "stop" if stands == "stop" else "ask"}
        if found.get("action") == "ask":
            found = record.meta[ANSWERS][-1]
        strategy, base = found.get("strategy"), found.get("base")
        if isinstance(strategy, str) and strategy in strategies and isinstance(base, int) and 0 <= base <= record.index:
            return found
    raise StoreError(
        f"session {record.session_id!r} was steered, but the decision after its iteration {record.index} is "
        f"{'not in the store' if found is None else 'none that this run can follow'}"
    )


def _from_base(record: Iteration, base: int) -> Iteration:
    """Return an iteration that says which iterate it was made from, where that is not the one before."""
    return record if base == record.index - 1 else replace(record, meta={**record.meta, RESTARTED: base})


def _begun(latest: Iteration | None) -> Iteration:
    if latest is None:
        raise StoreError("a session that has no iteration yet has none that anything could follow")
    return latest


def _kept(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decision[name] for name in ("action", "strategy", "base")}

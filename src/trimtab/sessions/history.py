"""History: what a request shows of its session before, besides the artefact in force.

An exchange is a request's user message, as it was sent, and the answer to it. Exchanges follow the iterates that one
was made from: where a policy goes on from an earlier iterate, those after it are not shown. Exchanges whose answer
failed are left out, since they have led to no artefact. Every request holds the artefact in force whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.records import Iteration
from trimtab.providers.base import Message
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.prompts import build_messages

__all__ = ["Conversation", "newer_half"]


@dataclass(frozen=True, slots=True)
class _Iterate:
    base: int
    artefact: str
    exchange: tuple[Message, ...]

    @property
    def size(self) -> int:
        return sum(len(message.content) for message in self.exchange)


class Conversation:
    """The exchanges of one session, made of its iterations again after an interruption.

    Parameters
    ----------
    plan
        Its `history` is ``"none"``, ``"last"`` (one exchange) or ``"full"``; its `history_limit` is the most characters
        of exchanges that are shown. The oldest are left out first, each whole.
    """

    def __init__(self, plan: Plan, session: PlannedSession) -> None:
        self.kept = plan.history != "none"
        self._most = 1 if plan.history == "last" else None
        self._limit = plan.history_limit
        self._task = session.task
        self._strategies = {strategy.name: strategy for strategy in (*plan.strategies, session.strategy)}
        self._any_base = plan.steered or plan.course is not None
        self._iterates: dict[int, _Iterate] = {}

    def take(self, record: Iteration) -> None:
        """Take in an iteration, the start first."""
        if not self.kept:
            return
        if not record.index:
            made = _Iterate(-1, self._task.artefact, ())
        elif record.status == "failed":
            made = self._iterates[record.base]
        else:
            before = self._iterates[record.base].artefact
            asked = build_messages(self._strategies[record.strategy], self._task, before, record.index)[-1]
            made = _Iterate(record.base, record.artefact or "", (asked, Message("assistant", record.answer or "")))
        self._iterates[record.index] = made
        if not self._any_base:
            shown = self._chain(record.index)
            self._iterates = {index: self._iterates[index] for index in {*shown, record.index}}

    def before(self, base: int) -> tuple[Message, ...]:
        """Return the exchanges that a request shows which goes on from iterate `base`, oldest first."""
        return tuple(message for index in reversed(self._chain(base)) for message in self._iterates[index].exchange)

    def _chain(self, index: int) -> list[int]:
        """Return the iterates whose exchanges are shown, latest first."""
        found: list[int] = []
        left = self._limit
        while (one := self._iterates.get(index)) is not None and len(found) != self._most:
            left -= one.size
            if left < 0:
                break
            if one.exchange:
                found.append(index)
            index = one.base
        return found


def newer_half(exchanges: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the newer half of exchanges, of an odd number the smaller part."""
    return exchanges[len(exchanges) - len(exchanges) // 4 * 2 :]

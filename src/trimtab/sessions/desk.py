"""Desk: where questions to a human lie until somebody answers, in the terminal, over HTTP or wherever clerks listen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from trimtab.errors import InputError

__all__ = ["Answer", "Clerk", "Desk", "Question"]

Action = Literal["continue", "stop", "pause"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a human is asked: whether a session goes on.

    Parameters
    ----------
    id
        Names the session and iteration.
    session, task, iteration
        Which one, and after which iteration.
    strategy
        That made the iteration.
    says
        What the matter is, one sentence for each trigger that fired, or the policy's reason.
    scores
        Of the iteration, by objective, the mean of its judgements; None for a missing one.
    strategies
        With which it may go on, the one that it would go on with first.
    """

    id: str
    session: str
    task: str
    iteration: int
    strategy: str
    says: Sequence[str]
    scores: Mapping[str, float | None]
    strategies: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "id": self.id,
            "session": self.session,
            "task": self.task,
            "iteration": self.iteration,
            "strategy": self.strategy,
            "says": [*self.says],
            "scores": dict(self.scores),
            "strategies": [*self.strategies],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to become of a session.

    Parameters
    ----------
    action
        ``"continue"``, ``"stop"``, or ``"pause"``: set aside, to be resumed by a later run.
    by
        Who says so, such as ``"terminal"``.
    strategy
        To go on with; "" leaves it to the session.
    at
        When, in ISO format; "" where nobody was asked.
    """

    action: Action
    by: str
    strategy: str = ""
    at: str = ""

    @classmethod
    def now(cls, action: Action, by: str, strategy: str = "") -> Answer:
        """Return an answer given at this moment."""
        return cls(action, by, strategy, datetime.now(UTC).isoformat(timespec="seconds"))


Clerk = Callable[["Desk"], Awaitable[None]]
"""Shows open questions somewhere and hands in answers, until it is cancelled."""


class Desk:
    """Holds the open questions of a run.

    Parameters
    ----------
    clerks
        Who shows them. Without any, nobody answers, and sessions that ask are set aside.

    Attributes
    ----------
    closed
        True once the run ends, and leaves what is open to the next one.
    """

    def __init__(self, clerks: Sequence[Clerk] = ()) -> None:
        self.clerks = clerks
        self._open: dict[str, tuple[Question, asyncio.Future[Answer | None]]] = {}
        self.closed = False
        self._changed = asyncio.Event()

    @property
    def questions(self) -> list[Question]:
        """Those that nobody has answered, oldest first."""
        return [question for question, _ in self._open.values()]

    async def ask(self, question: Question) -> Answer | None:
        """Wait for the answer; None where the run ends before there is one."""
        if self.closed:
            return None
        waiting: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._open[question.id] = question, waiting
        self._notify()
        try:
            return await waiting
        finally:
            if self._open.pop(question.id, None) is not None:
                self._notify()

    def answer(self, question_id: str, action: str, by: str, strategy: str = "") -> Question:
        """Hand in an answer, and return the question.

        Raises
        ------
        InputError
            If the question is not open, or the answer is none.
        """
        found = self._open.get(question_id)
        if found is None or found[1].done():  # the run may have ended a moment ago
            raise InputError(f"no question {question_id!r:.200} is open; it may have been answered already")
        question, waiting = found
        if action not in get_args(Action):
            raise InputError(f"an answer is continue, stop or pause, but got {action!r:.80}")
        if strategy and (action != "continue" or strategy not in question.strategies):
            raise InputError(
                f"a session goes on with {' or '.join(question.strategies)}, and only an answer to continue names one, "
                f"but got {action} with {strategy!r:.80}"
            )
        del self._open[question_id]
        waiting.set_result(Answer.now(cast("Action", action), by, strategy))
        self._notify()
        return question

    async def changed(self) -> None:
        """Wait until a question is put or gone."""
        await self._changed.wait()

    def close(self) -> None:
        """Leave all open questions without an answer; they are put again by the next run."""
        self.closed = True
        for _, waiting in self._open.values():
            if not waiting.done():
                waiting.set_result(None)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

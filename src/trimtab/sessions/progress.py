"""How far a run is, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from trimtab.sessions.spending import Spending

__all__ = ["Ended", "Listener", "Outcome", "Progress", "kind_of"]

_PLACE = re.compile(r" on line \d+.*| \(line \d+\)|, but begins with (['\"]).*\1")
_TOKENS = re.compile(r"\d[\d,]{0,19}(?= tokens)")  # bounded, since reasons may hold any number of digits

Ended = Literal["complete", "stopped", "limit", "error"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. Iterations do not count t = 0.

    Parameters
    ----------
    sessions, sessions_done
        Planned, and finished (in earlier runs too).
    iterations, iterations_done
        Planned, and stored (in earlier runs too). Those that a steered session does without are planned no more.
    new, failures
        Iterations stored by this run, and how many of them failed.
    seconds
        Since this run started.
    sessions_beyond, iterations_beyond
        Stored in earlier runs without being planned in this one; whoever analyses the store analyses them as well.
    spent
        By the iterations of this run.
    """

    sessions: int
    sessions_done: int
    iterations: int
    iterations_done: int
    new: int = 0
    failures: int = 0
    seconds: float = 0.0
    sessions_beyond: int = 0
    iterations_beyond: int = 0
    spent: Spending = field(default_factory=Spending)

    @property
    def rate(self) -> float:
        """Iterations per second of this run."""
        return self.new / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to go at this rate, None while nothing is known of it."""
        return (self.iterations - self.iterations_done) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    progress
        How far it came.
    ended
        ``"complete"``, ``"stopped"`` where it was asked to stop, ``"limit"`` where a budget was spent or a deadline
        came, or ``"error"`` where the provider cannot go on.
    reason
        Where it ended by a limit or in error, which one, in a sentence.
    failures
        Why iterations of this run failed, and how many did, most frequent first.
    unscored
        Why scores of usable artefacts of this run are missing, and how many are, most frequent first.
    aside
        Why sessions are set aside (since earlier runs too), and how many are, most frequent first.
    fired
        Which triggers fired in this run, and how often, most frequent first.
    reports
        False where it is complete and another process that shared it reports.
    spent_in_all
        By the iterations of all runs into the store, where there is a budget for them.
    """

    progress: Progress
    ended: Ended
    reason: str = ""
    failures: tuple[tuple[str, int], ...] = ()
    unscored: tuple[tuple[str, int], ...] = ()
    aside: tuple[tuple[str, int], ...] = ()
    fired: tuple[tuple[str, int], ...] = ()
    spent_in_all: Spending | None = None
    reports: bool = True

    @property
    def empty(self) -> bool:
        """True where the store holds no iteration but starting artefacts."""
        return not (self.progress.iterations_done or self.progress.iterations_beyond)


Listener = Callable[[Progress], None]


def kind_of(reason: str) -> str:
    """Return a reason without the place, the words and the number of tokens, which differ from answer to answer.

    >>> kind_of("syntax error on line 3: invalid syntax"), kind_of("request (3031 tokens) exceeds the context")
    ('syntax error', 'request (N tokens) exceeds the context')
    >>> kind_of("the judge's answer holds no JSON object, but begins with 'To evaluate...' (it was cut off)")
    "the judge's answer holds no JSON object (it was cut off)"
    """
    return _TOKENS.sub("N", _PLACE.sub("", reason))

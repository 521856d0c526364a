"""Situation and choice: what a policy is told, and what it answers. One live session is a batch of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import Beliefs
from trimtab.control.goal import Carried, Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead_noisy import Kept

__all__ = ["ASK", "STOP", "Choice", "Policy", "Situation"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STOP = -1
ASK = -2


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What S sessions have come to after iteration t.

    Parameters
    ----------
    t, budget
        Iterations done, and at most.
    scores
        (S, t + 1, n) as they were given, not-a-number where one is missing.
    strategy
        (S, t) index of the strategy that produced iterations 1..t.
    beliefs
        Where the sessions truly stand.
    utility
        (S, t + 1) expected utility of each iterate; minus infinity where a floor on the kept iterate forbids it.
    keep
        (S,) iteration whose iterate is kept, should the session stop now.
    carry
        (S,) its utility; for a set-valued utility bits (S, 4) of what is dominated so far. Where floors forbid every
        iterate, the utility is that of having nothing.
    seed, keys
        Of the random streams: of all sessions, and the name of each.
    basis
        What was known before the sessions began: what takes long to work out may rest on it.
    """

    goal: Goal
    knowledge: Knowledge
    t: int
    budget: int
    scores: Floats
    strategy: Ints
    beliefs: Beliefs
    utility: Floats
    keep: Ints
    carry: Carried
    seed: int
    keys: Sequence[str]
    basis: Knowledge

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def state(self) -> Floats:
        """Estimated scores now, (S, n)."""
        return self.beliefs.mean[:, : self.goal.space.n]

    @property
    def kept(self) -> Kept:
        """What would be kept now."""
        beliefs, rows = self.beliefs, np.arange(len(self))
        return Kept(
            beliefs.past[rows, self.keep],
            beliefs.past_covariance[rows, self.keep],
            beliefs.cross[rows, self.keep],
            np.isfinite(self.utility[rows, self.keep]),
        )

    @property
    def left(self) -> int:
        """Iterations that sessions may still have."""
        return self.budget - self.t


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What S sessions are to do next.

    Parameters
    ----------
    action
        (S,) index of the next strategy, `STOP` or `ASK`.
    reason
        (S,) why, as an index into `reasons`.
    reasons
        Sentences, in which {strategy}, {gain}, {floor} and the like are filled in for a live session.
    base
        (S,) iteration to go on from; None for the latest one everywhere.
    gain
        (S, K, 3) what each strategy promises over stopping now, in utility points: expected, and between which two
        values with a chance of 95%; not-a-number where the policy does not reckon it.
    facts
        What else a reason names in braces: by that name, (S,) numbers or texts.
    """

    action: Ints
    reason: Ints
    reasons: tuple[str, ...]
    base: Ints | None = None
    gain: Floats | None = None
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Policy(Protocol):
    """A rule from history to the next strategy, stop, or ask a human.

    Deterministic: the same situation gives the same choice. Random draws come from the situation's streams.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def choose(self, now: Situation) -> Choice:
        """Return what each session is to do next."""
        ...

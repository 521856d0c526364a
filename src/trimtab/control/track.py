"""Track: sessions in step, from their scores to the situation that a policy decides on."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import Beliefs
from trimtab.control.goal import POINTS, Carried, Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.situation import Situation

__all__ = ["Track"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Track:
    """S sessions that have had the same number of iterations.

    Parameters
    ----------
    goal, knowledge
        What is wanted, and what is known of the dynamics when the sessions start.
    budget
        Most iterations of a session.
    seed, keys
        Of the random streams, and the name of each session.
    y
        (S, n) scores of iteration 0, not-a-number where one is missing.
    basis
        See `Situation`; `knowledge` if None.
    """

    def __init__(
        self,
        goal: Goal,
        knowledge: Knowledge,
        budget: int,
        seed: int,
        keys: Sequence[str],
        y: Floats,
        basis: Knowledge | None = None,
    ) -> None:
        self.goal, self.knowledge, self.budget, self.seed, self.keys = goal, knowledge, budget, seed, keys
        self.basis = knowledge if basis is None else basis
        self.beliefs = Beliefs.start(knowledge, y)
        self.scores = y[:, None]
        self.strategy = np.empty((len(keys), 0), dtype=np.int64)

    def step(self, strategy: Ints, y: Floats, base: Ints | None = None, knowledge: Knowledge | None = None) -> None:
        """Take in the scores (S, n) of one more iteration, by `strategy` (S,) from iterate `base`."""
        self.beliefs.step(strategy, y, base, knowledge)
        self.scores = np.concatenate([self.scores, y[:, None]], axis=1)
        self.strategy = np.concatenate([self.strategy, strategy[:, None]], axis=1)
        if knowledge is not None:
            self.knowledge = knowledge

    def take(self, chosen: NDArray[np.bool_]) -> Track:
        """Return a track of some of the sessions."""
        keys = [key for key, kept in zip(self.keys, chosen, strict=True) if kept]
        made = copy(self)
        made.keys, made.beliefs = keys, self.beliefs.take(chosen)
        made.scores, made.strategy = self.scores[chosen], self.strategy[chosen]
        return made

    def situation(self) -> Situation:
        """Return where the sessions stand."""
        beliefs, goal = self.beliefs, self.goal
        covariance = None if beliefs.exact else beliefs.past_covariance
        value = goal.expected(beliefs.past, covariance)
        allowed = goal.acceptable(beliefs.past, covariance)
        utility = np.where(allowed, value, -np.inf)
        keep = utility.argmax(axis=1)
        rows = np.arange(len(keep))
        if goal.set_valued:
            bits = np.where(allowed[..., None], goal.dominated(beliefs.past), np.uint64(0))
            carry: Carried = np.bitwise_or.reduce(bits, axis=1)
            cells = goal.cells(bits)
            # What only one iterate adds to the others is what would be lost without it.
            own = (cells & (cells.sum(axis=1, keepdims=True) == 1)).sum(axis=-1)
            alone = goal.goodness(beliefs.past).clip(0).prod(axis=-1) / POINTS**goal.space.n
            keep = np.where(allowed, own + alone, -np.inf).argmax(axis=1)
        else:
            nothing = self._nothing(value)
            carry = np.maximum(utility[rows, keep], nothing)
        none = ~allowed.any(axis=1)
        if none.any() and goal.floors:
            keep = np.where(none, goal.shortfall(beliefs.past, covariance).argmin(axis=1), keep)
        return Situation(
            goal, self.knowledge, self.strategy.shape[1], self.budget, self.scores, self.strategy, beliefs, utility,
            keep, carry, self.seed, self.keys, self.basis,
        )  # fmt: skip

    def _nothing(self, value: Floats) -> Floats:
        """Return the utility of ending with no iterate that the floors allow."""
        if not callable(self.goal.utility) and all(one.bounded for one in self.goal.space):
            return np.zeros(len(value))
        return np.asarray(value.min(axis=1) - 1.0)

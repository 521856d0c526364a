"""Plans: what the lookahead tries after the first step, all of them side by side.

Plans are: to stop at once; to hold one strategy for 1, 2, 4, ... steps; and to take one step by one strategy and then
hold another. The best is chosen for each outcome of the first step by its mean over all drifts, without knowing which
drift is true.
"""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from trimtab.control.lookahead_parts import Transition, jumps_of

__all__ = ["Futures", "Plans"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _State(Protocol):
    def take(self, plans: Ints) -> Self:
        """Return the state of some of the plans."""
        ...


State = TypeVar("State", bound=_State)


class Futures(Protocol[State]):
    """What may happen: states of G plans, D drifts, S sessions and M outcomes."""

    def step(self, state: State, by: Transition, strategies: Ints, look: int) -> tuple[State, Floats]:
        """Return the states at the next look, and the utility kept until then, (G, D, S, M).

        Each plan goes on by its strategy (G,). A state of one plan serves for all.
        """
        ...


class Plans(Generic[State]):
    """The plans of up to `depth` steps by K strategies.

    Parameters
    ----------
    costs
        (K,) of one step.
    """

    def __init__(self, one: Transition, depth: int, costs: Floats) -> None:
        self.jumps = jumps_of(depth)
        self.held = {jump: one.held(jump) for jump in set(self.jumps)}
        self.costs = costs

    @property
    def looks(self) -> int:
        """Number of times that a plan is looked at, 1 or more."""
        return max(len(self.jumps), 1)

    def best(self, futures: Futures[State], start: State, best: Floats, told: Floats) -> tuple[Floats, Floats]:
        """Return the value of the best plan for each outcome.

        Parameters
        ----------
        start
            Of one plan.
        best, told
            Values of stopping at once: means over the drifts (S, O), and by drift, (D, S, O).

        Returns
        -------
        Floats, Floats
            The same of the best plan.
        """
        every = np.arange(len(self.costs))
        state, cost, first = start, np.zeros(len(every)), start
        for look, jump in enumerate(self.jumps):
            state, value = futures.step(state, self.held[jump], every, look)
            cost = cost + jump * self.costs
            best, told = _better(best, told, value, cost)
            first = state if look == 0 else first
        if len(self.jumps) > 1 and len(every) > 1:
            before, after = np.nonzero(every[:, None] != every)
            state, cost = first.take(before), self.costs[before]
            for look, jump in enumerate(self.jumps[1:], start=1):
                state, value = futures.step(state, self.held[jump], after, look)
                cost = cost + jump * self.costs[after]
                best, told = _better(best, told, value, cost)
        return best, told


def _better(best: Floats, told: Floats, value: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return the values of the best plans so far, given utilities (G, D, S, O paths) of G more."""
    G, D, S, _ = value.shape
    each = value.reshape(G, D, S, best.shape[-1], -1).mean(axis=-1) - cost[:, None, None, None]
    mean = each.mean(axis=1)
    plan = mean.argmax(axis=0)
    top = np.take_along_axis(mean, plan[None], axis=0)[0]
    by_drift = np.take_along_axis(each, plan[None, None], axis=0)[0]
    better = top > best
    return np.where(better, top, best), np.where(better, by_drift, told)

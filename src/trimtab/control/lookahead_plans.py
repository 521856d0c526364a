"""Plans: what the lookahead tries after the first step, all of them side by side.

Plans are: to stop at once; to hold one strategy for 1, 2, 4, ... steps; and to take one step by one strategy and then
hold another. The best is chosen for each outcome of the first step by its mean over all drifts, without knowing which
drift is true. There are K (K - 1) plans that switch after each of K first steps: where strategies are many, only those
between the best ones to hold are tried.
"""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from trimtab.control.lookahead_parts import Transition, jumps_of

__all__ = ["MOST_SWITCHED", "Futures", "Plans"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


MOST_SWITCHED = 8
"""Strategies between which plans switch."""

_HELD = 4_000_000  # numbers held in the states of plans side by side


class _State(Protocol):
    @property
    def size(self) -> int:
        """Numbers that one plan holds."""
        ...

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
        K, each = len(self.costs), max(1, _HELD // start.size)
        worth, first = np.full(K, -np.inf), start
        for held in _parts(np.arange(K), each):
            state, cost = start, np.zeros(len(held))
            for look, jump in enumerate(self.jumps):
                state, value = futures.step(state, self.held[jump], held, look)
                cost = cost + jump * self.costs[held]
                best, told = _better(best, told, value, cost)
                worth[held] = np.maximum(worth[held], value.mean(axis=(1, 2, 3)) - cost)
                first = state if look == 0 else first
        if len(self.jumps) > 1 and K > 1:
            some = np.sort(worth.argsort(kind="stable")[-MOST_SWITCHED:])
            if len(some) < K or each < K:
                first, _ = futures.step(start, self.held[1], some, 0)
            before, after = np.nonzero(some[:, None] != some)
            for part in _parts(np.arange(len(before)), each):
                state, cost, by = first.take(before[part]), self.costs[some[before[part]]], some[after[part]]
                for look, jump in enumerate(self.jumps[1:], start=1):
                    state, value = futures.step(state, self.held[jump], by, look)
                    cost = cost + jump * self.costs[by]
                    best, told = _better(best, told, value, cost)
        return best, told


def _parts(plans: Ints, each: int) -> list[Ints]:
    return [plans[at : at + each] for at in range(0, len(plans), each)]


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

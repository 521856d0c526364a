"""Value grid: what going on optimally is worth from any state, by dynamic programming on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trimtab.control.floor import passed_chance
from trimtab.control.goal import Goal
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError

__all__ = ["MOST_OBJECTIVES", "Grid", "ValueGrid", "can_be_programmed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_OBJECTIVES = 3
"""Objectives up to which dynamic programming is done."""

_HELD = 4_000_000  # numbers held in one array


@dataclass(frozen=True, slots=True)
class Grid:
    """How finely dynamic programming sees the world.

    Parameters
    ----------
    points
        Per objective.
    levels
        Of the best utility so far.
    nodes
        Of the Gauss-Hermite rule, per objective.
    """

    points: int
    levels: int
    nodes: int

    @classmethod
    def fine(cls, n: int) -> Grid:
        """Return the grid for n objectives that an oracle is computed on, in seconds."""
        return {1: cls(201, 101, 25), 2: cls(31, 41, 7)}.get(n, cls(13, 25, 4))

    @classmethod
    def quick(cls, n: int) -> Grid:
        """Return the grid for n objectives that a live policy is planned on, in a third of a second."""
        return {1: cls(101, 51, 9), 2: cls(21, 31, 5)}.get(n, cls(9, 17, 3))


def can_be_programmed(goal: Goal) -> bool:
    """Say whether a grid can hold the goal's states: bounded, up to three objectives, utilities of single iterates."""
    space = goal.space
    return space.n <= MOST_OBJECTIVES and not goal.set_valued and all(one.bounded for one in space)


class ValueGrid:
    """Values of sessions whose scores are states, and that do not differ for good.

    With m the utility of the best iterate so far and s steps left (Bellman 1957)::

        V_0(x, m) = m,    V_s(x, m) = max(m, max_k E[V_{s-1}(x', max(m, U(x')))] - cost_k),
        x' = clip(F_k x + c_k + w),    w ~ N(0, Q_k)

    The mean over w is a product Gauss-Hermite rule, V between the points of the grid multilinear.

    Parameters
    ----------
    F, c, Q
        (K, n, n), (K, n) and (K, n, n).
    costs
        (K,) of one step.
    steps
        Most steps that may be left after a first one.

    Raises
    ------
    InputError
        If the goal's states fit on no grid.
    """

    def __init__(self, goal: Goal, F: Floats, c: Floats, Q: Floats, costs: Floats, steps: int, grid: Grid) -> None:
        if not can_be_programmed(goal):
            raise InputError(
                f"dynamic programming needs up to {MOST_OBJECTIVES} bounded objectives and a utility of single iterates"
            )
        space, n = goal.space, goal.space.n
        self.goal, self.grid, self.F, self.c, self.Q, self.costs = goal, grid, F, c, Q, costs
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.grid.nodes)
        self._nodes = np.array([*product(nodes, repeat=n)])
        self._weights = np.array([*product(weights, repeat=n)]).prod(axis=1) / np.sqrt(2 * np.pi) ** n
        self._roots = np.stack([semidefinite_cholesky(one) for one in Q])
        self._axes = np.linspace(space.low, space.high, self.grid.points, axis=-1)
        self._points = np.stack(np.meshgrid(*self._axes, indexing="ij"), axis=-1).reshape(-1, n)
        utility = goal.value(self._points)
        self._nothing = _nothing(goal, utility)
        self._levels = np.linspace(min(self._nothing, utility.min()), utility.max(), self.grid.levels)
        self._corners = self.grid.points ** np.arange(n - 1, -1, -1)
        V = np.broadcast_to(self._levels, (len(self._points), self.grid.levels)).copy()
        self._values = [V]
        for _ in range(steps):
            V = np.maximum(self._levels, self._ahead(self._points, None, V).max(axis=1))
            self._values.append(V)

    def value(self, x: Floats, best: Floats, left: int) -> Floats:
        """Return E[utility in the end, less costs] if the next step is by strategy k, (S, K).

        Parameters
        ----------
        x, best
            (S, n) states and (S,) utilities of the best iterates so far.
        left
            Steps that may still be taken, 1 or more.
        """
        return self._ahead(x, best, self._values[left - 1])

    def after(self, x: Floats, best: Floats, left: int) -> Floats:
        """Return V with `left` steps left, 0 or more, for states (..., n) and utilities (...) of the best so far."""
        V = self._values[left]
        level, part = self._level(best)
        result = np.zeros(best.shape)
        for at, share in self._around(x):
            result += share * (V[at, level] * (1 - part) + V[at, level + 1] * part)
        return np.asarray(np.maximum(result, best))

    def _ahead(self, x: Floats, best: Floats | None, V: Floats) -> Floats:
        """Return what strategies are worth from states x, (S, K); for all levels, (S, K, L), if `best` is None."""
        result = np.empty((len(x), len(self.costs), *(() if best is not None else (self.grid.levels,))))
        each = len(self._weights) * self.grid.levels
        block = max(1, _HELD // each)
        for at in range(0, len(x), block):
            own = slice(at, at + block)
            for k in range(len(self.costs)):
                result[own, k] = self._mean(x[own], None if best is None else best[own], V, k) - self.costs[k]
        forbidden = self._forbidden(x)
        result[forbidden] = -np.inf
        return result

    def _mean(self, x: Floats, best: Floats | None, V: Floats, k: int) -> Floats:
        S, M, space = len(x), len(self._weights), self.goal.space
        moved = (x @ self.F[k].T + self.c[k])[:, None] + self._nodes @ self._roots[k].T
        moved = np.clip(moved, space.low, space.high)
        utility = self.goal.value(moved)
        if self.goal.floors:
            utility = np.where(self.goal.acceptable(moved, None), utility, self._nothing)
        weight = self._weights
        if best is not None:
            level, part = self._level(np.maximum(best[:, None], utility))
            after = sum(
                share * (V[at, level] * (1 - part) + V[at, level + 1] * part) for at, share in self._around(moved)
            )
            return np.asarray(after @ weight)
        flat = np.zeros((S, M, self.grid.levels))
        for at, share in self._around(moved):
            flat += share[..., None] * V[at]
        # Where the iterate is better than the best so far, it is carried on in its place.
        level, part = self._level(utility)
        pick = np.take_along_axis(flat, level[..., None], 2)[..., 0]
        higher = np.take_along_axis(flat, level[..., None] + 1, 2)[..., 0]
        own = pick * (1 - part) + higher * part
        kept = np.where(self._levels < utility[..., None], own[..., None], flat)
        return np.asarray(np.einsum("sml,m->sl", kept, weight))

    def _level(self, utility: Floats) -> tuple[Ints, Floats]:
        return _cell(utility, self._levels[0], self._levels[-1], self.grid.levels)

    def _around(self, x: Floats) -> Iterator[tuple[Ints, Floats]]:
        """Yield, for each corner of the cells that states (..., n) lie in, its row in V and its share."""
        space = self.goal.space
        cell, part = _cell(x, space.low, space.high, self.grid.points)
        for corner in product((0, 1), repeat=space.n):
            share = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=-1)
            yield (cell + np.array(corner)) @ self._corners, share

    def _forbidden(self, x: Floats) -> NDArray[np.bool_]:
        """Return where a strategy would pass a floor on each iterate with more than the chance allowed, (S, K)."""
        result = np.zeros((len(x), len(self.costs)), dtype=bool)
        for floor in self.goal.floors:
            if floor.on == "each":
                j = self.goal.space.index(floor.objective)
                center = x @ self.F[:, j].T + self.c[:, j]
                result |= passed_chance(self.goal.space, floor, center, self.Q[:, j, j]) > floor.alpha
        return result


def _cell(x: Floats, low: Floats | float, high: Floats | float, points: int) -> tuple[Ints, Floats]:
    """Return the interval that x lies in, of a grid of so many points from low to high, and how far along it is."""
    place = (x - low) / (np.asarray(high) - low) * (points - 1)
    cell = np.clip(place.astype(np.int64), 0, points - 2)
    return cell, np.asarray(place - cell)


def _nothing(goal: Goal, utility: Floats) -> float:
    """Return the utility of ending with no iterate that the floors allow, as `Track` has it for bounded spaces."""
    return 0.0 if not callable(goal.utility) else float(utility.min()) - 1.0

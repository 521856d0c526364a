"""Value grid: what going on optimally is worth from any state, by dynamic programming on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from trimtab.control.floor import passed_chance
from trimtab.control.goal import Goal
from trimtab.control.lookahead_parts import normals
from trimtab.control.simplices import cells, corners
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError

__all__ = ["MOST_OBJECTIVES", "Grid", "ValueGrid", "can_be_programmed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_OBJECTIVES = 6
"""Objectives up to which dynamic programming is done."""

_HELD = 4_000_000  # numbers held in one array
_REMEMBERED = 20_000_000  # shares between points that are not worked out anew for every step
_DRAWN = 256  # outcomes of a first step, where no product rule is in use


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
        Of the product Gauss-Hermite rule, per objective; 0 for the cubature of degree 3, 2n nodes in all (Stroud 1957).
    """

    points: int
    levels: int
    nodes: int

    @classmethod
    def fine(cls, n: int) -> Grid:
        """Return the grid for n objectives that an oracle is computed on, in seconds; with six in 15 s and 1 GB."""
        return _FINE[n]

    @classmethod
    def quick(cls, n: int) -> Grid:
        """Return the grid for n objectives that a live policy is planned on, in about a second at most."""
        return _QUICK[n]


_FINE = {
    1: Grid(201, 101, 25),
    2: Grid(31, 41, 7),
    3: Grid(13, 25, 4),
    4: Grid(13, 21, 0),
    5: Grid(9, 17, 0),
    6: Grid(6, 13, 0),
}
_QUICK = {
    1: Grid(101, 51, 9),
    2: Grid(21, 31, 5),
    3: Grid(11, 17, 3),
    4: Grid(9, 17, 0),
    5: Grid(6, 13, 0),
    6: Grid(5, 9, 0),
}


def can_be_programmed(goal: Goal) -> bool:
    """Say whether a grid can hold the goal's states: bounded, up to six objectives, utilities of single iterates."""
    space = goal.space
    return space.n <= MOST_OBJECTIVES and not goal.set_valued and all(one.bounded for one in space)


class ValueGrid:
    """Values of sessions whose scores are states, and that do not differ for good.

    With m the utility of the best iterate so far and s steps left (Bellman 1957)::

        V_0(x, m) = m,    V_s(x, m) = max(m, max_k E[V_{s-1}(x', max(m, U(x')))] - cost_k),
        x' = clip(F_k x + c_k + w),    w ~ N(0, Q_k)

    The mean over w is one over nodes, V between the points of the grid linear in simplices (`control.simplices`).

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
        space = goal.space
        self.goal, self.grid, self.F, self.c, self.costs = goal, grid, F, c, costs
        self._variances = np.diagonal(Q, axis1=-2, axis2=-1)
        self._roots = np.stack([semidefinite_cholesky(one) for one in Q])
        upward = space.sign > 0
        # From worst to best, so that the simplices lie along what is good in all objectives together.
        self._ends = np.where(upward, space.low, space.high), np.where(upward, space.high, space.low)
        axes = np.linspace(*self._ends, grid.points, axis=-1)
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, space.n)
        utility = goal.value(points)
        self._nothing = _nothing(goal, utility)
        self._levels = np.linspace(min(self._nothing, utility.min()), utility.max(), grid.levels)
        V = np.broadcast_to(self._levels, (len(points), grid.levels)).copy()
        self._values = [V]
        nodes, weights = _rule(grid.nodes, space.n)
        small = len(costs) * len(points) * len(nodes) * (space.n + 1) <= _REMEMBERED
        back = list(self._steps(points, nodes)) if small and steps else None
        for _ in range(steps):
            best = np.broadcast_to(self._levels, V.shape).copy()  # what it is worth to stop
            for one in back or self._steps(points, nodes):
                best[one.points] = np.maximum(best[one.points], one.mean(V, weights))
            self._values.append(V := best)

    def value(self, x: Floats, best: Floats, left: int) -> Floats:
        """Return E[utility in the end, less costs] if the next step is by strategy k, (S, K).

        Without a product rule the mean over this step is one over 256 draws, the same at every call.

        Parameters
        ----------
        x, best
            (S, n) states and (S,) utilities of the best iterates so far.
        left
            Steps that may still be taken, 1 or more.
        """
        n = self.goal.space.n
        nodes, weights = (
            _rule(self.grid.nodes, n)
            if self.grid.nodes
            else (normals(_DRAWN, 1, n, 0)[:, 0], np.full(_DRAWN, 1 / _DRAWN))
        )
        result = np.empty((len(x), len(self.costs)))
        block = max(1, _HELD // (len(nodes) * (n + 1)))
        for at in range(0, len(x), block):
            own = slice(at, at + block)
            for k in range(len(self.costs)):
                moved, utility = self._moved(x[own], k, nodes)
                after = self.after(moved, np.maximum(best[own, None], utility), left - 1)
                result[own, k] = after @ weights - self.costs[k]
        result[self._forbidden(x)] = -np.inf
        return result

    def after(self, x: Floats, best: Floats, left: int) -> Floats:
        """Return V with `left` steps left, 0 or more, for states (..., n) and utilities (...) of the best so far."""
        if not left:
            return best
        V, n, flat = self._values[left], x.shape[-1], best.ravel()
        found, block = np.empty(len(flat)), max(1, _HELD // (n + 1))
        for at in range(0, len(flat), block):
            own = slice(at, at + block)
            row, share = corners(x.reshape(-1, n)[own], *self._ends, self.grid.points)
            level, part = (one[:, None] for one in self._level(flat[own]))
            found[own] = ((V[row, level] * (1 - part) + V[row, level + 1] * part) * share).sum(axis=-1)
        return np.maximum(found.reshape(best.shape), best)

    def _steps(self, points: Floats, nodes: Floats) -> Iterator[_Step]:
        """Yield the steps by all strategies from all points (N, n)."""
        n, block = self.goal.space.n, max(1, _HELD // (len(nodes) * self.grid.levels))
        for k, at in product(range(len(self.costs)), range(0, len(points), block)):
            own = slice(at, at + block)
            moved, utility = self._moved(points[own], k, nodes)
            row, share = corners(moved.reshape(-1, n), *self._ends, self.grid.points)
            first = np.arange(0, row.size + 1, n + 1, dtype=np.int32)
            between = csr_array((share.ravel(), row.ravel().astype(np.int32), first), shape=(len(row), len(points)))
            level, part = self._level(utility.ravel())
            yield _Step(own, self.costs[k], between, level, part, self._forbidden(points[own])[:, k])

    def _level(self, utility: Floats) -> tuple[Ints, Floats]:
        return cells(utility, self._levels[0], self._levels[-1], self.grid.levels)

    def _moved(self, x: Floats, k: int, nodes: Floats) -> tuple[Floats, Floats]:
        """Return where strategy k takes states (S, n), by nodes M, (S, M, n), and what that is worth to keep."""
        space = self.goal.space
        moved = (x @ self.F[k].T + self.c[k])[:, None] + nodes @ self._roots[k].T
        moved = np.clip(moved, space.low, space.high)
        utility = self.goal.value(moved)
        if self.goal.floors:
            utility = np.where(self.goal.acceptable(moved, None), utility, self._nothing)
        return moved, utility

    def _forbidden(self, x: Floats) -> Bools:
        """Return where a strategy would pass a floor on each iterate with more than the chance allowed, (S, K)."""
        result = np.zeros((len(x), len(self.costs)), dtype=bool)
        for floor in self.goal.floors:
            if floor.on == "each":
                j = self.goal.space.index(floor.objective)
                center = x @ self.F[:, j].T + self.c[:, j]
                result |= passed_chance(self.goal.space, floor, center, self._variances[:, j]) > floor.alpha
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One step by a strategy from some of the grid's points, M nodes each.

    Parameters
    ----------
    points
        Which points.
    between
        Shares of all points in where it leads, a row for each point and node.
    level, part
        Where the utility of that lies between the levels.
    never
        (S,) where floors on each iterate forbid it.
    """

    points: slice
    cost: float
    between: csr_array
    level: Ints
    part: Floats
    never: Bools

    def mean(self, V: Floats, weights: Floats) -> Floats:
        """Return E[V(x', max(m, U(x')))] - cost, (S, L)."""
        flat = self.between @ V
        rows = np.arange(len(flat))
        own = flat[rows, self.level] * (1 - self.part) + flat[rows, self.level + 1] * self.part
        # V never falls as the best so far rises: V(x', max(m, U(x'))) is the greater one of V at both.
        kept = np.maximum(flat, own[:, None], out=flat).reshape(-1, len(weights), V.shape[1])
        result = np.einsum("sml,m->sl", kept, weights) - self.cost
        result[self.never] = -np.inf
        return np.asarray(result)


def _rule(nodes: int, n: int) -> tuple[Floats, Floats]:
    """Return nodes (M, n) and weights (M,) of the mean over n standard normal numbers, see `Grid`."""
    if not nodes:
        ends = np.sqrt(n) * np.eye(n)
        return np.concatenate([ends, -ends]), np.full(2 * n, 1 / (2 * n))
    along, weights = np.polynomial.hermite_e.hermegauss(nodes)
    together = np.array([*product(weights / np.sqrt(2 * np.pi), repeat=n)]).prod(axis=1)
    return np.array([*product(along, repeat=n)]), together


def _nothing(goal: Goal, utility: Floats) -> float:
    """Return the utility of ending with no iterate that the floors allow, as `Track` has it for bounded spaces."""
    return 0.0 if not callable(goal.utility) else float(utility.min()) - 1.0

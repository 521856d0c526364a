"""Oracle: the best that can be done in a world whose dynamics and states are known, as a measure for policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.world import Sessions, World, steer
from trimtab.control.goal import Goal, passed_chance
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead import Effort
from trimtab.control.policies.predictive import Predictive
from trimtab.control.situation import STOP, Choice, Policy, Situation
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts, covariance_of

__all__ = ["DynamicProgramming", "Grid", "is_programmed", "known_for_certain", "oracle", "oracle_sessions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_OBJECTIVES = 3
"""Objectives up to which dynamic programming is done."""

_HELD = 4_000_000  # numbers held in one array
_EQUAL = 1e-9  # gain below which going on is worth nothing


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
    def of(cls, n: int) -> Grid:
        """Return the grid for n objectives."""
        return {1: cls(201, 101, 25), 2: cls(31, 41, 7)}.get(n, cls(13, 25, 4))


@dataclass(eq=False)
class DynamicProgramming:
    """The policy that is optimal up to the grid, where scores are states and sessions do not differ for good.

    With m the utility of the best iterate so far and s steps left (Bellman 1957)::

        V_0(x, m) = m,    V_s(x, m) = max(m, max_k E[V_{s-1}(x', max(m, U(x')))] - cost_k),
        x' = clip(F_k x + c_k + w),    w ~ N(0, Q_k)

    The mean over w is a product Gauss-Hermite rule, V between the points of the grid multilinear. The policy itself
    takes one such mean from the very state that a session is in.

    Parameters
    ----------
    world
        Its score noise is taken to be none.
    """

    world: World
    goal: Goal
    budget: int
    grid: Grid
    name: str = field(default="oracle", init=False)

    def __post_init__(self) -> None:
        world, goal, space = self.world, self.goal, self.world.space
        if goal.set_valued or world.session_sd.any() or not all(one.bounded for one in space):
            raise InputError(
                "dynamic programming needs bounded objectives, a utility of single iterates, and sessions that do not "
                "differ for good"
            )
        n = space.n
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.grid.nodes)
        self._nodes = np.array([*product(nodes, repeat=n)])
        self._weights = np.array([*product(weights, repeat=n)]).prod(axis=1) / np.sqrt(2 * np.pi) ** n
        self._roots = np.stack([semidefinite_cholesky(Q) for Q in world.Q])
        self._costs = goal.cost_of(world.strategies)
        self._axes = np.linspace(space.low, space.high, self.grid.points, axis=-1)
        self._points = np.stack(np.meshgrid(*self._axes, indexing="ij"), axis=-1).reshape(-1, n)
        utility = goal.value(self._points)
        self._nothing = _nothing(goal, utility)
        self._levels = np.linspace(min(self._nothing, utility.min()), utility.max(), self.grid.levels)
        self._corners = self.grid.points ** np.arange(n - 1, -1, -1)
        V = np.broadcast_to(self._levels, (len(self._points), self.grid.levels)).copy()
        self._values = [V]
        for _ in range(self.budget - 1):
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

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        value = self.value(now.state, now.carry, now.left)
        gain = value.max(axis=1) - now.carry
        action = np.where(gain > _EQUAL, value.argmax(axis=1), STOP)
        return Choice(action, np.zeros(len(action), dtype=np.int64), ("{strategy} is worth most",))

    def _ahead(self, x: Floats, best: Floats | None, V: Floats) -> Floats:
        """Return what strategies are worth from states x, (S, K); for all levels, (S, K, L), if `best` is None."""
        result = np.empty((len(x), len(self._costs), *(() if best is not None else (self.grid.levels,))))
        each = len(self._weights) * self.grid.levels
        block = max(1, _HELD // each)
        for at in range(0, len(x), block):
            own = slice(at, at + block)
            for k in range(len(self._costs)):
                result[own, k] = self._mean(x[own], None if best is None else best[own], V, k) - self._costs[k]
        forbidden = self._forbidden(x)
        result[forbidden] = -np.inf
        return result

    def _mean(self, x: Floats, best: Floats | None, V: Floats, k: int) -> Floats:
        world, S, M = self.world, len(x), len(self._weights)
        moved = (x @ world.F[k].T + world.c[k])[:, None] + self._nodes @ self._roots[k].T
        moved = np.clip(moved, world.space.low, world.space.high)
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
        space = self.world.space
        cell, part = _cell(x, space.low, space.high, self.grid.points)
        for corner in product((0, 1), repeat=space.n):
            share = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=-1)
            yield (cell + np.array(corner)) @ self._corners, share

    def _forbidden(self, x: Floats) -> NDArray[np.bool_]:
        """Return where a strategy would pass a floor on each iterate with more than the chance allowed, (S, K)."""
        result = np.zeros((len(x), len(self._costs)), dtype=bool)
        for floor in self.goal.floors:
            if floor.on == "each":
                j = self.world.space.index(floor.objective)
                center = x @ self.world.F[:, j].T + self.world.c[:, j]
                result |= passed_chance(self.world.space, floor, center, self.world.Q[:, j, j]) > floor.alpha
        return result


def known_for_certain(world: World) -> Knowledge:
    """Return the knowledge of one who knows the world's dynamics for certain."""
    starts = Starts(world.starts.mean(axis=0), covariance_of(world.starts), "as in the world")
    eye, noise = np.eye(world.space.n), world.score_noise
    loops = {
        name: Loop(name, AffineSDE(F - eye, c, Q), starts, score_noise=noise, session_sd=sd)
        for name, F, c, Q, sd in zip(world.strategies, world.F, world.c, world.Q, world.session_sd, strict=True)
    }
    return Knowledge.of_loops(Loops(world.space, loops, "model file", {}))


def is_programmed(world: World, goal: Goal) -> bool:
    """Say whether the oracle is computed by dynamic programming."""
    single = not goal.set_valued and not world.session_sd.any() and all(one.bounded for one in world.space)
    return single and world.space.n <= MOST_OBJECTIVES


def oracle(world: World, goal: Goal, budget: int) -> Policy:
    """Return the policy to hold others against, for the world without its score noise.

    Dynamic programming up to three objectives, where it can be done; otherwise a lookahead of great effort.
    """
    if is_programmed(world, goal):
        return DynamicProgramming(world, goal, budget, Grid.of(world.space.n))
    return Predictive(effort=Effort(draws=1, outcomes=32, paths=32, horizon=min(budget, 8)))


def oracle_sessions(world: World, goal: Goal, budget: int, sessions: int, seed: int) -> tuple[str, Sessions]:
    """Return how the oracle was computed, and its sessions, on the same random numbers as those of policies.

    The oracle knows the dynamics for certain and sees states instead of scores. What a session has of its own for good
    it has to learn from its steps, as every policy has. It goes on for as long as that promises anything at all.
    """
    clear = replace(world, score_noise=np.zeros(world.space.n))
    known, wanted = known_for_certain(clear), replace(goal, least_gain=0.0)
    policy = oracle(clear, wanted, budget)
    how = "dynamic programming" if isinstance(policy, DynamicProgramming) else "lookahead of great effort"
    return how, steer(clear, policy, wanted, known, budget, sessions, seed)


def _cell(x: Floats, low: Floats | float, high: Floats | float, points: int) -> tuple[Ints, Floats]:
    """Return the interval that x lies in, of a grid of so many points from low to high, and how far along it is."""
    place = (x - low) / (np.asarray(high) - low) * (points - 1)
    cell = np.clip(place.astype(np.int64), 0, points - 2)
    return cell, np.asarray(place - cell)


def _nothing(goal: Goal, utility: Floats) -> float:
    """Return the utility of ending with no iterate that the floors allow, as `Track` has it for bounded spaces."""
    return 0.0 if not callable(goal.utility) else float(utility.min()) - 1.0

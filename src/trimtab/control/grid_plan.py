"""Grid plan: the value of a first step by each strategy, with what follows it read from a value grid."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Goal
from trimtab.control.knowledge import Drifts, Knowledge
from trimtab.control.lookahead import Plan
from trimtab.control.lookahead_parts import deviations, normals, root_of
from trimtab.control.outlook import floor_chance
from trimtab.control.situation import Situation
from trimtab.control.value_grid import Grid, ValueGrid, can_be_programmed

__all__ = ["ValueGrids", "grid_plan"]

Floats = NDArray[np.float64]

OUTCOMES = 128
"""Of the first step, over all drifts."""

MINOR = 0.25
"""Share of the innovations' variance up to which what sessions have of their own is passed over."""

_MANY = 20  # steps after which a filter has settled
_KEPT = 8  # grids that are remembered


class ValueGrids:
    """Grids that were solved, by what they rest on; each is solved once, whatever the threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._solved: dict[tuple[bytes, bytes, int, int], ValueGrid] = {}

    def of(self, now: Situation, steps: int) -> ValueGrid | None:
        """Return the grid for a situation, to look at most so many steps ahead; None where none can be had.

        It needs strategies of which none is hardly known, innovations that are no smaller than the score noise and
        large beside what sessions have of their own, and few bounded objectives. Where noise prevails, an estimate that
        rises says little for going on, which a grid of estimates cannot see (`trimtab.control.lookahead_noisy`).
        """
        basis, goal = now.basis, now.goal
        variances = np.diagonal(basis.mean.Q, axis1=-2, axis2=-1).mean(axis=0)
        clear = (basis.score_noise <= variances).all() and (basis.session_sd**2 <= MINOR * variances).all()
        if not clear or basis.hardly.any() or not can_be_programmed(goal):
            return None
        steps = min(steps, now.budget)
        key = (basis.total.tobytes(), basis.score_noise.tobytes(), id(goal), steps)
        with self._lock:
            if key not in self._solved:
                while len(self._solved) >= _KEPT:
                    self._solved.pop(next(iter(self._solved)))
                self._solved[key] = _solved(basis, goal, steps)  # which keeps the goal that its key names
            return self._solved[key]


def _solved(basis: Knowledge, goal: Goal, steps: int) -> ValueGrid:
    mean = basis.mean
    costs = goal.cost_of(basis.strategies)
    moves = _moves(mean.F[0], mean.Q, basis.score_noise, _settled(mean.F[0], mean.Q, basis.score_noise))
    return ValueGrid(goal, mean.F[0], mean.c[0], moves, costs, steps - 1, Grid.quick(basis.n))


def _moves(F: Floats, Q: Floats, noise: Floats, P: Floats) -> Floats:
    """Return the covariance of the estimate's move about its expectation, from covariances P (..., n, n) of the state.

    With B = F P F' + Q the estimate moves by B (B + R)^-1 B: as the state does where scores have no noise, and less
    the more noise they have.
    """
    B = F @ P @ F.swapaxes(-1, -2) + Q
    return np.asarray(B @ np.linalg.solve(B + np.diag(noise) + np.eye(len(noise)) * 1e-12, B))


def _settled(F: Floats, Q: Floats, noise: Floats) -> Floats:
    """Return the filter's covariance of the state after many steps by each strategy, (K, n, n)."""
    P = np.zeros_like(Q)
    if noise.any():
        for _ in range(_MANY):
            B = F @ P @ F.swapaxes(-1, -2) + Q
            P = B - B @ np.linalg.solve(B + np.diag(noise) + np.eye(len(noise)) * 1e-12, B)
    return P


def grid_plan(now: Situation, drifts: Drifts, grid: ValueGrid, steps: int) -> Plan:
    """Return what sessions may gain by a first step by each strategy, and going on as well as can be after it.

    The value is the mean over D drifts and outcomes of the first step, of V(x', max(best, U(x'))): what follows goes by
    the mean drift, decides anew after every step, and stops where that is best. Where scores are noisy, x is the
    estimate of a session's state, which moves by less than the state does.

    Parameters
    ----------
    steps
        That are looked ahead, the first one included.
    """
    goal, space = now.goal, now.goal.space
    S, D, K = len(now), len(drifts), len(now.knowledge.strategies)
    value, by_drift = np.empty((S, K)), np.empty((S, K, D))
    outcomes = max(2, OUTCOMES // D)
    noise = normals(outcomes * D, 1, space.n, 0)[:, 0].reshape(outcomes, D, space.n).swapaxes(0, 1)
    costs, n = goal.cost_of(now.knowledge.strategies), space.n
    P, mean_F = now.beliefs.covariance[:, :n, :n], now.knowledge.mean.F[0]
    xi = now.beliefs.mean[:, space.n :]
    for k in range(K):
        moved = now.state @ drifts.F[:, k].swapaxes(-1, -2) + drifts.c[:, k, None]  # (D, S, n)
        if xi.shape[1]:
            moved = moved + now.knowledge.session_sd[k] * xi
        root = root_of(_moves(mean_F[k], drifts.Q[k], now.knowledge.score_noise, P))  # (S, n, n)
        x = np.clip(moved[:, :, None] + noise[:, None] @ root, space.low, space.high)
        carry = np.broadcast_to(now.carry[None, :, None], x.shape[:-1])
        best, _ = goal.keep(carry, x, None)
        after = grid.after(x, best, steps - 1)
        value[:, k] = after.mean(axis=(0, 2)) - costs[k]
        by_drift[:, k] = value[:, k, None] + deviations(after)
    chance = floor_chance(goal, now.knowledge, now.beliefs.mean, now.beliefs.covariance)
    return Plan(value, by_drift, np.array(now.carry), chance)

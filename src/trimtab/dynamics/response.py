"""Impulse responses of a linear loop x_{t+1} = F x_t + w_t, w_t ~ N(0, Q): what one shock does, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.covariance import semidefinite_cholesky, stationary_covariance
from trimtab.errors import InputError

__all__ = ["impulse_responses", "own_half_lives", "shocks"]

Floats = NDArray[np.float64]

_BLOCK = 1024  # iterations computed at once
_LONGEST = 10_000_000  # iterations after which a response counts as one that lasts for ever


def shocks(Q: Floats, ordering: Sequence[int] | None = None) -> Floats:
    """Return what a shock of one standard deviation in each objective does at once, (n, n), one shock per column.

    Without an ordering the shocks are the generalised ones (Pesaran and Shin 1998, Economics Letters 58): what is
    expected of all objectives where objective j is seen to be shocked by one standard deviation, Q e_j / sqrt(Q_jj).
    They do not depend on any order and are correlated with each other. With an ordering they are orthogonalised (Sims
    1980, Econometrica 48): the columns of the Cholesky factor of Q in that order, so that a shock in one objective
    moves those after it within the same iteration and none before it.

    Parameters
    ----------
    Q
        (n, n) covariance of one step's innovation. An objective without innovations has a column of zeros; so has,
        with an ordering, one whose innovation those before it determine.
    ordering
        The objectives 0..n-1 in order, the one that moves first in front.

    Raises
    ------
    InputError
        If `ordering` does not name each objective once.
    """
    n = len(Q)
    if ordering is None:
        deviation = np.sqrt(np.diagonal(Q))
        return np.divide(Q, deviation, out=np.zeros((n, n)), where=deviation > 0)
    order = np.asarray(ordering)
    if order.shape != (n,) or sorted(order.tolist()) != list(range(n)):
        raise InputError(f"an ordering names each of the objectives 0 to {n - 1} once, but got {list(ordering)}")
    result = np.empty((n, n))
    result[np.ix_(order, order)] = semidefinite_cholesky(Q[np.ix_(order, order)])
    return result


def impulse_responses(F: Floats, shock: Floats, steps: int) -> Floats:
    """Return F^k shock for k = 0..steps, (steps + 1, n, m): entry [k, i, j] is what shock j does to objective i.

    Parameters
    ----------
    F
        (n, n) transition of one iteration.
    shock
        (n, m) what each shock does at once, as `shocks` returns it.
    """
    if steps < 0:
        raise InputError(f"responses need steps >= 0, but got {steps}")
    result = np.empty((steps + 1, *shock.shape))
    result[0] = shock
    for k in range(steps):
        result[k + 1] = F @ result[k]
    return result


def own_half_lives(F: Floats, shock: Floats) -> Floats:
    """Return after how many iterations each objective's response to its own shock stays below half for good, (n,).

    With r_k = (F^k shock)_jj it is the smallest k such that abs(r_m) <= abs(r_0) / 2 for all m >= k. A response that
    swings, or first grows, crosses the half more than once and only the last time counts. The search ends where the sum
    of all later squares, x_k' P x_k with P = F' P F + e_j e_j', rules a return out.

    Parameters
    ----------
    F
        (n, n) transition of a stable loop.
    shock
        (n, n) what each shock does at once; not-a-number where a shock does not move its own objective.

    Returns
    -------
    array
        Whole iterations, infinite beyond ten million.
    """
    n = len(F)
    powers = impulse_responses(F, np.eye(n), _BLOCK)
    result = np.full(n, np.nan)
    for j in np.flatnonzero(np.diagonal(shock)):
        energy = stationary_covariance(F.T, np.outer(np.eye(n)[j], np.eye(n)[j]))
        x, half = shock[:, j], abs(shock[j, j]) / 2
        result[j], start, last = np.inf, 0, 0
        while start < _LONGEST:
            above = np.flatnonzero(np.abs(powers[:_BLOCK, j] @ x) > half)
            if len(above):
                last = start + int(above[-1])
            x, start = powers[_BLOCK] @ x, start + _BLOCK
            if x @ energy @ x <= half**2:
                result[j] = last + 1
                break
    return result

"""Paths of loops that are not fully known: each goes by a drift of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.forecasting.loops import Loop, Loops
from trimtab.simulation.ensemble import simulate
from trimtab.simulation.plan import Model
from trimtab.simulation.transitions import NonlinearSDE

__all__ = ["walk"]

Array = NDArray[Any]
Floats = NDArray[np.float64]


def walk(
    loops: Loops, schedule: Sequence[str], starts: Floats, seed: int, *, uncertain: bool = True, scored: bool = False
) -> Floats:
    """Return the states of paths by the loops of a schedule, (paths, steps + 1, n), the starts included.

    Path p goes by drift p mod K of the K that the data leave possible, for as long as a loop is in force, and with a
    lasting drift u_p of its own where sessions are known to differ::

        x' = bounded(x + (A_k x + b_k + u_p) dt + w),    w ~ N(0, Q)

    u_p is drawn independently of where the path starts, and is the same multiple of its standard deviation in all
    loops: a session that is easy under one strategy is easy under the others. All loops meet the same noise w.

    Parameters
    ----------
    starts
        (paths, n)
    uncertain
        Whether to use the drifts rather than the model alone.
    scored
        Whether to return scores rather than states: score noise of the strategy that produced each is added, and what
        comes to lie beyond a bound is given the bound.
    """
    names = list(dict.fromkeys(schedule))
    paths, n = starts.shape
    lasting = _lasting(loops, names, paths, seed)
    own = any((uncertain and loops[name].drifts is not None) or lasting[name] is not None for name in names)
    models: dict[str, Model] = {}
    for name in names:
        models[name] = _own_drift(loops[name], lasting[name], uncertain) if own else loops[name].model
    low, high, x0 = loops.space.low, loops.space.high, starts
    if own:  # the last coordinate of a state is the number of its path
        x0 = np.column_stack([starts, np.arange(paths)])
        low, high = np.append(low, -np.inf), np.append(high, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # a loop that does not converge may leave all numbers
        ensemble = simulate(models, x0, len(schedule), seed=seed, bounds=(low, high), schedule=[*schedule], keep="all")
    states = cast(Floats, ensemble.states)[:, :, :n]
    return _scored(loops, schedule, states, seed) if scored else states


def _lasting(loops: Loops, names: Sequence[str], paths: int, seed: int) -> dict[str, Floats | None]:
    """Return the lasting drift of every path under each strategy, (n, paths); None where sessions do not differ."""
    z = None
    found: dict[str, Floats | None] = {}
    for name in names:
        sd = loops[name].session_sd
        if sd is None or not sd.any():
            found[name] = None
            continue
        if z is None:
            z = stream(seed, "forecast", "sessions").standard_normal((paths, len(sd))).T
        found[name] = sd[:, None] * z
    return found


def _own_drift(loop: Loop, lasting: Floats | None, uncertain: bool) -> NonlinearSDE:
    """Return the loop as a model of states that say in their last coordinate which path they are of."""
    model, n = loop.model, loop.model.n
    drifts = loop.drifts if uncertain else None
    A = (model.A[None] if drifts is None else drifts.A).transpose(1, 2, 0).copy()
    b = (model.b[None] if drifts is None else drifts.b).T.copy()
    sigma = np.zeros((n + 1, n + 1))
    sigma[:n, :n] = semidefinite_cholesky(model.Q) / np.sqrt(model.dt)
    return NonlinearSDE(_drift_of(A, b, lasting), lambda block: _spread(sigma, block.shape[1]), n + 1, model.dt)


def _drift_of(A: Floats, b: Floats, lasting: Floats | None) -> Callable[[Array], Array]:
    """Return the drift for drifts A (n, n, K), b (n, K) and lasting drifts (n, paths)."""
    n, drifts = b.shape

    def drift(block: Array) -> Array:
        path = block[n].astype(np.int64)
        k = path % drifts
        moved = np.zeros_like(block)
        moved[:n] = np.einsum("ijp,jp->ip", A[:, :, k], block[:n]) + b[:, k]
        if lasting is not None:
            moved[:n] += lasting[:, path]
        return moved

    return drift


def _spread(sigma: Floats, paths: int) -> Floats:
    return np.broadcast_to(sigma[:, :, None], (*sigma.shape, paths))


def _scored(loops: Loops, schedule: Sequence[str], states: Floats, seed: int) -> Floats:
    """Return states with score noise, within the bounds; the starts are counted with the first strategy."""
    space = loops.space
    scores = states.copy()
    for t, name in enumerate((schedule[0], *schedule)):
        R = loops[name].score_noise
        if R is not None:
            z = stream(seed, "forecast", "score noise", t).standard_normal((len(states), space.n))
            scores[:, t] = np.clip(scores[:, t] + np.sqrt(R) * z, space.low, space.high)
    return scores

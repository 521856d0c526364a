"""Pareto dominance, Pareto efficiency of a path, and hypervolume. Points are maximised unless a sign says otherwise."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.errors import InputError

__all__ = ["hypervolume", "non_dominated", "pareto_efficiencies", "pareto_efficiency"]

Floats = NDArray[np.float64]

_LONGEST_COMPARED = 64  # iterations up to which comparing every pair beats sorting
_HELD = 65_536  # numbers held at once


def non_dominated(points: ArrayLike, sign: ArrayLike = 1.0) -> NDArray[np.bool_]:
    """Say for each point (M, n) whether no other point dominates it; shape (M,).

    A dominates B if A is nowhere worse and somewhere better. Equal points do not dominate each other.

    Parameters
    ----------
    sign
        +1 for objectives to maximise, -1 for those to minimise; a scalar or (n,).
    """
    z = np.asarray(points, dtype=np.float64) * np.asarray(sign)
    if len(z) == 0:
        return np.zeros(0, dtype=bool)
    if z.shape[1] == 1:
        return np.asarray(z[:, 0] == z[:, 0].max())
    return np.asarray(moocore.is_nondominated(z, maximise=True, keep_weakly=True), dtype=bool)


def pareto_efficiency(points: ArrayLike, sign: ArrayLike = 1.0) -> float:
    """Return the share of a trajectory's points (T, n) that no other of its points dominates; nan if T = 0."""
    kept = non_dominated(points, sign)
    return float(kept.mean()) if len(kept) else float("nan")


def pareto_efficiencies(points: ArrayLike, offsets: NDArray[np.int64], sign: ArrayLike = 1.0) -> Floats:
    """Return `pareto_efficiency` of each of S trajectories, (S,).

    Trajectory s owns the points ``offsets[s]:offsets[s + 1]``. Those of one length are compared all at once.
    """
    z = np.asarray(points, dtype=np.float64) * np.asarray(sign)
    lengths = np.diff(offsets)
    result = np.full(len(lengths), np.nan)
    for length in np.unique(lengths[lengths > 0]):
        sessions = np.flatnonzero(lengths == length)
        if length > _LONGEST_COMPARED:
            for s in sessions:
                result[s] = pareto_efficiency(z[offsets[s] : offsets[s + 1]])
            continue
        block = max(1, _HELD // (int(length) * z.shape[1]))
        for at in range(0, len(sessions), block):
            chosen = sessions[at : at + block]
            paths = z[offsets[chosen][:, None] + np.arange(length)]
            result[chosen] = 1.0 - _dominated(np.ascontiguousarray(paths.transpose(2, 1, 0))).mean(axis=0)
    return result


def _dominated(paths: Floats) -> NDArray[np.bool_]:
    """Say which points of paths (n, T, B) another point of the same path dominates, (T, B)."""
    result = np.zeros(paths.shape[1:], dtype=bool)
    for t in range(paths.shape[1] - 1):
        one, later = paths[:, t, None], paths[:, t + 1 :]
        at_least, at_most = (one >= later).all(axis=0), (one <= later).all(axis=0)
        # Points that are equal in all objectives are both.
        result[t] |= (at_most > at_least).any(axis=0)
        result[t + 1 :] |= at_least > at_most
    return result


def hypervolume(points: ArrayLike, low: ArrayLike, high: ArrayLike, sign: ArrayLike = 1.0) -> float:
    """Return the share, in [0, 1], of the box low..high that the points (M, n) dominate.

    Each objective is first scaled so that its worst bound is 0 and its best is 1; points beyond a bound count as at it.

    Raises
    ------
    InputError
        If a bound is infinite: the volume would be too.
    """
    low_, high_ = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if not (np.isfinite(low_).all() and np.isfinite(high_).all()):
        raise InputError("a hypervolume needs finite bounds on every objective; give them as NAME:LOW:HIGH")
    z = (np.asarray(points, dtype=np.float64) - low_) / (high_ - low_)
    z = np.clip(np.where(np.asarray(sign) > 0, z, 1 - z), 0.0, 1.0)
    if len(z) == 0:
        return 0.0
    if z.shape[1] == 1:
        return float(z.max())
    # The others add nothing, but their number adds to the time.
    z = z[moocore.is_nondominated(z, maximise=True, keep_weakly=False)]
    return float(moocore.hypervolume(z, ref=np.zeros(z.shape[1]), maximise=True))

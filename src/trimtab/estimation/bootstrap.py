"""Uncertainty by resampling sessions. Rows are never resampled: the steps of one session belong together."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.moments import WIDE_ENOUGH, AnyMoments, Moments, effective_sessions

__all__ = ["normal_interval", "resample", "robust_interval"]

Floats = NDArray[np.float64]

_INDICES = 65_536  # sessions drawn at once: few enough for the cache


def resample(moments: AnyMoments, draws: int, seed: int, *key: str) -> Floats:
    """Return `draws` bootstrap replicates of the moment total, (draws, 1 + 2n, 1 + 2n).

    Where the states vary in at least `WIDE_ENOUGH` sessions, each replicate is a draw from
    N(sum M_s, sum (M_s - mean)(M_s - mean)'): exactly the distribution of the sum under independent N(1, 1) weights on
    the sessions, at a cost that does not grow with their number. Elsewhere it is the sum over S sessions drawn with
    replacement, which is never indefinite. Replicates depend only on the moments, `seed` and `key`.
    """
    rng = stream(seed, "bootstrap", *key)
    total = moments.total
    p = len(total)
    rows, columns = np.triu_indices(p)
    if isinstance(moments, Moments) and effective_sessions(moments) < WIDE_ENOUGH:
        packed = moments.packed
        sums = np.empty((len(rows), draws))
        block = max(1, _INDICES // len(packed))
        for at in range(0, draws, block):
            part = sums[:, at : at + block]
            part[:] = packed.T @ _multiplicities(rng, part.shape[1], len(packed)).T
    else:
        values, vectors = np.linalg.eigh(moments.spread())
        root = vectors * np.sqrt(np.clip(values, 0, None))
        sums = total[rows, columns][:, None] + root @ rng.standard_normal((draws, len(rows))).T
    result = np.empty((p, p, draws))
    result[rows, columns] = sums
    result[columns, rows] = sums
    return np.moveaxis(result, -1, 0)


def _multiplicities(rng: np.random.Generator, draws: int, S: int) -> Floats:
    """Return how often each of S sessions is drawn when S are drawn with replacement, (draws, S)."""
    chosen = rng.integers(0, S, size=(draws, S))
    chosen += S * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * S).reshape(draws, S).astype(np.float64)


def _around(estimate: Floats, spread: Floats, level: float, clusters: int) -> tuple[Floats, Floats]:
    half = scipy.special.stdtrit(max(clusters - 1, 1), 0.5 + level / 2) * spread
    return np.asarray(estimate - half), np.asarray(estimate + half)


def normal_interval(estimate: Floats, draws: Floats, level: float, clusters: int) -> tuple[Floats, Floats]:
    """Return the normal-bootstrap interval: estimate -+ t quantile (S - 1) x standard deviation of the draws.

    It covers better here than the percentile interval, which inherits the estimator's bias twice.

    Parameters
    ----------
    estimate
        (...) the estimate from all sessions.
    draws
        (draws, ...) its bootstrap replicates; not-a-number ones are left out.
    level
        Nominal coverage, for example 0.95.
    clusters
        Number of sessions S.
    """
    return _around(np.asarray(estimate), _deviation(draws), level, clusters)


def _deviation(draws: Floats) -> Floats:
    """Return the standard deviation over axis 0, not-a-number where fewer than two draws are finite."""
    finite = np.isfinite(draws)
    if len(draws) > 1 and finite.all():
        return np.asarray(draws.std(axis=0, ddof=1))
    count = finite.sum(axis=0)
    mean = np.where(finite, draws, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(finite, draws - mean, 0.0) ** 2
    return np.where(count > 1, np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1)), np.nan)


def robust_interval(estimate: Floats, draws: Floats, level: float, clusters: int) -> tuple[Floats, Floats]:
    """Return the interval of `normal_interval` with half the central 68% range in place of the standard deviation.

    For ratios such as the equilibrium -A^-1 b, whose replicates have no finite variance when A is nearly singular.
    """
    tail = float(scipy.special.ndtr(-1.0))
    usable = np.isfinite(draws).all(axis=tuple(range(1, draws.ndim))) if draws.ndim > 1 else np.isfinite(draws)
    if usable.sum() < 2:
        nothing = np.full(np.shape(estimate), np.nan)
        return nothing, nothing.copy()
    low, high = np.quantile(draws[usable], [tail, 1 - tail], axis=0)
    return _around(np.asarray(estimate), (high - low) / 2, level, clusters)

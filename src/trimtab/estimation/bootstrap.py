"""Uncertainty by resampling sessions. Rows are never resampled: the steps of one session belong together."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.moments import Moments

__all__ = ["normal_interval", "resample", "robust_interval"]

Floats = NDArray[np.float64]

MULTINOMIAL_LIMIT = 2_000
"""Above this many sessions the weighted sums are drawn from their Gaussian limit instead."""

WIDE_ENOUGH = 200
"""Sessions in which every objective has to vary for that limit to be near."""

_WEIGHTS = 65_536  # weights held at once: few enough to stay in the cache


def resample(moments: Moments, draws: int, seed: int, *key: str) -> Floats:
    """Return `draws` bootstrap replicates of the moment total, (draws, 1 + 2n, 1 + 2n).

    Each replicate is the sum over S sessions drawn with replacement. Above `MULTINOMIAL_LIMIT` sessions, if each
    objective varies in at least `WIDE_ENOUGH` sessions, it is a draw from N(sum M_s, sum (M_s - mean)(M_s - mean)')
    instead: the distribution of the sum under independent N(1, 1) weights, whose cost does not grow with S.
    Replicates depend only on the moments, `seed` and `key`.
    """
    rng = stream(seed, "bootstrap", *key)
    S, p = moments.outer.shape[:2]
    rows, columns = np.triu_indices(p)
    packed = moments.outer[:, rows, columns]
    if S <= MULTINOMIAL_LIMIT or _effective_sessions(moments) < WIDE_ENOUGH:
        sums = np.empty((len(rows), draws))
        block = max(1, _WEIGHTS // S)
        for at in range(0, draws, block):
            size = min(block, draws - at)
            sums[:, at : at + size] = packed.T @ _multiplicities(rng, size, S).T
    else:
        centred = packed - packed.mean(axis=0)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        sums = packed.sum(axis=0)[:, None] + root @ rng.standard_normal((draws, len(rows))).T
    result = np.empty((p, p, draws))
    result[rows, columns] = sums
    result[columns, rows] = sums
    return np.moveaxis(result, -1, 0)


def _multiplicities(rng: np.random.Generator, draws: int, S: int) -> Floats:
    """Return how often each of S sessions is drawn when S are drawn with replacement, (draws, S)."""
    chosen = rng.integers(0, S, size=(draws, S))
    chosen += S * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * S).reshape(draws, S).astype(np.float64)


def _effective_sessions(moments: Moments) -> float:
    """Return (sum v)^2 / sum v^2 over sessions, v being squared deviations, for the state where it is least."""
    k = 1 + moments.n
    v = np.einsum("sjj->sj", moments.outer[:, 1:k, 1:k])
    v = v[:, v.sum(axis=0) > 0]
    return float((v.sum(axis=0) ** 2 / (v**2).sum(axis=0)).min(initial=np.inf))


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

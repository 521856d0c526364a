"""Covariances of scores between iterations: do they last, do they fade, and does the common level move.

Three questions that least squares of steps cannot answer, each tested over runs (see `panel`). Let e_t be the scores
about the mean of all runs at iteration t, and g_k = E[e_t e_{t+k}] per objective. Scores that are independent draws
have g_k = 0 for k >= 1; a lasting level of each session under independent scoring noise has g_k equal for all k >= 1;
a loop with memory has g_1 above (or, if it overshoots, below) the rest. Only products of different iterations enter,
so that neither scoring noise nor its changing size bias any of the three. The state that a run starts from is left
out where enough rows remain, because it was produced by another process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.panel import Panel

__all__ = ["LagTests", "hotelling_mean", "lag_tests"]

Floats = NDArray[np.float64]

FEWEST = 5
"""Runs that an iteration must have for its mean to be taken off."""

_LAGS = 20  # lags whose covariances are reported


@dataclass(frozen=True, slots=True, eq=False)
class LagTests:
    """Autocovariances and the tests made of them.

    Parameters
    ----------
    autocovariance
        (K, n): g_0, ..., g_{K-1}, means over all pairs of iterations so far apart.
    dependence_p_value
        Of "no score depends on another one of its run": g_1 and the mean of all later g_k are 0.
    fading_p_value
        Of "what lasts, lasts for good": g_1 equals the mean of all g_k, k >= 1.
    fading, fading_error
        g_1 less that mean, relative to g_1, averaged over the objectives in units of g_0, and its standard error with
        g_1 taken as known: 0 for a static level, 1 where nothing is left later on.
    trend_p_value
        Of "the mean over runs does not move".
    runs
        Number of runs used.
    """

    autocovariance: Floats
    dependence_p_value: float
    fading_p_value: float
    fading: float
    fading_error: float
    trend_p_value: float
    runs: int

    @property
    def noise_share(self) -> Floats:
        """Share of the variance at one iteration that the next one does not know of and later ones do, (n,).

        1 - g_0 extrapolated from g_1 and g_2 (g_1^2 / g_2 for a geometric decline, never above g_0) over g_0. Scoring
        noise shows as a drop of the autocovariance at lag 0 beyond its decline. Not-a-number where lags are too few.
        """
        g = self.autocovariance
        if len(g) < 3:
            return np.full(g.shape[1], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            extrapolated = np.where((g[1] > 0) & (g[2] > 0), g[1] ** 2 / g[2], np.nan)
            return np.where(g[0] > 0, np.clip(1 - extrapolated / g[0], 0.0, 1.0), np.nan)


def hotelling_mean(values: Floats, weights: Floats) -> float:
    """Return the p-value of Hotelling's test that the weighted mean of independent rows (S, q) is zero.

    T2 = m' V^-1 m, V = sum w_s^2 (v_s - m)(v_s - m)' / (sum w_s)^2 S / (S - 1), referred to F(q, S - q) as in
    `memory`. Not-a-number with fewer than q + 3 rows of positive weight.
    """
    used = weights > 0
    values, weights = values[used], weights[used]
    S, q = values.shape
    if q == 0 or S - q < 3:
        return float("nan")
    share = weights / weights.sum()
    mean = share @ values
    centred = (values - mean) * share[:, None]
    V = centred.T @ centred * S / (S - 1)
    size = np.sqrt(np.diagonal(V))
    if not (size > 0).all():
        return float("nan")
    correlation, z = V / size[:, None] / size, mean / size
    if np.linalg.cond(correlation) > 1e12:
        return float("nan")
    T2 = float(z @ np.linalg.solve(correlation, z))
    return float(scipy.special.fdtrc(q, S - q, (S - q) / (q * (S - 1)) * T2))


def lag_tests(panel: Panel) -> LagTests:
    """Compute autocovariances of the runs in `panel` and test whether they are there, fade, and about what."""
    n = panel.n
    parts = [_without_start(block.y) for block in panel.stretches()]
    late = [start for _, start in parts]
    y = [values for values, _ in parts]
    means = _iteration_means(y, late, n)
    K = min(max((values.shape[1] for values in y), default=1), _LAGS)
    lagged, pairs = np.zeros((K, n)), np.zeros(K)
    near, far, weights, moves, move_weights = [], [], [], [], []
    for values, start in zip(y, late, strict=True):
        mean = means[start : start + values.shape[1]]
        known = np.isfinite(mean[:, 0])
        e = (values - np.where(known[:, None], mean, 0.0))[:, known]
        L = e.shape[1]
        for k in range(min(K, L)):
            lagged[k] += np.einsum("sti,sti->i", e[:, : L - k], e[:, k:])
            pairs[k] += len(e) * (L - k)
        if L >= 2:
            moves.append((e[:, -1] + mean[known][-1] - e[:, 0] - mean[known][0]) / (L - 1))
            move_weights.append(np.full(len(e), L - 1.0))
        if L >= 3:
            first = np.einsum("sti,sti->si", e[:, :-1], e[:, 1:])
            every = (e.sum(axis=1) ** 2 - np.einsum("sti,sti->si", e, e)) / 2
            later = (L - 1) * (L - 2) / 2
            near.append(first / (L - 1))
            far.append((every - first) / later)
            weights.append(np.full(len(e), L - 1.0))
    g = lagged / np.maximum(pairs, 1)[:, None]
    unknown = float("nan")
    trend = hotelling_mean(np.concatenate(moves), np.concatenate(move_weights)) if moves else float("nan")
    if not near:
        return LagTests(g, unknown, unknown, unknown, unknown, trend, 0)
    close, distant, weight = np.concatenate(near), np.concatenate(far), np.concatenate(weights)
    difference = close - distant
    share = weight / weight.sum()
    size = np.where(g[0] > 0, g[0], np.inf)
    level, drops = float((share @ close / size).sum()), (difference / size).sum(axis=1)
    drop = float(share @ drops)
    error = float(np.sqrt((((drops - drop) * share) ** 2).sum()))
    return LagTests(
        autocovariance=g,
        dependence_p_value=hotelling_mean(np.hstack([close, distant]), weight),
        fading_p_value=hotelling_mean(difference, weight),
        fading=drop / level if level > 0 else unknown,
        fading_error=error / level if level > 0 else unknown,
        trend_p_value=trend,
        runs=len(close),
    )


def _without_start(y: Floats) -> tuple[Floats, int]:
    """Return the rows after the first where at least three remain, and the position of the first returned row."""
    return (y[:, 1:], 1) if y.shape[1] >= 4 else (y, 0)


def _iteration_means(y: list[Floats], late: list[int], n: int) -> Floats:
    """Return the mean over runs at each position, (longest, n); not-a-number where fewer than `FEWEST` runs have it."""
    longest = max((start + values.shape[1] for values, start in zip(y, late, strict=True)), default=0)
    sums, counts = np.zeros((longest, n)), np.zeros(longest)
    for values, start in zip(y, late, strict=True):
        stop = start + values.shape[1]
        sums[start:stop] += values.sum(axis=0)
        counts[start:stop] += len(values)
    return np.where(counts[:, None] >= FEWEST, sums / np.maximum(counts, 1)[:, None], np.nan)

"""Covariances of scores between iterations: do they last, do they fade, and does the common level move.

Three questions that least squares of steps cannot answer, each tested over sessions. Let e_t be a run's scores (see
`panel`) about the mean of all runs at iteration t, and g_k = E[e_t e_{t+k}] per objective. Scores that are independent
draws have g_k = 0 for k >= 1; a lasting level of each session under independent scoring noise has g_k equal for all k
>= 1; a loop with memory has g_1 above (or, if it overshoots, below) the rest. Only products of different iterations
enter, so that neither scoring noise nor its changing size bias any of the three. The state that a run starts from is
left out where enough rows remain, because it was produced by another process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.panel import Panel

__all__ = ["LagTests", "hotelling_mean", "lag_tests"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 5
"""Runs that an iteration must have for its mean to be taken off."""

EARLY = 0.02
"""Share of runs shorter than the longest from which on runs are taken to end early."""

FLAT = 0.1
"""p-value of "nothing fades" from which on a level may be called static; below, that is left open."""

FORGOTTEN = 0.15
"""Share of what does not last that the next iteration may know of, by its interval, for a level to be called static.

Without this bound, dynamics beside large lasting differences would pass for static levels."""

FADED = 0.25
"""Share of the covariance at lag 1 that may have faded later on, by its interval, for the same.

Without this bound, dynamics under much noise would."""

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
        Share of what does not last, g_0 less the mean of the later g_k, that the next iteration still knows of:
        (g_1 - mean) / (g_0 - mean), averaged over the objectives, and its standard error with the denominator taken as
        known. 0 for a static level under independent noise, and about the multiplier for a loop without noise.
    faded, faded_error
        The same drop relative to g_1, in units of g_0, and its standard error with g_1 taken as known: 0 for a static
        level, 1 where nothing is left later on. Noise does not make it small, as it does `fading`; lasting levels do.
    trend_p_value
        Of "the mean over runs does not move".
    runs
        Number of sessions used.
    """

    autocovariance: Floats
    dependence_p_value: float
    fading_p_value: float
    fading: float
    fading_error: float
    faded: float
    faded_error: float
    trend_p_value: float
    runs: int

    @property
    def flat(self) -> bool:
        """True where all that lasts lasts for good, by more than the want of a proof to the contrary."""
        forgotten = abs(self.fading) + 2 * self.fading_error < FORGOTTEN
        return self.fading_p_value >= FLAT and forgotten and abs(self.faded) + 2 * self.faded_error < FADED


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
    """Compute autocovariances of the runs in `panel` and test whether they are there, fade, and about what.

    Where runs are of equal length, products of scores at different iterations are compared. Where they end early, that
    may depend on the scores, which ties those of a run to each other without any memory. Then each score is predicted
    from those before it instead, which runs that ended do not disturb: from their mean (dependence), and from the last
    one beside their mean (fading). A session that keeps its level makes all earlier scores tell equally much.
    """
    blocks = list(panel.stretches())
    parts = [_without_start(block.y, int(block.at[0])) for block in blocks]
    y, late = [values for values, _ in parts], [start for _, start in parts]
    session = [block.session for block in blocks]
    means = _iteration_means(y, late, panel.n)
    centred = [_centred(values, means[start:]) for values, start in zip(y, late, strict=True)]
    g = _autocovariance(centred, panel.n)
    trend = _trend(y, late, session)
    lengths = np.concatenate([np.full(len(e), e.shape[1]) for e in centred]) if centred else np.empty(0)
    even = len(lengths) == 0 or (lengths < lengths.max()).mean() <= EARLY
    near, far, weight = _by_session(*(_products if even else _predictions)(centred, session))
    unknown = float("nan")
    if not len(near):
        return LagTests(g, *(unknown,) * 6, trend, 0)
    difference = near - far
    share = weight / weight.sum()
    passing = g[0] - share @ far
    fading, fading_error = _mean_and_error(difference / np.where(passing > 0, passing, np.nan), share)
    size = np.where(g[0] > 0, g[0], np.inf)
    drop, error = _mean_and_error(difference / size, share)
    level = float((share @ near / size).mean())
    return LagTests(
        autocovariance=g,
        dependence_p_value=hotelling_mean(np.hstack([near, far]), weight),
        fading_p_value=hotelling_mean(difference, weight),
        fading=fading,
        fading_error=fading_error,
        faded=drop / level if level > 0 else unknown,
        faded_error=error / level if level > 0 else unknown,
        trend_p_value=trend,
        runs=len(near),
    )


def _mean_and_error(drops: Floats, share: Floats) -> tuple[float, float]:
    """Return the mean over objectives and runs of drops (U, n), and its standard error over runs."""
    each = drops.mean(axis=1)
    mean = float(share @ each)
    return mean, float(np.sqrt((((each - mean) * share) ** 2).sum()))


def _centred(values: Floats, means: Floats) -> Floats:
    """Return values (U, L, n) about the means (longer, n) of their iterations, where those are known."""
    mean = means[: values.shape[1]]
    known = np.isfinite(mean[:, 0])
    return values[:, known] - mean[known]


def _by_session(near: Floats, far: Floats, weight: Floats, session: Ints) -> tuple[Floats, Floats, Floats]:
    """Return the weighted means over the stretches of each session, and the sums of their weights."""
    _, owner = np.unique(session, return_inverse=True)
    total = np.asarray(np.bincount(owner, weight), dtype=np.float64)
    means = []
    for values in (near, far):
        summed = np.zeros((len(total), values.shape[1]))
        np.add.at(summed, owner, values * weight[:, None])
        means.append(summed / total[:, None])
    return means[0], means[1], total


def _trend(y: list[Floats], late: list[int], session: list[Ints]) -> float:
    """Return the p-value of "scores have no slope over iterations", from each session's part in the pooled slope.

    A score is counted when it is made, before a run may end because of it, so that ending leaves no slope where scores
    are independent.
    """
    if not y:
        return float("nan")
    rows = sum(values.shape[0] * values.shape[1] for values in y)
    times = [start + np.arange(values.shape[1]) for values, start in zip(y, late, strict=True)]
    level = sum((values.sum(axis=(0, 1)) for values in y), np.zeros(y[0].shape[2])) / rows
    middle = sum(float(at.sum()) * len(values) for at, values in zip(times, y, strict=True)) / rows
    parts = [np.einsum("sti,t->si", values - level, at - middle) for values, at in zip(y, times, strict=True)]
    _, owner = np.unique(np.concatenate(session), return_inverse=True)
    scores = np.zeros((int(owner.max()) + 1, parts[0].shape[1]))
    np.add.at(scores, owner, np.concatenate(parts))
    return hotelling_mean(scores, np.ones(len(scores)))


def _autocovariance(e: list[Floats], n: int) -> Floats:
    K = min(max((values.shape[1] for values in e), default=1), _LAGS)
    lagged, pairs = np.zeros((K, n)), np.zeros(K)
    for values in e:
        L = values.shape[1]
        for k in range(min(K, L)):
            lagged[k] += np.einsum("sti,sti->i", values[:, : L - k], values[:, k:])
            pairs[k] += len(values) * (L - k)
    return lagged / np.maximum(pairs, 1)[:, None]


def _products(e: list[Floats], session: list[Ints]) -> tuple[Floats, Floats, Floats, Ints]:
    """Return per stretch (U, n) mean products of neighbouring scores and of all others, weights and sessions (U,)."""
    near, far, weights, owners = [], [], [], []
    for values, own in zip(e, session, strict=True):
        L = values.shape[1]
        if L < 3:
            continue
        first = np.einsum("sti,sti->si", values[:, :-1], values[:, 1:])
        every = (values.sum(axis=1) ** 2 - np.einsum("sti,sti->si", values, values)) / 2
        near.append(first / (L - 1))
        far.append((every - first) / ((L - 1) * (L - 2) / 2))
        weights.append(np.full(len(values), L - 1.0))
        owners.append(own)
    if not near:
        return np.empty((0, 0)), np.empty((0, 0)), np.empty(0), np.empty(0, dtype=np.int64)
    return np.concatenate(near), np.concatenate(far), np.concatenate(weights), np.concatenate(owners)


def _predictions(e: list[Floats], session: list[Ints]) -> tuple[Floats, Floats, Floats, Ints]:
    """Return per stretch (U, n) what the last score and earlier ones on average tell of the next.

    With weights and sessions (U,). At each iteration, over the stretches still going: products of the next score with
    the last one and with the mean m of all so far, where both products that involve the last one are of what [1, m]
    leaves of it and of the next score.
    """
    owner = np.concatenate([[0], np.cumsum([len(values) for values in e])])
    n, runs = e[0].shape[2] if e else 0, int(owner[-1])
    told, lasting, count = np.zeros((runs, n)), np.zeros((runs, n)), np.zeros(runs)
    for t in range(1, max((values.shape[1] for values in e), default=0) - 1):
        going = [(i, values) for i, values in enumerate(e) if values.shape[1] > t + 1]
        who = np.concatenate([np.arange(owner[i], owner[i + 1]) for i, _ in going])
        if len(who) < n + FEWEST:
            break
        following = np.concatenate([values[:, t + 1] for _, values in going])
        last = np.concatenate([values[:, t] for _, values in going])
        mean = np.concatenate([values[:, : t + 1].mean(axis=1) for _, values in going])
        known = np.hstack([np.ones((len(who), 1)), mean])
        left = following - known @ np.linalg.lstsq(known, following, rcond=None)[0]
        own = last - known @ np.linalg.lstsq(known, last, rcond=None)[0]
        told[who] += left * own
        lasting[who] += (following - following.mean(axis=0)) * (mean - mean.mean(axis=0))
        count[who] += 1
    used = count > 0
    steps = count[used][:, None]
    told, lasting = told[used] / steps, lasting[used] / steps
    sessions = np.concatenate(session) if session else np.empty(0, dtype=np.int64)
    return told + lasting, lasting, count[used], sessions[used]


def _without_start(y: Floats, first: int) -> tuple[Floats, int]:
    """Return the rows after the run's start where three remain, and the iteration of the first returned row."""
    return (y[:, 1:], 1) if first == 0 and y.shape[1] >= 4 else (y, first)


def _iteration_means(y: list[Floats], late: list[int], n: int) -> Floats:
    """Return the mean over runs at each position, (longest, n); not-a-number where fewer than `FEWEST` runs have it."""
    longest = max((start + values.shape[1] for values, start in zip(y, late, strict=True)), default=0)
    sums, counts = np.zeros((longest, n)), np.zeros(longest)
    for values, start in zip(y, late, strict=True):
        stop = start + values.shape[1]
        sums[start:stop] += values.sum(axis=0)
        counts[start:stop] += len(values)
    return np.where(counts[:, None] >= FEWEST, sums / np.maximum(counts, 1)[:, None], np.nan)

"""Averages by iteration with their bands, and the fixed rules by which figures show only part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.trajectories import FAILED, Trajectories
from trimtab.estimation.results import StrategyFit

__all__ = ["Band", "Corrected", "axis_range", "band", "corrected", "evenly", "strategy_sessions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ITERATIONS = 400
"""More iterations than this are not told apart on a screen; evenly spaced ones are shown."""

TOGETHER = 0.9
"""Share of the sessions that have to come under a strategy at the same iteration for a curve that counts from there."""

VISIBLE = 0.05
"""Difference from the observed mean, in standard deviations of the scores, from which on a correction is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Scores by iteration over the sessions that got there.

    Parameters
    ----------
    iteration
        (T,) the iterations shown, increasing.
    count
        (T, n) number of known scores.
    mean, low, high
        (T, n) mean and t interval for it; the interval is nan where fewer than three scores are known.
    q10, q90
        (T, n) quantiles of the scores.
    """

    iteration: Ints
    count: Ints
    mean: Floats
    low: Floats
    high: Floats
    q10: Floats
    q90: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """Mean scores by iteration as they would be had every session gone on.

    Parameters
    ----------
    iteration
        (T,) the iterations.
    mean
        (T, n), nan for objectives of which the dynamics say nothing.
    runs
        (T,) sessions scored at that iteration.
    matters
        Whether it differs visibly from the mean of the sessions that are left.
    """

    iteration: Ints
    mean: Floats
    runs: Ints
    matters: bool


def evenly(count: int, limit: int) -> Ints:
    """Return at most `limit` of the indices 0..count - 1, evenly spaced, the first and the last among them."""
    if count <= limit:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, limit).round().astype(np.int64))


def strategy_sessions(trajectories: Trajectories, name: str) -> Ints:
    """Return the indices of the sessions whose last iteration is under the strategy `name`."""
    return np.flatnonzero(trajectories.session_strategy == trajectories.strategies.index(name))


def band(trajectories: Trajectories, name: str, level: float) -> Band:
    """Return the averages by iteration of the rows that the strategy `name` produced.

    In a session that switches strategy each iteration counts for the strategy that produced it, as in the fit. An
    iteration that failed on one objective counts on none.
    """
    whole = ~(trajectories.status == FAILED).any(axis=1)
    rows = np.flatnonzero(whole & (trajectories.strategy == trajectories.strategies.index(name)))
    rows = rows[np.argsort(trajectories.iteration[rows], kind="stable")]
    found, starts = np.unique(trajectories.iteration[rows], return_index=True)
    groups = np.split(rows, starts[1:])
    chosen = evenly(len(found), MAX_ITERATIONS)
    n = trajectories.space.n
    count = np.zeros((len(chosen), n), dtype=np.int64)
    mean, low, high, q10, q90 = (np.full((len(chosen), n), np.nan) for _ in range(5))
    for at, group in enumerate(chosen):
        scores = trajectories.scores[groups[group]]
        for j in range(n):
            known = scores[np.isfinite(scores[:, j]), j]
            count[at, j] = len(known)
            if not len(known):
                continue
            mean[at, j] = known.mean()
            q10[at, j], q90[at, j] = np.quantile(known, (0.1, 0.9))
            if len(known) > 2:  # over two sessions the interval is some nine standard deviations wide and says nothing
                half = scipy.special.stdtrit(len(known) - 1, 0.5 + level / 2) * known.std(ddof=1) / np.sqrt(len(known))
                low[at, j], high[at, j] = mean[at, j] - half, mean[at, j] + half
    return Band(found[chosen], count, mean, low, high, q10, q90)


def corrected(trajectories: Trajectories, one: StrategyFit) -> Corrected | None:
    """Return the curve that allows for sessions that end early, by iteration.

    None where no session ends early, and where sessions come under the strategy at different iterations: the curve
    counts from there.
    """
    if one.curve is None:
        return None
    starts = _starts(trajectories, trajectories.strategies.index(one.name))
    found, counts = np.unique(starts, return_counts=True)
    if not len(found) or counts.max() < TOGETHER * len(starts):
        return None
    mean = np.full((len(one.curve.runs), trajectories.space.n), np.nan)
    mean[:, one.active] = one.curve.corrected
    scores = trajectories.scores[trajectories.complete][:, one.active]
    # Where no session is left nothing is observed, and the correction is all there is.
    gap = np.nan_to_num(np.abs(one.curve.corrected - one.curve.observed), nan=np.inf)
    matters = bool((gap > VISIBLE * scores.std(axis=0)).any())
    return Corrected(int(found[counts.argmax()]) + np.arange(len(mean)), mean, one.curve.runs, matters)


def _starts(trajectories: Trajectories, code: int) -> Ints:
    """Return the first completely scored iteration of each run under a strategy, the state it starts from included."""
    session, own = trajectories.session, trajectories.strategy == code
    first = np.zeros(trajectories.n_rows, dtype=bool)
    first[trajectories.offsets[:-1]] = True
    begins = own & ~first & np.concatenate([[False], ~own[:-1] | first[:-1]])
    from_row = np.flatnonzero(begins) - 1
    complete = np.flatnonzero(trajectories.complete)
    at = np.searchsorted(complete, from_row)
    from_row, at = from_row[at < len(complete)], at[at < len(complete)]
    there = complete[at]
    return np.asarray(trajectories.iteration[there[session[there] == session[from_row]]])


def axis_range(values: Floats, low: float, high: float, *, pad: float = 0.06) -> tuple[float, float]:
    """Return the ends of an axis that shows `values` (not-a-number ones aside) of a scale from `low` to `high`.

    The whole scale is shown where the values span most of it; otherwise the values with a margin, but not much beyond a
    bound.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        known = np.array([low if np.isfinite(low) else 0.0, high if np.isfinite(high) else 1.0])
    first, last = float(known.min()), float(known.max())
    span = high - low
    if np.isfinite(span) and last - first > 0.6 * span:
        first, last = min(first, low), max(last, high)
    margin = pad * (last - first) if last > first else max(0.5, 0.05 * abs(first))
    ends = first - margin, last + margin
    slack = 0.02 * span if np.isfinite(span) else 0.0
    bottom = max(ends[0], min(low - slack, first)) if np.isfinite(low) else ends[0]
    top = min(ends[1], max(high + slack, last)) if np.isfinite(high) else ends[1]
    # A constant at a bound leaves no room on one side.
    return (bottom, top) if top > bottom else ends

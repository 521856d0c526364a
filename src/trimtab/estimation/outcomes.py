"""What sessions came to: final scores, Pareto efficiency of each path, hypervolume, and scores at a bound."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.trajectories import OK, Trajectories
from trimtab.dynamics.pareto import hypervolume, non_dominated, pareto_efficiencies
from trimtab.estimation.estimates import ArrayEstimate, Estimate

__all__ = [
    "end_levels",
    "end_scores",
    "final_hypervolume",
    "mean_efficiency",
    "session_efficiencies",
    "start_covariance",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DIMENSIONS = 5
"""Objectives up to which a hypervolume is computed."""

MOST_POINTS = {4: 50_000, 5: 10_000}
"""Final scores up to which it is where that takes more than sorting them: about a second if none beats another."""


def _mean_interval(values: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Return mean and t interval over axis 0 of values (S, k), not-a-number ones left out."""
    count = np.isfinite(values).sum(axis=0)
    known = np.where(np.isfinite(values), values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = known.sum(axis=0) / np.where(count > 0, count, np.nan)
        squares = (np.where(np.isfinite(values), values - mean, 0.0) ** 2).sum(axis=0)
        error = np.sqrt(squares / np.where(count > 1, count - 1, np.nan) / count)
        half = scipy.special.stdtrit(np.maximum(count - 1, 1), 0.5 + level / 2) * error
    return mean, mean - half, mean + half


def end_scores(trajectories: Trajectories, sessions: Ints, *, first: bool = False) -> Floats:
    """Return each session's last (or first) completely scored row, (len(sessions), n); nan if there is none.

    An iteration that failed on one objective counts on none, so that its ends belong to one and the same artefact.
    """
    rows = trajectories.offsets[sessions] if first else trajectories.offsets[sessions + 1] - 1
    ends = trajectories.scores[rows]
    missing = np.flatnonzero((trajectories.status[rows] != OK).any(axis=1))
    if len(missing):
        ends[missing] = _inner_ends(trajectories, sessions[missing], first=first)
    return np.asarray(ends)


def _inner_ends(trajectories: Trajectories, sessions: Ints, *, first: bool) -> Floats:
    """Return what `end_scores` does, looking at every row of the sessions."""
    lengths = trajectories.lengths[sessions]
    owner = np.repeat(np.arange(len(sessions)), lengths)
    before = np.cumsum(lengths) - lengths
    rows = np.arange(len(owner)) + (trajectories.offsets[sessions] - before)[owner]
    kept = np.flatnonzero((trajectories.status[rows] == OK).all(axis=1))
    kept = kept[::-1] if first else kept
    ends = np.full((len(sessions), trajectories.space.n), np.nan)
    # Where a session repeats, the last assignment stays.
    ends[owner[kept]] = trajectories.scores[rows[kept]]
    return ends


def end_levels(trajectories: Trajectories, sessions: Ints, level: float, *, first: bool = False) -> ArrayEstimate:
    """Return the mean over sessions of their final (or first) scores with t intervals, (n,)."""
    return ArrayEstimate(*_mean_interval(end_scores(trajectories, sessions, first=first), level))


def start_covariance(trajectories: Trajectories, sessions: Ints) -> Floats:
    """Return the covariance over sessions of their first completely scored iterations, (n, n); nan below two."""
    starts = end_scores(trajectories, sessions, first=True)
    known = starts[np.isfinite(starts).all(axis=1)]
    n = trajectories.space.n
    return np.cov(known.T).reshape(n, n) if len(known) > 1 else np.full((n, n), np.nan)


def session_efficiencies(trajectories: Trajectories) -> Floats:
    """Return the Pareto efficiency of each session's completely scored iterations, (S,); nan where there is none."""
    offsets, sign = trajectories.offsets, trajectories.space.sign
    result = np.empty(trajectories.n_sessions)
    for first, last in trajectories.blocks():
        rows = slice(int(offsets[first]), int(offsets[last]))
        complete = (trajectories.status[rows] == OK).all(axis=1)
        kept = np.concatenate([[0], np.cumsum(complete)])[offsets[first : last + 1] - offsets[first]]
        result[first:last] = pareto_efficiencies(trajectories.scores[rows][complete], kept, sign)
    return result


def mean_efficiency(efficiencies: Floats, level: float) -> Estimate:
    """Return the mean of sessions' Pareto efficiencies with a t interval."""
    mean, low, high = _mean_interval(efficiencies[:, None], level)
    return Estimate(mean[0], max(low[0], 0.0), min(high[0], 1.0))


def final_hypervolume(trajectories: Trajectories, sessions: Ints) -> float:
    """Return the share of the objective box that the final scores dominate together.

    Not-a-number where a bound is open, and above `MOST_DIMENSIONS` objectives or `MOST_POINTS` final scores that no
    other beats, where an exact volume takes too long.
    """
    space = trajectories.space
    if not all(objective.bounded for objective in space) or space.n > MOST_DIMENSIONS:
        return float("nan")
    finals = end_scores(trajectories, sessions)
    finals = finals[np.isfinite(finals).all(axis=1)]
    most = MOST_POINTS.get(space.n)
    if most is not None and len(finals) > most:
        finals = finals[non_dominated(np.clip(finals, space.low, space.high), space.sign)]
    if not len(finals) or (most is not None and len(finals) > most):
        return float("nan")
    return hypervolume(finals, space.low, space.high, space.sign)

"""What sessions came to: final scores, Pareto efficiency of each path, hypervolume, and scores at a bound."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.pareto import hypervolume, pareto_efficiencies
from trimtab.estimation.estimates import ArrayEstimate, Estimate

__all__ = ["end_levels", "end_scores", "final_hypervolume", "mean_efficiency", "session_efficiencies"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DIMENSIONS = 5
"""Objectives up to which a hypervolume is computed."""


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
    ends = np.full((trajectories.n_sessions, trajectories.space.n), np.nan)
    rows = np.flatnonzero(trajectories.complete)
    # Where a session repeats, the last assignment stays.
    rows = rows[::-1] if first else rows
    ends[trajectories.session[rows]] = trajectories.scores[rows]
    return np.asarray(ends[sessions])


def end_levels(trajectories: Trajectories, sessions: Ints, level: float, *, first: bool = False) -> ArrayEstimate:
    """Return the mean over sessions of their final (or first) scores with t intervals, (n,)."""
    return ArrayEstimate(*_mean_interval(end_scores(trajectories, sessions, first=first), level))


def session_efficiencies(trajectories: Trajectories) -> Floats:
    """Return the Pareto efficiency of each session's completely scored iterations, (S,); nan where there is none."""
    complete = trajectories.complete
    offsets = np.concatenate([[0], np.cumsum(complete)])[trajectories.offsets]
    return pareto_efficiencies(trajectories.scores[complete], offsets, trajectories.space.sign)


def mean_efficiency(efficiencies: Floats, level: float) -> Estimate:
    """Return the mean of sessions' Pareto efficiencies with a t interval."""
    mean, low, high = _mean_interval(efficiencies[:, None], level)
    return Estimate(mean[0], max(low[0], 0.0), min(high[0], 1.0))


def final_hypervolume(trajectories: Trajectories, sessions: Ints) -> float:
    """Return the share of the objective box that the final scores dominate together.

    Not-a-number where a bound is open, and above `MOST_DIMENSIONS` objectives, where an exact volume takes too long.
    """
    space = trajectories.space
    finals = end_scores(trajectories, sessions)
    finals = finals[np.isfinite(finals).all(axis=1)]
    if not all(objective.bounded for objective in space) or not len(finals) or space.n > MOST_DIMENSIONS:
        return float("nan")
    return hypervolume(finals, space.low, space.high, space.sign)

"""A fan: what paths of a forecast come to, by iteration and at their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.pareto import pareto_efficiencies

__all__ = ["QUANTILES", "Fan", "Passage", "Together", "fan_of"]

Floats = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the scores at each iteration: their median, and bands that hold the middle 50% and 90% of paths."""

_PARETO_PATHS = 2_000  # whose efficiency is looked at: enough for its mean to be known to a percent
_PARETO_ITERATIONS = 500  # up to which it is


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """How many paths have come to a target by each iteration.

    Parameters
    ----------
    target
        Value by name of objective; where there are several, all of them at one and the same iteration.
    reached
        (T + 1,) share of the paths that have been there at iteration t or before.
    """

    target: Mapping[str, float]
    reached: Floats

    @property
    def median(self) -> float:
        """Iteration by which half of the paths have been there; nan where fewer ever are."""
        by = np.flatnonzero(self.reached >= 0.5)
        return float(by[0]) if len(by) else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """What paths come to on all objectives together.

    Parameters
    ----------
    best_iteration
        Mean over paths of the first iteration with the best equal-weight score, which is the mean of the scores, each
        from 0 at its worst bound to 1 at its best; nan where a bound is open.
    better
        Share of paths whose last such score is better than their first.
    best_everywhere, worst_everywhere
        Share of paths that end nowhere worse than they began and somewhere better, and the reverse.
    pareto_efficiency
        Mean over paths of the share of their iterations that no other of theirs dominates; nan for very long paths.
    """

    best_iteration: float
    better: float
    best_everywhere: float
    worst_everywhere: float
    pareto_efficiency: float


@dataclass(frozen=True, slots=True, eq=False)
class Fan:
    """Paths by one schedule, from their starts (iteration 0) to iteration T.

    Parameters
    ----------
    name
        The strategy, or the schedule as it was written.
    schedule
        (T) The strategy of each step.
    mean
        (T + 1, n)
    quantiles
        (T + 1, 5, n) of `QUANTILES`.
    at_bound
        (T + 1, n) share of the paths at either bound.
    best_iteration
        (n,) mean over paths of the first iteration with the best score.
    better
        (n,) share of paths whose last score is better than their first.
    together
        The same of all objectives.
    passages
        One for each target, and one for all of them where there are several.
    drifts
        How many drifts the paths were spread over; 1 where only the model itself was used.
    unstable
        Share of these with which the loop of some strategy does not converge; nan for one drift.
    cautions
        What to know before reading it.
    """

    name: str
    schedule: tuple[str, ...]
    paths: int
    mean: Floats
    quantiles: Floats
    at_bound: Floats
    best_iteration: Floats
    better: Floats
    together: Together
    passages: tuple[Passage, ...]
    drifts: int
    unstable: float
    cautions: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self.schedule)

    def __repr__(self) -> str:
        return f"Fan({self.name!r}, paths={self.paths}, steps={self.steps})"


def fan_of(
    name: str,
    schedule: tuple[str, ...],
    states: Floats,
    space: ObjectiveSpace,
    targets: Mapping[str, float],
    drifts: int,
    unstable: float,
    cautions: tuple[str, ...],
) -> Fan:
    """Return the fan of paths (paths, T + 1, n)."""
    paths, rows, n = states.shape
    mean, at_bound = np.empty((rows, n)), np.empty((rows, n))
    quantiles = np.empty((rows, len(QUANTILES), n))
    with np.errstate(invalid="ignore", over="ignore"):  # paths of a loop that does not converge may be infinite
        for t in range(rows):
            here = np.ascontiguousarray(states[:, t].T)
            mean[t] = here.mean(axis=1)
            at_bound[t] = ((here <= space.low[:, None]) | (here >= space.high[:, None])).mean(axis=1)
            quantiles[t] = np.quantile(here, QUANTILES, axis=1)
        gain = (states[:, -1] - states[:, 0]) * space.sign
    best = np.array([(states[:, :, j] * space.sign[j]).argmax(axis=1).mean() for j in range(n)])
    return Fan(
        name=name,
        schedule=schedule,
        paths=paths,
        mean=mean,
        quantiles=quantiles,
        at_bound=at_bound,
        best_iteration=best,
        better=(gain > 0).mean(axis=0),
        together=_together(states, space, gain),
        passages=_passages(states, space, targets),
        drifts=drifts,
        unstable=unstable,
        cautions=cautions,
    )


def _together(states: Floats, space: ObjectiveSpace, gain: Floats) -> Together:
    best = better = efficiency = float("nan")
    if all(objective.bounded for objective in space):
        weights = space.sign / (space.high - space.low) / space.n
        score = states @ weights
        best, better = float(score.argmax(axis=1).mean()), float((score[:, -1] > score[:, 0]).mean())
    rows = states.shape[1]
    if rows <= _PARETO_ITERATIONS:
        some = states[:_PARETO_PATHS]
        offsets = np.arange(len(some) + 1) * rows
        efficiency = float(pareto_efficiencies(some.reshape(-1, space.n), offsets, space.sign).mean())
    up, down = (gain > 0).any(axis=1), (gain < 0).any(axis=1)
    return Together(best, better, float((up & ~down).mean()), float((down & ~up).mean()), efficiency)


def _passages(states: Floats, space: ObjectiveSpace, targets: Mapping[str, float]) -> tuple[Passage, ...]:
    there = {
        name: (states[:, :, space.index(name)] - value) * space.sign[space.index(name)] >= 0
        for name, value in targets.items()
    }
    found = [Passage({name: targets[name]}, _by(one)) for name, one in there.items()]
    if len(there) > 1:
        found.append(Passage(targets, _by(np.logical_and.reduce([*there.values()]))))
    return tuple(found)


def _by(there: NDArray[np.bool_]) -> Floats:
    """Return the share of paths that have been there by each iteration, from (paths, T + 1)."""
    return np.asarray(np.logical_or.accumulate(there, axis=1).mean(axis=0))

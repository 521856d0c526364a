"""Starts: where the paths of a forecast begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.errors import InputError

__all__ = ["Starts", "covariance_of", "fixed_start", "given_start"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """A law of starting scores.

    Parameters
    ----------
    mean, covariance
        (n,) and (n, n) of the starting scores as they were observed or given.
    says
        Where they come from, as the end of the sentence "Paths start ...".
    points
        (m, n) Observed starts, which are drawn from; None where mean and covariance are all that is known, and starts
        are normal.
    scored
        Whether they are scores that a scorer gave, noise and all, rather than states.
    """

    mean: Floats
    covariance: Floats
    says: str
    points: Floats | None = None
    scored: bool = False

    @classmethod
    def observed(cls, points: Floats, says: str) -> Starts:
        """Return the law that draws from observed starts (m, n), m >= 1."""
        return cls(points.mean(axis=0), covariance_of(points), says, points, scored=True)

    def draw(self, paths: int, seed: int, space: ObjectiveSpace, score_noise: Floats | None = None) -> Floats:
        """Return starts (paths, n) within the bounds; the first stay the same when more are asked for.

        Scores scatter more than the states behind them, by the variances of `score_noise` (n,). Where it is given,
        starts are drawn towards their mean so that their covariance is what remains: x = m + L (y - m) with
        L S L' = S - R, as far as that is a covariance.
        """
        rng = stream(seed, "forecast", "starts")
        if self.points is None:
            z = rng.standard_normal((paths, space.n))
            return np.clip(self.mean + z @ _root(self._of_states(score_noise)).T, space.low, space.high)
        drawn = self.points[(rng.random(paths) * len(self.points)).astype(np.int64)]
        if score_noise is not None and score_noise.any():
            toward = _inverse_root(self.covariance) @ _root(self._of_states(score_noise))
            drawn = self.mean + (drawn - self.mean) @ toward
        return np.clip(drawn, space.low, space.high)

    def _of_states(self, score_noise: Floats | None) -> Floats:
        if score_noise is None or not self.scored:
            return self.covariance
        return self.covariance - np.diag(score_noise)


def covariance_of(points: Floats) -> Floats:
    """Return the covariance (n, n) of points (m, n), zero for a single one."""
    if len(points) < 2:
        return np.zeros((points.shape[1], points.shape[1]))
    return np.atleast_2d(np.cov(points.T))


def given_start(x0: Mapping[str, float], space: ObjectiveSpace) -> tuple[NDArray[np.bool_], Floats]:
    """Return which objectives have a given start, (n,), and its values, (n,), nan for the others.

    Raises
    ------
    InputError
        If an objective is unknown or a value lies beyond its bounds.
    """
    values = np.full(space.n, np.nan)
    for name, value in x0.items():
        objective = space[name]
        if not np.isfinite(value) or not objective.low <= value <= objective.high:
            raise InputError(
                f"a start must be a number within the bounds, but {name} goes from {objective.low:g} to "
                f"{objective.high:g} and the start given is {value:g}"
            )
        values[space.index(name)] = value
    return np.isfinite(values), values


def fixed_start(starts: Floats, x0: Mapping[str, float], space: ObjectiveSpace) -> Floats:
    """Return starts (paths, n) with the objectives in `x0` set to its values."""
    given, values = given_start(x0, space)
    return np.where(given, values, starts)


def _root(covariance: Floats) -> Floats:
    """Return the symmetric root of a covariance, negative eigenvalues taken as 0."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def _inverse_root(covariance: Floats) -> Floats:
    """Return the symmetric root of the pseudo-inverse of a covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    usable = values > 1e-12 * max(float(values.max()), np.finfo(float).tiny)
    return np.asarray((vectors * np.where(usable, 1 / np.sqrt(np.where(usable, values, 1.0)), 0.0)) @ vectors.T)

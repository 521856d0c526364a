"""Figures of a population of groups and of its members, in the objectives' own units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.dynamics import spectrum
from trimtab.estimation.bootstrap import normal_interval, robust_interval
from trimtab.estimation.estimates import ArrayEstimate, Estimate
from trimtab.estimation.least_squares import coefficients
from trimtab.estimation.moments import Moments
from trimtab.estimation.pooling.mixed_model import MixedFit
from trimtab.estimation.pooling.results import Between, GroupFit

__all__ = ["Population", "group_coefficients"]

Floats = NDArray[np.float64]

_MEMBER_DRAWS = 400
_MOST_MEMBER_DRAWS = 400_000
_POPULATION_DRAWS = 4_000
_SINGULAR = 1e12  # condition number from which on a drift matrix has no equilibrium
_NONE = 1e-9  # share of the largest variance below which one counts as zero


@dataclass(frozen=True, eq=False)
class Population:
    """What follows from a mixed fit of du on [1, u, starts].

    Parameters
    ----------
    groups
        Moments of the n objectives that explain steps, by group.
    starts
        (G, h) mean starts of the groups, about their mean.
    fit
        The fit, in units of the moments.
    dt, level, draws, seed
        As in `trimtab.fit`.
    """

    groups: Moments
    starts: Floats
    fit: MixedFit
    dt: float
    level: float
    draws: int
    seed: int

    @property
    def n(self) -> int:
        """Number of objectives."""
        return self.groups.n

    @property
    def k(self) -> int:
        """Number of coefficients of each objective."""
        return 1 + self.n

    @property
    def q(self) -> int:
        """Number of those that differ between groups."""
        return int(self.fit.gamma.shape[1])

    def _drift(self, beta: Floats) -> tuple[Floats, Floats]:
        """Return A (..., n, n) and b (..., n) of coefficients (..., 1 + n, n)."""
        center, scale = self.groups.center, self.groups.scale
        A = np.swapaxes(beta[..., 1:, :], -1, -2) * scale[:, None] / scale / self.dt
        return A, np.asarray(beta[..., 0, :] * scale / self.dt - A @ center)

    def _equilibrium(self, beta: Floats) -> Floats:
        """Return -A^-1 b, (..., n), of coefficients; nan where A is singular in units of the moments."""
        A = np.swapaxes(beta[..., 1:, :], -1, -2)
        regular = np.linalg.cond(A) < _SINGULAR
        safe = np.where(regular[..., None, None], A, np.eye(self.n))
        found = self.groups.center - np.linalg.solve(safe, beta[..., 0, :, None])[..., 0] * self.groups.scale
        return np.where(regular[..., None], found, np.nan)

    def _rates(self, beta: Floats) -> tuple[Floats, Floats]:
        lam = spectrum.eigenvalues(self._drift(beta)[0])
        return spectrum.rate(lam), np.asarray(-lam.real.mean(axis=-1))

    def drift(self) -> tuple[Floats, Floats, Floats]:
        """Return A (n, n) and b (n,) of the population's mean, and the covariance Q (n, n) of a step within a group."""
        scale = self.groups.scale
        return *self._drift(self.fit.beta[: self.k]), self.fit.Q * scale[:, None] * scale

    @cached_property
    def _drawn(self) -> Floats:
        """Draws of the population's mean from its sampling distribution, (draws, 1 + n, n)."""
        kn = self.k * self.n
        normal = stream(self.seed, "population").standard_normal((self.draws, kn))
        # Leaving out groups understates the spread where they are few, so that it only may enlarge what is modelled.
        robust, modelled = (np.diagonal(one)[:kn] for one in (self.fit.robust, self.fit.covariance))
        size = np.sqrt(np.maximum(modelled / np.where(robust > 0, robust, 1.0), 1.0))
        covariance = self.fit.robust[:kn, :kn] * size[:, None] * size
        # The mean start is itself a mean over the groups that happen to be there.
        covariance[: self.n, : self.n] += self._through_starts / len(self.starts)
        drawn = self.fit.beta[: self.k].ravel() + normal @ _root(covariance).T
        return drawn.reshape(-1, self.k, self.n)

    def rates(self) -> tuple[Estimate, Estimate]:
        """Return rate and average rate of the population's mean, with t intervals over groups."""
        points, drawn = self._rates(self.fit.beta[: self.k]), self._rates(self._drawn)
        return self._interval(points[0], drawn[0]), self._interval(points[1], drawn[1])

    def _interval(self, point: Floats, drawn: Floats) -> Estimate:
        return Estimate(*map(float, (point, *normal_interval(point, drawn, self.level, self.groups.n_sessions))))

    def equilibrium(self) -> ArrayEstimate:
        """Return the equilibrium of the population's mean, (n,)."""
        point = self._equilibrium(self.fit.beta[: self.k])
        return ArrayEstimate(
            point, *robust_interval(point, self._equilibrium(self._drawn), self.level, self.groups.n_sessions)
        )

    def plain_rate(self) -> float:
        """Return the rate of least squares of all steps."""
        return float(self._rates(coefficients(self.groups.total)[0])[0])

    @cached_property
    def _coefficients(self) -> Floats:
        return group_coefficients(self.fit, self.starts)

    @cached_property
    def _through_starts(self) -> Floats:
        """Covariance (n, n) of the levels between groups that is due to their starts."""
        if not self.starts.shape[1]:
            return np.zeros((self.n, self.n))
        return np.cov(self.starts @ self.fit.beta[self.k :], rowvar=False).reshape(self.n, self.n)

    @cached_property
    def _covariance(self) -> Floats:
        """Covariance (qn, qn) of the coefficients between groups."""
        covariance = self.fit.Omega.copy()
        covariance[: self.n, : self.n] += self._through_starts
        return covariance

    def between(self) -> Between:
        """Return standard deviations between groups; of ratios half the central 68% range."""
        scale, n = self.groups.scale, self.n
        own = self._covariance[:n, :n]
        drift = np.sqrt(np.diagonal(own)) * scale / self.dt
        mean = self.fit.beta[: self.k]
        if self.q == 1:
            A = mean[1:].T
            if np.linalg.cond(A) >= _SINGULAR:
                return Between(drift, np.full(n, np.nan), 0.0, 0.0)
            pull = np.linalg.inv(A)
            return Between(drift, np.sqrt(np.diagonal(pull @ own @ pull.T)) * scale, 0.0, 0.0)
        normal = stream(self.seed, "between").standard_normal((_POPULATION_DRAWS, len(self._covariance)))
        drawn = (mean.ravel() + normal @ _root(self._covariance).T).reshape(-1, self.k, n)
        rate, smooth_rate = self._rates(drawn)
        return Between(drift, _half_range(self._equilibrium(drawn)), *map(float, map(_half_range, (rate, smooth_rate))))

    def members(self, names: list[str], sessions: list[int]) -> Iterator[GroupFit]:
        """Yield every group's figures, in the order of the groups, over the n objectives."""
        G, clusters = len(self.starts), self.groups.n_sessions
        draws = max(50, min(_MEMBER_DRAWS, _MOST_MEMBER_DRAWS // G))
        roots = _root(self._uncertainty())
        normal = stream(self.seed, "members").standard_normal((draws, G, self.k * self.n))
        drawn = self._coefficients + np.einsum("gab,dgb->dga", roots, normal).reshape(draws, G, self.k, self.n)
        target = self._equilibrium(self._coefficients)
        low, high = robust_interval(target, self._equilibrium(drawn), self.level, clusters)
        rate = self._rates(self._coefficients)[0]
        if self.q == 1:
            rates = [self.rates()[0]] * G
        else:
            ends = normal_interval(rate, self._rates(drawn)[0], self.level, clusters)
            rates = [Estimate(*map(float, own)) for own in zip(rate, *ends, strict=True)]
        alone, rank = coefficients(self.groups.outer)
        steps = self.groups.outer[:, 0, 0]
        known = (rank == self.n) & (steps >= self.n + 2)
        own_rate = np.where(known, self._rates(alone)[0], np.nan)
        shrinkage, distance = self._shrinkage(), self._distance()
        for g, name in enumerate(names):
            yield GroupFit(
                name=name,
                sessions=sessions[g],
                steps=round(float(steps[g])),
                rate=rates[g],
                own_rate=float(own_rate[g]),
                equilibrium=ArrayEstimate(target[g], low[g], high[g]),
                shrinkage=float(shrinkage[g]),
                distance=float(distance[g]),
            )

    def _uncertainty(self) -> Floats:
        """Return the covariance of each group's coefficients given the data, (G, kn, kn)."""
        G, n, kn, r = len(self.starts), self.n, self.k * self.n, self.q * self.n
        D = np.zeros((G, self.k, self.k + self.starts.shape[1]))
        D[:, : self.k, : self.k] = np.eye(self.k)
        D[:, 0, self.k :] = self.starts
        D = np.einsum("gkl,ij->gkilj", D, np.eye(n)).reshape(G, kn, -1)
        covariance = D @ self.fit.covariance @ np.swapaxes(D, 1, 2)
        both = self.fit.cross @ np.swapaxes(D, 1, 2)
        covariance[:, :r, :r] += self.fit.spread
        covariance[:, :r] += both
        covariance[:, :, :r] += np.swapaxes(both, 1, 2)
        return np.asarray(covariance)

    def _shrinkage(self) -> Floats:
        """Return the share of the variance of levels between groups that is left given the data and beta, (G,)."""
        n = self.n
        before = float(np.trace(self.fit.Omega[:n, :n]))
        after = np.einsum("gii->g", self.fit.spread_given_beta[:, :n, :n])
        return np.minimum(after / before, 1.0) if before > 0 else np.ones(len(after))

    def _distance(self) -> Floats:
        """Return sqrt(d' V^-1 d / qn) for the deviations d of the groups and their covariance V between groups."""
        deviation = (self._coefficients - self.fit.beta[: self.k])[:, : self.q].reshape(len(self.starts), -1)
        values, vectors = np.linalg.eigh(self._covariance)
        kept = values > _NONE * max(values[-1], 0.0)
        if not kept.any():
            return np.zeros(len(deviation))
        white = deviation @ (vectors[:, kept] / np.sqrt(values[kept]))
        return np.asarray(np.sqrt((white**2).mean(axis=1)))


def group_coefficients(fit: MixedFit, starts: Floats) -> Floats:
    """Return the coefficients of each group, shrunken, (G, 1 + n, n)."""
    n = fit.beta.shape[1]
    found = np.repeat(fit.beta[None, : 1 + n], len(starts), axis=0)
    found[:, : fit.gamma.shape[1]] += fit.gamma
    found[:, 0] += starts @ fit.beta[1 + n :]
    return found


def _root(covariance: Floats) -> Floats:
    """Return R with R R' = covariance, (..., p, p), which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None))[..., None, :])


def _half_range(drawn: Floats) -> Floats:
    tail = float(scipy.special.ndtr(-1.0))
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return np.asarray((high - low) / 2)

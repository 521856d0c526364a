"""Figures of a fitted spectrum with their bootstrap intervals, and the regime they speak for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics import spectrum
from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.bootstrap import normal_interval
from trimtab.estimation.estimates import ArrayEstimate, Estimate, RegimeEstimate

__all__ = ["AGREEMENT", "NO_MEMORY", "SECOND_LAG", "SpectralFigures", "met", "nearly_repeated"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

NO_MEMORY = 0.05
"""p-value of the memory test from which on no regime is named."""

SECOND_LAG = 0.01
"""p-value of the test of the second lag below which the speed is doubted; smaller, because every strategy is tested."""

AGREEMENT = 0.95
"""Share of bootstrap replicates that must show a regime for it to be named.

A loop on the border of two regimes is then given the name of the one it is not in at most 5% of the experiments, the
size of the tests: replicates scatter about the estimate as estimates do about the loop, and so the share of them beyond
a border is the p-value of the loop's lying there."""


MEETING = 0.025
"""Share of replicates on the far side of a meeting of eigenvalues from which on they count as nearly repeated."""


def nearly_repeated(lam: Complexes, draws: Complexes) -> bool:
    """Say whether the eigenvalue that sets the rate cannot be told from another one.

    Where eigenvalues meet, the rate is no smooth function of A: two real ones turn into a pair, or a pair and a real
    one change places, at the front. Every interval made of its replicates alone then covers too seldom, and the smooth
    rate -tr(A)/n is the figure to read. The sign of it is that in more than `MEETING` of the replicates the eigenvalue
    of largest real part is complex where the estimate's is real, or real where it is complex: the replicates reach
    across the meeting, which therefore lies within about two standard errors. The gap between the eigenvalues beside
    its own standard deviation is a worse sign, because it is folded at zero: it misses half of the cases.

    Parameters
    ----------
    lam
        (k,) eigenvalues of the estimate.
    draws
        (draws, k) eigenvalues of its replicates; without any, the answer is no.
    """
    if not len(lam) or not len(draws):
        return False
    return bool((_front_is_complex(draws) != _front_is_complex(lam)).mean() > MEETING)


def _front_is_complex(lam: Complexes) -> NDArray[np.bool_]:
    at = np.expand_dims(lam.real.argmax(axis=-1), -1)
    return np.asarray(np.take_along_axis(lam.imag, at, axis=-1)[..., 0] != 0)


def met(lam: Complexes, draws: Complexes) -> tuple[Complexes, Complexes]:
    """Return spectrum (k,) and replicates (draws, k) as they would be if the two foremost eigenvalues were equal.

    Mean m = (l_1 + l_2) / 2 and discriminant D = (l_1 - l_2)^2 of two eigenvalues are smooth functions of A also where
    these meet, which is where D = 0. What m would be there is m - D Cov(m, D) / Var(D), over the replicates.
    """
    mean, D = _foremost(lam)
    drawn_mean, drawn_D = _foremost(draws)
    slope = np.cov(drawn_mean, drawn_D)[0, 1] / max(float(drawn_D.var(ddof=1)), np.finfo(float).tiny)
    return _with_foremost(lam, mean - slope * D), _with_foremost(draws, drawn_mean - slope * drawn_D)


def _foremost(lam: Complexes) -> tuple[Floats, Floats]:
    """Return m and D of the two eigenvalues of largest real part, both real, or a pair, or each the front of a pair."""
    two = np.take_along_axis(lam, _order(lam)[..., :2], axis=-1)
    return np.asarray(two.real.mean(axis=-1)), np.asarray(((two[..., 0] - two[..., 1]) ** 2).real)


def _with_foremost(lam: Complexes, value: Floats) -> Complexes:
    changed = lam.copy()
    np.put_along_axis(changed, _order(lam)[..., :2], value[..., None], axis=-1)
    return changed


def _order(lam: Complexes) -> NDArray[np.int64]:
    return np.argsort(-lam.real, axis=-1, kind="stable")


@dataclass(frozen=True, slots=True)
class SpectralFigures:
    """Figures of a spectrum (k,) and of its bootstrap replicates (draws, k); all unknown where k is 0."""

    lam: Complexes
    draws: Complexes
    dt: float
    level: float
    clusters: int

    def interval(self, figure: Callable[[Complexes], Floats], low: float = -np.inf) -> Estimate:
        """Return `figure`, a function from spectra (..., k) to numbers (...), with an interval cut off at `low`.

        Where the two foremost eigenvalues cannot be told apart, the interval also holds that of the figure as it would
        be if they were equal.
        """
        if not len(self.lam):
            return Estimate(float("nan"))
        return Estimate(*map(float, self._with_bounds(figure, low)))

    def smooth_rate(self) -> Estimate:
        """Return -tr(A)/n, which is smooth where eigenvalues meet."""
        if not len(self.lam):
            return Estimate(float("nan"))
        point, drawn = (-lam.real.mean(axis=-1) for lam in (self.lam, self.draws))
        return Estimate(float(point), *map(float, self._bounds(point, drawn, -np.inf)))

    def _with_bounds(self, figure: Callable[[Complexes], Floats], low: float) -> tuple[Floats, Floats, Floats]:
        point = figure(self.lam)
        below, above = self._bounds(point, figure(self.draws), low)
        if nearly_repeated(self.lam, self.draws):
            lam, draws = met(self.lam, self.draws)
            others = self._bounds(figure(lam), figure(draws), low)
            below, above = np.minimum(below, others[0]), np.maximum(above, others[1])
        return point, below, above

    def _bounds(self, point: Floats, drawn: Floats, low: float) -> tuple[Floats, Floats]:
        if not len(drawn):
            nothing = np.full(np.shape(point), np.nan)
            return nothing, nothing
        below, above = normal_interval(point, drawn, self.level, self.clusters)
        return np.maximum(below, low), above

    def _sorted_moduli(self, lam: Complexes) -> Floats:
        return np.asarray(-np.sort(-np.abs(spectrum.multipliers(lam, self.dt)), axis=-1))

    def moduli(self) -> ArrayEstimate:
        """Return abs(1 + lambda dt) of all eigenvalues in decreasing order."""
        return ArrayEstimate(*self._with_bounds(self._sorted_moduli, 0.0))

    def radius(self) -> Estimate:
        """Return the largest abs(1 + lambda dt)."""
        return self.interval(lambda lam: spectrum.spectral_radius(lam, self.dt), low=0.0)

    def half_life(self) -> Estimate:
        """Return the half-life of the slowest mode; monotone in the radius, so that the interval's ends carry over."""
        radius = self.radius()
        return Estimate(*(float(spectrum.half_life(np.asarray(r))) for r in (radius.estimate, radius.low, radius.high)))

    def regime(self, *, dynamics: bool) -> RegimeEstimate:
        """Return the share of replicates in each regime, and its name where the data vouch for one.

        That is where at least `AGREEMENT` of the replicates and the estimate itself show it, and the diagnosis is
        `dynamics`: the spectrum of noise means nothing.
        """
        if not len(self.draws):
            return RegimeEstimate("undetermined", {})
        counts = np.bincount(spectrum.regimes(self.draws, self.dt), minlength=len(REGIMES))
        shares = counts / counts.sum()
        best = int(spectrum.regimes(self.lam, self.dt))
        clear = shares[best] >= AGREEMENT and dynamics
        return RegimeEstimate(
            REGIMES[best] if clear else "undetermined", dict(zip(REGIMES, shares.tolist(), strict=True))
        )

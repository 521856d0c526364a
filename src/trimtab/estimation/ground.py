"""What all rungs of the ladder of estimators stand on, and how a drift becomes a rung."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics import spectrum
from trimtab.dynamics.equilibrium import equilibria
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation.bootstrap import normal_interval, robust_interval
from trimtab.estimation.cautions import Design
from trimtab.estimation.clusters import ClusterEstimate, cluster_estimates
from trimtab.estimation.estimates import ArrayEstimate, Draws
from trimtab.estimation.least_squares import AffineEstimate
from trimtab.estimation.moments import AnyMoments
from trimtab.estimation.rungs import Rung, RungName
from trimtab.estimation.spectral import SpectralFigures, nearly_repeated
from trimtab.estimation.state_space.fit import StateSpaceFit

__all__ = ["REGULAR", "Ground", "least_squares_rung", "state_space_rung"]

Floats = NDArray[np.float64]

REGULAR = 0.9
"""Share of bootstrap replicates in which every active objective must vary for intervals to be given."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What all rungs stand on: least squares of one strategy's steps, and its replicates.

    Parameters
    ----------
    drawn
        Bootstrap replicates, or None where there are too few sessions.
    """

    moments: AnyMoments
    design: Design
    estimate: AffineEstimate
    drawn: AffineEstimate | None
    dt: float
    level: float

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Indices of the active objectives."""
        return np.flatnonzero(self.design.active)

    def rung(
        self,
        name: RungName,
        A: Floats,
        b: Floats,
        Q: Floats,
        draws: Draws,
        interference: ArrayEstimate,
        *,
        R: Floats | None = None,
        session_sd: Floats | None = None,
        converged: bool = True,
        seconds: float = 0.0,
    ) -> Rung:
        """Return the rung with everything that follows from (A, b) and their replicates, its regime not yet named."""
        chosen, dt, identified = self.chosen, self.dt, self.design.identified
        lam = spectrum.eigenvalues(A[np.ix_(chosen, chosen)]) if identified else np.empty(0, dtype=np.complex128)
        figures = self._figures(lam, draws)
        return Rung(
            name=name,
            A=A,
            b=b,
            Q=Q,
            R=R,
            session_sd=session_sd,
            eigenvalues=lam,
            rate=figures.interval(spectrum.rate),
            smooth_rate=figures.smooth_rate(),
            multiplier=figures.interval(lambda values: spectrum.leading(values, dt), low=0.0),
            multipliers=figures.moduli(),
            spectral_radius=figures.radius(),
            half_life=figures.half_life(),
            period=float(spectrum.period(spectrum.slowest(lam, dt))) if identified else float("nan"),
            stable_continuous=bool(spectrum.stable_continuous(lam)) if identified else None,
            stable_discrete=bool(spectrum.stable_discrete(lam, dt)) if identified else None,
            nearly_repeated=nearly_repeated(lam, draws.eigenvalues),
            clusters=self._clusters(A, lam, draws) if identified else (),
            regime=figures.regime(dynamics=False),
            equilibrium=self.equilibrium(A, b, draws),
            interference=interference,
            draws=draws,
            converged=converged,
            seconds=seconds,
        )

    def _clusters(self, A: Floats, lam: NDArray[np.complex128], draws: Draws) -> tuple[ClusterEstimate, ...]:
        some, scale = np.ix_(self.chosen, self.chosen), self.moments.scale[self.chosen]
        drawn = draws.A[:, self.chosen[:, None], self.chosen]
        return cluster_estimates(A[some], scale, drawn, draws.eigenvalues, lam, self.level, self.moments.n_sessions)

    def _figures(self, lam: NDArray[np.complex128], draws: Draws) -> SpectralFigures:
        return SpectralFigures(lam, draws.eigenvalues, self.dt, self.level, self.moments.n_sessions)

    def named(self, rung: Rung) -> Rung:
        """Return `rung` with its regime named, which it is only once dynamics are diagnosed."""
        return replace(rung, regime=self._figures(rung.eigenvalues, rung.draws).regime(dynamics=True))

    def whole(self, part: Floats, fallback: Floats) -> Floats:
        """Return `fallback` with what concerns active objectives only replaced by `part`; leading axes are a batch."""
        chosen, n = self.chosen, len(self.design.active)
        if len(chosen) == n:
            return part
        one = part.ndim - fallback.ndim
        full = np.broadcast_to(fallback, (*part.shape[:one], *fallback.shape)).copy()
        if fallback.ndim == 2:
            full[..., chosen[:, None], chosen] = part
        else:
            full[..., chosen] = part
        return full

    def draws(self, A: Floats, b: Floats) -> Draws:
        """Return replicates of the drift (draws, n, n) and (draws, n) with their eigenvalues."""
        chosen = self.chosen
        return Draws(A, b, spectrum.eigenvalues(A[:, chosen[:, None], chosen]))

    def equilibrium(self, A: Floats, b: Floats, draws: Draws) -> ArrayEstimate:
        """Return -A^-1 b over the active objectives; nan for the others and where A is singular.

        Solved in units of each objective's own spread, so that whether A counts as singular does not depend on units.
        """
        chosen = self.chosen
        point = np.full(len(b), np.nan)
        low, high = point.copy(), point.copy()
        scale = self.moments.scale[chosen]
        square = A[np.ix_(chosen, chosen)] * scale / scale[:, None]
        if not len(chosen) or not np.isfinite(square).all() or np.linalg.cond(square) > 1e12:
            return ArrayEstimate(point, low, high)
        point[chosen] = -np.linalg.solve(square, b[chosen] / scale) * scale
        if len(draws.A):
            drawn = equilibria(draws.A[:, chosen[:, None], chosen], draws.b[:, chosen], scale)
            low[chosen], high[chosen] = robust_interval(point[chosen], drawn, self.level, self.moments.n_sessions)
        return ArrayEstimate(point, low, high)

    def interference(self, R: Floats | None = None, drawn: Floats | None = None) -> ArrayEstimate:
        """Return the interference matrix (eq. 4), less what score noise of variances R (n,) adds to the steps.

        An observed step y_{t+1} - y_t has the covariance of the true one plus 2 diag(R).

        Parameters
        ----------
        drawn
            (draws, k, k) replicates of that of the k active objectives, where they come from a model that knows of
            noise; those of the others, and of all if None, are of the steps' covariance with R as given.
        """
        n = self.moments.n
        nothing = np.full((n, n), np.nan)
        if self.moments.n_steps < 2:
            return ArrayEstimate(nothing, nothing, nothing)
        point = interference_from_covariance(_less_noise(self.estimate.step_covariance, R))
        if self.drawn is None:
            return ArrayEstimate(point, nothing, nothing)
        replicates = interference_from_covariance(_less_noise(self.drawn.step_covariance, R))
        low, high = normal_interval(point, replicates, self.level, self.moments.n_sessions)
        if drawn is not None:
            own = np.ix_(self.chosen, self.chosen)
            low[own], high[own] = robust_interval(point[own], drawn, self.level, self.moments.n_sessions)
        return ArrayEstimate(point, np.maximum(low, -1), np.minimum(high, 1))


def _less_noise(covariance: Floats, R: Floats | None) -> Floats:
    """Return the step covariance without 2 diag(R); at least a hundredth of each variance is left."""
    if R is None:
        return covariance
    less = covariance.copy()
    own = np.einsum("...jj->...j", less)
    own[...] = np.maximum(own - 2 * R, 0.01 * own)
    # Where much of the variance is noise, what is left cannot carry the covariance: correlations stay within 1.
    size = np.sqrt(np.where(own > 0, own, 1.0))
    limit = size[..., :, None] * size[..., None, :]
    off = ~np.eye(covariance.shape[-1], dtype=bool)
    return np.where(off, np.clip(less, -limit, limit), less)


def least_squares_rung(ground: Ground) -> tuple[Rung, float]:
    """Return the paper's estimator, and the share of replicates left out because an active objective did not vary."""
    started = time.perf_counter()
    unless_identified = 0.0 if ground.design.identified else np.nan
    draws, lost = _regular_draws(ground)
    rung = ground.rung(
        "least_squares",
        ground.estimate.A + unless_identified,
        ground.estimate.b + unless_identified,
        _semidefinite(ground.estimate.Q, ground.moments.scale) + (0.0 if ground.design.enough else np.nan),
        draws,
        ground.interference(),
        seconds=time.perf_counter() - started,
    )
    return rung, lost


def _semidefinite(Q: Floats, scale: Floats) -> Floats:
    """Return the covariance (n, n) nearest to Q in units of `scale` (n,).

    Where one step is 1e10 times as large as another, sums of squares leave nothing of Q but rounding errors.
    """
    unit = scale[:, None] * scale
    values, vectors = np.linalg.eigh((Q + Q.T) / 2 / unit)
    if values[0] >= 0 and np.array_equal(Q, Q.T):
        return Q
    nearest = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return np.asarray((nearest + nearest.T) / 2 * unit)


def _regular_draws(ground: Ground) -> tuple[Draws, float]:
    """Return the replicates in which every active objective varies, and the share of the others.

    In the others a direction has no estimate. Where they are many, those that remain are a biased choice, and none is
    returned.
    """
    n, chosen, drawn = len(ground.design.active), ground.chosen, ground.drawn
    none = Draws(np.empty((0, n, n)), np.empty((0, n)), np.empty((0, len(chosen)), dtype=np.complex128))
    if drawn is None or not ground.design.identified:
        return none, 0.0
    regular = drawn.rank == len(chosen)
    if regular.mean() < REGULAR:
        return none, float(1 - regular.mean())
    return ground.draws(drawn.A[regular], drawn.b[regular]), float(1 - regular.mean())


def state_space_rung(ground: Ground, found: StateSpaceFit) -> Rung:
    """Return the rung of a state-space fit over the active objectives."""
    estimate, n = ground.estimate, len(ground.design.active)
    zero = np.zeros(n)
    R = ground.whole(found.R, zero)
    return ground.rung(
        "state_space",
        ground.whole(found.A, estimate.A),
        ground.whole(found.b, estimate.b),
        ground.whole(found.Q, estimate.Q),
        ground.draws(ground.whole(found.drawn_A, estimate.A), ground.whole(found.drawn_b, estimate.b)),
        ground.interference(R, found.drawn_interference),
        R=R,
        session_sd=ground.whole(found.session_sd, zero),
        converged=found.converged,
        seconds=found.seconds,
    )

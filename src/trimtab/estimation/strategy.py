"""The fit of one strategy's steps: drift, spectrum, equilibrium, prediction and outcomes, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import FAILED, Steps, Trajectories
from trimtab.dynamics import spectrum
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.dynamics.spectrum import REGIMES, Regime
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import normal_interval, resample, robust_interval
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.outcomes import at_bound, end_levels, final_hypervolume, mean_efficiency
from trimtab.estimation.prediction import r_squared
from trimtab.estimation.results import ArrayEstimate, Draws, Estimate, RegimeEstimate, StrategyFit

__all__ = ["CANNOT_IDENTIFY", "NO_MEMORY", "Options", "fit_strategy", "interference_estimate"]

Floats = NDArray[np.float64]

CANNOT_IDENTIFY = "the steps cannot identify the dynamics"

NO_MEMORY = 0.05
"""p-value of the memory test from which on no regime is named."""

BOUND_SHARE = 0.02
"""Share of scores at a bound from which on clipping is known to distort the fit."""


BETWEEN_SHARE = 0.6
"""Share of the variance between sessions from which on lasting differences of level may pass for slow dynamics."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `fit` that concern one strategy."""

    dt: float
    level: float
    draws: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Design:
    """What a set of steps can identify."""

    enough: bool
    active: NDArray[np.bool_]
    entangled: NDArray[np.int64]

    @property
    def identified(self) -> bool:
        return self.enough and bool(self.active.any()) and not len(self.entangled)

    @classmethod
    def of(cls, moments: Moments) -> _Design:
        total = moments.total
        enough = moments.n_steps > moments.n + 1
        if not enough:
            return cls(False, np.zeros(moments.n, dtype=bool), np.empty(0, dtype=np.int64))
        return cls(True, ls.active_objectives(total), ls.entangled_objectives(total))


def _columns(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows of a moment matrix that belong to [1, active states, active step changes]."""
    chosen = np.flatnonzero(active)
    return np.concatenate([[0], 1 + chosen, 1 + len(active) + chosen])


def fit_strategy(
    name: str,
    trajectories: Trajectories,
    steps: Steps,
    sessions: NDArray[np.int64],
    efficiencies: Floats,
    options: Options,
) -> StrategyFit:
    """Fit one set of steps.

    Parameters
    ----------
    sessions
        Indices of the sessions whose final scores count as its outcome.
    efficiencies
        Pareto efficiency of every session of `trajectories`, (S,).
    """
    moments = session_moments(steps)
    design = _Design.of(moments)
    several = design.enough and moments.n_sessions > 1
    replicates = resample(moments, options.draws, options.seed, name) if several else None
    estimate = ls.estimate(moments.total, moments.center, moments.scale, options.dt)
    drawn = None if replicates is None else ls.estimate(replicates, moments.center, moments.scale, options.dt)
    memory = _memory(moments, design)
    unless_identified = 0.0 if design.identified else np.nan
    unless_enough = 0.0 if design.enough else np.nan
    A, b = estimate.A + unless_identified, estimate.b + unless_identified
    chosen = np.flatnonzero(design.active)
    draws = _drift_draws(drawn, design)
    lam = spectrum.eigenvalues(A[np.ix_(chosen, chosen)]) if design.identified else np.empty(0, dtype=np.complex128)
    figures = _Spectrum(lam, draws.eigenvalues, options, moments.n_sessions)
    return StrategyFit(
        name=name,
        space=trajectories.space,
        sessions=moments.n_sessions,
        steps=moments.n_steps,
        dt=options.dt,
        A=A,
        b=b,
        Q=estimate.Q + unless_enough,
        active=design.active,
        identified=design.identified,
        eigenvalues=lam,
        rate=figures.interval(spectrum.rate),
        smooth_rate=figures.interval(lambda values: -values.real.mean(axis=-1)),
        multiplier=figures.interval(lambda values: spectrum.leading(values, options.dt), low=0.0),
        multipliers=figures.moduli(),
        spectral_radius=figures.radius,
        half_life=figures.half_life(),
        period=float(spectrum.period(spectrum.slowest(lam, options.dt))) if design.identified else float("nan"),
        stable_continuous=bool(spectrum.stable_continuous(lam)) if design.identified else None,
        stable_discrete=bool(spectrum.stable_discrete(lam, options.dt)) if design.identified else None,
        regime=figures.regime(memory),
        equilibrium=_equilibrium(A, b, draws, chosen, options.level, moments.n_sessions),
        started=end_levels(trajectories, sessions, options.level, first=True),
        reached=end_levels(trajectories, sessions, options.level),
        r2=r_squared(moments, estimate, drawn, design.active, options.level, options.seed),
        interference=interference_estimate(moments, estimate, drawn, options.level),
        pareto_efficiency=mean_efficiency(efficiencies[sessions], options.level),
        hypervolume=final_hypervolume(trajectories, sessions),
        memory_p_value=memory,
        at_bound=at_bound(trajectories, sessions),
        warnings=_warnings(trajectories, sessions, moments, design, memory),
        draws=draws,
    )


def interference_estimate(
    moments: Moments, estimate: ls.AffineEstimate, drawn: ls.AffineEstimate | None, level: float
) -> ArrayEstimate:
    """Return the interference matrix (eq. 4), with intervals from bootstrap replicates of the estimate if any."""
    if moments.n_steps < 2:
        return _no_interval(np.full((moments.n, moments.n), np.nan))
    point = interference_from_covariance(estimate.step_covariance)
    if drawn is None:
        return _no_interval(point)
    replicates = interference_from_covariance(drawn.step_covariance)
    low, high = normal_interval(point, replicates, level, moments.n_sessions)
    return ArrayEstimate(point, np.maximum(low, -1), np.minimum(high, 1))


def _no_interval(point: Floats) -> ArrayEstimate:
    nothing = np.full(np.shape(point), np.nan)
    return ArrayEstimate(point, nothing, nothing)


def _memory(moments: Moments, design: _Design) -> float:
    if not design.identified:
        return float("nan")
    index, chosen = _columns(design.active), design.active
    outer = moments.outer[:, index[:, None], index]
    return ls.memory_p_value(Moments(outer, moments.session, moments.center[chosen], moments.scale[chosen]))


def _drift_draws(drawn: ls.AffineEstimate | None, design: _Design) -> Draws:
    n, chosen = len(design.active), np.flatnonzero(design.active)
    if drawn is None or not design.identified:
        return Draws(np.empty((0, n, n)), np.empty((0, n)), np.empty((0, len(chosen)), dtype=np.complex128))
    return Draws(drawn.A, drawn.b, spectrum.eigenvalues(drawn.A[:, chosen[:, None], chosen]))


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """Figures of a spectrum (k,) and of its bootstrap replicates (draws, k); all unknown where k is 0."""

    lam: NDArray[np.complex128]
    draws: NDArray[np.complex128]
    options: Options
    clusters: int

    def interval(self, figure: Callable[[NDArray[np.complex128]], Floats], low: float = -np.inf) -> Estimate:
        if not len(self.lam):
            return Estimate(float("nan"))
        point = figure(self.lam)
        return Estimate(float(point), *map(float, self._bounds(point, figure(self.draws), low)))

    def _bounds(self, point: Floats, drawn: Floats, low: float) -> tuple[Floats, Floats]:
        if not len(drawn):
            nothing = np.full(np.shape(point), np.nan)
            return nothing, nothing
        below, above = normal_interval(point, drawn, self.options.level, self.clusters)
        return np.maximum(below, low), above

    def _sorted_moduli(self, lam: NDArray[np.complex128]) -> Floats:
        return np.asarray(-np.sort(-np.abs(spectrum.multipliers(lam, self.options.dt)), axis=-1))

    def moduli(self) -> ArrayEstimate:
        point = self._sorted_moduli(self.lam)
        return ArrayEstimate(point, *self._bounds(point, self._sorted_moduli(self.draws), 0.0))

    @property
    def radius(self) -> Estimate:
        return self.interval(lambda lam: spectrum.spectral_radius(lam, self.options.dt), low=0.0)

    def half_life(self) -> Estimate:
        # Monotone in the radius, so the interval's ends carry over.
        radius = self.radius
        return Estimate(*(float(spectrum.half_life(np.asarray(r))) for r in (radius.estimate, radius.low, radius.high)))

    def regime(self, memory: float) -> RegimeEstimate:
        if not len(self.draws):
            return RegimeEstimate("undetermined", {})
        counts = np.bincount(spectrum.regimes(self.draws, self.options.dt), minlength=len(REGIMES))
        shares = counts / counts.sum()
        best = int(shares.argmax())
        # A memory test that too few sessions allow (nan) cannot vouch for a regime either.
        clear = shares[best] > 0.5 and memory < NO_MEMORY
        label: Regime = REGIMES[best] if clear else "undetermined"
        return RegimeEstimate(label, dict(zip(REGIMES, shares.tolist(), strict=True)))


def _equilibrium(
    A: Floats, b: Floats, draws: Draws, chosen: NDArray[np.int64], level: float, clusters: int
) -> ArrayEstimate:
    """Return -A^-1 b over the active objectives; nan for the others and where A is singular."""
    point = np.full(len(b), np.nan)
    low, high = point.copy(), point.copy()
    square = np.ix_(chosen, chosen)
    if not len(chosen) or not np.isfinite(A[square]).all() or np.linalg.cond(A[square]) > 1e12:
        return ArrayEstimate(point, low, high)
    point[chosen] = -np.linalg.solve(A[square], b[chosen])
    if len(draws.A):
        batch = draws.A[:, chosen[:, None], chosen]
        regular = np.linalg.cond(batch) < 1e12
        drawn = -np.linalg.solve(batch[regular], draws.b[regular][:, chosen, None])[..., 0]
        low[chosen], high[chosen] = robust_interval(point[chosen], drawn, level, clusters)
    return ArrayEstimate(point, low, high)


def _warnings(
    trajectories: Trajectories, sessions: NDArray[np.int64], moments: Moments, design: _Design, memory: float
) -> tuple[str, ...]:
    names, n = trajectories.space.names, moments.n
    found = []
    if not design.enough:
        found.append(
            f"{CANNOT_IDENTIFY}: {n} objectives need at least {n + 2} complete steps, but there are {moments.n_steps}"
        )
        return tuple(found)
    constant = [name for name, moves in zip(names, design.active, strict=True) if not moves]
    if len(constant) == n:
        found.append(f"{CANNOT_IDENTIFY}: every step starts from the same scores")
    elif constant:
        found.append(f"the same at the start of every step, and left out of the spectrum: {', '.join(constant)}")
    if len(design.entangled):
        listed = ", ".join(names[j] for j in design.entangled)
        found.append(
            f"{CANNOT_IDENTIFY}: {listed} are exact combinations of each other; "
            "leave one of them out (name the others with --objective)"
        )
    if moments.n_sessions < 2:
        found.append("only one session: no intervals, no held-out figures, no regime; sessions are what is resampled")
    elif design.identified and np.isnan(memory):
        needed = int(design.active.sum()) ** 2 + 2
        found.append(
            f"only {moments.n_sessions} sessions: whether there is any memory at all, and so which regime, can be said "
            f"from {needed} on; intervals are rough below about 20"
        )
    elif moments.n_sessions < 20:
        found.append(f"only {moments.n_sessions} sessions: intervals are rough below about 20")
    between = ls.between_share(moments)[design.active]
    if design.identified and moments.n_sessions > 1 and between.mean() > BETWEEN_SHARE:
        found.append(
            f"{between.mean():.0%} of the variance of the scores lies between sessions: if tasks differ in level for "
            "good, the rate is biased towards 0 and the half-life is too long"
        )
    if memory >= NO_MEMORY:
        found.append(
            f"no memory found (p = {memory:.2f}): the next score does not depend on the present one, as when the same "
            "quality is scored again and again with noise; the rate and regime then describe the noise"
        )
    shares = at_bound(trajectories, sessions)
    at = [f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True) if share > BOUND_SHARE]
    if at:
        found.append(f"scores sit at a bound ({', '.join(at)}), which distorts rates and regimes")
    lengths = trajectories.lengths[sessions]
    if len(lengths) and lengths.min() != lengths.max():
        found.append(
            f"sessions differ in length ({lengths.min()} to {lengths.max()} iterations): if they stop when they are "
            "good enough, the late iterations show the hard cases, and means and equilibrium speak of different ones"
        )
    failed = int((trajectories.select(sessions).status == FAILED).any(axis=1).sum()) if len(sessions) else 0
    if failed:
        found.append(
            f"{failed:,} {'iteration' if failed == 1 else 'iterations'} failed: the steps from and to them are lost"
        )
    return tuple(found)

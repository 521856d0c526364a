"""The fit of one strategy's steps: drift, spectrum, equilibrium, prediction and outcomes, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.dynamics import spectrum
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import normal_interval, resample, robust_interval
from trimtab.estimation.cautions import Design, at_bound, cautions, rows_of
from trimtab.estimation.memory import memory_p_value, second_lag_p_value
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.outcomes import end_levels, final_hypervolume, mean_efficiency
from trimtab.estimation.prediction import r_squared
from trimtab.estimation.results import ArrayEstimate, Draws, StrategyFit
from trimtab.estimation.spectral import SpectralFigures

__all__ = ["Options", "bootstrap_key", "fit_strategy", "interference_estimate"]

Floats = NDArray[np.float64]

REGULAR = 0.9
"""Share of bootstrap replicates in which every active objective must vary for intervals to be given."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `fit` that concern one strategy."""

    dt: float
    level: float
    draws: int
    seed: int


def bootstrap_key(name: str | None) -> tuple[str, ...]:
    """Return the key of a strategy's bootstrap stream; None stands for all steps pooled."""
    return ("pooled",) if name is None else ("strategy", name)


def fit_strategy(
    trajectories: Trajectories,
    steps: Steps,
    code: int | None,
    sessions: NDArray[np.int64],
    efficiencies: Floats,
    options: Options,
) -> StrategyFit:
    """Fit one set of steps.

    Parameters
    ----------
    code
        The strategy's code in `trajectories`; None for all steps pooled.
    sessions
        Indices of the sessions whose final scores count as its outcome.
    efficiencies
        Pareto efficiency of every session of `trajectories`, (S,).
    """
    name = None if code is None else trajectories.strategies[code]
    dt, level = options.dt, options.level
    moments = session_moments(steps)
    design = Design.of(moments)
    estimate = ls.estimate(moments.total, moments.center, moments.scale, dt, design.active)
    drawn = None
    if design.enough and moments.n_sessions > 1:
        replicates = resample(moments, options.draws, options.seed, *bootstrap_key(name))
        drawn = ls.estimate(replicates, moments.center, moments.scale, dt, design.active)
    chosen = np.flatnonzero(design.active)
    memory = second_lag = float("nan")
    if design.identified:
        memory = memory_p_value(_part(moments, chosen))
        lagged = Steps(steps.x[:, chosen], steps.dx[:, chosen], steps.session, steps.strategy, steps.iteration)
        second_lag = second_lag_p_value(lagged)
    unless_identified = 0.0 if design.identified else np.nan
    A, b = estimate.A + unless_identified, estimate.b + unless_identified
    draws, lost = _drift_draws(drawn, design)
    lam = spectrum.eigenvalues(A[np.ix_(chosen, chosen)]) if design.identified else np.empty(0, dtype=np.complex128)
    figures = SpectralFigures(lam, draws.eigenvalues, dt, level, moments.n_sessions)
    rows = rows_of(trajectories, code)
    return StrategyFit(
        name="all strategies" if name is None else name,
        space=trajectories.space,
        sessions=moments.n_sessions,
        steps=moments.n_steps,
        dt=dt,
        A=A,
        b=b,
        Q=estimate.Q + (0.0 if design.enough else np.nan),
        active=design.active,
        identified=design.identified,
        eigenvalues=lam,
        rate=figures.interval(spectrum.rate),
        smooth_rate=figures.interval(lambda values: -values.real.mean(axis=-1)),
        multiplier=figures.interval(lambda values: spectrum.leading(values, dt), low=0.0),
        multipliers=figures.moduli(),
        spectral_radius=figures.radius(),
        half_life=figures.half_life(),
        period=float(spectrum.period(spectrum.slowest(lam, dt))) if design.identified else float("nan"),
        stable_continuous=bool(spectrum.stable_continuous(lam)) if design.identified else None,
        stable_discrete=bool(spectrum.stable_discrete(lam, dt)) if design.identified else None,
        regime=figures.regime(memory),
        equilibrium=_equilibrium(A, b, draws, chosen, moments, level),
        started=end_levels(trajectories, sessions, level, first=True),
        reached=end_levels(trajectories, sessions, level),
        r2=r_squared(moments, estimate, drawn, design.active, level, options.seed),
        interference=interference_estimate(moments, estimate, drawn, level),
        pareto_efficiency=mean_efficiency(efficiencies[sessions], level),
        hypervolume=final_hypervolume(trajectories, sessions),
        memory_p_value=memory,
        second_lag_p_value=second_lag,
        at_bound=at_bound(trajectories, rows),
        warnings=cautions(trajectories, sessions, rows, moments, design, memory, second_lag, lost),
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


def _part(moments: Moments, chosen: NDArray[np.int64]) -> Moments:
    """Return the moments of the chosen objectives alone."""
    index = np.concatenate([[0], 1 + chosen, 1 + moments.n + chosen])
    outer = moments.outer[:, index[:, None], index]
    return Moments(outer, moments.session, moments.center[chosen], moments.scale[chosen])


def _drift_draws(drawn: ls.AffineEstimate | None, design: Design) -> tuple[Draws, float]:
    """Return the replicates in which every active objective varies, and the share of the others.

    In the others a direction has no estimate. Where they are many, those that remain are a biased choice, and none is
    returned.
    """
    n, chosen = len(design.active), np.flatnonzero(design.active)
    none = Draws(np.empty((0, n, n)), np.empty((0, n)), np.empty((0, len(chosen)), dtype=np.complex128))
    if drawn is None or not design.identified:
        return none, 0.0
    regular = drawn.rank == len(chosen)
    if regular.mean() < REGULAR:
        return none, float(1 - regular.mean())
    A, b = drawn.A[regular], drawn.b[regular]
    return Draws(A, b, spectrum.eigenvalues(A[:, chosen[:, None], chosen])), float(1 - regular.mean())


def _equilibrium(
    A: Floats, b: Floats, draws: Draws, chosen: NDArray[np.int64], moments: Moments, level: float
) -> ArrayEstimate:
    """Return -A^-1 b over the active objectives; nan for the others and where A is singular.

    Solved in units of each objective's own spread, so that whether A counts as singular does not depend on units.
    """
    point = np.full(len(b), np.nan)
    low, high = point.copy(), point.copy()
    scale = moments.scale[chosen]
    square = A[np.ix_(chosen, chosen)] * scale / scale[:, None]
    if not len(chosen) or not np.isfinite(square).all() or np.linalg.cond(square) > 1e12:
        return ArrayEstimate(point, low, high)
    point[chosen] = -np.linalg.solve(square, b[chosen] / scale) * scale
    if len(draws.A):
        batch = draws.A[:, chosen[:, None], chosen] * scale / scale[:, None]
        regular = np.linalg.cond(batch) < 1e12
        drawn = -np.linalg.solve(batch[regular], draws.b[regular][:, chosen, None] / scale[:, None])[..., 0] * scale
        low[chosen], high[chosen] = robust_interval(point[chosen], drawn, level, moments.n_sessions)
    return ArrayEstimate(point, low, high)

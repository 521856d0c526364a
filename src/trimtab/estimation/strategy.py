"""The fit of one strategy's steps: drift, spectrum, equilibrium, prediction and outcomes, with intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.cautions import Design, at_bound, cautions, rows_of
from trimtab.estimation.coarse.choice import coarse_fit
from trimtab.estimation.decomposition import InterferenceParts, interference_parts
from trimtab.estimation.diagnosis import diagnose
from trimtab.estimation.dropout import MeanCurve, mean_curve, plain_law
from trimtab.estimation.ground import Ground, least_squares_rung
from trimtab.estimation.ladder import Climbed, Data, climb
from trimtab.estimation.lag_covariance import LagTests, lag_tests
from trimtab.estimation.memory import memory_p_value, second_lag_p_value
from trimtab.estimation.moments import path_sample, steps_of, trajectory_moments
from trimtab.estimation.options import Estimator, Options
from trimtab.estimation.outcomes import end_levels, final_hypervolume, mean_efficiency, start_covariance
from trimtab.estimation.panel import Panel
from trimtab.estimation.prediction import r_squared
from trimtab.estimation.results import StrategyFit
from trimtab.estimation.rungs import Rung
from trimtab.estimation.spectral import NO_MEMORY, SpectralFigures
from trimtab.estimation.state_space.moments import panel_moments

__all__ = ["bootstrap_key", "fit_strategy"]

Floats = NDArray[np.float64]


def bootstrap_key(name: str | None) -> tuple[str, ...]:
    """Return the key of a strategy's bootstrap stream; None stands for all steps pooled."""
    return ("pooled",) if name is None else ("strategy", name)


def fit_strategy(
    trajectories: Trajectories,
    code: int | None,
    sessions: NDArray[np.int64],
    efficiencies: Floats,
    options: Options,
) -> StrategyFit:
    """Fit the steps of one strategy.

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
    moments = trajectory_moments(trajectories, code, seed=options.seed)
    design = Design.of(moments)
    estimate = ls.estimate(moments.total, moments.center, moments.scale, dt, design.active)
    drawn = None
    if design.enough and moments.n_sessions > 1:
        replicates = resample(moments, options.draws, options.seed, *bootstrap_key(name))
        drawn = ls.estimate(replicates, moments.center, moments.scale, dt, design.active)
    chosen = np.flatnonzero(design.active)
    memory = second_lag = float("nan")
    lags: LagTests | None = None
    seen = path_sample(trajectories, code)
    steps, panel = steps_of(seen, code), Panel.of(seen, code, chosen)
    if design.identified:
        memory = memory_p_value(moments.part(chosen))
        lagged = Steps(steps.x[:, chosen], steps.dx[:, chosen], steps.session, steps.strategy, steps.iteration)
        second_lag = second_lag_p_value(lagged)
        lags = lag_tests(panel)
    rows = rows_of(trajectories, code)
    bounds = at_bound(trajectories, rows)
    ground = Ground(moments, design, estimate, drawn, dt, level)
    plain, lost = least_squares_rung(ground)
    # Whatever the level of what is shown, so that the verdict does not depend on it.
    average = SpectralFigures(plain.eigenvalues, plain.draws.eigenvalues, dt, 0.95, moments.n_sessions).smooth_rate()
    left = 1 - average.high * dt, 1 - average.low * dt
    diagnosis = diagnose(design.identified, moments.n_sessions, memory, lags, left)
    # Steps pooled over strategies follow no one model, so that there is nothing to correct.
    estimator: Estimator = "least-squares" if code is None else options.estimator
    coarse = coarse_fit(seen, steps, code, options)
    data = Data(seen, code, steps, panel, bounds, memory < NO_MEMORY, not coarse.mostly_still)
    climbed = climb(
        ground,
        plain,
        diagnosis,
        data,
        estimator,
        options.draws,
        options.seed,
        bootstrap_key(name),
    )
    return StrategyFit(
        name="all strategies" if name is None else name,
        space=trajectories.space,
        sessions=moments.n_sessions,
        steps=moments.n_steps,
        dt=dt,
        active=design.active,
        identified=design.identified,
        rungs=climbed.rungs,
        trusted=climbed.trusted,
        predicts=climbed.predicts or climbed.trusted,
        trust=climbed.why,
        diagnosis=diagnosis,
        started=end_levels(trajectories, sessions, level, first=True),
        started_covariance=start_covariance(trajectories, sessions),
        reached=end_levels(trajectories, sessions, level),
        r2=r_squared(moments, estimate, drawn, design.active, level, options.seed),
        pareto_efficiency=mean_efficiency(efficiencies[sessions], level),
        hypervolume=final_hypervolume(trajectories, sessions),
        memory_p_value=memory,
        second_lag_p_value=second_lag,
        at_bound=bounds,
        curve=_curve(panel, climbed, chosen, dt) if design.identified else None,
        coarse=coarse,
        interference_p_value=np.full_like(plain.interference.estimate, np.nan),
        interference_parts=_parts(steps, climbed.rungs[climbed.trusted], level),
        warnings=(
            *cautions(trajectories, sessions, rows, moments, design, memory, second_lag, lost),
            *coarse.cautions,
        ),
    )


def _parts(steps: Steps, rung: Rung, level: float) -> InterferenceParts | None:
    """Split the interference of the estimator that is trusted, which may know of score noise."""
    if steps.x.shape[1] < 2 or not len(steps):
        return None
    if rung.R is None:
        return interference_parts(steps, level=level)
    return interference_parts(steps, score_noise=np.diag(rung.R), of_states=True, level=level)


def _curve(panel: Panel, climbed: Climbed, chosen: NDArray[np.int64], dt: float) -> MeanCurve | None:
    """Return the mean scores by iteration, corrected for sessions that end early by the trusted rung's dynamics."""
    if len(panel.blocks) < 2:
        return None
    moments, rung = panel_moments(panel), climbed.rungs[climbed.trusted]
    law = climbed.law
    if climbed.trusted != "state_space" or law is None:
        A, b, scale = rung.A[np.ix_(chosen, chosen)], rung.b[chosen], moments.scale
        phi = np.eye(moments.n) + A * dt * scale / scale[:, None]
        Q = rung.Q[np.ix_(chosen, chosen)] / scale / scale[:, None]
        law = plain_law(moments, phi, (A @ moments.center + b) * dt / scale, Q)
    return mean_curve(panel, moments, law)

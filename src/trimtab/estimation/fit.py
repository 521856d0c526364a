"""fit(trajectories) -> Fit: the paper's analysis of every strategy, with uncertainty from resampled sessions."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.moments import session_moments
from trimtab.estimation.outcomes import session_efficiencies
from trimtab.estimation.results import ArrayEstimate, Fit
from trimtab.estimation.strategy import Options, fit_strategy, interference_estimate

__all__ = ["Fit", "fit", "interference"]

POOLED = "all strategies"


def fit(
    data: Any,
    *,
    objectives: Any = None,
    dt: float = 1.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Fit:
    """Fit an affine stochastic differential equation to each strategy (paper, eq. 5): dx_t = (A x_t + b) dt + e_t.

    Parameters
    ----------
    data
        `Trajectories`, or anything that `trimtab.load` takes: a path, a store URL, a dataframe.
    objectives
        Which objectives to fit, by name; for sources other than trajectories also their bounds and directions.
    dt
        Time between iterations.
    level
        Coverage of the intervals.
    draws
        Bootstrap replicates.
    seed
        Of the replicates and of the cross-validation folds.

    Returns
    -------
    Fit
        One `StrategyFit` per strategy, in the order of the trajectories, and one for all steps pooled.

    Raises
    ------
    FitError
        If no session holds a complete step.
    InputError
        If an option or the data cannot be used.

    Examples
    --------
    >>> import numpy as np, trimtab as tt
    >>> model = tt.AffineSDE([[-0.4]], [2.0], [[0.25]])
    >>> paths = model.simulate(np.full((50, 1), 8.0), 10, np.random.default_rng(0))
    >>> round(tt.fit(tt.Trajectories.from_arrays(paths, ["quality"]))["all"].rate, 1)
    0.4
    """
    if not dt > 0:
        raise InputError(f"dt must be positive, but got {dt!r}")
    if not 0 < level < 1:
        raise InputError(f"level must lie strictly between 0 and 1, for example 0.95, but got {level!r}")
    if draws < 10:
        raise InputError(f"at least 10 draws are needed, but got {draws!r}")
    trajectories = _trajectories(data, objectives)
    steps = trajectories.steps()
    lost = trajectories.lost_steps()
    if not len(steps):
        reasons = "; ".join(map(str, (*lost, *trajectories.exclusions)))
        raise FitError(
            "a fit needs at least one session with two consecutive iterations scored on every objective "
            f"({', '.join(trajectories.space.names)}), but there is none"
            + (f". Left out: {reasons}" if reasons else "")
            + ". Choose fewer objectives with --objective, or give longer sessions"
        )
    options = Options(dt=dt, level=level, draws=draws, seed=seed)
    efficiencies = session_efficiencies(trajectories)
    strategies = {}
    for code, name in enumerate(trajectories.strategies):
        if not (trajectories.strategy == code).any():
            continue
        own = steps.where(steps.strategy == code)
        sessions = np.flatnonzero(trajectories.session_strategy == code)
        strategies[name] = fit_strategy(name, trajectories, own, sessions, efficiencies, options)
    pooled = fit_strategy(POOLED, trajectories, steps, np.arange(trajectories.n_sessions), efficiencies, options)
    warnings = tuple(f"{name}: {text}" for name, one in strategies.items() for text in one.warnings)
    return Fit(
        space=trajectories.space,
        dt=dt,
        level=level,
        seed=seed,
        strategies=strategies,
        pooled=pooled,
        warnings=warnings,
        exclusions=(*trajectories.exclusions, *lost),
        notes=trajectories.notes,
        trajectories=trajectories,
    )


def interference(
    data: Any, *, objectives: Any = None, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> ArrayEstimate:
    """Return the interference matrix (paper, eq. 4) of all steps, (n, n), with session-bootstrap intervals.

    I_ij = Corr(dx_i, dx_j) for i != j, and 0 on the diagonal. Parameters are those of `fit`.
    """
    moments = session_moments(_trajectories(data, objectives).steps())
    if moments.n_steps < 2:
        raise FitError(f"interference needs at least two complete steps, but there are {moments.n_steps}")
    estimate = ls.estimate(moments.total, moments.center, moments.scale)
    if moments.n_sessions < 2:
        return interference_estimate(moments, estimate, None, level)
    replicates = resample(moments, draws, seed, "interference")
    drawn = ls.estimate(replicates, moments.center, moments.scale)
    return interference_estimate(moments, estimate, drawn, level)


def _trajectories(data: Any, objectives: Any) -> Trajectories:
    if not isinstance(data, Trajectories):
        from trimtab.store.load import load

        return load(data, objectives=objectives)
    return data if objectives is None else data.select(objectives=[str(name) for name in objectives])

"""fit(trajectories) -> Fit: the paper's analysis of every strategy, with uncertainty from resampled sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import FAILED, Exclusion, Trajectories
from trimtab.errors import FitError
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.cautions import Design
from trimtab.estimation.ground import Ground
from trimtab.estimation.moments import MOST_PATHS, stepping_sessions, trajectory_moments
from trimtab.estimation.multiplicity import adjusted_interference
from trimtab.estimation.options import Options, trajectories_of
from trimtab.estimation.outcomes import session_efficiencies
from trimtab.estimation.results import ArrayEstimate, Fit, StrategyFit
from trimtab.estimation.strategy import bootstrap_key, fit_strategy
from trimtab.estimation.threads import single_threaded

if TYPE_CHECKING:
    from trimtab.estimation.pooling.results import Pooling

__all__ = ["Fit", "fit", "interference"]


@single_threaded
def fit(
    data: Any,
    *,
    objectives: Any = None,
    dt: float = 1.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    estimator: str = "auto",
    group: str | None = None,
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
    estimator
        ``"auto"`` fits every rung that the data call for and trusts the one that they speak for; ``"all"`` fits every
        rung that can be fitted. ``"least-squares"`` is exactly the paper's estimator; any other name adds that rung and
        trusts it.
    group
        A column such as ``"task_id"`` or ``"model"`` over which sessions are pooled as well, see `trimtab.pool`.

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
    options = Options.checked(dt, level, draws, seed, estimator)
    trajectories = trajectories_of(data, objectives, group)
    if group is not None:
        from trimtab.estimation.pooling.groups import labels_of

        labels_of(trajectories, group)  # before anything costs time
    # A session without a step tells where it started and nothing about where the strategy leads.
    stepping = stepping_sessions(trajectories)
    lost = trajectories.lost_steps()
    if not len(stepping):
        raise _nothing_to_fit(trajectories, lost)
    efficiencies = session_efficiencies(trajectories)
    if len(stepping) < trajectories.n_sessions:
        lost = (*lost, _idle(trajectories, stepping))
    ended_under = trajectories.session_strategy[stepping]
    strategies = {}
    for code, name in enumerate(trajectories.strategies):
        if (trajectories.strategy == code).any():
            sessions = stepping[ended_under == code]
            strategies[name] = fit_strategy(trajectories, code, sessions, efficiencies, options)
    whole = fit_strategy(trajectories, None, stepping, efficiencies, options)
    by_name: dict[str | None, StrategyFit] = {None: whole}
    by_name.update(strategies)
    fits = _tested(by_name)
    pooling, refused = (None, ()) if group is None else _pooled(trajectories, group, options)
    return Fit(
        space=trajectories.space,
        dt=options.dt,
        level=options.level,
        seed=options.seed,
        estimator=options.estimator,
        strategies={name: fits[name] for name in strategies},
        pooled=fits[None],
        warnings=(*(f"{name}: {text}" for name, one in strategies.items() for text in one.warnings), *refused),
        exclusions=(*trajectories.exclusions, *lost),
        notes=(*trajectories.notes, *_sampled(strategies.values())),
        trajectories=trajectories,
        pooling=pooling,
    )


def _pooled(trajectories: Trajectories, group: str, options: Options) -> tuple[Pooling | None, tuple[str, ...]]:
    """Return the pooling, or why there is none: the rest of the fit stands without it."""
    from trimtab.estimation.pooling.pool import pool

    try:
        found = pool(trajectories, group, dt=options.dt, level=options.level, draws=options.draws, seed=options.seed)
    except FitError as error:
        return None, (f"not pooled by {group}: {error}",)
    return found, ()


def _nothing_to_fit(trajectories: Trajectories, lost: Sequence[Exclusion]) -> FitError:
    """Say why no session has a step."""
    where = "trimtab status says why, trimtab show SESSION --answer what came"
    failed = (trajectories.status == FAILED).any(axis=1)
    later = np.delete(failed, trajectories.offsets[:-1])
    if len(later) and later.all():
        return FitError(
            f"there is nothing to fit, because all iterations after the start ({len(later):,}) failed, and none has "
            f"scores that can be used: {where}"
        )
    reasons = "; ".join(map(str, (*lost, *trajectories.exclusions)))
    remedy = "Choose fewer objectives with --objective, or give longer sessions"
    if failed.any():
        remedy = f"Too few answers could be used: {where}"
    return FitError(
        "a fit needs at least one session with two consecutive iterations scored on every objective "
        f"({', '.join(trajectories.space.names)}), but there is none"
        + (f". Left out: {reasons}" if reasons else "")
        + f". {remedy}"
    )


def _idle(trajectories: Trajectories, stepping: NDArray[np.int64]) -> Exclusion:
    """Count sessions without a complete step, and those among them that had nothing left to reach."""
    idle = np.ones(trajectories.n_sessions, dtype=bool)
    idle[stepping] = False
    space, last = trajectories.space, trajectories.scores[trajectories.offsets[1:][idle] - 1]
    best = np.where(space.sign > 0, space.high, space.low)
    done = int((np.isfinite(best) & (last == best)).all(axis=1).sum())
    reached = f" ({done:,} of them end at the best score of all: what is left is harder)" if done else ""
    return Exclusion(f"without a complete step, and left out of all figures{reached}", int(idle.sum()), "sessions")


def _tested(fits: dict[str | None, StrategyFit]) -> dict[str | None, StrategyFit]:
    """Return fits by strategy, and of all pooled under None, with p-values of interference adjusted for all of them."""
    parts = {name: one.interference_parts for name, one in fits.items() if one.interference_parts is not None}
    tests = adjusted_interference(parts)
    return {
        name: replace(one, interference_p_value=tests[name].p_value) if name in tests else one
        for name, one in fits.items()
    }


def _sampled(strategies: Iterable[StrategyFit]) -> tuple[str, ...]:
    """Say where only some sessions were looked at as whole paths."""
    many = [one.name for one in strategies if one.sessions > MOST_PATHS]
    if not many:
        return ()
    return (
        f"{MOST_PATHS:,} sessions each stand for all of {', '.join(many)} in tests, parts of interference and every "
        "estimator but least squares.",
    )


@single_threaded
def interference(
    data: Any, *, objectives: Any = None, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> ArrayEstimate:
    """Return the interference matrix (paper, eq. 4) of all steps, (n, n), with session-bootstrap intervals.

    I_ij = Corr(dx_i, dx_j) for i != j, and 0 on the diagonal. Parameters are those of `fit`, and so are the numbers.
    """
    options = Options.checked(1.0, level, draws, seed)
    moments = trajectory_moments(trajectories_of(data, objectives), seed=options.seed)
    if moments.n_steps < 2:
        raise FitError(f"interference needs at least two complete steps, but there are {moments.n_steps}")
    estimate = ls.estimate(moments.total, moments.center, moments.scale)
    drawn = None
    if moments.n_sessions > 1:
        replicates = resample(moments, options.draws, options.seed, *bootstrap_key(None))
        drawn = ls.estimate(replicates, moments.center, moments.scale)
    return Ground(moments, Design.of(moments), estimate, drawn, options.dt, options.level).interference()

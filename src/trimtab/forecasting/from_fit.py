"""Loops of a fit: the trusted estimate of every strategy, with its draws."""

from __future__ import annotations

import numpy as np

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError
from trimtab.estimation.outcomes import end_scores
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import RUNGS
from trimtab.forecasting.cautions import of_coarse, of_radius, of_verdict
from trimtab.forecasting.loops import Drifts, Loop, Loops
from trimtab.forecasting.starts import Starts

__all__ = ["loops_of_fit", "observed_starts"]


def loops_of_fit(fit: Fit) -> Loops:
    """Return the loops of a fit; paths start where any of its sessions did.

    Raises
    ------
    FitError
        If no strategy has a fitted drift.
    """
    loops, left_out = {}, {}
    for name, one in fit.strategies.items():
        if one.identified and np.isfinite(one.Q).all():
            loops[name] = _loop(one)
        else:
            left_out[name] = "its steps do not identify a drift"
    if not loops:
        raise FitError(f"a forecast needs a fitted drift, but no strategy has one ({', '.join(left_out)})")
    return Loops(fit.space, loops, observed_starts(fit.trajectories), "fit", left_out)


def observed_starts(trajectories: Trajectories) -> Starts:
    """Return the law that draws from the first completely scored iterations of all sessions."""
    first = end_scores(trajectories, np.arange(trajectories.n_sessions), first=True)
    points = first[np.isfinite(first).all(axis=1)]
    return Starts.observed(points, f"where {len(points):,} sessions started, whatever their strategy: one is drawn")


def _loop(one: StrategyFit) -> Loop:
    rung = one.rung
    loop = Loop(
        name=one.name,
        model=AffineSDE(one.A, one.b, one.Q, one.dt),
        drifts=Drifts(rung.draws.A, rung.draws.b) if len(rung.draws.A) > 1 else None,
        active=one.active,
        score_noise=rung.R,
        session_sd=rung.session_sd,
        estimator=RUNGS[rung.name],
    )
    cautions = (
        *of_verdict(one.diagnosis.label, one.diagnosis.reasons),
        *of_coarse(one.coarse.chosen, one.coarse.says),
        *of_radius(loop),
    )
    return loop.with_cautions(cautions)

"""Loops of a fit: of every strategy the estimate that predicts its scores, with its draws."""

from __future__ import annotations

from functools import partial

import numpy as np

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.moments import stepping_sessions
from trimtab.estimation.outcomes import end_scores
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import RUNGS
from trimtab.forecasting.cautions import of_coarse, of_radius, of_verdict, unidentified
from trimtab.forecasting.loops import Drifts, Loop, Loops, usable
from trimtab.forecasting.starts import Starts

__all__ = ["loops_of_fit", "observed_starts"]


def loops_of_fit(fit: Fit) -> Loops:
    """Return the loops of a fit; paths start where the sessions of their strategy did.

    Raises
    ------
    FitError
        If no strategy has a fitted drift.
    """
    loops, left_out = usable(
        {
            name: partial(_loop, fit.trajectories, one) if one.identified else unidentified(one.warnings)
            for name, one in fit.strategies.items()
        }
    )
    return Loops(fit.space, loops, "fit", left_out)


def observed_starts(trajectories: Trajectories, strategy: str) -> Starts:
    """Return the law that draws from the first completely scored iterations of the sessions of a strategy.

    They are the sessions that have a complete step and end under it; all that have a step where there are none.
    """
    sessions = stepping_sessions(trajectories)
    own = sessions[trajectories.session_strategy[sessions] == trajectories.strategies.index(strategy)]
    first = end_scores(trajectories, own if len(own) else sessions, first=True)
    points = first[np.isfinite(first).all(axis=1)]
    return Starts.observed(points, f"where one of its {len(points):,} sessions did, drawn at random")


def _loop(trajectories: Trajectories, one: StrategyFit) -> Loop:
    rung = one.rungs[one.predicts]
    loop = Loop(
        name=one.name,
        model=AffineSDE(rung.A, rung.b, rung.Q, one.dt),
        starts=observed_starts(trajectories, one.name),
        drifts=Drifts(rung.draws.A, rung.draws.b) if len(rung.draws.A) > 1 else None,
        active=one.active,
        score_noise=rung.R,
        session_sd=rung.session_sd,
        estimator=RUNGS[rung.name],
        label=one.diagnosis.label,
    )
    cautions = (
        *of_verdict(one.diagnosis.label, one.diagnosis.reasons),
        *of_coarse(one.coarse.chosen, one.coarse.says),
        *of_radius(loop),
    )
    return loop.with_cautions(cautions)

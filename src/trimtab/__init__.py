"""trimtab measures, models and steers iterative LLM loops that chase several objectives at once.

Every name below is imported when it is first used, so that ``import trimtab`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.control.decision import Decision as Decision
    from trimtab.control.floor import Floor as Floor
    from trimtab.control.pilot import Pilot as Pilot
    from trimtab.core.coupling import couple as couple
    from trimtab.core.objectives import Objective as Objective
    from trimtab.core.objectives import ObjectiveSpace as ObjectiveSpace
    from trimtab.core.trajectories import Trajectories as Trajectories
    from trimtab.dynamics.affine import AffineSDE as AffineSDE
    from trimtab.errors import TrimtabError as TrimtabError
    from trimtab.estimation.audit.audit import audit as audit
    from trimtab.estimation.bayes import sample as sample
    from trimtab.estimation.comparison.compare import Comparison as Comparison
    from trimtab.estimation.comparison.compare import compare as compare
    from trimtab.estimation.fit import Fit as Fit
    from trimtab.estimation.fit import fit as fit
    from trimtab.estimation.fit import interference as interference
    from trimtab.estimation.nonlinear.fit import fit_nonlinear as fit_nonlinear
    from trimtab.estimation.pooling.pool import pool as pool
    from trimtab.estimation.posterior import Posterior as Posterior
    from trimtab.forecasting.forecast import Forecast as Forecast
    from trimtab.forecasting.forecast import forecast as forecast
    from trimtab.sessions.run import Run as Run
    from trimtab.sessions.run import run as run
    from trimtab.sessions.strategies import Strategy as Strategy
    from trimtab.sessions.task import Task as Task
    from trimtab.simulation.ensemble import Ensemble as Ensemble
    from trimtab.simulation.ensemble import simulate as simulate
    from trimtab.simulation.transitions import NonlinearSDE as NonlinearSDE
    from trimtab.store.load import load as load
    from trimtab.store.load import save as save

_WHERE = {
    "AffineSDE": "trimtab.dynamics.affine",
    "Comparison": "trimtab.estimation.comparison.compare",
    "Decision": "trimtab.control.decision",
    "Ensemble": "trimtab.simulation.ensemble",
    "Fit": "trimtab.estimation.fit",
    "Floor": "trimtab.control.floor",
    "Forecast": "trimtab.forecasting.forecast",
    "NonlinearSDE": "trimtab.simulation.transitions",
    "Objective": "trimtab.core.objectives",
    "ObjectiveSpace": "trimtab.core.objectives",
    "Pilot": "trimtab.control.pilot",
    "Posterior": "trimtab.estimation.posterior",
    "Run": "trimtab.sessions.run",
    "Strategy": "trimtab.sessions.strategies",
    "Task": "trimtab.sessions.task",
    "Trajectories": "trimtab.core.trajectories",
    "TrimtabError": "trimtab.errors",
    "audit": "trimtab.estimation.audit.audit",
    "compare": "trimtab.estimation.comparison.compare",
    "couple": "trimtab.core.coupling",
    "fit": "trimtab.estimation.fit",
    "forecast": "trimtab.forecasting.forecast",
    "fit_nonlinear": "trimtab.estimation.nonlinear.fit",
    "interference": "trimtab.estimation.fit",
    "load": "trimtab.store.load",
    "pool": "trimtab.estimation.pooling.pool",
    "run": "trimtab.sessions.run",
    "sample": "trimtab.estimation.bayes",
    "save": "trimtab.store.load",
    "simulate": "trimtab.simulation.ensemble",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("trimtab")
    if name not in _WHERE:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}; it has {', '.join(_WHERE)}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*_WHERE, "__version__"]

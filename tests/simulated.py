"""Trajectories whose truth is known, for the tests of several rooms."""

from __future__ import annotations

import numpy as np

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.fit import stepping_sessions
from trimtab.estimation.options import Options
from trimtab.estimation.outcomes import session_efficiencies
from trimtab.estimation.results import StrategyFit
from trimtab.estimation.strategy import fit_strategy

NAMES = ["security", "efficiency", "functionality"]

REAL = AffineSDE([[-0.33, 0.0, 0.0], [0.1, -0.7, 0.0], [0.0, -0.1, -1.0]], [1.7, 2.7, 5.5], 0.25 * np.eye(3) + 0.05)
COMPLEX = AffineSDE([[-0.35, 0.35, 0.0], [-0.35, -0.35, 0.0], [0.0, 0.0, -0.9]], [0.0, 3.5, 4.5], 0.25 * np.eye(3))


def panel(
    model: AffineSDE = REAL, sessions: int = 100, steps: int = 10, seed: int = 0, strategy: str = "EF", names=None
) -> Trajectories:
    """Simulate `sessions` unclipped sessions from spread-out starts."""
    rng = np.random.default_rng(seed)
    start = rng.normal(5, 1, (sessions, model.n))
    names = names or (NAMES[: model.n] if model.n <= 3 else [f"o{j}" for j in range(model.n)])
    return Trajectories.from_arrays(model.simulate(start, steps, rng), names, strategy)


def noise(sessions: int = 100, steps: int = 10, seed: int = 0, n: int = 3) -> Trajectories:
    """Simulate sessions whose scores are independent draws around a fixed level: no dynamics at all."""
    rng = np.random.default_rng(seed)
    return Trajectories.from_arrays(rng.normal(5, 1, (sessions, steps + 1, n)), NAMES[:n], "EF")


def only_fit(data: Trajectories, draws: int = 200) -> StrategyFit:
    """Fit the one strategy of `data` by least squares as `fit` does, which would fit the same steps pooled as well."""
    options = Options.checked(1.0, 0.95, draws, 0, "least-squares")
    return fit_strategy(data, 0, stepping_sessions(data), session_efficiencies(data), options)

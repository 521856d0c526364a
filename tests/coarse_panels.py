"""Loops that stand still, and chains on few levels, whose truth is known."""

from __future__ import annotations

import numpy as np

from simulated import NAMES, REAL
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.coarse.choice import Coarse, coarse_fit
from trimtab.estimation.options import Options


def stalling(
    model: AffineSDE = REAL,
    p: float = 0.6,
    slope: np.ndarray | None = None,
    sessions: int = 100,
    steps: int = 10,
    seed: int = 0,
) -> Trajectories:
    """Simulate sessions that stand still with probability p at 5, with log odds changing by `slope` per score."""
    rng = np.random.default_rng(seed)
    state = rng.normal(5, 1, (sessions, model.n))
    paths = np.empty((sessions, steps + 1, model.n))
    paths[:, 0] = state
    for t in range(steps):
        odds = np.log(p / (1 - p)) + (0.0 if slope is None else (state - 5) @ slope)
        still = rng.random(sessions) < 1 / (1 + np.exp(-odds))
        state = np.where(still[:, None], state, model.step(state, rng.standard_normal(state.shape)))
        paths[:, t + 1] = state
    return Trajectories.from_arrays(paths, NAMES[: model.n], "EF")


def hopping(
    P: np.ndarray, sessions: int = 100, steps: int = 10, seed: int = 0, stop: int | None = None
) -> Trajectories:
    """Simulate a Markov chain on the scores 0, 1, ... from random starts; sessions end on reaching the state `stop`."""
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(P, axis=1)
    paths = []
    for _ in range(sessions):
        path = [int(rng.integers(len(P)))]
        while len(path) <= steps and path[-1] != stop:
            path.append(min(int(np.searchsorted(cumulative[path[-1]], rng.random())), len(P) - 1))
        paths.append(np.array(path, dtype=float)[:, None])
    return Trajectories.from_arrays(paths, ["grade"], "EF")


def look(data: Trajectories, draws: int = 200, dt: float = 1.0) -> Coarse:
    """Fit the first strategy."""
    steps = data.steps()
    return coarse_fit(data, steps.where(steps.strategy == 0), 0, Options(dt=dt, level=0.95, draws=draws, seed=0))

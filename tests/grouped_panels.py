"""Sessions of tasks whose dynamics resemble each other, and whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulated import NAMES
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE

SLOW = AffineSDE([[-0.5]], [2.5], [[0.25]])
TWO = AffineSDE([[-0.4, 0.0], [0.15, -0.8]], [2.0, 3.25], 0.2 * np.eye(2) + 0.05)


def labelled(data: Trajectories, **columns: list[str]) -> Trajectories:
    return replace(data, covariates={name: tuple(labels) for name, labels in columns.items()})


def tasks(
    groups: int = 30,
    times: int = 3,
    *,
    model: AffineSDE = SLOW,
    levels: float | np.ndarray = 0.0,
    A: np.ndarray | None = None,
    sessions: float = 0.0,
    follow: float = 0.0,
    steps: int = 8,
    ragged: bool = False,
    seed: int = 0,
    rng: np.random.Generator | None = None,
) -> Trajectories:
    """Simulate `times` sessions of each task, interleaved, labelled by ``task_id``.

    Parameters
    ----------
    levels
        Standard deviation of the tasks' equilibria, or their deviations (groups, n) from that of `model`.
    A
        (groups, n, n) drift matrices of the tasks, in place of that of `model`.
    sessions
        Standard deviation of equilibria between sessions of one task.
    follow
        How far a start lies on its task's side: 0 not at all, 1 at its equilibrium.
    ragged
        Whether sessions have 1 to `steps` steps, and not all as many.
    """
    rng = np.random.default_rng(seed) if rng is None else rng
    n, S = model.n, groups * times
    own = rng.normal(0, levels, (groups, n)) if np.ndim(levels) == 0 else np.asarray(levels)
    task = np.tile(np.arange(groups), times)
    target = model.equilibrium + own[task] + rng.normal(0, sessions, (S, n))
    pull = np.broadcast_to(model.A, (groups, n, n))[task] if A is None else A[task]
    root = np.linalg.cholesky(model.Q)
    x = np.empty((S, steps + 1, n))
    x[:, 0] = model.equilibrium + follow * own[task] + rng.normal(0, 1, (S, n))
    for t in range(steps):
        drift = np.einsum("sij,sj->si", pull, x[:, t] - target)
        x[:, t + 1] = x[:, t] + drift + rng.standard_normal((S, n)) @ root.T
    lengths = rng.integers(2, steps + 2, S) if ragged else np.full(S, steps + 1)
    made = Trajectories.from_arrays([x[s, : lengths[s]] for s in range(S)], NAMES[:n], "EF")
    return labelled(made, task_id=[f"t{g}" for g in task])

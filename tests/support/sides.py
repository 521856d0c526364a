"""Sides of comparisons, for the tests of several modules."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from simulated import REAL
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.comparison.compare import compare

FASTER = AffineSDE(REAL.A - 0.15 * np.eye(3), REAL.b + 0.15 * REAL.equilibrium, REAL.Q)

compare_plainly = partial(compare, estimator="least-squares")
"""For tests of what does not depend on the estimates that sides trust, most of the cost of a comparison."""


def labelled(data: Trajectories, **columns: list[str]) -> Trajectories:
    return replace(data, covariates={name: tuple(labels) for name, labels in columns.items()})


def renamed(data: Trajectories, prefix: str) -> Trajectories:
    return replace(data, session_ids=tuple(f"{prefix}{name}" for name in data.session_ids))


def joined(*parts: Trajectories) -> Trajectories:
    """Put sessions of several sources into one, covariates included."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.strategies))
    codes = [np.array([names.index(name) for name in part.strategies])[part.strategy] for part in parts]
    lengths = np.concatenate([part.lengths for part in parts])
    return Trajectories(
        space=parts[0].space,
        scores=np.concatenate([part.scores for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        iteration=np.concatenate([part.iteration for part in parts]),
        strategy=np.concatenate(codes),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        session_ids=tuple(f"{i}/{name}" for i, part in enumerate(parts) for name in part.session_ids),
        strategies=names,
        covariates={name: sum((part.covariates[name] for part in parts), ()) for name in parts[0].covariates},
    )


def tasks(count: int, times: int = 1) -> list[str]:
    return [f"task {i // times}" for i in range(count * times)]


def retries(chances: np.ndarray, tries: int, rng: np.random.Generator) -> Trajectories:
    """Try up to `tries` times from score 0 to reach 1, session s with `chances[s]` (S,) per try, and stop there."""
    solved = rng.random((len(chances), tries)) < chances[:, None]
    lengths = np.where(solved.any(axis=1), solved.argmax(axis=1) + 1, tries)
    paths = [np.zeros((length + 1, 1)) for length in lengths]
    for path, solves in zip(paths, solved.any(axis=1), strict=True):
        path[-1] = solves
    return Trajectories.from_arrays(paths, ["solved:0:1"], "retry")

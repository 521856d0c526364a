"""Paths of a forecast as sessions, to be written as a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import OK, Trajectories
from trimtab.errors import InputError
from trimtab.forecasting.fan import Fan

__all__ = ["trajectories_of_paths"]


def trajectories_of_paths(
    space: ObjectiveSpace, fans: Mapping[str, Fan], states: Mapping[str, NDArray[np.float64]]
) -> Trajectories:
    """Return paths as sessions named ``FAN/NUMBER``, labelled ``forecast`` by their fan.

    Raises
    ------
    InputError
        If a path left all numbers.
    """
    strategies = tuple(dict.fromkeys(name for fan in fans.values() for name in fan.schedule))
    code = {name: k for k, name in enumerate(strategies)}
    scores = np.concatenate([states[name].reshape(-1, space.n) for name in fans])
    if not np.isfinite(scores).all():
        raise InputError(
            "a path left all numbers, because a loop does not converge: give the objectives bounds, or fewer steps"
        )
    strategy, iteration = [], []
    for fan in fans.values():
        # The start was produced by no strategy: it is counted with the first.
        taken = np.array([code[name] for name in (fan.schedule[0], *fan.schedule)])
        strategy.append(np.tile(taken, fan.paths))
        iteration.append(np.tile(np.arange(fan.steps + 1), fan.paths))
    lengths = np.concatenate([np.full(fan.paths, fan.steps + 1) for fan in fans.values()])
    return Trajectories(
        space=space,
        scores=scores,
        status=np.full(scores.shape, OK, dtype=np.int8),
        iteration=np.concatenate(iteration),
        strategy=np.concatenate(strategy),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        session_ids=tuple(f"{name}/{p}" for name, fan in fans.items() for p in range(fan.paths)),
        strategies=strategies,
        covariates={"forecast": tuple(name for name, fan in fans.items() for _ in range(fan.paths))},
    )

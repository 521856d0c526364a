"""The options that every analysis shares, checked, and the data that it looks at."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trimtab.core.objectives import Objective
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError

__all__ = ["ESTIMATORS", "Estimator", "Options", "trajectories_of"]

Estimator = Literal["auto", "least-squares", "tobit", "repeats", "state-space", "all"]

ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

SHORTEST = 1e-6
MOST_DRAWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """Time between iterations, coverage of intervals, replicates, their seed, and the rungs wanted."""

    dt: float = 1.0
    level: float = 0.95
    draws: int = 2000
    seed: int = 0
    estimator: Estimator = "auto"

    @classmethod
    def checked(cls, dt: float, level: float, draws: int, seed: int, estimator: str = "auto") -> Options:
        """Return the options; ``InputError`` where one makes no sense."""
        try:
            dt, level = float(dt), float(level)
            draws, seed = operator.index(draws), operator.index(seed)
        except (TypeError, ValueError):
            raise InputError(
                "dt and level must be numbers, draws and seed whole numbers, but got "
                f"dt={dt!r}, level={level!r}, draws={draws!r} and seed={seed!r}"
            ) from None
        if not SHORTEST <= dt <= 1 / SHORTEST:
            raise InputError(f"dt must be positive, from {SHORTEST:g} to {1 / SHORTEST:g}, but got {dt:g}")
        if not 0 < level < 1:
            raise InputError(f"level must lie strictly between 0 and 1, for example 0.95, but got {level:g}")
        if not 10 <= draws <= MOST_DRAWS:
            raise InputError(f"from 10 to {MOST_DRAWS:,} draws are possible, but got {draws:,}")
        chosen = next((name for name in ESTIMATORS if name == estimator), None)
        if chosen is None:
            raise InputError(f"estimator must be one of {', '.join(ESTIMATORS)}, but got {estimator!r}")
        return cls(dt=dt, level=level, draws=draws, seed=seed, estimator=chosen)


def trajectories_of(data: Any, objectives: Any, group: str | None = None) -> Trajectories:
    """Return `data`, loaded where it is a path, a store URL or a table, on the wanted objectives (None: all).

    Sessions of a table are labelled by its column `group` too, where it is not labelled by that anyway.
    """
    if isinstance(objectives, str):
        objectives = [objectives]
    if not isinstance(data, Trajectories) or any(isinstance(one, Objective) for one in objectives or ()):
        from trimtab.store.columns import Columns
        from trimtab.store.load import load

        return load(data, objectives=objectives, columns=Columns.grouped_by(group))
    return data if objectives is None else data.select(objectives=[str(name) for name in objectives])

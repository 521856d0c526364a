"""Both sides of a comparison as one set of steps, so that they share levels and states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation.cautions import rows_of
from trimtab.estimation.comparison.sides import Side, Units

__all__ = ["Joint"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """The steps of both sides.

    Parameters
    ----------
    trajectories, rows
        The sessions of side a, then those of side b, and (N,) the rows that either side produced or started from.
    steps
        The M steps, in the same order.
    side, unit
        (M,) 0 or 1, and the unit of each step on its side.
    units
        Number of units on either side.
    """

    trajectories: Trajectories
    rows: Bools
    steps: Steps
    side: Ints
    unit: Ints
    units: tuple[int, int]

    @classmethod
    def of(cls, sides: tuple[Side, Side], drawn: Units) -> Joint:
        """Put two sides together, of which only sessions with a unit are left."""
        a, b = (one.trajectories.select(one.sessions) for one in sides)
        both = replace(
            a,
            scores=np.concatenate([a.scores, b.scores]),
            status=np.concatenate([a.status, b.status]),
            iteration=np.concatenate([a.iteration, b.iteration]),
            strategy=np.zeros(a.n_rows + b.n_rows, dtype=np.int64),
            offsets=np.concatenate([a.offsets, a.offsets[-1] + b.offsets[1:]]),
            session_ids=(*(f"a/{name}" for name in a.session_ids), *(f"b/{name}" for name in b.session_ids)),
            strategies=("both",),
            covariates={},
            judgements=None,
        )
        first = [np.searchsorted(one.sessions, one.steps.session) for one in sides]
        one, other = (side.steps for side in sides)
        return cls(
            trajectories=both,
            rows=np.concatenate([rows_of(part, side.code) for part, side in zip((a, b), sides, strict=True)]),
            steps=Steps(
                x=np.concatenate([one.x, other.x]),
                dx=np.concatenate([one.dx, other.dx]),
                session=np.concatenate([first[0], a.n_sessions + first[1]]),
                strategy=np.zeros(len(one) + len(other), dtype=np.int64),
                iteration=np.concatenate([one.iteration, other.iteration]),
            ),
            side=np.repeat([0, 1], [len(one), len(other)]),
            unit=np.concatenate([drawn.a[one.session], drawn.b[other.session]]),
            units=drawn.count,
        )

    def by_units(self, side: int) -> tuple[Steps, Ints]:
        """Return the steps of one side, in order of its units, which take the place of sessions; and where they are."""
        at = np.flatnonzero(self.side == side)
        at = at[np.argsort(self.unit[at], kind="stable")]
        steps = self.steps
        return Steps(steps.x[at], steps.dx[at], self.unit[at], steps.strategy[at], steps.iteration[at]), at

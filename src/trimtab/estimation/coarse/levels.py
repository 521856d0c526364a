"""How coarse the scores are: steps that change nothing, the levels that scores take, and the cells between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import OK, Steps, Trajectories

__all__ = ["LISTED", "MOST_STATES", "Cells", "Levels", "levels_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LISTED = 12
"""Levels up to which an objective counts as having few, and they are listed."""

MOST_STATES = 64
"""Joint states up to which a chain is tried."""

_ROUNDING = 1e-9  # difference, relative to two scores, below which they are the same: means of judgements round


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """How often nothing changes, and how many values the scores take.

    Parameters
    ----------
    names
        The n objectives.
    steps
        Number of complete steps M.
    unchanged
        Share of the steps that leave every objective as it is.
    unchanged_per_objective
        (n,) share of the steps that leave each as it is.
    count
        (n,) number of distinct values among the scores that the strategy produced or started from.
    share
        (n,) the same divided by the number of those scores: 1 where no value comes twice.
    values
        For each objective its values in increasing order where there are at most `LISTED`, else None.
    """

    names: tuple[str, ...]
    steps: int
    unchanged: float
    unchanged_per_objective: Floats
    count: Ints
    share: Floats
    values: tuple[tuple[float, ...] | None, ...]

    @property
    def few(self) -> bool:
        """True where an objective that varies has levels few enough for states."""
        return bool(((self.count > 1) & (self.count <= MOST_STATES)).any())


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The scale of each objective, cut halfway between neighbouring levels; the outermost cells are open.

    On these cells every model is a probability law, whether it thinks of scores as numbers or as states. Where levels
    are many the cells are narrow, and the law of a Gaussian is its density times their width.

    Parameters
    ----------
    levels
        For each objective its distinct values, increasing.
    edges
        For each objective one more value than levels, from minus to plus infinity: cell i is edges[i] to edges[i + 1].
    floor
        (n,) difference below which two scores are the same however small they are.
    """

    levels: tuple[Floats, ...]
    edges: tuple[Floats, ...]
    floor: Floats

    @classmethod
    def of(cls, scores: Floats, known: Bools) -> Cells:
        """Return the cells of the `known` entries of `scores`, both (N, n)."""
        levels, edges, floor = [], [], []
        for column, there in zip(scores.T, known.T, strict=True):
            values = np.unique(column[there])
            # Not the largest score: some logs write enormous numbers where there is no score.
            tiny = _ROUNDING**2 * float(np.median(np.abs(values))) if len(values) else 0.0
            values = values[~_same(values, np.concatenate([[-np.inf], values[:-1]]), tiny)]
            levels.append(values)
            edges.append(np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]]))
            floor.append(tiny)
        return cls(tuple(levels), tuple(edges), np.array(floor))

    @property
    def count(self) -> Ints:
        """Number of levels of each objective, (n,)."""
        return np.array([len(values) for values in self.levels], dtype=np.int64)

    def codes(self, scores: Floats, objectives: Ints) -> Ints:
        """Return the cell of each score on the given objectives, (M, k) from (M, n)."""
        found = np.empty((len(scores), len(objectives)), dtype=np.int64)
        for i, j in enumerate(objectives):
            found[:, i] = np.searchsorted(self.edges[j][1:-1], scores[:, j])
        return found

    def bounds(self, codes: Ints) -> tuple[Floats, Floats]:
        """Return the lower and upper edges of cells, (M, n) each."""
        lower = np.stack([edges[code] for edges, code in zip(self.edges, codes.T, strict=True)], axis=1)
        upper = np.stack([edges[code + 1] for edges, code in zip(self.edges, codes.T, strict=True)], axis=1)
        return lower, upper


def _same(a: Floats, b: Floats, floor: Floats | float) -> Bools:
    """Say where two scores differ by rounding error only."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(a - b) <= np.maximum(_ROUNDING * np.minimum(np.abs(a), np.abs(b)), floor))


def levels_of(trajectories: Trajectories, steps: Steps, rows: Bools) -> tuple[Levels, Cells, Bools]:
    """Return how coarse one strategy's scores are, their cells, and which steps leave every score as it is, (M,).

    Parameters
    ----------
    steps
        The strategy's complete steps.
    rows
        (N,) the rows of `trajectories` that it produced or started from.
    """
    known = trajectories.status[rows] == OK
    cells = Cells.of(trajectories.scores[rows], known)
    same = _same(steps.x, steps.x + steps.dx, cells.floor)
    unchanged = np.asarray(same.all(axis=1))
    count = cells.count
    levels = Levels(
        names=trajectories.space.names,
        steps=len(steps),
        unchanged=float(unchanged.mean()) if len(steps) else float("nan"),
        unchanged_per_objective=same.mean(axis=0) if len(steps) else np.full(len(count), np.nan),
        count=count,
        share=count / np.maximum(known.sum(axis=0), 1),
        values=tuple(tuple(map(float, v)) if len(v) <= LISTED else None for v in cells.levels),
    )
    return levels, cells, unchanged

"""Sessions as whole paths: runs under one strategy, grouped by which of their iterations are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Trajectories

__all__ = ["Block", "Panel"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Runs that were scored at the same iterations, counted from their own start.

    Parameters
    ----------
    at
        (L,) iterations at which they were scored, increasing from 0.
    y
        (U, L, n) scores.
    session
        (U,) index of each run's session.
    """

    at: Ints
    y: Floats
    session: Ints

    @property
    def gapless(self) -> bool:
        """True where the iterations follow each other without a hole."""
        return len(self.at) == int(self.at[-1]) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The runs of one strategy: maximal stretches of a session in which it is in force, from the state it starts from.

    A run begins at the row from which the strategy's first step leaves and ends with its last row. Rows that are not
    scored on every objective are holes; a run starts and ends with a scored row. Runs of a single scored row say
    nothing about steps and are left out, unless `single` asks for them.

    Parameters
    ----------
    blocks
        Runs grouped by their scored iterations, longest span first.
    n
        Number of objectives.
    """

    blocks: tuple[Block, ...]
    n: int

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return sum(len(block.y) for block in self.blocks)

    @property
    def n_sessions(self) -> int:
        """Number of sessions with a run."""
        return len(np.unique(np.concatenate([block.session for block in self.blocks]))) if self.blocks else 0

    @property
    def span(self) -> int:
        """Number of iterations of the longest run, holes included."""
        return max((int(block.at[-1]) + 1 for block in self.blocks), default=0)

    @classmethod
    def of(
        cls, trajectories: Trajectories, code: int | None, chosen: Ints | None = None, *, single: bool = False
    ) -> Panel:
        """Return the runs of strategy `code` (None: whole sessions, whatever the strategy) on the `chosen` objectives.

        A row counts as scored if it is scored on all objectives, chosen or not, so that every estimator sees the same
        rows.
        """
        chosen = np.arange(trajectories.space.n) if chosen is None else chosen
        start, stop = _runs(trajectories, code)
        complete = trajectories.complete
        blocks: dict[bytes, list[tuple[Ints, int]]] = {}
        offsets: dict[bytes, Ints] = {}
        scored = np.concatenate([[0], np.cumsum(complete)])
        rows = np.flatnonzero(complete)
        iteration, session = trajectories.iteration, trajectories.session
        for first, last in zip(scored[start], scored[stop], strict=True):
            own = rows[first:last]
            if len(own) < (1 if single else 2):
                continue
            at = iteration[own] - iteration[own[0]]
            key = at.tobytes()
            offsets.setdefault(key, at)
            blocks.setdefault(key, []).append((own, int(session[own[0]])))
        made = []
        for key, found in blocks.items():
            index = np.stack([own for own, _ in found])
            made.append(
                Block(offsets[key], trajectories.scores[index][..., chosen], np.array([s for _, s in found], np.int64))
            )
        # Ties are broken by the pattern itself, so that the order does not depend on the order of sessions.
        made.sort(key=lambda block: (-int(block.at[-1]), -len(block.at), block.at.tobytes()))
        return cls(tuple(made), len(chosen))

    def stretches(self) -> Iterator[Block]:
        """Yield the parts of the blocks without holes, of at least two rows; `at` still counts from the run's start."""
        for block in self.blocks:
            cuts = np.flatnonzero(np.diff(block.at) != 1) + 1
            for part in np.split(np.arange(len(block.at)), cuts):
                if len(part) > 1:
                    yield Block(block.at[part], block.y[:, part], block.session)


def _runs(trajectories: Trajectories, code: int | None) -> tuple[Ints, Ints]:
    """Return first row and one past the last row of each run, (runs,) each."""
    if code is None:
        return trajectories.offsets[:-1], trajectories.offsets[1:]
    session = trajectories.session
    # The row at t = 0 was produced by no strategy: it belongs to the run of the row after it.
    own = trajectories.strategy == code
    first_row = np.zeros(len(own), dtype=bool)
    first_row[trajectories.offsets[:-1]] = True
    begins = own & ~first_row & (np.concatenate([[True], ~own[:-1]]) | np.concatenate([[True], first_row[:-1]]))
    ends = own & np.concatenate([~own[1:] | (session[1:] != session[:-1]), [True]]) & ~first_row
    return np.flatnonzero(begins) - 1, np.flatnonzero(ends) + 1

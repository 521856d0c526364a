"""Per-session sufficient statistics: everything the estimators need from the data, in one pass.

For each session s the moments are M_s = sum over its steps of w w' with w = [1, u, du], where u = (x - center) / scale
and du = dx / scale. Regression coefficients, residual covariances, interference and both kinds of R2, for any set of
sessions or any weights on them, are functions of weighted sums of the M_s. They are additive over steps and sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps
from trimtab.errors import InputError

__all__ = ["Moments", "session_moments"]

Floats = NDArray[np.float64]

_BLOCK = 65_536  # steps whose outer products are held at once, so that memory does not grow with their number


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of S sessions on n objectives.

    Parameters
    ----------
    outer
        (S, 1 + 2n, 1 + 2n): M_s. ``outer[:, 0, 0]`` is the number of steps of each session.
    session
        (S,) index of each session in the trajectories, increasing.
    center, scale
        (n,) origin and unit of u; they keep the sums well conditioned and drop out of every result.
    """

    outer: Floats
    session: NDArray[np.int64]
    center: Floats
    scale: Floats

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.center)

    @property
    def n_sessions(self) -> int:
        """Number of sessions with at least one step."""
        return len(self.session)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return round(float(self.outer[:, 0, 0].sum()))

    @property
    def total(self) -> Floats:
        """Sum of the M_s, (1 + 2n, 1 + 2n)."""
        return np.asarray(self.outer.sum(axis=0))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of steps; sessions in both are added up.

        Raises
        ------
        InputError
            If the two were formed about different centers or scales.
        """
        if not (np.array_equal(self.center, other.center) and np.array_equal(self.scale, other.scale)):
            raise InputError("moments can be merged only if they share center and scale")
        session, inverse = np.unique(np.concatenate([self.session, other.session]), return_inverse=True)
        outer = np.zeros((len(session), *self.outer.shape[1:]))
        np.add.at(outer, inverse, np.concatenate([self.outer, other.outer]))
        return Moments(outer, session, self.center, self.scale)


def session_moments(steps: Steps, center: Floats | None = None, scale: Floats | None = None) -> Moments:
    """Form the moments of `steps`, which must be ordered by session.

    Parameters
    ----------
    steps
        Complete step changes.
    center, scale
        (n,). Mean and standard deviation of x where not given; an objective that never varies gets the scale 1.
    """
    n = steps.x.shape[1]
    if center is None:
        center = steps.x.mean(axis=0) if len(steps) else np.zeros(n)
    if scale is None:
        spread = steps.x.std(axis=0) if len(steps) else np.ones(n)
        # The standard deviation of a constant column is rounding error, not exactly zero.
        scale = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)
    session, starts = np.unique(steps.session, return_index=True)
    outer = np.zeros((len(session), 1 + 2 * n, 1 + 2 * n))
    owner = np.searchsorted(session, steps.session)
    for at in range(0, len(steps), _BLOCK):
        block = slice(at, at + _BLOCK)
        w = np.hstack([np.ones((len(steps.x[block]), 1)), (steps.x[block] - center) / scale, steps.dx[block] / scale])
        first, last = owner[block][0], owner[block][-1]
        cuts = np.concatenate([[0], np.maximum(starts[first + 1 : last + 1] - at, 0)])
        outer[first : last + 1] += np.add.reduceat(w[:, :, None] * w[:, None, :], cuts, axis=0)
    return Moments(outer, session.astype(np.int64), center, scale)

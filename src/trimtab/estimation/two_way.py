"""States as an iteration's mean, a session's level and the rest: the law of total covariance for ragged sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TwoWay", "two_way"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 5
"""Steps that an iteration must have for a mean of its own: that of one session alone is the session itself."""

MOST = 200
"""Means of iterations that are told apart; of more iterations, neighbours share one."""

_AT_ONCE = 4096  # sessions in a block
_UNLINKED = 1e-10  # size of an eigenvalue of the normalised Laplacian that counts as zero


@dataclass(frozen=True, slots=True, eq=False)
class TwoWay:
    """x_m = mean + iteration[group_m] + session[owner_m] + rest_m for the states of M steps, each part with mean zero.

    Least squares: `rest` has the mean zero over each session and over each group of iterations. Where all sessions have
    the same iterations these are the ordinary means, and the three parts are uncorrelated. In ragged sessions the first
    two may be correlated: late iterations are then of other sessions than early ones.

    Parameters
    ----------
    iteration, session
        (T, n) and (S, n): mean of each group of iterations, level of each session.
    group, owner
        (M,) position of each step in them.
    inverse
        (T, T) generalised inverse of the normal equations of `iteration`, sessions eliminated.
    """

    iteration: Floats
    session: Floats
    group: Ints
    owner: Ints
    inverse: Floats

    def pull_back(self, values: Floats) -> Floats:
        """Return g (T, n) that carries a linear function of the iterations' means over to weights on sessions.

        If session s gets the weight 1 + w_s, the sum over steps of values_m' iteration[group_m] changes by the sum of
        w_s g[group_m]' rest_m over steps, to first order in w.
        """
        return np.asarray(self.inverse @ _sums(values, self.group, len(self.inverse)))


def two_way(x: Floats, session: Ints, iteration: Ints) -> TwoWay:
    """Split states x (M, n) by the `session` and `iteration` (M,) of their steps, which must be ordered by session.

    Iterations with fewer than `FEWEST` steps share one mean, and where more than `MOST` remain, neighbours do. Where no
    session links two sets of iterations, differences between the sets count as differences between sessions.
    """
    group = _groups(iteration)
    owner = np.concatenate([[0], np.cumsum(np.diff(session) != 0)])
    length = np.bincount(owner)
    S, T = len(length), int(group.max(initial=0)) + 1
    size = np.bincount(group, minlength=T).astype(np.float64)
    centred = x - np.ones(len(x)) @ x / len(x)
    deviation = centred - (_sums(centred, owner, S) / length[:, None])[owner]
    shared = _shared(owner, group, length, T)
    # Normalised, so that its eigenvalues lie in [0, 1] and what counts as zero does not depend on the sizes.
    root = np.sqrt(size)
    values, vectors = np.linalg.eigh(np.eye(T) - shared / root[:, None] / root)
    linked = values > _UNLINKED
    scaled = vectors[:, linked] / root[:, None]
    inverse = (scaled / values[linked]) @ scaled.T
    mean = inverse @ _sums(deviation, group, T)
    mean -= size @ mean / size.sum()
    level = _sums(centred - mean[group], owner, S) / length[:, None]
    return TwoWay(mean, level, group, owner, inverse)


def _groups(iteration: Ints) -> Ints:
    """Return for each step which mean it belongs to, (M,)."""
    _, at, count = np.unique(iteration, return_inverse=True, return_counts=True)
    thin = count < FEWEST
    label = np.where(thin, -1, np.arange(len(count)))
    if (~thin).sum() > MOST:
        # Runs of neighbours with about equally many steps.
        reached = np.cumsum(np.where(thin, 0, count))
        label = np.where(thin, -1, (reached - 1) * MOST // reached[-1])
    return np.asarray(np.unique(label, return_inverse=True)[1][at])


def _sums(values: Floats, index: Ints, count: int) -> Floats:
    """Return the sums of `values` (M, n) by `index`, (count, n)."""
    return np.stack([np.bincount(index, column, count) for column in values.T], axis=1)


def _shared(owner: Ints, group: Ints, length: Ints, T: int) -> Floats:
    """Return sum_s v_sg v_sh / length_s, (T, T), v_sg being the steps of session s in group g."""
    shared = np.zeros((T, T))
    first = np.concatenate([[0], np.cumsum(length)])
    for start in range(0, len(length), _AT_ONCE):
        own = length[start : start + _AT_ONCE]
        steps = slice(first[start], first[start + len(own)])
        visits = np.bincount((owner[steps] - start) * T + group[steps], minlength=len(own) * T).reshape(len(own), T)
        shared += visits.T @ (visits / own[:, None])
    return shared

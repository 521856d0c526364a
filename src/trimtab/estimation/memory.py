"""Does the next score depend on the present one at all, and on nothing before it? Two tests over sessions."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps
from trimtab.estimation.least_squares import cluster_covariance, coefficients
from trimtab.estimation.moments import AnyMoments, Moments, session_moments

__all__ = ["memory_p_value", "second_lag_p_value"]

Floats = NDArray[np.float64]

MOST_TESTED = 20_000
"""Sessions that the test of the second lag looks at: with so many it misses nothing of any size."""

_JACKKNIFED = 2_000  # sessions up to which each is left out in turn
_PER_COEFFICIENT = 5  # sessions per tested coefficient below which only the objectives' own coefficients are tested


def memory_p_value(moments: AnyMoments) -> float:
    """Test the hypothesis I + A dt = 0, "the next score does not depend on the present one"; return its p-value.

    Hotelling's T2 = v' V^-1 v with v = vec(I + A dt) and V its covariance over sessions, from leaving out each session
    in turn, referred to (S - q) / (q (S - 1)) T2 ~ F(q, S - q) with q = n^2. With fewer than 5 n^2 sessions only the
    diagonal of I + A dt is tested, q = n. Not-a-number with fewer than q + 3 sessions.

    Where it is large, the data do not distinguish the loop from independent draws about a fixed level.
    """
    n = moments.n
    beta, _ = coefficients(moments.total)
    v = (np.eye(n) + beta[1:]).ravel()
    tested = np.arange(n * n) if moments.n_sessions >= _PER_COEFFICIENT * n * n else np.arange(n) * (n + 1)
    if moments.n_sessions < len(tested) + 3:
        return float("nan")
    V = _covariance(moments)[n:, n:]
    return _hotelling(v[tested], V[np.ix_(tested, tested)], moments.n_sessions)


def second_lag_p_value(steps: Steps) -> float:
    """Test whether the score before last matters beside the last one; return the p-value of "it does not".

    In dx_t = A x_t + C x_{t-1} + b + e_t the diagonal of C is zero for a first-order loop. It is not when sessions
    differ in level for good or when scores are noisy: both make the past informative. Hotelling's test over sessions
    as in `memory_p_value`, with q = n. Of more than `MOST_TESTED` sessions as many are looked at, evenly spread.
    Not-a-number where no two steps follow each other or sessions are too few.
    """
    n = steps.x.shape[1]
    place = np.cumsum(np.diff(steps.session, prepend=steps.session[:1]) != 0)
    sessions = int(place[-1]) + 1 if len(place) else 0
    if sessions > MOST_TESTED:
        steps = steps.where((place + 1) * MOST_TESTED // sessions > place * MOST_TESTED // sessions)
    follows = (np.diff(steps.session) == 0) & (np.diff(steps.iteration) == 1) & (np.diff(steps.strategy) == 0)
    at = np.flatnonzero(follows) + 1
    if not len(at) or not n:
        return float("nan")
    # The lagged state rides along as n more states whose own steps are not looked at.
    both = Steps(
        x=np.hstack([steps.x[at], steps.x[at - 1]]),
        dx=np.hstack([steps.dx[at], np.zeros((len(at), n))]),
        session=steps.session[at],
        strategy=steps.strategy[at],
        iteration=steps.iteration[at],
    )
    moments = session_moments(both)
    beta, rank = coefficients(moments.total)
    if rank < 2 * n or moments.n_sessions < n + 3 or moments.n_steps <= 2 * n + 1:
        return float("nan")
    tested = np.arange(n)
    own = (1 + n + tested) * 2 * n + tested
    return _hotelling(beta.ravel()[own], _covariance(moments)[np.ix_(own, own)], moments.n_sessions)


def _covariance(moments: AnyMoments) -> Floats:
    """Return the covariance of vec(beta): by the jackknife over sessions, or CR1 where they are many."""
    S = moments.n_sessions
    if S > _JACKKNIFED or not isinstance(moments, Moments):
        return cluster_covariance(moments)
    left_out, _ = coefficients(moments.total - moments.outer)
    flat = left_out.reshape(S, -1)
    centred = flat - flat.mean(axis=0)
    return np.asarray((S - 1) / S * centred.T @ centred)


def _hotelling(v: Floats, V: Floats, clusters: int) -> float:
    q = len(v)
    try:
        statistic = float(v @ np.linalg.solve(V, v))
    except np.linalg.LinAlgError:
        # No spread at all between sessions: the coefficients are exact.
        return 0.0 if np.abs(v).max() > 0 else 1.0
    if not np.isfinite(statistic) or statistic < 0:
        return float("nan")
    return float(scipy.special.fdtrc(q, clusters - q, (clusters - q) / (q * (clusters - 1)) * statistic))

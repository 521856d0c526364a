"""Whether a step changes anything: a logistic model of standing still, and tests of what it depends on."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

__all__ = ["logistic", "session_sums", "sessions_p_value", "state_p_value"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLOPE_SPREAD = 2.5
"""Standard deviation of the normal prior on a slope per standard deviation of the state: it keeps slopes finite where
the state separates standing still from moving, and hardly matters elsewhere (Gelman et al. 2008)."""

INTERCEPT_SPREAD = 10.0
"""The same for the constant: all that it does is to keep it finite where nothing or everything stands still."""

INFORMED = 5.0
"""Rare outcomes below which a normal approximation to sums of them is no guide."""

_ROUNDS = 50


def session_sums(values: Floats, owner: Ints, sessions: int) -> Floats:
    """Return the sums of `values` (M,) or (M, k) over the steps of each session, (sessions,) or (sessions, k)."""
    if values.ndim == 1:
        return np.asarray(np.bincount(owner, values, minlength=sessions), dtype=np.float64)
    return np.stack([np.bincount(owner, column, minlength=sessions) for column in values.T], axis=1)


def logistic(X: Floats, y: Floats, start: Floats | None = None) -> tuple[Floats, Floats]:
    """Return beta (k,) of P(y = 1 | x) = 1 / (1 + exp(-beta' x)) and the curvature (k, k) of its log posterior.

    Newton's method (iteratively reweighted least squares) on the likelihood times independent normal priors with
    mean 0 and the standard deviations `INTERCEPT_SPREAD` and, for the slopes, `SLOPE_SPREAD`.

    Parameters
    ----------
    X
        (M, k), the first column 1, the others in units of their spread.
    y
        (M,) 0 or 1.
    start
        (k,) where to begin.
    """
    k = X.shape[1]
    penalty = np.full(k, SLOPE_SPREAD**-2)
    penalty[0] = INTERCEPT_SPREAD**-2
    share = (float(y.sum()) + 0.5) / (len(y) + 1.0)
    beta = np.concatenate([[np.log(share / (1 - share))], np.zeros(k - 1)]) if start is None else start.copy()

    def loss(b: Floats) -> float:
        eta = X @ b
        return float(np.logaddexp(0.0, eta).sum() - y @ eta + 0.5 * penalty @ b**2)

    now = loss(beta)
    curvature = np.diag(penalty)
    for _ in range(_ROUNDS):
        p = scipy.special.expit(X @ beta)
        curvature = (X * (p * (1 - p))[:, None]).T @ X + np.diag(penalty)
        step = np.linalg.solve(curvature, X.T @ (y - p) - penalty * beta)
        # Halved until it gains: far from the optimum a full step can overshoot.
        size = 1.0
        while size > 1e-6 and not (then := loss(beta + size * step)) <= now + 1e-12 * abs(now):
            size /= 2
        if size <= 1e-6:
            break
        beta, gained, now = beta + size * step, now - then, then
        if gained <= 1e-10 * (1 + abs(now)):
            break
    return beta, np.asarray(curvature)


def state_p_value(u: Floats, unchanged: Floats, owner: Ints, sessions: int) -> float:
    """Test "whether a step stands still does not depend on the state"; return the p-value.

    Score test of the logistic model's slopes over sessions: U_s is the sum over the steps of session s of
    (y - mean y)(u - mean u), and Hotelling's T2 of "the U_s have mean 0" is referred to
    (S - q) / (q (S - 1)) T2 ~ F(q, S - q). Sessions are the units, so that one stubborn session is no proof.
    Not-a-number with fewer than q + 3.

    Parameters
    ----------
    u
        (M, q) states.
    unchanged
        (M,) 1 where nothing changed.
    owner
        (M,) position of each step's session among the `sessions`.
    """
    q = u.shape[1]
    if not q or sessions < q + 3:
        return float("nan")
    scores = session_sums((unchanged - unchanged.mean())[:, None] * (u - u.mean(axis=0)), owner, sessions)
    return _sum_p_value(scores)


def sessions_p_value(surprise: Floats, lateness: Floats, owner: Ints, sessions: int) -> float:
    """Test "sessions do not differ in the chance of an event, given the states they visit"; return the p-value.

    Two tests over sessions as in `state_p_value`, and twice the smaller p-value. One asks whether events in a session
    go together: U_s is the sum over pairs of its steps of the product of their surprises. The other asks whether the
    chance changes with the iteration, U_s being the sum of surprise times lateness: where an event ends the session,
    the easy ones leave first, and late steps are those of the hard ones. Not-a-number below 4 sessions, and where the
    sum of squared surprises, which is about the number of the rarer outcomes, is below `INFORMED`.

    Parameters
    ----------
    surprise
        (M,) 1 where the event happened and else 0, less its fitted probability.
    lateness
        (M,) iteration of each step, less what the explanatory variables of that fit say of it.
    """
    if sessions < 4 or (surprise**2).sum() < INFORMED:
        return float("nan")
    together = session_sums(surprise, owner, sessions) ** 2 - session_sums(surprise**2, owner, sessions)
    found = [_sum_p_value(together[:, None])]
    if np.abs(lateness).max(initial=0.0) > 1e-9:
        found.append(_sum_p_value(session_sums(surprise * lateness, owner, sessions)[:, None]))
    found = [p for p in found if p >= 0]
    return min(1.0, len(found) * min(found)) if found else float("nan")


def _sum_p_value(scores: Floats) -> float:
    """Return the p-value of "the sum of the rows (S, q) has mean 0"."""
    sessions, q = scores.shape
    total, spread = scores.sum(axis=0), scores.T @ scores
    size = np.sqrt(np.diagonal(spread))
    if not (size > 0).all():
        return float("nan")
    total, spread = total / size, spread / size / size[:, None]
    if np.linalg.cond(spread) > 1e12:
        return float("nan")
    statistic = float(total @ np.linalg.solve(spread, total))
    # Not centred at the mean of the scores, as Hotelling's is: the bound T2 <= S is brought back by this relation.
    statistic = (sessions - 1) * statistic / max(sessions - statistic, 1e-12)
    return float(scipy.special.fdtrc(q, sessions - q, (sessions - q) / (q * (sessions - 1)) * statistic))

"""Tests and gains over sessions: whether more than the present state explains the residuals, and how much it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.counting import are
from trimtab.core.streams import stream
from trimtab.estimation.audit.finding import TOO_EXTREME, CannotSayError
from trimtab.estimation.audit.sample import Regression

__all__ = [
    "Gain",
    "affordable",
    "half_width",
    "held_out_gain",
    "hotelling",
    "own",
    "score_test",
    "solved",
    "standard_error",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_TINY = 1e-10
_PER_COEFFICIENT = 5  # sessions per tested coefficient below which fewer are tested, as in `memory`
_MOST = 60  # coefficients tested at once
_FOLDS = 10
_JACKKNIFED = 2_000  # sessions up to which each is left out in turn, as in `memory`
_BLOCK = 4_000_000  # products held at once


def half_width(spread: Floats | float, level: float, clusters: int) -> Floats:
    """Return the half width of a t interval with S - 1 degrees of freedom."""
    return np.asarray(scipy.special.stdtrit(max(clusters - 1, 1), 0.5 + level / 2) * spread)


def hotelling(U: Floats) -> float:
    """Return the p-value of the hypothesis that independent sessions' rows U (S, q) have mean zero.

    With u = sum U_s and T = u' (sum U_s U_s')^-1 u, which is Hotelling's T2 in terms of uncentred squares,
    (S - q) / q T / (S - T) ~ F(q, S - q). Sessions whose row is zero do not count, and directions in which there is
    nothing are left out.

    Raises
    ------
    CannotSayError
        If nothing varies, or there are fewer than q + 3 sessions.
    """
    U = U[(U != 0).any(axis=1)]
    size = np.sqrt((U**2).sum(axis=0))
    U = U[:, size > 0] / size[size > 0]
    if not U.size:
        raise CannotSayError("what would show it does not vary")
    values, vectors = np.linalg.eigh(U.T @ U)
    kept = values > _TINY * values[-1]
    S, q = len(U), int(kept.sum())
    if q + 3 > S:
        raise CannotSayError(f"at least {q + 3} sessions that tell something about it are needed, and there {are(S)}")
    T = float((((U.sum(axis=0) @ vectors)[kept]) ** 2 / values[kept]).sum())
    if not np.isfinite(T):
        raise CannotSayError(TOO_EXTREME)
    return float(scipy.special.fdtrc(q, S - q, (S - q) / q * T / max(S - T, _TINY)))


def own(n: int, kinds: int) -> Bools:
    """Return the mask (kinds n, n) of the pairs of each residual with its own objective's column of each kind."""
    return np.tile(np.eye(n, dtype=bool), (kinds, 1))


def affordable(masks: Sequence[Bools], moving: Bools, S: int) -> NDArray[np.int64]:
    """Return the pairs (q, 2) of columns to test: those of the first mask with at least 5 sessions a pair, or the last.

    Parameters
    ----------
    masks
        (p, m) each, from most to fewest pairs.
    moving
        (p,) columns that vary at all.

    Raises
    ------
    CannotSayError
        If none varies, or there are fewer than q + 3 sessions.
    """
    for mask in masks:
        pairs = np.argwhere(mask & moving[:, None])
        if len(pairs) <= _MOST and _PER_COEFFICIENT * len(pairs) <= S:
            break
    if not len(pairs):
        raise CannotSayError("what would show it does not vary")
    if len(pairs) + 3 > S:
        raise CannotSayError(f"at least {len(pairs) + 3} sessions are needed, and there {are(S)}")
    return pairs


def score_test(
    regression: Regression, W: Floats, E: Floats, masks: Sequence[Bools], slope: Floats | None = None
) -> float:
    """Return the p-value of the hypothesis that W (M, p) explains nothing of E (M, m), sessions being independent.

    The score test: U_s = sum over the session's steps of w E', which has mean zero if w explains nothing, W being free
    of what the model under test explains already. `affordable` chooses the pairs of columns that are tested.

    Parameters
    ----------
    slope
        (M, m) dE/de where E is a function of the residuals e. The estimated coefficients then move U by
        -(sum w slope z') (beta_hat - beta), whose part in each session, -(sum w slope z') (Z'Z)^-1 sum_t z_t e_t, is
        added to U_s; over all sessions it is zero.

    Raises
    ------
    CannotSayError
        As in `affordable` and `hotelling`.
    """
    r = regression
    pairs = affordable(masks, (W != 0).any(axis=0), r.S)
    U = np.empty((r.S, len(pairs)))
    influence = None if slope is None else r.summed((r.Z @ r.inverse)[:, :, None] * r.e[:, None, :])
    block = max(1, _BLOCK // r.M)
    for at in range(0, len(pairs), block):
        i, j = pairs[at : at + block].T
        U[:, at : at + block] = r.summed(W[:, i] * E[:, j])
        if slope is not None and influence is not None:
            moved = (W[:, i] * slope[:, j]).T @ r.Z
            U[:, at : at + block] -= np.einsum("qk,skq->sq", moved, influence[:, :, j])
    return hotelling(U)


@dataclass(frozen=True, slots=True)
class Gain:
    """Share of the variance of unseen steps that more terms explain beyond [1, u], with its interval."""

    estimate: float
    low: float
    high: float


def held_out_gain(regression: Regression, W: Floats, level: float, seed: int) -> Gain:
    """Return what the columns W (M, p) beside [1, u] add to the R2 of steps of unseen sessions (10-fold by session).

    The mean over objectives of sum over s of (loss_s without - loss_s with) / TSS, TSS being about the objective's
    mean; the interval is a t interval over sessions, TSS taken as known.

    Raises
    ------
    CannotSayError
        With fewer than two sessions.
    """
    regression.several()
    S, Z, noisy = regression.S, regression.Z, regression.noisy
    du = regression.du[:, noisy]
    size = np.sqrt((W**2).mean(axis=0))
    wide = np.hstack([Z, W[:, size > 0] / size[size > 0]])
    folds = min(_FOLDS, S)
    fold_of = (stream(seed, "folds").permutation(S) % folds)[regression.owner]
    members = [np.flatnonzero(fold_of == fold) for fold in range(folds)]
    grams = np.stack([wide[rows].T @ wide[rows] for rows in members])
    crosses = np.stack([wide[rows].T @ du[rows] for rows in members])
    grams, crosses = grams.sum(axis=0) - grams, crosses.sum(axis=0) - crosses
    k = Z.shape[1]
    narrow_beta, wide_beta = solved(grams[:, :k, :k], crosses[:, :k]), solved(grams, crosses)
    saved = np.empty_like(du)
    for rows, a, b in zip(members, narrow_beta, wide_beta, strict=True):
        saved[rows] = (du[rows] - Z[rows] @ a) ** 2 - (du[rows] - wide[rows] @ b) ** 2
    total = ((du - du.mean(axis=0)) ** 2).sum(axis=0)
    moving = total > _TINY
    if not moving.any():
        raise CannotSayError("the steps that it would show in are all alike")
    by_session = regression.summed(saved[:, moving] / total[moving]).mean(axis=1)
    gain = float(by_session.sum())
    half = float(half_width(np.sqrt(S) * by_session.std(ddof=1), level, S))
    return Gain(gain, gain - half, gain + half)


def standard_error(regression: Regression, X: Floats, contrast: Floats) -> float:
    """Return the standard error of sum(contrast * beta) over sessions, beta (k, n) being du regressed on X (M, k).

    By the jackknife over sessions, or CR1 where they are many. Not-a-number with one session.
    """
    r = regression
    if r.S < 2:
        return float("nan")
    if r.S > _JACKKNIFED:
        beta = solved(X.T @ X, X.T @ r.du)
        influence = ((X @ solved(X.T @ X, contrast)) * (r.du - X @ beta)).sum(axis=1)
        correction = r.S / (r.S - 1) * (r.M - 1) / max(r.M - X.shape[1], 1)
        return float(np.sqrt(correction * (r.summed(influence) ** 2).sum()))
    k, n = contrast.shape
    grams = r.summed((X[:, :, None] * X[:, None, :]).reshape(r.M, -1)).reshape(r.S, k, k)
    crosses = r.summed((X[:, :, None] * r.du[:, None, :]).reshape(r.M, -1)).reshape(r.S, k, n)
    left_out = solved(grams.sum(axis=0) - grams, crosses.sum(axis=0) - crosses)
    values = (left_out * contrast).sum(axis=(1, 2))
    return float(np.sqrt((r.S - 1) / r.S * ((values - values.mean()) ** 2).sum()))


def solved(G: Floats, H: Floats) -> Floats:
    """Return the minimum-norm solutions of G beta = H for Gram matrices G (..., k, k), in units of their own size."""
    size = np.sqrt(np.einsum("...jj->...j", G))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(G / size[..., :, None] / size[..., None, :], rcond=_TINY, hermitian=True)
    return np.asarray(inverse @ (H / size[..., None]) / size[..., None])

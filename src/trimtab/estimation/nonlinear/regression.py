"""Least squares of steps on more than the state: held-out gain, ridge where it is needed, replicates by session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.dynamics.drift_basis import Basis
from trimtab.errors import InputError
from trimtab.estimation.audit.clustered import Gain, half_width, solved
from trimtab.estimation.audit.sample import Regression
from trimtab.estimation.moments import FOLDS

__all__ = ["MOST_TERMS", "PENALTIES", "HeldOut", "Wide", "held_out", "replicates"]

Floats = NDArray[np.float64]

MOST_TERMS = 60
"""Terms of a basis that are fitted at most."""

PENALTIES = (0.0, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties tried where a ridge is needed, per step and in units of each term's variance beyond the state."""

_PER_TERM = 5  # sessions per term below which a ridge is tried
_LOOSE = 1e-3  # least eigenvalue of the terms' correlations below which a ridge is tried
_BLOCK = 2_000_000  # products held at once


@dataclass(frozen=True, slots=True, eq=False)
class Wide:
    """A regression of steps on [1, u] and on terms phi(u), orthogonal to these and scaled to a mean square of 1.

    Parameters
    ----------
    regression
        On [1, u] alone.
    X
        (M, 1 + n + p) [1, u, w] with w the orthogonal terms; p counts those that vary beyond the state.
    back
        (1 + n + P, 1 + n + p) turns coefficients on X into coefficients on [1, u, phi(u)], P terms in all.
    """

    regression: Regression
    X: Floats
    back: Floats

    @classmethod
    def of(cls, regression: Regression, basis: Basis) -> Wide:
        """Evaluate the basis at the states; ``InputError`` where it does not return finite terms, or too many."""
        u, k = regression.u, 1 + regression.n
        with np.errstate(all="ignore"):
            phi = np.asarray(basis(u.copy()), dtype=np.float64)
        if phi.ndim != 2 or len(phi) != len(u) or not np.isfinite(phi).all():
            raise InputError(
                f"a basis takes states (M, n) and returns finite terms (M, p), but for states {u.shape} it returned "
                + (f"the shape {phi.shape}" if phi.ndim != 2 or len(phi) != len(u) else "values that are not finite")
            )
        if not 1 <= phi.shape[1] <= MOST_TERMS:
            raise InputError(
                f"from 1 to {MOST_TERMS} terms can be fitted, but the basis has {phi.shape[1]} for {u.shape[1]} "
                "objectives; choose fewer objectives or a smaller basis"
            )
        W = regression.beyond_state(phi)
        size = np.sqrt((W**2).mean(axis=0))
        kept = np.flatnonzero(size > 0)
        back = np.zeros((k + phi.shape[1], k + len(kept)))
        back[:k, :k] = np.eye(k)
        back[k + kept, k + np.arange(len(kept))] = 1 / size[kept]
        back[:k, k:] = -(regression.inverse @ (regression.Z.T @ phi[:, kept])) / size[kept]
        return cls(regression, np.hstack([regression.Z, W[:, kept] / size[kept]]), back)

    @property
    def terms(self) -> int:
        """Number p of terms that vary beyond the state."""
        return int(self.X.shape[1]) - 1 - self.regression.n

    @property
    def penalties(self) -> tuple[float, ...]:
        """The ridge penalties to try: none but 0 unless sessions are few for the terms, or these nearly collinear."""
        w = self.X[:, 1 + self.regression.n :]
        least = np.linalg.eigvalsh(w.T @ w / len(w))[0] if self.terms else 1.0
        needed = _PER_TERM * self.terms > self.regression.S or least < _LOOSE
        return PENALTIES if needed else PENALTIES[:1]

    def ridge(self, penalty: Floats | float, steps: Floats | float) -> Floats:
        """Return what a penalty adds to the Gram matrix of so many steps, (..., 1 + n + p, 1 + n + p)."""
        k = 1 + self.regression.n
        mask = np.diag(np.concatenate([np.zeros(k), np.ones(self.terms)]))
        return np.asarray(np.multiply(penalty, steps))[..., None, None] * mask


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """How well steps of unseen sessions are predicted without the terms and with them.

    Parameters
    ----------
    gain
        Of the terms, in R2 of steps; see `held_out`.
    linear, nonlinear
        R2 of steps without and with them.
    penalty
        The ridge penalty that predicts unseen sessions best; 0 where none was needed.
    """

    gain: Gain
    linear: float
    nonlinear: float
    penalty: float


def held_out(wide: Wide, level: float, seed: int) -> HeldOut:
    """Return the gain of the terms for unseen sessions, in folds of whole sessions.

    The gain is the mean over objectives of sum over sessions of (loss without - loss with) / TSS; its interval is a t
    interval over sessions, as in `audit.clustered.held_out_gain`, with which it agrees where no ridge is needed. Where
    one is, each fold's penalty is chosen by the other folds alone, so that the choice is paid for. The folds are those
    of the audit. Needs two sessions and a residual.
    """
    r, X = wide.regression, wide.X
    k, S = 1 + r.n, r.S
    du = r.du[:, r.noisy]
    folds = min(FOLDS, S)
    fold_of = (stream(seed, "folds").permutation(S) % folds)[r.owner]
    members = [np.flatnonzero(fold_of == fold) for fold in range(folds)]
    G = np.stack([X[rows].T @ X[rows] for rows in members])
    H = np.stack([X[rows].T @ du[rows] for rows in members])
    count = np.array([len(rows) for rows in members], dtype=np.float64)
    penalties = np.array(wide.penalties)
    total = ((du - du.mean(axis=0)) ** 2).sum(axis=0)
    moving = total > 1e-10
    weight = np.where(moving, 1 / np.where(moving, total, 1.0), 0.0) / max(int(moving.sum()), 1)
    chosen, final = np.zeros(folds), 0.0
    if len(penalties) > 1:
        losses = _pair_losses(wide, G, H, count, penalties, weight)
        inner = losses.sum(axis=1)  # of the folds left out beside each fold, (folds, penalties)
        chosen = penalties[inner.argmin(axis=1)]
        beta = solved(
            G.sum(axis=0) - G[:, None] + wide.ridge(penalties, 1.0) * _rest(count), (H.sum(axis=0) - H)[:, None]
        )
        final = float(penalties[_losses(beta, G[:, None], H[:, None], weight).sum(axis=0).argmin()])
    G_rest, H_rest = G.sum(axis=0) - G, H.sum(axis=0) - H
    narrow = solved(G_rest[:, :k, :k], H_rest[:, :k])
    full = solved(G_rest + wide.ridge(chosen, count.sum() - count), H_rest)
    without, with_ = np.empty_like(du), np.empty_like(du)
    for rows, a, b in zip(members, narrow, full, strict=True):
        without[rows] = (du[rows] - r.Z[rows] @ a) ** 2
        with_[rows] = (du[rows] - X[rows] @ b) ** 2
    by_session = r.summed((without - with_) @ weight)
    gain = float(by_session.sum())
    half = float(half_width(np.sqrt(S) * by_session.std(ddof=1), level, S))
    scores = [1 - float((loss.sum(axis=0) * weight).sum()) for loss in (without, with_)]
    return HeldOut(Gain(gain, gain - half, gain + half), scores[0], scores[1], final)


def _rest(count: Floats) -> Floats:
    """Return the steps outside each fold, to multiply (penalties, q, q): (folds, 1, 1, 1)."""
    return np.asarray((count.sum() - count)[:, None, None, None])


def _losses(beta: Floats, G: Floats, H: Floats, weight: Floats) -> Floats:
    """Return the weighted squared errors of coefficients (..., q, m), less what does not depend on them, (...)."""
    quadratic = np.einsum("...qm,...qm->...m", beta, G @ beta - 2 * H)
    return np.asarray(quadratic @ weight)


def _pair_losses(wide: Wide, G: Floats, H: Floats, count: Floats, penalties: Floats, weight: Floats) -> Floats:
    """Return (folds, folds, penalties): losses on fold j of what all folds but i and j say; zero for i = j."""
    folds = len(G)
    result = np.zeros((folds, folds, len(penalties)))
    for i in range(folds):
        others = np.flatnonzero(np.arange(folds) != i)
        if not len(others):
            continue
        rest = G.sum(axis=0) - G[i] - G[others]
        right = H.sum(axis=0) - H[i] - H[others]
        steps = count.sum() - count[i] - count[others]
        beta = solved(rest[:, None] + wide.ridge(penalties, 1.0) * steps[:, None, None, None], right[:, None])
        result[i, others] = _losses(beta, G[others, None], H[others, None], weight)
    return result


def replicates(wide: Wide, penalty: float, draws: int, seed: int, *key: str) -> tuple[Floats, Floats]:
    """Return the coefficients on [1, u], (1 + draws, 1 + n, n), and on [1, u, phi], with bootstrap replicates.

    Entry 0 of either is the estimate from all sessions; each further one is from as many sessions drawn with
    replacement. Rows are never drawn: the steps of one session belong together.
    """
    r, X = wide.regression, wide.X
    k, q, n = 1 + r.n, X.shape[1], r.n
    V = np.hstack([X, r.du])
    rows, columns = np.triu_indices(q + n)
    packed = np.empty((r.S, len(rows)))
    block = max(1, _BLOCK // len(V))
    for at in range(0, len(rows), block):
        part = slice(at, at + block)
        packed[:, part] = r.summed(V[:, rows[part]] * V[:, columns[part]])
    rng = stream(seed, "nonlinear", "draws", *key)
    counts = np.vstack([np.ones(r.S), rng.multinomial(r.S, np.full(r.S, 1 / r.S), size=draws)])
    sums = counts @ packed
    M = np.empty((len(counts), q + n, q + n))
    M[:, rows, columns] = M[:, columns, rows] = sums
    linear = solved(M[:, :k, :k], M[:, :k, q:])
    full = solved(M[:, :q, :q] + wide.ridge(penalty, M[:, 0, 0]), M[:, :q, q:])
    return linear, np.asarray(wide.back @ full)

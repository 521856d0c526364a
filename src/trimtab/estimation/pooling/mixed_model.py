"""Likelihood of a linear mixed model with several responses, from each group's sums of products.

For group g with m_g rows of responses Y_g (m_g, n), fixed design W_g (m_g, k) and random design Z_g (m_g, q), the first
q columns of W_g::

    Y_g = W_g beta + Z_g gamma_g + E_g,    vec(gamma_g) = L eta_g,  eta_g ~ N(0, I),  rows of E_g ~ N(0, Q)

vec goes row by row, so that Omega = L L' is the covariance of (gamma_11, gamma_12, ...). Let
S_g = I + L'(Z'Z (x) Q^-1)L, F the information on vec(beta) and f its right-hand side. With eta integrated out and beta
at its maximum::

    -2 l = M log|Q| + sum log|S_g| + sum tr(Q^-1 Y'Y) - sum |S_g^-1/2 L' vec(Z'Y Q^-1)|^2 - f' F^-1 f

plus M n log 2 pi. Restricted likelihood (Patterson and Thompson 1971, Biometrika 58) adds log|F| less k n log 2 pi,
which makes up for the degrees of freedom that beta takes from Omega and Q. It integrates over beta under a flat prior,
and that is right only for coefficients of columns that are fixed beforehand: where Y is the step from a state and the
state a column of W, the information on its coefficient depends on Y itself, and log|F| biases it. So only a choice of
columns is integrated over, by the block of F that is theirs.

The gradient follows from Fisher's identity: it is the expected gradient of the complete-data log likelihood given the
data. Nothing depends on L L' being regular, so that a variance may be zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from trimtab.errors import FitError

__all__ = ["GroupSums", "MixedFit", "fit_mixed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FIRST_SHARE = 0.3  # standard deviation of the random effects at the start of the search, in units of that of rows
_MOST_ROUNDS = 500


@dataclass(frozen=True, slots=True, eq=False)
class GroupSums:
    """Sums of products of G groups: W'W (G, k, k), W'Y (G, k, n) and Y'Y (G, n, n)."""

    WW: Floats
    WY: Floats
    YY: Floats

    @property
    def rows(self) -> float:
        """Number of rows M of all groups; the first column of W is 1."""
        return float(self.WW[:, 0, 0].sum())


@dataclass(frozen=True, slots=True, eq=False)
class MixedFit:
    """The maximum-likelihood fit, restricted for the columns that were integrated over.

    Parameters
    ----------
    beta
        (k, n) fixed coefficients.
    covariance
        (kn, kn) of vec(beta), row by row, given Q and Omega.
    robust
        (kn, kn) the same from leaving out each group in turn, Q and Omega kept: right also where rows of a group are
        not alike or its deviations not as modelled.
    Q
        (n, n) covariance of rows within groups.
    Omega
        (qn, qn) covariance of vec(gamma).
    gamma
        (G, q, n) predicted deviations of the groups from beta.
    spread
        (G, qn, qn) covariance of vec(gamma_g) given the data.
    spread_given_beta
        The same if beta were known.
    cross
        (G, qn, kn) covariance of vec(gamma_g) and vec(beta) given the data.
    log_likelihood
        At its maximum, restricted for those columns.
    parameters
        Number of free parameters of Q and Omega.
    """

    beta: Floats
    covariance: Floats
    robust: Floats
    Q: Floats
    Omega: Floats
    gamma: Floats
    spread: Floats
    spread_given_beta: Floats
    cross: Floats
    log_likelihood: float
    parameters: int


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything at one (L, Q): the pieces that the likelihood, its gradient and the fit share."""

    minus_two: float
    beta: Floats  # (kn,)
    C: Floats  # F^-1
    known: Floats  # covariance of the coefficients integrated over, zero for the others
    P: Floats  # S_g^-1, (G, r, r)
    K: Floats  # Z'W (x) Q^-1, (G, r, kn)
    J: Floats  # Z'Z (x) Q^-1, (G, r, r)
    v: Floats  # vec(Z'Y Q^-1), (G, r)
    eta: Floats  # (G, r)
    inverse: Floats  # Q^-1


def _kron(a: Floats, b: Floats) -> Floats:
    """Return the Kronecker product of each (G, p, q) with b (n, n), (G, pn, qn)."""
    G, p, q = a.shape
    n = len(b)
    return np.asarray(np.einsum("gpq,ij->gpiqj", a, b)).reshape(G, p * n, q * n)


def _state(sums: GroupSums, q: int, L: Floats, U: Floats, integrated: Ints) -> _State:
    n = sums.WY.shape[2]
    inverse: Floats = scipy.linalg.cho_solve((U, True), np.eye(n))
    K = _kron(sums.WW[:, :q], inverse)
    J = K[:, :, : q * n]
    right = sums.WY @ inverse
    v = right[:, :q].reshape(len(right), -1)
    S = np.eye(len(L)) + L.T @ J @ L
    root = np.linalg.cholesky(S)
    P = np.asarray(np.linalg.inv(S), dtype=np.float64)
    LK, Lv = L.T @ K, v @ L
    PLK = P @ LK
    # The sum over groups comes first where it can: what is left is of the size of beta.
    F = np.kron(sums.WW.sum(axis=0), inverse) - np.einsum("gra,grb->ab", LK, PLK)
    f = right.sum(axis=0).ravel() - np.einsum("gr,gra->a", Lv, PLK)
    factor = np.linalg.cholesky(F)
    C = scipy.linalg.cho_solve((factor, True), np.eye(len(F)))
    beta: Floats = np.asarray(C @ f, dtype=np.float64)
    eta = np.einsum("grs,gs->gr", P, Lv - LK @ beta)
    block = np.ix_(integrated, integrated)
    known = np.zeros(F.shape)
    known[block] = np.linalg.inv(F[block])
    minus_two = (
        2 * sums.rows * np.log(np.diagonal(U)).sum()
        + 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
        + float(np.linalg.slogdet(F[block])[1])
        + float(np.sum(inverse * sums.YY.sum(axis=0)))
        - float(np.einsum("gr,grs,gs->", Lv, P, Lv))
        - float(f @ beta)
        + (sums.rows * n - len(integrated)) * log(2 * pi)
    )
    return _State(float(minus_two), beta, C, known, P, K, J, v, eta, inverse)


def _posterior(s: _State, L: Floats, C: Floats) -> tuple[Floats, Floats]:
    """Return the covariance of eta_g (G, r, r), and of eta_g with beta (G, r, kn), given the data and C = Cov(beta)."""
    PLK = s.P @ (L.T @ s.K)
    cross = -PLK @ C
    return s.P - cross @ np.swapaxes(PLK, 1, 2), cross


def _gradient(sums: GroupSums, q: int, L: Floats, U: Floats, s: _State) -> tuple[Floats, Floats]:
    """Return the gradients of the log likelihood with respect to L and U, Q = U U'."""
    G, k, n = sums.WY.shape
    covariance, cross = _posterior(s, L, s.known)
    JL = s.J @ L
    residual = s.v - s.K @ s.beta - np.einsum("grs,gs->gr", JL, s.eta)
    to_L = np.einsum("gr,gs->rs", residual, s.eta)
    to_L -= (s.K @ np.swapaxes(cross, 1, 2)).sum(axis=0) + (JL @ covariance).sum(axis=0)
    B = np.broadcast_to(s.beta.reshape(k, n), (G, k, n)).copy()
    B[:, :q] += (s.eta @ L.T).reshape(G, q, n)
    r = q * n
    T = np.broadcast_to(s.known, (G, k * n, k * n)).copy()
    T[:, :r, :r] += L @ covariance @ L.T
    both = L @ cross
    T[:, :r] += both
    T[:, :, :r] += np.swapaxes(both, 1, 2)
    YB = np.einsum("gka,gkb->ab", sums.WY, B)
    R = sums.YY.sum(axis=0) - YB - YB.T + np.einsum("gka,gkl,glb->ab", B, sums.WW, B)
    R += np.einsum("gkl,gkalb->ab", sums.WW, T.reshape(G, k, n, k, n))
    to_U = (s.inverse @ R @ s.inverse - sums.rows * s.inverse) @ U
    return to_L, to_U


def _leaving_out(sums: GroupSums, L: Floats, s: _State) -> Floats:
    """Return (G - 1) / G times the sum of squares and products of beta without each group about their mean."""
    G = len(sums.WW)
    LK = L.T @ s.K
    PLK = s.P @ LK
    own = _kron(sums.WW, s.inverse) - np.swapaxes(LK, 1, 2) @ PLK
    right = (sums.WY @ s.inverse).reshape(G, -1) - np.einsum("gr,gra->ga", s.v @ L, PLK)
    try:
        without = np.linalg.solve(own.sum(axis=0) - own, (right.sum(axis=0) - right)[..., None])[..., 0]
    except np.linalg.LinAlgError:
        # One group carries all there is to know of some coefficient.
        return s.C
    centred = without - without.mean(axis=0)
    return np.asarray((G - 1) / G * centred.T @ centred)


def fit_mixed(sums: GroupSums, q: int, free: Bools, integrated: Bools) -> MixedFit:
    """Maximise the likelihood, restricted for the `integrated` columns of W.

    Parameters
    ----------
    sums
        Groups; W'W summed over them must be regular.
    q
        Number of leading columns of W whose coefficients differ between groups.
    free
        (qn, qn) which entries of L may differ from 0; those above the diagonal may not.
    integrated
        (k,) columns of W that do not depend on Y.

    Raises
    ------
    FitError
        If the search does not end at a maximum.
    """
    G, k, n = sums.WY.shape
    pooled = np.linalg.solve(sums.WW.sum(axis=0), sums.WY.sum(axis=0))
    YB = sums.WY.sum(axis=0).T @ pooled
    start = (sums.YY.sum(axis=0) - (YB + YB.T) / 2) / max(sums.rows - k, 1.0)
    # Responses are measured in the standard deviations of their residuals, so that one step length fits all.
    size = np.sqrt(np.maximum(np.diagonal(start), 1e-300))
    scaled = GroupSums(sums.WW, sums.WY / size, sums.YY / size[:, None] / size)
    sizes = np.tile(size, q)
    rows, columns = np.nonzero(np.tril(np.asarray(free)))
    fixed = np.flatnonzero(np.repeat(integrated, n))
    lower = np.tril_indices(n)
    diagonal = lower[0] == lower[1]

    def unpacked(x: Floats) -> tuple[Floats, Floats]:
        L, U = np.zeros((q * n, q * n)), np.zeros((n, n))
        L[rows, columns] = x[: len(rows)]
        U[lower] = np.where(diagonal, np.exp(np.where(diagonal, x[len(rows) :], 0.0)), x[len(rows) :])
        return L, U

    def objective(x: Floats) -> tuple[float, Floats]:
        L, U = unpacked(x)
        try:
            s = _state(scaled, q, L, U, fixed)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros(len(x))
        to_L, to_U = _gradient(scaled, q, L, U, s)
        slope = np.concatenate([to_L[rows, columns], to_U[lower] * np.where(diagonal, U[lower], 1.0)])
        return s.minus_two / 2 / scaled.rows, -slope / scaled.rows

    correlation = start / size[:, None] / size
    U0 = np.linalg.cholesky(correlation + 1e-9 * np.eye(n))
    roots = np.where(diagonal, np.log(np.where(diagonal, U0[lower], 1.0)), U0[lower])
    x0 = np.concatenate([np.where(rows == columns, _FIRST_SHARE, 0.0), roots])
    found = scipy.optimize.minimize(
        objective, x0, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_ROUNDS, "ftol": 1e-15, "gtol": 1e-8}
    )
    if not np.isfinite(found.fun) or found.fun >= 1e9 or np.abs(found.jac).max() > 1e-3:
        raise FitError(
            "the differences between groups could not be estimated: the likelihood has no clear maximum; choose fewer "
            "objectives with --objective, or give more sessions"
        )
    L, U = unpacked(found.x)
    s = _state(scaled, q, L, U, fixed)
    covariance, cross = _posterior(s, L, s.C)
    all_sizes = np.tile(size, k)
    own = L * sizes[:, None]
    return MixedFit(
        beta=s.beta.reshape(k, n) * size,
        covariance=s.C * all_sizes[:, None] * all_sizes,
        robust=_leaving_out(scaled, L, s) * all_sizes[:, None] * all_sizes,
        Q=U @ U.T * size[:, None] * size,
        Omega=own @ own.T,
        gamma=(s.eta @ own.T).reshape(G, q, n),
        spread=own @ covariance @ own.T,
        spread_given_beta=own @ s.P @ own.T,
        cross=own @ cross * all_sizes,
        log_likelihood=-s.minus_two / 2 - float((scaled.rows - np.sum(integrated)) * np.log(size).sum()),
        parameters=len(found.x),
    )

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
from numpy.typing import NDArray

from trimtab.errors import FitError

__all__ = ["GroupSums", "MixedFit", "fit_mixed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FIRST_SHARE = 0.3  # standard deviation of the random effects at the start of the search, in units of that of rows
_MOST_ROUNDS = 500
_NOWHERE = 1e10  # minus the log likelihood where it cannot be worked out
_STEP = 1e-5  # of numerical derivatives of the gradient
_FLAT = 1e-10  # share of the largest curvature below which the likelihood has none


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
        (kn, kn) of vec(beta), row by row, from the curvature of the likelihood in beta, Q and Omega.
    robust
        (kn, kn) the same from leaving out each group in turn: right also where rows of a group are not alike or its
        deviations not as modelled.
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


def _gradients(sums: GroupSums, q: int, L: Floats, U: Floats, s: _State) -> tuple[Floats, Floats]:
    """Return each group's part of the gradients of the log likelihood: by L (G, r, r) and by U (G, n, n), Q = U U'."""
    G, k, n = sums.WY.shape
    covariance, cross = _posterior(s, L, s.known)
    JL = s.J @ L
    residual = s.v - s.K @ s.beta - np.einsum("grs,gs->gr", JL, s.eta)
    to_L = residual[:, :, None] * s.eta[:, None] - s.K @ np.swapaxes(cross, 1, 2) - JL @ covariance
    B = np.broadcast_to(s.beta.reshape(k, n), (G, k, n)).copy()
    B[:, :q] += (s.eta @ L.T).reshape(G, q, n)
    r = q * n
    T = np.broadcast_to(s.known, (G, k * n, k * n)).copy()
    T[:, :r, :r] += L @ covariance @ L.T
    both = L @ cross
    T[:, :r] += both
    T[:, :, :r] += np.swapaxes(both, 1, 2)
    YB = np.swapaxes(sums.WY, 1, 2) @ B
    R = sums.YY - YB - np.swapaxes(YB, 1, 2) + np.swapaxes(B, 1, 2) @ sums.WW @ B
    R += np.einsum("gkl,gkalb->gab", sums.WW, T.reshape(G, k, n, k, n))
    to_U = (s.inverse @ R @ s.inverse - sums.WW[:, :1, :1] * s.inverse) @ U
    return to_L, to_U


def _leaving_out(sums: GroupSums, L: Floats, s: _State) -> Floats | None:
    """Return how beta changes where each group in turn is left out, Q and Omega kept, (G, kn); None if it cannot be."""
    G = len(sums.WW)
    LK = L.T @ s.K
    PLK = s.P @ LK
    own = _kron(sums.WW, s.inverse) - np.swapaxes(LK, 1, 2) @ PLK
    right = (sums.WY @ s.inverse).reshape(G, -1) - np.einsum("gr,gra->ga", s.v @ L, PLK)
    try:
        without = np.linalg.solve(own.sum(axis=0) - own, (right.sum(axis=0) - right)[..., None])[..., 0]
    except np.linalg.LinAlgError:
        # One group carries all there is to know of some coefficient.
        return None
    return np.asarray(without - s.beta)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The likelihood as a function of one vector: the entries of L that are free, then those of U.

    The diagonal of U is there as its logarithm, so that every vector stands for some (L, Q).
    """

    sums: GroupSums
    q: int
    rows: Ints
    columns: Ints
    integrated: Ints

    def unpacked(self, x: Floats) -> tuple[Floats, Floats]:
        n, split = self.sums.WY.shape[2], len(self.rows)
        L, U = np.zeros((self.q * n, self.q * n)), np.zeros((n, n))
        L[self.rows, self.columns] = x[:split]
        U[np.tril_indices(n)] = x[split:]
        np.fill_diagonal(U, np.exp(np.diagonal(U)))
        return L, U

    def state(self, x: Floats) -> _State:
        return _state(self.sums, self.q, *self.unpacked(x), self.integrated)

    def slopes(self, x: Floats, s: _State) -> Floats:
        """Return each group's part of the gradient of the log likelihood, (G, p)."""
        L, U = self.unpacked(x)
        to_L, to_U = _gradients(self.sums, self.q, L, U, s)
        diagonal = np.arange(len(U))
        to_U[:, diagonal, diagonal] *= np.diagonal(U)
        lower = np.tril_indices(len(U))
        return np.concatenate([to_L[:, self.rows, self.columns], to_U[:, lower[0], lower[1]]], axis=1)

    def objective(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log likelihood per row, and its gradient."""
        try:
            s = self.state(x)
        except np.linalg.LinAlgError:
            return _NOWHERE, np.zeros(len(x))
        return s.minus_two / 2 / self.sums.rows, -self.slopes(x, s).sum(axis=0) / self.sums.rows


def _sampling(problem: _Problem, x: Floats, s: _State) -> tuple[Floats, Floats]:
    """Return the covariance of vec(beta) as modelled and the robust one, with Q and Omega unknown, both (kn, kn).

    Where Y is the step from a state, Q and Omega are not known independently of its coefficient, and in short sessions
    what is not known about them is much of what is not known about it. With psi the vector of `problem`, H the second
    derivatives of -l in psi with beta at its maximum, and B = d beta / d psi::

        Cov(beta) = F^-1 + B H^-1 B'
        beta_(-g) - beta = d_g + B H^-1 (B' F d_g - l_g')

    to first order in leaving out group g, d_g being the change of beta with psi kept and l_g' the part of the gradient
    that is the group's.
    """
    G, p, kn = len(problem.sums.WW), len(x), len(s.beta)
    H, B = np.empty((p, p)), np.empty((kn, p))
    for i in range(p):
        step = _STEP * max(1.0, abs(x[i]))
        sides = []
        for sign in (1.0, -1.0):
            there = x.copy()
            there[i] += sign * step
            state = problem.state(there)
            sides.append((problem.slopes(there, state).sum(axis=0), state.beta))
        (up, up_beta), (down, down_beta) = sides
        H[i], B[:, i] = (down - up) / (2 * step), (up_beta - down_beta) / (2 * step)
    BH = B @ np.linalg.pinv((H + H.T) / 2, rcond=_FLAT, hermitian=True)
    covariance = s.C + BH @ B.T
    change = _leaving_out(problem.sums, problem.unpacked(x)[0], s)
    if change is None:
        return covariance, covariance
    change = change + (change @ np.linalg.solve(s.C, B) - problem.slopes(x, s)) @ BH.T
    change = change - change.mean(axis=0)
    return covariance, np.asarray((G - 1) / G * change.T @ change)


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
    rows, columns = np.nonzero(np.tril(np.asarray(free)))
    problem = _Problem(scaled, q, rows, columns, np.flatnonzero(np.repeat(integrated, n)))
    U0 = np.linalg.cholesky(start / size[:, None] / size + 1e-9 * np.eye(n))
    np.fill_diagonal(U0, np.log(np.diagonal(U0)))
    x0 = np.concatenate([np.where(rows == columns, _FIRST_SHARE, 0.0), U0[np.tril_indices(n)]])
    from scipy.optimize import minimize  # a tenth of a second to import, which a fit without groups is spared

    found = minimize(
        problem.objective,
        x0,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MOST_ROUNDS, "ftol": 1e-15, "gtol": 1e-8},
    )
    if not np.isfinite(found.fun) or found.fun >= _NOWHERE or np.abs(found.jac).max() > 1e-3:
        raise FitError(
            "the differences between groups could not be estimated: the likelihood has no clear maximum; choose fewer "
            "objectives with --objective, or give more sessions"
        )
    L, U = problem.unpacked(found.x)
    s = problem.state(found.x)
    of_beta, robust = _sampling(problem, found.x, s)
    spread, cross = _posterior(s, L, of_beta)
    all_sizes = np.tile(size, k)
    own = L * np.tile(size, q)[:, None]
    return MixedFit(
        beta=s.beta.reshape(k, n) * size,
        covariance=of_beta * all_sizes[:, None] * all_sizes,
        robust=robust * all_sizes[:, None] * all_sizes,
        Q=U @ U.T * size[:, None] * size,
        Omega=own @ own.T,
        gamma=(s.eta @ own.T).reshape(G, q, n),
        spread=own @ spread @ own.T,
        spread_given_beta=own @ s.P @ own.T,
        cross=own @ cross * all_sizes,
        log_likelihood=-s.minus_two / 2 - float((scaled.rows - np.sum(integrated)) * np.log(size).sum()),
        parameters=len(found.x),
    )

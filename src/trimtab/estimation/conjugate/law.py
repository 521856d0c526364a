"""The matrix-normal inverse-Wishart law of (A, b, Q): pure functions of its natural parameters.

With z = [1, u] and B (k, n), k = 1 + n, a step du = B'z + e has e ~ N(0, Q), and

    Q ~ IW(Psi, nu),    B | Q ~ MN(M, K^-1, Q).

The natural parameters are nu and the one matrix T = [[K, K M], [., Psi + M'K M]], to which a step adds w w' with
w = [1, u, du] (Minka 2000, "Bayesian linear regression"). The Schur complement of K in T is Psi, so that one Cholesky
factor of T holds those of K and of Psi, and M besides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lgamma, log, log1p, pi

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs

from trimtab.errors import FitError

__all__ = [
    "Overdispersion",
    "Parts",
    "StudentT",
    "drawn",
    "excess_surprise",
    "overdispersion",
    "parts",
    "score_sizes",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What T and nu stand for.

    Parameters
    ----------
    M
        (k, n) posterior mean of B.
    root_K
        (k, k) C with C C' = K^-1, upper triangular.
    root_Psi
        (n, n) lower Cholesky factor of Psi.
    dof
        nu.
    """

    M: Floats
    root_K: Floats
    root_Psi: Floats
    dof: float

    @property
    def root_Q(self) -> Floats:
        """Lower Cholesky factor of E[Q] = Psi / (nu - n - 1), (n, n)."""
        return np.asarray(self.root_Psi / np.sqrt(self.dof - len(self.root_Psi) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class StudentT:
    """A multivariate t law.

    Parameters
    ----------
    mean, scale
        (n,) and (n, n); the covariance is scale df / (df - 2).
    df
        Degrees of freedom.
    """

    mean: Floats
    scale: Floats
    df: float

    @property
    def covariance(self) -> Floats:
        """(n, n); infinite for df <= 2."""
        return np.asarray(self.scale * (self.df / (self.df - 2) if self.df > 2 else np.inf))

    def log_density(self, value: Floats) -> float:
        """Return the log density at `value` (n,)."""
        n, df = len(self.mean), self.df
        L = np.linalg.cholesky(self.scale)
        q = np.linalg.solve(L, np.asarray(value, dtype=np.float64) - self.mean)
        constant = lgamma((df + n) / 2) - lgamma(df / 2) - n / 2 * log(df * pi)
        return float(constant - np.log(np.diagonal(L)).sum() - (df + n) / 2 * log1p(float(q @ q) / df))


@dataclass(frozen=True, slots=True, eq=False)
class Overdispersion:
    """How much more the scores of sessions differ than those of independent steps would.

    Parameters
    ----------
    per_objective
        (n,) cluster-robust over model-based variance of each objective's coefficients, on average.
    sessions, effective
        Number of sessions, and the number that would tell as much if all told the same.
    root
        (k n, k n) with root root' the covariance of the coefficients in units in which the model's is the identity.
    """

    per_objective: Floats
    sessions: float
    effective: float
    root: Floats = field(repr=False)

    @property
    def df(self) -> float:
        """Degrees of freedom of the draws."""
        return max(self.effective - 1, 2.0)

    @property
    def widening(self) -> float:
        """By how much the half widths of 95% intervals of coefficients exceed the model's, on average."""
        size = np.sqrt((self.root**2).sum() / len(self.root))
        return float(size * scipy.special.stdtrit(self.df, 0.975) / scipy.special.ndtri(0.975))


def parts(total: Floats, dof: float) -> Parts:
    """Return M, the roots of K^-1 and Psi, and nu; ``FitError`` where T is not positive definite."""
    k = (len(total) + 1) // 2
    factor, failed = dpotrf(total, lower=1, clean=1)
    if failed:
        raise FitError(
            "the posterior's sums are not positive definite: scores differ too much in size. Give objectives the "
            "bounds that their scores really have"
        )
    inverse, _ = dtrtri(factor[:k, :k], lower=1)
    return Parts(np.asarray(inverse.T @ factor[k:, :k].T), np.asarray(inverse.T), factor[k:, k:], dof)


def excess_surprise(total: Floats, dof: float, w: Floats) -> tuple[float, float]:
    """Return -log p(du | u) less its expectation, and its variance, for a step w = [1, u, du] not yet in T.

    The predictive law is a multivariate t with nu - n + 1 degrees of freedom. With D the squared distance of the step
    from its mean in units of the scale, 1 / (1 + D / df) ~ Beta(df / 2, n / 2) whatever came before, so that mean and
    variance of the log score are differences of digamma and trigamma functions.
    """
    n = len(w) // 2
    k = 1 + n
    factor, failed = dpotrf(total, lower=1)
    if failed:
        return 0.0, 0.0
    q, _ = dtrtrs(factor, w, lower=1)
    head, tail = q[:k], q[k:]
    half, more = (dof - n + 1) / 2, (dof + 1) / 2
    expected = scipy.special.psi(more) - scipy.special.psi(half)
    spread = scipy.special.zeta(2.0, half) - scipy.special.zeta(2.0, more)
    stretched = log1p(float(tail @ tail) / (1 + float(head @ head)))
    return float(more * (stretched - expected)), float(more * more * spread)


def score_sizes(moments: Floats, law: Parts) -> Floats:
    """Return the mean square score of each session, (S, n): about 1 per step where the model holds.

    Parameters
    ----------
    moments
        (S, k, 1 + 2n) upper rows [G_s, H_s] of the sums of w w' over each session's steps.
    """
    k, n = law.M.shape
    U = moments[..., k:] - moments[..., :k] @ law.M
    scaled = (law.root_K.T @ U) / np.sqrt((law.root_Q**2).sum(axis=1))
    # K grows with the number of steps, nu - (n + 2), which must not make late sessions look small.
    return np.asarray((scaled**2).mean(axis=-2) * (law.dof - n - 2))


def overdispersion(
    law: Parts, weak: Floats, second: Floats, sessions: float, sizes: Floats, squares: Floats
) -> Overdispersion | None:
    """Compare the cluster-robust covariance of B with the model's; None with fewer than two sessions.

    With the scores U_s = H_s - G_s M of S sessions, K0 the prior's part of K, and C C' = K^-1, L L' = E[Q], the
    covariance in units of the model's is

        R = S/(S - 1) sum over s of vec(C' U_s L^-T) vec(C' U_s L^-T)' + (C' K0 C) (x) I,

    the identity in expectation where steps are independent and alike. It rests on few effective sessions
    E = (sum v)^2 / sum v^2, v being an objective's squared scores (the least E over objectives counts). So it is
    shrunk, with weight E / (E + k n), towards the model's covariance with each objective's innovations as much larger
    as the average overdispersion of its coefficients says, if that exceeds 1; and draws are t with E - 1 degrees of
    freedom.

    Parameters
    ----------
    weak
        (k, k) K0.
    second
        (k, 1 + 2n, k, 1 + 2n) sum over sessions of m m', m = [G_s, H_s].
    sizes, squares
        (n,) sums over sessions of `score_sizes` and of their squares.
    """
    if sessions < 2 or not (sizes > 0).all():
        return None
    k, n = law.M.shape
    towards = np.vstack([-law.M, np.eye(n)])
    L = law.root_Q
    to_white = np.linalg.solve(L, towards.T).T
    small = sessions / (sessions - 1)
    own = law.root_K.T @ weak @ law.root_K
    left = np.tensordot(law.root_K.T, second, 1)  # (k, a, i, b): the first index is white
    left = np.tensordot(left, law.root_K, (2, 0))  # (k, a, b, k)
    R = small * np.einsum("iabj,ap,bq->ipjq", left, to_white, to_white, optimize=True)
    R += own[:, None, :, None] * np.eye(n)[:, None, :]
    # The same in each objective's own units: L R_pp L' over Q_jj.
    average = np.einsum("ipiq->pq", R) / k
    ratio = np.diagonal(L @ average @ L.T) / (L**2).sum(axis=1)
    effective = float(min(sessions, (sizes**2 / squares).min()))
    stretch = np.linalg.solve(L, np.sqrt(np.maximum(ratio, 1.0))[:, None] * L)
    share = effective / (effective + k * n)
    R = share * R + (1 - share) * np.eye(k)[:, None, :, None] * (stretch @ stretch.T)[:, None, :]
    values, vectors = np.linalg.eigh(R.reshape(k * n, k * n))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return Overdispersion(np.asarray(ratio), sessions, effective, np.asarray(root))


def drawn(law: Parts, guard: Overdispersion | None, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return `count` draws of B (count, k, n) and Q (count, n, n).

    Q = (L A^-T) (L A^-T)' with L L' = Psi and A A' ~ Wishart(nu, I) by Bartlett's decomposition, B = M + C Z (L A^-T)'.
    Z is standard normal, or with a guard multivariate t with its covariance.
    """
    k, n = law.M.shape
    below = np.tril_indices(n, -1)
    bartlett = np.zeros((count, n, n))
    bartlett[:, np.arange(n), np.arange(n)] = np.sqrt(rng.chisquare(law.dof - np.arange(n), (count, n)))
    bartlett[:, below[0], below[1]] = rng.standard_normal((count, len(below[0])))
    root = law.root_Psi @ np.swapaxes(np.linalg.inv(bartlett), -1, -2)
    Z = rng.standard_normal((count, k * n))
    if guard is not None:
        Z = Z @ guard.root / np.sqrt(rng.chisquare(guard.df, (count, 1)) / guard.df)
    swapped = np.swapaxes(root, -1, -2)
    return law.M + law.root_K @ Z.reshape(count, k, n) @ swapped, root @ swapped

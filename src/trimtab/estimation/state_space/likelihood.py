"""The exact Gaussian likelihood of whole runs, and its gradient, from moments.

Model, for one run, in scaled units, with Phi = I + A dt:

    (x_0, u) ~ N((m, 0), [[P, C'], [C, U]])
    x_{t+1} = Phi x_t + c + u + w_t,    w_t ~ N(0, Q)
    y_t     = x_t + v_t,                v_t ~ N(0, diag(r))

Stacked, B x = h + e with B unit lower block-bidiagonal (I, -Phi), so that x has the mean B^-1 h and the covariance
B^-1 K B^-T, where K = Cov(x_0, u + w_0, ..., u + w_{T-1}). A pattern of scored iterations is a choice of rows of y.
One factorisation per pattern gives value and gradient, whatever the number of runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri

from trimtab.estimation.state_space.moments import PanelMoments

__all__ = ["Model", "log_likelihood", "stacked_law"]

Floats = NDArray[np.float64]

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(slots=True, eq=False)
class Model:
    """The model's parameters, or the gradient with respect to them.

    Parameters
    ----------
    phi, c
        (n, n) and (n,).
    Q, P, U
        (n, n) covariances of the innovation, of the first state and of the session effect.
    C
        (n, n) covariance of the session effect (rows) with the first state (columns).
    m, r
        (n,) mean of the first state and variances of the score noise.
    """

    phi: Floats
    c: Floats
    Q: Floats
    P: Floats
    U: Floats
    C: Floats
    m: Floats
    r: Floats


def _inverse_of_b(phi: Floats, span: int) -> Floats:
    """Return B^-1, (span n, span n): blocks Phi^(t - s) for t >= s."""
    n = len(phi)
    powers = np.zeros((span + 1, n, n))
    powers[0] = np.eye(n)
    for k in range(1, span):
        powers[k] = phi @ powers[k - 1]
    return powers[_lags(span)].transpose(0, 2, 1, 3).reshape(span * n, span * n)


@lru_cache(maxsize=64)
def _lags(span: int) -> NDArray[np.int64]:
    """Return t - s, and where s > t the index -1: of the last block, which is zero."""
    lag = np.subtract.outer(np.arange(span), np.arange(span))
    return np.where(lag >= 0, lag, -1)


def _sources(model: Model, span: int) -> Floats:
    """Return K, (span n, span n)."""
    n = len(model.m)
    K = np.empty((span, n, span, n))
    K[1:, :, 1:] = model.U[:, None]
    K[0, :, 0] = model.P
    K[1:, :, 0] = model.C
    K[0, :, 1:] = model.C.T[:, None, :]
    at = np.arange(1, span)
    K[at, :, at] += model.Q
    return K.reshape(span * n, span * n)


def _diagonal(matrix: Floats) -> Floats:
    """Return the diagonal of a square matrix as a view that can be written to."""
    return np.asarray(np.einsum("ii->i", matrix))


def _stack(model: Model, span: int) -> tuple[Floats, Floats, Floats, Floats]:
    inverse = _inverse_of_b(model.phi, span)
    h = np.empty((span, len(model.m)))
    h[0], h[1:] = model.m, model.c
    states = inverse @ _sources(model, span) @ inverse.T
    covariance = states.copy()
    _diagonal(covariance).reshape(span, -1)[:] += model.r
    return inverse, inverse @ h.ravel(), states, covariance


def stacked_law(model: Model, span: int) -> tuple[Floats, Floats]:
    """Return mean (span n,) and covariance (span n, span n) of the scores of a run."""
    _, mean, _, covariance = _stack(model, span)
    return mean, covariance


def log_likelihood(model: Model, moments: PanelMoments) -> tuple[float, Model | None]:
    """Return the log likelihood of all runs and its gradient.

    The gradient with respect to a symmetric matrix is the symmetric G with dL = sum(G * dQ). It is None, and the value
    -inf, where the covariance is not positive definite.
    """
    span, n = moments.span, moments.n
    inverse, mean, states, covariance = _stack(model, span)
    size = span * n
    value, gamma, slope = 0.0, np.zeros((size, size)), np.zeros(size)
    for pattern in moments.patterns:
        whole = len(pattern.index) == size
        at = np.ix_(pattern.index, pattern.index)
        V, own = (covariance, mean) if whole else (covariance[at], mean[pattern.index])
        factor, failed = dpotrf(V, lower=1)
        if failed:
            return -np.inf, None
        # Above their diagonal both are zero.
        half, _ = dpotri(factor, lower=1)
        precision = half + half.T
        _diagonal(precision)[:] *= 0.5
        total = pattern.total
        crossed = np.outer(total, own)
        S = pattern.outer - crossed - crossed.T + pattern.count * np.outer(own, own)
        weighted = precision @ S
        log_det = 2 * float(np.log(factor.diagonal()).sum())
        value -= 0.5 * (pattern.count * (log_det + len(own) * _LOG_2PI) + float(weighted.trace()))
        inner = 0.5 * (weighted @ precision - pattern.count * precision)
        outer = precision @ (total - pattern.count * own)
        if whole:
            gamma += inner
            slope += outer
        else:
            gamma[at] += inner
            slope[pattern.index] += outer
    if not np.isfinite(value):
        return -np.inf, None
    pulled = inverse.T @ gamma
    dK = (pulled @ inverse).reshape(span, n, span, n)
    dh = (inverse.T @ slope).reshape(span, n)
    passed = (pulled @ states).reshape(span, n, span, n)
    later, before = np.arange(1, span), np.arange(span - 1)
    d_phi = 2 * passed[later, :, before].sum(axis=0) + dh[1:].T @ mean.reshape(span, n)[:-1]
    return value, Model(
        phi=d_phi,
        c=dh[1:].sum(axis=0),
        Q=dK[later, :, later].sum(axis=0),
        P=dK[0, :, 0],
        U=dK[1:, :, 1:].sum(axis=(0, 2)),
        C=dK[1:, :, 0].sum(axis=0) + dK[0, :, 1:].sum(axis=1).T,
        m=dh[0],
        r=gamma.diagonal().reshape(span, n).sum(axis=0),
    )

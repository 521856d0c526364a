"""The exact Gaussian likelihood of whole runs, and its gradient, from moments.

Model, for one run, in scaled units, with Phi = I + A dt:

    (x_0, u) ~ N((m, 0), [[P, C'], [C, U]])
    x_{t+1} = Phi x_t + c + u + w_t,    w_t ~ N(0, Q)
    y_t     = x_t + v_t,                v_t ~ N(0, diag(r))

Stacked, B x = h + e with B unit lower block-bidiagonal (I, -Phi), so that x has the mean B^-1 h and the covariance
B^-1 K B^-T, where K = Cov(x_0, u + w_0, ..., u + w_{T-1}). A pattern of scored iterations is a choice of rows of y.
One factorisation per pattern gives value and gradient, whatever the number of runs. Small matrices cost more to call
for than to multiply, so that models are evaluated in batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri

from trimtab.estimation.state_space.moments import PanelMoments

__all__ = ["Model", "Stack", "batched", "joined", "log_likelihood", "precisions", "stacked_law"]

Floats = NDArray[np.float64]

MATRICES = ("phi", "Q", "P", "U", "C")
"""Names of the parameters that are matrices."""

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(slots=True, eq=False)
class Model:
    """The model's parameters, or the gradient with respect to them; any number of leading axes is a batch of models.

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

    def at(self, chosen: NDArray[np.int64]) -> Model:
        """Return the chosen ones of a batch with one leading axis."""
        return Model(*(getattr(self, f.name)[chosen] for f in fields(Model)))


def joined(models: Sequence[Model]) -> Model:
    """Return batches as one."""
    return Model(*(np.concatenate([getattr(model, f.name) for model in models]) for f in fields(Model)))


def _inverse_of_b(phi: Floats, span: int) -> Floats:
    """Return B^-1, (batch, span n, span n): blocks Phi^(t - s) for t >= s."""
    batch, n = len(phi), phi.shape[-1]
    powers = np.zeros((batch, span + 1, n, n))
    powers[:, 0] = np.eye(n)
    for k in range(1, span):
        powers[:, k] = phi @ powers[:, k - 1]
    return powers[:, _lags(span)].transpose(0, 1, 3, 2, 4).reshape(batch, span * n, span * n)


@lru_cache(maxsize=64)
def _lags(span: int) -> NDArray[np.int64]:
    """Return t - s, and where s > t the index -1: of the last block, which is zero."""
    lag = np.subtract.outer(np.arange(span), np.arange(span))
    return np.where(lag >= 0, lag, -1)


def _sources(model: Model, span: int) -> Floats:
    """Return K, (batch, span n, span n)."""
    batch, n = model.m.shape
    K = np.empty((batch, span, n, span, n))
    K[:, 1:, :, 1:] = model.U[:, None, :, None]
    K[:, 0, :, 0] = model.P
    K[:, 1:, :, 0] = model.C[:, None]
    K[:, 0, :, 1:] = model.C.transpose(0, 2, 1)[:, :, None]
    at = np.arange(1, span)
    K[:, at, :, at] += model.Q
    return K.reshape(batch, span * n, span * n)


def _diagonal(matrices: Floats) -> Floats:
    """Return the diagonals (batch, size) of square matrices as a view that can be written to."""
    return np.asarray(np.einsum("bii->bi", matrices))


@dataclass(slots=True, eq=False)
class Stack:
    """Stacked over a longest run: B^-1, the mean of the scores, and the covariances of states and of scores."""

    inverse: Floats
    mean: Floats
    states: Floats
    scores: Floats

    @classmethod
    def of(cls, model: Model, span: int) -> Stack:
        """Return the stacks of a batch of models, with one leading axis."""
        batch, n = model.m.shape
        inverse = _inverse_of_b(model.phi, span)
        h = np.empty((batch, span, n))
        h[:, 0], h[:, 1:] = model.m, model.c[:, None]
        states = inverse @ _sources(model, span) @ inverse.transpose(0, 2, 1)
        scores = states.copy()
        _diagonal(scores).reshape(batch, span, n)[:] += model.r[:, None]
        return cls(inverse, (inverse @ h.reshape(batch, -1, 1))[..., 0], states, scores)


def batched(model: Model) -> Model:
    """Return `model` with exactly one leading axis."""
    n = model.m.shape[-1]
    return Model(*(getattr(model, f.name).reshape(-1, *(n,) * (1 + (f.name in MATRICES))) for f in fields(Model)))


def stacked_law(model: Model, span: int) -> tuple[Floats, Floats]:
    """Return mean (span n,) and covariance (span n, span n) of the scores of a run."""
    stack = Stack.of(batched(model), span)
    return stack.mean[0], stack.scores[0]


def precisions(V: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return inverses and log determinants of covariances (batch, d, d), and where these are positive definite."""
    inverse, roots, valid = np.zeros_like(V), np.ones(V.shape[:2]), np.zeros(len(V), dtype=bool)
    for i, own in enumerate(V):
        factor, failed = dpotrf(own, lower=1)
        if not failed:
            # Above their diagonal both are zero.
            inverse[i] = dpotri(factor, lower=1)[0]
            roots[i] = factor.diagonal()
            valid[i] = True
    inverse += inverse.transpose(0, 2, 1)
    _diagonal(inverse)[:] *= 0.5
    return inverse, 2 * np.log(roots).sum(axis=1), valid


def log_likelihood(model: Model, moments: PanelMoments) -> tuple[Floats, Model]:
    """Return the log likelihood of all runs and its gradient, with the leading axes of `model`.

    The gradient with respect to a symmetric matrix is the symmetric G with dL = sum(G * dQ). Where the covariance is
    not positive definite the value is -inf and the gradient 0.
    """
    axes, model = model.m.shape[:-1], batched(model)
    span, n, batch = moments.span, moments.n, len(model.m)
    stack = Stack.of(model, span)
    size = span * n
    value, gamma, slope = np.zeros(batch), np.zeros((batch, size, size)), np.zeros((batch, size))
    valid = np.ones(batch, dtype=bool)
    for pattern in moments.patterns:
        whole = len(pattern.index) == size
        at = np.ix_(np.arange(batch), pattern.index, pattern.index)
        own = stack.mean if whole else stack.mean[:, pattern.index]
        precision, log_det, proper = precisions(stack.scores if whole else stack.scores[at])
        valid &= proper
        crossed = pattern.total[:, None] * own[:, None]
        S = pattern.outer - crossed - crossed.transpose(0, 2, 1) + pattern.count * own[:, :, None] * own[:, None]
        weighted = precision @ S
        value -= 0.5 * (pattern.count * (log_det + own.shape[1] * _LOG_2PI) + _diagonal(weighted).sum(axis=1))
        inner = 0.5 * (weighted @ precision - pattern.count * precision)
        outer = (precision @ (pattern.total - pattern.count * own)[..., None])[..., 0]
        if whole:
            gamma += inner
            slope += outer
        else:
            gamma[at] += inner
            slope[:, pattern.index] += outer
    valid &= np.isfinite(value)
    value[~valid] = -np.inf
    gamma[~valid], slope[~valid] = 0.0, 0.0
    turned = stack.inverse.transpose(0, 2, 1)
    pulled = turned @ gamma
    dK = (pulled @ stack.inverse).reshape(batch, span, n, span, n)
    dh = (turned @ slope[..., None]).reshape(batch, span, n)
    passed = (pulled @ stack.states).reshape(batch, span, n, span, n)
    later, before = np.arange(1, span), np.arange(span - 1)
    mean = stack.mean.reshape(batch, span, n)[:, :-1]
    gradient = Model(
        phi=2 * passed[:, later, :, before].sum(axis=0) + dh[:, 1:].transpose(0, 2, 1) @ mean,
        c=dh[:, 1:].sum(axis=1),
        Q=dK[:, later, :, later].sum(axis=0),
        P=dK[:, 0, :, 0],
        U=dK[:, 1:, :, 1:].sum(axis=(1, 3)),
        C=dK[:, 1:, :, 0].sum(axis=1) + dK[:, 0, :, 1:].sum(axis=2).transpose(0, 2, 1),
        m=dh[:, 0],
        r=_diagonal(gamma).reshape(batch, span, n).sum(axis=1),
    )
    return value.reshape(axes)[()], Model(
        *(getattr(gradient, f.name).reshape(*axes, *getattr(gradient, f.name).shape[1:]) for f in fields(Model))
    )

"""Drift, innovations and session effects, for many samples at once, from moments without noise within and between runs.

The equations are those of `random_effects.estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.run_moments import Sample, Sums, weighted_sums

__all__ = [
    "RELIABLE",
    "Solution",
    "fit_pooled",
    "fit_with_effects",
    "log_likelihood",
    "resampling_weights",
    "session_p_value",
]

Floats = NDArray[np.float64]

RELIABLE = 0.1
"""Least share of the states' variation, in every direction, that must not be noise."""

_STEP_LEFT = 0.01  # least share of the variance of residuals that counts as innovation
_SINGULAR = 1e-10  # eigenvalue of a correlation matrix that counts as zero
_RIDGE = 1e-13
_MULTINOMIAL = 2_000  # sessions up to which they are drawn one by one
_REPLICATES, _ROUNDS, _TOLERANCE = 100, 100, 1e-3  # of the test for session effects


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A fit for a batch (...) of sums, in the units of the sample.

    Parameters
    ----------
    beta
        (..., 1 + n + m, n) coefficients of [1, x, V' x_0]; those of x_0 are 0 without session effects.
    Q
        (..., n, n) covariance of innovations.
    L, tau
        (..., n, n) and (..., n): L' Q L = I and L' Sigma L = diag(tau), Sigma being the covariance of session effects
        given x_0.
    reliability
        (...) least share of the states' variation that is not noise.
    rounds, converged
        Rounds of the slowest of the batch, and whether all settled.
    """

    beta: Floats
    Q: Floats
    L: Floats
    tau: Floats
    reliability: Floats
    rounds: int
    converged: bool

    @property
    def Sigma(self) -> Floats:
        """Covariance of session effects given x_0, (..., n, n)."""
        back = np.linalg.inv(self.L)
        return np.asarray(np.swapaxes(back, -1, -2) * self.tau[..., None, :] @ back)


def resampling_weights(rng: np.random.Generator, size: int, S: int) -> Floats:
    """Return weights (size, S) on sessions: how often each is drawn, or N(1, 1) where there are many.

    Sums over many sessions are normal under either; normal weights are faster to draw.
    """
    if S <= _MULTINOMIAL:
        return rng.multinomial(S, np.full(S, 1.0 / S), size=size).astype(np.float64)
    return np.asarray(1.0 + rng.standard_normal((size, S)))


def _residual(moments: Floats, beta: Floats) -> Floats:
    """Return the residual sums of squares and products (..., n, n) of dx on the first regressors in w, given beta."""
    k, n = beta.shape[-2:]
    zd = moments[..., :k, -n:]
    fitted = np.swapaxes(zd, -1, -2) @ beta
    explained = np.swapaxes(beta, -1, -2) @ moments[..., :k, :k] @ beta
    return np.asarray(moments[..., -n:, -n:] - fitted - np.swapaxes(fitted, -1, -2) + explained)


def _reliability(left: Floats, taken: Floats) -> Floats:
    """Return the least eigenvalue (...) of `left` in units of `left` + `taken`, which is what the scores show."""
    raw = left + taken
    size = np.sqrt(np.maximum(np.diagonal(raw, axis1=-2, axis2=-1), np.finfo(float).tiny))
    size = size[..., :, None] * size[..., None, :]
    values, vectors = np.linalg.eigh(raw / size)
    # A direction in which nothing varies thereby counts as one that is all noise.
    root = vectors / np.sqrt(np.maximum(values, _SINGULAR))[..., None, :]
    return np.asarray(np.linalg.eigvalsh(np.swapaxes(root, -1, -2) @ (left / size) @ root)[..., 0])


def _solve(left: Floats, right: Floats) -> Floats:
    """Solve systems (..., k, k) for (..., k, j); a ridge of the size of rounding keeps singular ones harmless."""
    size = np.abs(np.diagonal(left, axis1=-2, axis2=-1)).max(axis=-1)[..., None, None]
    ridge = _RIDGE * np.where(size > 0, size, 1.0) * np.eye(left.shape[-1])
    return np.asarray(np.linalg.solve(left + ridge, right))


def fit_pooled(sample: Sample, sums: Sums) -> Solution:
    """Fit without session effects: least squares, the noise taken out."""
    n, m, k = sample.n, sample.m, 1 + sample.n
    total, taken = sums.within + sums.between.sum(axis=-3), sums.taken.sum(axis=-3)
    beta = _solve(total[..., :k, :k], total[..., :k, -n:])
    free = np.maximum(sums.count @ sample.lengths - k, 1.0)
    Q, L = _innovation(_residual(total, beta), _residual(total + taken, beta), free)
    return Solution(
        beta=np.concatenate([beta, np.zeros((*beta.shape[:-2], m, n))], axis=-2),
        Q=Q,
        L=L,
        tau=np.zeros(L.shape[:-1]),
        reliability=_reliability(total[..., :k, :k], taken[..., :k, :k]),
        rounds=1,
        converged=True,
    )


def _innovation(rss: Floats, raw: Floats, free: Floats) -> tuple[Floats, Floats]:
    """Return Q and K with K' Q K = I: Q is rss / free, in no direction below `_STEP_LEFT` of what it is with noise."""
    size = np.diagonal(raw, axis1=-2, axis2=-1).max(axis=-1)[..., None, None]
    ridge = _SINGULAR * np.maximum(size, np.finfo(float).tiny) * np.eye(raw.shape[-1])
    root = np.linalg.cholesky(raw + ridge)
    white = np.linalg.inv(root)
    left, within = np.linalg.eigh(white @ rss @ np.swapaxes(white, -1, -2))
    spread = np.sqrt(np.maximum(left, _STEP_LEFT) / free[..., None])[..., None, :]
    half = root @ within * spread
    return np.asarray(half @ np.swapaxes(half, -1, -2)), np.asarray(np.swapaxes(white, -1, -2) @ within / spread)


def fit_with_effects(sample: Sample, sums: Sums, rounds: int, tolerance: float) -> Solution:
    """Fit with session effects, for a batch (B,) of sums.

    In the basis in which Q is I and Sigma diag(tau) the equations of the objectives come apart: each is a least-squares
    problem with moments W + sum_T B_T / (1 + T tau_i). Replicates start at Sigma = 0 as the estimate does, and not at
    the estimate: near a unit root the likelihood has two maxima, and which of them is found is part of the uncertainty.
    """
    B, n, T = len(sums.within), sample.n, sample.lengths
    k = 1 + n + sample.m
    runs = sum(len(group.session) for group in sample.runs)
    lowest = (max(1 - 2 * np.sqrt(2 / runs), RELIABLE) - 1) / T.max()
    L, tau = np.tile(np.eye(n), (B, 1, 1)), np.zeros((B, n))
    beta, Q = np.zeros((B, k, n)), np.empty_like(L)
    active, done = np.arange(B), 0
    W, between, taken, count = sums.within, sums.between, sums.taken, sums.count
    while len(active) and done < rounds:
        done += 1
        own, inverse = L[active], np.linalg.inv(L[active])
        weight = 1.0 / (1.0 + tau[active][..., None] * T)
        left, right = _normal_equations(W, between, own, weight, k)
        found = np.swapaxes(_solve(left, right)[..., 0], -1, -2) @ inverse
        rss = _residual(W, found)
        raw = _residual(W + taken[:, 0], found)
        Q[active], root = _innovation(rss, raw, np.maximum(count @ (T - 1), 1.0))
        # Sigma's equation, in the basis at hand: weights are those of the last round.
        turned = np.swapaxes(own, -1, -2)[:, None] @ _residual(between, found[:, None]) @ own[:, None]
        unit = np.swapaxes(own, -1, -2) @ Q[active] @ own
        both = T * weight[:, :, None] * weight[:, None, :]
        excess = np.moveaxis(turned - count[..., None, None] * unit[:, None], 1, -1)
        solved = (both * excess).sum(axis=-1) / np.maximum((both * (count * T)[:, None, None]).sum(axis=-1), _SINGULAR)
        back = inverse @ root
        found_tau, turn = np.linalg.eigh(np.swapaxes(back, -1, -2) @ solved @ back)
        L[active], tau[active] = root @ turn, np.maximum(found_tau, lowest)
        change = np.abs(found - beta[active]).max(axis=(1, 2))
        beta[active] = found
        moving = ~(change < tolerance)
        active, W, between, taken, count = (part[moving] for part in (active, W, between, taken, count))
    weight = 1.0 / (1.0 + tau[..., None] * T)
    left, _ = _normal_equations(sums.within, sums.between, L, weight, k)
    of_noise, _ = _normal_equations(sums.taken[:, 0], sums.taken[:, 1:], L, weight, k)
    reliability = _reliability(left, of_noise).min(axis=-1)
    return Solution(beta, Q, L, tau, reliability, done, not len(active))


def _normal_equations(within: Floats, between: Floats, L: Floats, weight: Floats, k: int) -> tuple[Floats, Floats]:
    """Return left (B, n, k, k) and right sides (B, n, k, 1) of the equations for the columns of beta L."""
    n = L.shape[-1]
    spread = within[:, None] + np.einsum("big,bgpq->bipq", weight, between, optimize=True)
    right = np.einsum("bikj,bji->bik", spread[..., :k, -n:], L)
    return spread[..., :k, :k], right[..., None]


def log_likelihood(sample: Sample, sums: Sums, solution: Solution) -> Floats:
    """Return the log-likelihood (...) of residuals within and between runs, but for a constant."""
    T, count, L = sample.lengths, sums.count, solution.L

    def in_units_of_q(moments: Floats, beta: Floats, basis: Floats) -> Floats:
        return np.diagonal(np.swapaxes(basis, -1, -2) @ _residual(moments, beta) @ basis, axis1=-2, axis2=-1)

    psi = 1.0 + T[:, None] * solution.tau[..., None, :]
    between = in_units_of_q(sums.between, solution.beta[..., None, :, :], L[..., None, :, :])
    deviance = in_units_of_q(sums.within, solution.beta, L).sum(axis=-1) + (between / psi).sum(axis=(-2, -1))
    deviance += (count * np.log(psi).sum(axis=-1)).sum(axis=-1)
    return np.asarray(-0.5 * deviance + (count @ T) * np.linalg.slogdet(L)[1])


def session_p_value(sample: Sample) -> float:
    """Return the p-value of "sessions do not differ for good": C = 0 and Sigma = 0.

    With noise taken out the likelihood ratio is chi-squared, of d = n m + n (n + 1) / 2 degrees of freedom, only up to
    a factor, because the moments are less certain than if x were seen. Resampling adds that uncertainty once more, so
    that the median over replicates exceeds the ratio by about factor x d. Not-a-number where it cannot be told.
    """
    S, n = sample.n_sessions, sample.n
    drawn = resampling_weights(stream(0, "session effects"), _REPLICATES, S)
    sums = weighted_sums(sample, np.vstack([np.ones((1, S)), drawn]))
    full, plain = fit_with_effects(sample, sums, _ROUNDS, _TOLERANCE), fit_pooled(sample, sums)
    ratio = 2 * (log_likelihood(sample, sums, full) - log_likelihood(sample, sums, plain))
    usable = np.minimum(full.reliability, plain.reliability) >= RELIABLE
    if not usable[0] or usable.mean() < 0.5:
        return float("nan")
    d = n * sample.m + n * (n + 1) // 2
    factor = max(float(np.median(ratio[1:][usable[1:]]) - ratio[0]) / d, 1.0)
    return float(scipy.special.chdtrc(d, max(float(ratio[0]), 0.0) / factor))

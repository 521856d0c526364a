"""The paper's estimator (eq. 5): least squares of dx_t on [1, x_t], from moments, for one sample or many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.moments import Moments

__all__ = [
    "AffineEstimate",
    "cluster_covariance",
    "coefficients",
    "estimate",
    "independent_objectives",
    "varying_objectives",
]

Floats = NDArray[np.float64]

_TINY = 1e-10  # relative size below which an eigenvalue of the scaled design counts as zero
_CONSTANT = 1e-12  # share of the mean square below which a variance is rounding error


@dataclass(frozen=True, slots=True, eq=False)
class AffineEstimate:
    """Least-squares estimates for a batch of moment sums, in the objectives' own units.

    Parameters
    ----------
    A
        (..., n, n) drift matrix, per unit of time.
    b
        (..., n) drift at the origin.
    Q
        (..., n, n) residual covariance of a step, RSS / (M - 1 - rank).
    rank
        (...) number of directions in which the states vary; below n, A is a minimum-norm solution.
    step_covariance
        (..., n, n) covariance (divided by M) of the step changes; zero for an objective whose steps are all alike.
    residual, total_steps, total_levels
        (..., n) per objective: residual sum of squares; sums of squares of dx_t and of x_{t+1} about their means.
    squared_steps
        (..., n): sum of dx_t^2, the residual sum of squares of "stays where it is".
    """

    A: Floats
    b: Floats
    Q: Floats
    rank: NDArray[np.int64]
    step_covariance: Floats
    residual: Floats
    total_steps: Floats
    total_levels: Floats
    squared_steps: Floats


def _within(total: Floats, k: int, active: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
    """Return the states' sums of squares and products about their means, (..., n, n), as correlations, and their sizes.

    The size (..., n) is the root of the diagonal, and infinite for a state that never varies or is not `active`: what
    is divided by it vanishes, instead of rounding error being blown up.
    """
    count, sums, raw = np.maximum(total[..., :1, :1], 1.0), total[..., 0, 1:k], total[..., 1:k, 1:k]
    states = raw - sums[..., :, None] * sums[..., None, :] / count
    own = np.diagonal(states, axis1=-2, axis2=-1)
    varies = own > 1e-12 * np.maximum(np.diagonal(raw, axis1=-2, axis2=-1), count[..., 0])
    varies = varies if active is None else varies & active
    size = np.where(varies, np.sqrt(np.where(varies, own, 1.0)), np.inf)
    return np.asarray(states / size[..., :, None] / size[..., None, :]), size


def coefficients(total: Floats, active: NDArray[np.bool_] | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Return beta (..., 1 + n, n) of du = beta' [1, u] from moment sums (..., 1 + 2n, 1 + 2n), and the rank (...).

    The intercept is eliminated first, so that the origin of u costs no precision. Directions in which the states do
    not vary get the coefficient zero (minimum norm in units of each objective's own spread), and do not count in the
    rank of the states.
    """
    k = (total.shape[-1] + 1) // 2
    count, sums = np.maximum(total[..., :1, :1], 1.0), total[..., 0, 1:k]
    cross = total[..., 1:k, k:] - sums[..., :, None] * total[..., :1, k:] / count
    states, size = _within(total, k, active)
    size = size[..., None]
    eigenvalues, vectors = np.linalg.eigh(states)
    kept = eigenvalues > _TINY * np.maximum(eigenvalues[..., -1:], _TINY)
    inverse = np.where(kept, 1.0 / np.where(kept, eigenvalues, 1.0), 0.0)
    slope = (vectors * inverse[..., None, :]) @ (np.swapaxes(vectors, -1, -2) @ (cross / size)) / size
    intercept = (total[..., :1, k:] - sums[..., None, :] @ slope) / count
    return np.concatenate([intercept, slope], axis=-2), kept.sum(axis=-1)


def estimate(
    total: Floats, center: Floats, scale: Floats, dt: float = 1.0, active: NDArray[np.bool_] | None = None
) -> AffineEstimate:
    """Fit dx_t = (A x_t + b) dt + e_t by least squares (paper, eq. 5) for each moment sum in a batch.

    Parameters
    ----------
    total
        (..., 1 + 2n, 1 + 2n) sums of w w', see `moments`; weights on sessions are allowed.
    center, scale
        (n,) as in the moments.
    dt
        Time between iterations.
    active
        (n,) objectives that may explain steps; all if None.
    """
    n = len(center)
    k = 1 + n
    beta, rank = coefficients(total, active)
    G, H, D = total[..., :k, :k], total[..., :k, k:], total[..., k:, k:]
    count = np.maximum(G[..., 0, 0], 1.0)
    cross = np.swapaxes(H, -1, -2) @ beta
    # Written out so that it stays positive semidefinite when beta is a minimum-norm solution.
    rss = D - cross - np.swapaxes(cross, -1, -2) + np.swapaxes(beta, -1, -2) @ G @ beta
    slope = np.swapaxes(beta[..., 1:, :], -1, -2)
    A = slope * scale[:, None] / scale / dt
    b = (beta[..., 0, :] * scale) / dt - (A @ center[:, None])[..., 0]
    unit = scale[:, None] * scale
    free = np.maximum(count - 1 - rank, 1.0)[..., None, None]
    mean = H[..., 0, :] / count[..., None]
    covariance = D / count[..., None, None] - mean[..., :, None] * mean[..., None, :]
    squared = np.einsum("...jj->...j", D)
    # Steps that are all alike, such as a counter's, vary by rounding error only.
    alike = np.einsum("...jj->...j", covariance) <= _CONSTANT * squared / count[..., None]
    covariance = np.where(alike[..., :, None] | alike[..., None, :], 0.0, covariance)
    state_mean = G[..., 0, 1:] / count[..., None]
    next_mean = state_mean + mean
    next_square = np.einsum("...jj->...j", G[..., 1:, 1:] + D) + 2 * np.einsum("...jj->...j", H[..., 1:, :])
    total_levels = next_square - count[..., None] * next_mean**2
    return AffineEstimate(
        A=A,
        b=b,
        Q=rss / free * unit,
        rank=rank,
        step_covariance=covariance * unit,
        residual=np.maximum(np.einsum("...jj->...j", rss), 0.0) * scale**2,
        total_steps=np.einsum("...jj->...j", covariance) * count[..., None] * scale**2,
        total_levels=np.maximum(total_levels, 0.0) * scale**2,
        squared_steps=squared * scale**2,
    )


def varying_objectives(total: Floats) -> NDArray[np.bool_]:
    """Say which objectives differ between the starts of steps, (n,): the others cannot explain any step."""
    return np.isfinite(_within(total, (total.shape[-1] + 1) // 2)[1])


def independent_objectives(total: Floats) -> NDArray[np.bool_]:
    """Say which objectives are no exact linear combination of those before them at the starts of steps, (n,)."""
    k = (total.shape[-1] + 1) // 2
    correlation, size = _within(total, k)
    kept: list[int] = []
    for j in np.flatnonzero(np.isfinite(size)):
        both = [*kept, int(j)]
        if np.linalg.eigvalsh(correlation[np.ix_(both, both)])[0] > _TINY * len(both):
            kept = both
    return np.isin(np.arange(k - 1), kept)


def cluster_covariance(moments: Moments) -> Floats:
    """Return the CR1 cluster-robust covariance of vec(beta), ((1 + n) n, (1 + n) n), sessions being the clusters.

    With scores U_s = H_s - G_s beta, bread G^-1 and S clusters, Cov = S/(S - 1) (M - 1)/(M - n - 1) sum over s of
    vec(G^-1 U_s) vec(G^-1 U_s)', vec taken row by row. Units are those of the scaled regression. Needs S >= 2 and
    an identified design.
    """
    k = 1 + moments.n
    total, outer = moments.total, moments.outer
    beta, _ = coefficients(total)
    scores = outer[:, :k, k:] - outer[:, :k, :k] @ beta
    influence = np.linalg.solve(total[:k, :k], np.moveaxis(scores, 0, 1).reshape(k, -1)).reshape(k, len(scores), -1)
    flat = np.moveaxis(influence, 1, 0).reshape(len(scores), -1)
    clusters, steps = moments.n_sessions, moments.n_steps
    correction = clusters / (clusters - 1) * (steps - 1) / max(steps - k, 1)
    return np.asarray(correction * flat.T @ flat)

"""The paper's estimator (eq. 5): least squares of dx_t on [1, x_t], from moments, for one sample or many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.small_matrices import batch_first, batch_last, cholesky_solve
from trimtab.estimation.moments import AnyMoments

__all__ = [
    "AffineEstimate",
    "cluster_covariance",
    "coefficients",
    "estimate",
    "independent_objectives",
    "varying_objectives",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WELL_CONDITIONED = 1e-6  # determinant of the states' correlations from which on Cholesky factors are trusted
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


def _within(T: Floats, active: Bools | None = None) -> tuple[Floats, Floats]:
    """Return the states' sums of squares and products about their means, (n, n, B), as correlations, and their sizes.

    The size (n, B) is the root of the diagonal, and infinite for a state that never varies or is not `active`: what
    is divided by it vanishes, instead of rounding error being blown up.
    """
    k = (len(T) + 1) // 2
    count, sums, raw = np.maximum(T[0, 0], 1.0), T[0, 1:k], T[1:k, 1:k]
    states = raw - sums[:, None] * (sums / count)
    own = _diagonal(states)
    varies = own > 1e-12 * np.maximum(_diagonal(raw), count)
    varies = varies if active is None else varies & active[:, None]
    size = np.where(varies, np.sqrt(np.where(varies, own, 1.0)), np.inf)
    return np.asarray(states / size[:, None] / size), size


def _slope(T: Floats, active: Bools | None) -> tuple[Floats, NDArray[np.int64]]:
    """Return the coefficients (n, n, B) of u and the rank of the states (B,), from moment sums (p, p, B)."""
    k = (len(T) + 1) // 2
    states, size = _within(T, active)
    cross = (T[1:k, k:] - T[0, 1:k, None] * (T[0, k:] / np.maximum(T[0, 0], 1.0))) / size[:, None]
    chosen = np.arange(k - 1) if active is None else np.flatnonzero(active)
    some = np.ix_(chosen, chosen)
    solved, trusted = cholesky_solve(states[some], cross[chosen], _WELL_CONDITIONED)
    slope = np.zeros_like(cross)
    slope[chosen] = solved
    rank = np.full(trusted.shape, len(chosen))
    if not trusted.all():
        few = np.flatnonzero(~trusted)
        slope[:, :, few], rank[few] = _minimum_norm(states[:, :, few], cross[:, :, few])
    return slope / size[:, None], rank


def _minimum_norm(states: Floats, cross: Floats) -> tuple[Floats, NDArray[np.int64]]:
    eigenvalues, vectors = np.linalg.eigh(np.moveaxis(states, -1, 0))
    kept = eigenvalues > _TINY * np.maximum(eigenvalues[:, -1:], _TINY)
    inverse = np.where(kept, 1.0 / np.where(kept, eigenvalues, 1.0), 0.0)
    slope = (vectors * inverse[:, None, :]) @ (np.swapaxes(vectors, -1, -2) @ np.moveaxis(cross, -1, 0))
    return np.moveaxis(slope, 0, -1), kept.sum(axis=-1)


def coefficients(total: Floats, active: Bools | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Return beta (..., 1 + n, n) of du = beta' [1, u] from moment sums (..., 1 + 2n, 1 + 2n), and the rank (...).

    The intercept is eliminated first, so that the origin of u costs no precision. Directions in which the states do
    not vary get the coefficient zero (minimum norm in units of each objective's own spread), and do not count in the
    rank of the states. Most sums of a batch are solved by Cholesky factors, those near singular by eigenvectors.
    """
    T = batch_last(total)
    slope, rank = _slope(T, active)
    beta = np.concatenate([_intercept(T, slope)[None], slope])
    return batch_first(beta, total.shape[:-2]), rank.reshape(total.shape[:-2])


def _intercept(T: Floats, slope: Floats) -> Floats:
    k = len(slope) + 1
    return np.asarray((T[0, k:] - np.einsum("jb,jib->ib", T[0, 1:k], slope)) / np.maximum(T[0, 0], 1.0))


def estimate(
    total: Floats, center: Floats, scale: Floats, dt: float = 1.0, active: Bools | None = None
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
    k = 1 + len(center)
    T = batch_last(total)
    slope, rank = _slope(T, active)
    intercept = _intercept(T, slope)
    unit = scale[:, None]
    A = np.swapaxes(slope, 0, 1) * (scale[:, None] / scale / dt)[:, :, None]
    b = intercept * unit / dt - np.einsum("ijb,j->ib", A, center)
    count = np.maximum(T[0, 0], 1.0)
    state_mean, mean = T[0, 1:k] / count, T[0, k:] / count
    G, H, D = T[1:k, 1:k], T[1:k, k:], T[k:, k:]
    variation = D - mean[:, None] * T[0, k:]
    # Written out so that it stays positive semidefinite when the slope is a minimum-norm solution.
    cross = np.einsum("kib,kjb->ijb", H - T[0, 1:k, None] * mean, slope)
    states = G - T[0, 1:k, None] * state_mean
    rss = variation - cross - np.swapaxes(cross, 0, 1)
    rss += np.einsum("kib,kjb->ijb", slope, np.einsum("klb,ljb->kjb", states, slope))
    squared = _diagonal(D)
    # Steps that are all alike, such as a counter's, vary by rounding error only.
    alike = _diagonal(variation) <= _CONSTANT * squared
    variation[alike[:, None] | alike] = 0.0
    # The next level is u + du.
    levels = _diagonal(states) + 2 * _diagonal(H - T[0, 1:k, None] * mean) + squared - mean * T[0, k:]
    square = (scale[:, None] * scale)[:, :, None]
    lead = total.shape[:-2]
    return AffineEstimate(
        A=batch_first(A, lead),
        b=batch_first(b, lead),
        Q=batch_first(rss / np.maximum(count - 1 - rank, 1.0) * square, lead),
        rank=rank.reshape(lead),
        step_covariance=batch_first(variation / count * square, lead),
        residual=batch_first(np.maximum(_diagonal(rss), 0.0) * unit**2, lead),
        total_steps=batch_first(_diagonal(variation) * unit**2, lead),
        total_levels=batch_first(np.maximum(levels, 0.0) * unit**2, lead),
        squared_steps=batch_first(squared * unit**2, lead),
    )


def _diagonal(T: Floats) -> Floats:
    """Return the diagonals (n, B) of (n, n, B)."""
    return np.diagonal(T).T


def varying_objectives(total: Floats) -> Bools:
    """Say which objectives differ between the starts of steps, (n,): the others cannot explain any step."""
    return np.asarray(np.isfinite(_within(batch_last(total))[1][:, 0]))


def independent_objectives(total: Floats) -> Bools:
    """Say which objectives are no exact linear combination of those before them at the starts of steps, (n,)."""
    k = (total.shape[-1] + 1) // 2
    correlation, size = (found[..., 0] for found in _within(batch_last(total)))
    kept: list[int] = []
    for j in np.flatnonzero(np.isfinite(size)):
        both = [*kept, int(j)]
        if np.linalg.eigvalsh(correlation[np.ix_(both, both)])[0] > _TINY * len(both):
            kept = both
    return np.isin(np.arange(k - 1), kept)


def cluster_covariance(moments: AnyMoments) -> Floats:
    """Return the CR1 cluster-robust covariance of vec(beta), ((1 + n) n, (1 + n) n), sessions being the clusters.

    With scores U_s = H_s - G_s beta, bread G^-1 and S clusters, Cov = S/(S - 1) (M - 1)/(M - n - 1) sum over s of
    vec(G^-1 U_s) vec(G^-1 U_s)', vec taken row by row. Units are those of the scaled regression. Needs S >= 2 and
    an identified design.
    """
    n, total = moments.n, moments.total
    k, p = 1 + n, 1 + 2 * n
    beta, _ = coefficients(total)
    # vec(G^-1 U_s) is a linear function of M_s: its coefficients are its values at matrices with a single entry.
    rows, columns = np.triu_indices(p)
    single = np.zeros((len(rows), p, p))
    single[np.arange(len(rows)), rows, columns] = single[np.arange(len(rows)), columns, rows] = 1.0
    scores = single[:, :k, k:] - single[:, :k, :k] @ beta
    J = np.asarray(np.linalg.solve(total[:k, :k], scores), dtype=np.float64).reshape(len(rows), -1).T
    clusters, steps = moments.n_sessions, moments.n_steps
    correction = clusters / (clusters - 1) * (steps - 1) / max(steps - k, 1)
    return np.asarray(correction * moments.products(J))

"""The drift where scores are cut off at the objectives' bounds: a two-limit Tobit model, equation by equation.

Least squares takes a score that sits at a bound for one that came to rest there by itself, which distorts rates and
regimes; to leave such steps out distorts them more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps
from trimtab.errors import FitError, InputError
from trimtab.estimation.cautions import too_few_steps
from trimtab.estimation.line_minimum import line_minimum

__all__ = ["TobitEstimate", "estimate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ROUNDS = 100
_SETTLED = 1e-10  # Newton decrement, in units of log-likelihood, at which the search ends
_SINGULAR = 1e-10  # eigenvalue of a correlation matrix that counts as zero
_ROUNDING = 1e-9  # distance from a bound, in units of a score's spread, that is rounding error
_HIGHEST = 0.99  # largest correlation of innovations that is looked for
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


@dataclass(frozen=True, slots=True, eq=False)
class TobitEstimate:
    """The drift of clipped scores, see `estimate`.

    Parameters
    ----------
    A
        (n, n) drift matrix, per unit of time.
    b
        (n,) drift at the origin.
    Q
        (n, n) covariance of a step's innovation before scores are cut off.
    covariance
        (n (1 + n), n (1 + n)) cluster-robust covariance of the coefficients, equation by equation: b_1, A_11, ...,
        A_1n, b_2, and so on. Not-a-number with fewer than two sessions.
    at_low, at_high
        (n,) number of steps that end at each bound.
    sessions, steps
        Numbers of sessions and of steps.
    iterations
        (n,) Newton steps each equation took; 0 where no score is at a bound.
    """

    A: Floats
    b: Floats
    Q: Floats
    covariance: Floats = field(repr=False)
    at_low: Ints
    at_high: Ints
    sessions: int
    steps: int
    iterations: Ints

    def draws(self, count: int, seed: int, *key: str | int) -> tuple[Floats, Floats]:
        """Return `count` normal draws of A, (count, n, n), and b, (count, n), from the estimate and its covariance.

        They depend on nothing but the estimate, `seed` and `key`.
        """
        n = len(self.b)
        rng = stream(seed, "tobit", *key)
        if not np.isfinite(self.covariance).all():
            return np.full((count, n, n), np.nan), np.full((count, n), np.nan)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        centre = np.hstack([self.b[:, None], self.A])
        drawn = centre + (rng.standard_normal((count, n * (1 + n))) @ root.T).reshape(count, n, 1 + n)
        return drawn[..., 1:], drawn[..., 0]


def estimate(steps: Steps, low: ArrayLike, high: ArrayLike, dt: float = 1.0) -> TobitEstimate:
    """Fit x_{t+1} = clip(x_t + (A x_t + b) dt + e_t, low, high), e_t ~ N(0, Q), to steps.

    The score that is recorded is the state the loop goes on from, also where it is at a bound. For objective j let z =
    [1, x_t], y = x_{j,t+1}, theta its coefficients and sigma^2 = Q_jj. With gamma = 1 / sigma and delta = theta /
    sigma the log-likelihood (Tobin, Econometrica 26, 1958)

        sum over scores inside of log gamma - (gamma y - delta' z)^2 / 2
        + sum over those at `low` of log Phi(gamma low - delta' z) + over those at `high` of log Phi(delta' z - gamma
        high)

    is concave (Olsen, Econometrica 46, 1978), and Newton's method finds its maximum. Without scores at a bound that is
    least squares. The covariance of all coefficients is the sandwich over sessions, with the factors S / (S - 1) and
    (M - 1) / (M - n - 1) of CR1; sigma^2 is likewise multiplied by M / (M - n - 1). Covariances of two innovations
    come from the pair's likelihood, given each one's own coefficients, with scores at a bound in it; correlations that
    do not fit together are then moved to the nearest that do, by cutting off negative eigenvalues.

    Parameters
    ----------
    steps
        Complete steps, ordered by session.
    low, high
        () or (n,) bounds, infinite where there is none. Scores beyond a bound count as being at it.
    dt
        Time between iterations.

    Raises
    ------
    FitError
        If there are too few steps or too little variation to fit every equation: too few scores inside the bounds, or
        states that differ in fewer than n directions.
    InputError
        If the bounds do not fit the objectives.
    """
    M, n = steps.x.shape
    k = 1 + n
    given = [np.asarray(bound, dtype=np.float64) for bound in (low, high)]
    if any(bound.shape not in ((), (n,)) for bound in given):
        raise InputError(
            f"one bound or {n} bounds are needed at each end, but the shapes are {given[0].shape}, {given[1].shape}"
        )
    bounds = np.stack([np.broadcast_to(bound, n) for bound in given])
    if not (bounds[0] < bounds[1]).all():
        raise InputError(f"every objective needs low < high, but got {bounds[0].tolist()} and {bounds[1].tolist()}")
    if n + 2 > M:
        raise FitError(too_few_steps(n, M))
    center, scale = steps.x.mean(axis=0), steps.x.std(axis=0)
    if not (scale > 1e-12 * np.abs(center)).all():
        raise FitError("every objective must differ between the starts of steps: leave out those that never do")
    z = np.hstack([np.ones((M, 1)), (steps.x - center) / scale])
    gram = z.T @ z
    if np.linalg.eigvalsh(gram / M)[0] < _SINGULAR:
        raise FitError("no objective may be a linear combination of others: leave out one of them")
    y = steps.x + steps.dx
    # x + (y - x) may miss y, and so the bound, by a rounding error.
    near = _ROUNDING * scale
    side = np.where(y <= bounds[0] + near, 1, np.where(y >= bounds[1] - near, -1, 0))
    # A score beyond a bound says that the state is there or further out, not where.
    u = (np.where(side > 0, bounds[0], np.where(side < 0, bounds[1], y)) - center) / scale
    starts = np.unique(steps.session, return_index=True)[1]
    S = len(starts)
    theta, sigma = np.empty((n, k)), np.empty(n)
    influence, e = np.empty((S, n, k)), np.zeros((M, n))
    iterations = np.zeros(n, dtype=np.int64)
    for j in range(n):
        if side[:, j].any():
            phi, bread, iterations[j] = _maximum(z, u[:, j], side[:, j], j)
            gamma = phi[-1]
            theta[j], sigma[j] = phi[:-1] / gamma, 1 / gamma
            e[:, j] = gamma * u[:, j] - z @ phi[:-1]
            rows = np.linalg.solve(bread, _scores(z, u[:, j], side[:, j], e[:, j], gamma).T).T
            rows = (rows[:, :-1] - rows[:, -1:] * theta[j]) / gamma
        else:
            theta[j] = np.linalg.solve(gram, z.T @ u[:, j])
            residual = u[:, j] - z @ theta[j]
            sigma[j] = np.sqrt(np.mean(residual**2))
            e[:, j] = residual / sigma[j] if sigma[j] > 0 else 0.0
            rows = np.linalg.solve(gram, (z * residual[:, None]).T).T
        influence[:, j] = np.add.reduceat(rows, starts, axis=0)
    free = M / max(M - k, 1)
    Q = free * _correlation(e, side) * np.outer(sigma * scale, sigma * scale)
    flat = _unscaled(influence, center, scale, dt).reshape(S, n * k)
    factor = S / (S - 1) * (M - 1) / max(M - k, 1) if S > 1 else np.nan
    coefficients = _unscaled(theta - np.hstack([np.zeros((n, 1)), np.eye(n)]), center, scale, dt)
    return TobitEstimate(
        A=coefficients[:, 1:],
        b=coefficients[:, 0],
        Q=Q,
        covariance=factor * flat.T @ flat,
        at_low=(side > 0).sum(axis=0),
        at_high=(side < 0).sum(axis=0),
        sessions=S,
        steps=M,
        iterations=iterations,
    )


def _unscaled(theta: Floats, center: Floats, scale: Floats, dt: float) -> Floats:
    """Return coefficients (..., n, 1 + n) of [1, (x - center) / scale] for y / scale as those of [1, x], over dt."""
    A = theta[..., 1:] * scale[:, None] / scale / dt
    b = theta[..., 0] * scale / dt - A @ center
    return np.concatenate([b[..., None], A], axis=-1)


def _mills(t: Floats) -> Floats:
    """Return phi(t) / Phi(t), for any t without overflow."""
    return np.asarray(np.sqrt(2 / np.pi) / scipy.special.erfcx(-t / np.sqrt(2)))


def _scores(z: Floats, u: Floats, side: Ints, e: Floats, gamma: float) -> Floats:
    """Return each row's gradient (M, k + 1) of the log-likelihood at (delta, gamma)."""
    slope = np.where(side == 0, e, -side * _mills(side * e))
    gradient = np.hstack([z, -u[:, None]]) * slope[:, None]
    gradient[side == 0, -1] += 1 / gamma
    return gradient


def _maximum(z: Floats, u: Floats, side: Ints, j: int) -> tuple[Floats, Floats, int]:
    """Return (delta, gamma) of greatest likelihood, minus the Hessian there, and the number of Newton steps.

    With v = [z, -u] a row adds log gamma - (v' phi)^2 / 2 inside, and log Phi(-side v' phi) at a bound, `side` being 1
    at the lower and -1 at the upper one. Rows inside enter through the sum of v v' alone.
    """
    v = np.hstack([z, -u[:, None]])
    inside = side == 0
    count, gram = int(inside.sum()), v[inside].T @ v[inside]
    size = np.sqrt(np.maximum(np.diagonal(gram), np.finfo(float).tiny))
    if count <= z.shape[1] or np.linalg.eigvalsh(gram / size[:, None] / size)[0] < _SINGULAR:
        raise FitError(
            f"objective {j} is at a bound after all but {count} of {len(u)} steps, and those do not determine its "
            "drift: its bounds may be narrower than its scores, or it has to be left out"
        )
    cut = -side[~inside, None] * v[~inside]

    def likelihood(phi: Floats) -> float:
        return float(
            count * np.log(phi[-1]) - 0.5 * phi @ gram @ phi + scipy.special.log_ndtr(cut @ phi).sum()
            if phi[-1] > 0
            else -np.inf
        )

    start = np.linalg.solve(z.T @ z, z.T @ u)
    gamma = 1 / np.sqrt(np.mean((u - z @ start) ** 2))
    phi = np.append(start * gamma, gamma)
    value = likelihood(phi)
    for done in range(1, _ROUNDS + 1):
        t = cut @ phi
        mills = _mills(t)
        gradient = mills @ cut - gram @ phi
        gradient[-1] += count / phi[-1]
        # The curvature of -log Phi lies between 0 and 1; far out rounding would not keep it there.
        curved = np.clip(mills * (mills + t), 0.0, 1.0)
        bread = gram + (cut * curved[:, None]).T @ cut
        bread[-1, -1] += count / phi[-1] ** 2
        step = np.linalg.solve(bread, gradient)
        length, before = 1.0, value
        while (value := likelihood(phi + length * step)) < before and length > 1e-10:
            length /= 2
        phi = phi + length * step
        if gradient @ step < _SETTLED:
            return phi, bread, done
    raise FitError(f"the search for the drift of objective {j} did not settle after {_ROUNDS} Newton steps")


def _correlation(e: Floats, side: Ints) -> Floats:
    """Return the correlation (n, n) of innovations from standardised ones (M, n), or the bounds that cut them off."""
    n = e.shape[1]
    correlation = np.eye(n)
    for i in range(n):
        for j in range(i):
            correlation[i, j] = correlation[j, i] = _pair_correlation(e[:, i], e[:, j], side[:, i], side[:, j])
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < 0:
        correlation = (vectors * np.maximum(values, 0.0)) @ vectors.T
        size = np.sqrt(np.diagonal(correlation))
        correlation = correlation / size[:, None] / size
    return correlation


def _pair_correlation(e: Floats, f: Floats, side_e: Ints, side_f: Ints) -> float:
    """Return the correlation under which standard normal innovations e and f are likeliest.

    A row adds log phi_2(e, f) where both are inside; log Phi of the one's bound given the other where one is; and log
    Phi_2 of both bounds where neither is.
    """
    both = (side_e == 0) & (side_f == 0)
    count = int(both.sum())
    product, squares = float(e[both] @ f[both]), float(e[both] @ e[both] + f[both] @ f[both])
    if count == len(e):
        return float(np.clip(2 * product / squares, -1.0, 1.0)) if squares > 0 else 0.0
    one = (side_e == 0) != (side_f == 0)
    known = np.where(side_e == 0, e, f)[one]
    side, bound = np.where(side_e == 0, side_f, side_e)[one], np.where(side_e == 0, f, e)[one]
    none = (side_e != 0) & (side_f != 0)
    h, k = (side_e * e)[none], (side_f * f)[none]
    sign = (side_e * side_f)[none]

    def unlikelihood(rho: float) -> float:
        left = 1 - rho**2
        value = -0.5 * count * np.log(left) - (squares - 2 * rho * product) / (2 * left)
        value += scipy.special.log_ndtr(side * (bound - rho * known) / np.sqrt(left)).sum()
        return float(-value - np.log(np.maximum(_both_below(h, k, sign * rho), np.finfo(float).tiny)).sum())

    return line_minimum(unlikelihood, -_HIGHEST, _HIGHEST)


def _both_below(h: Floats, k: Floats, rho: Floats) -> Floats:
    """Return Phi_2(h, k; rho) = Phi(h) Phi(k) + 1/(2 pi) integral of its derivative in rho = sin(angle), from 0 on.

    (Drezner and Wesolowsky, J. Statist. Comput. Simul. 35, 1990), by Gauss-Legendre quadrature.
    """
    half = np.arcsin(rho)[:, None] / 2
    angle = half * (1 + _NODES)
    exponent = (h**2 + k**2)[:, None] - 2 * (h * k)[:, None] * np.sin(angle)
    density = np.exp(-exponent / (2 * np.cos(angle) ** 2))
    product = scipy.special.ndtr(h) * scipy.special.ndtr(k)
    return np.asarray(product + half[:, 0] * (density @ _WEIGHTS) / (2 * np.pi))

"""The drift where scores are noisy and sessions differ for good, from repeated judgements and whole runs.

Least squares of dx_t on x_t takes score noise for dynamics, which makes rates too fast, and lasting differences between
sessions for inertia, which makes them too slow. Repeated judgements tell the noise apart, whole runs the differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.run_moments import Sample, Sums, by_session, run_sample, weighted_sums
from trimtab.estimation.score_noise import ScoreNoise

__all__ = ["RandomEffectsEstimate", "estimate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SESSION_EFFECTS = 0.2
"""p-value below which session effects are fitted. Generous: to leave out one that is there costs much more than to fit
one in vain."""

RELIABLE = 0.1
"""Least share of the states' variation, in every direction, that must not be noise."""

_ROUNDS, _TOLERANCE = 1_000, 1e-7  # for the estimate; coefficients are in units of the states' spread
_DRAW_ROUNDS, _DRAW_TOLERANCE = 200, 1e-4  # for a replicate, whose own spread is a hundred times that at least
_STEP_LEFT = 0.01  # least share of the variance of residuals that counts as innovation
_SINGULAR = 1e-10  # eigenvalue of a correlation matrix that counts as zero
_MULTINOMIAL = 2_000  # sessions up to which they are drawn one by one
_HELD = 8_000_000  # numbers held at once while resampling


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """A fit for a batch (...) of sums, in the units of the sample.

    Parameters
    ----------
    beta
        (..., 1 + n + m, n) coefficients of [1, x, V' x_0]; those of x_0 are 0 without session effects.
    Q, Sigma
        (..., n, n) covariances of innovations, and of session effects given x_0.
    reliability
        (...) least share of the states' variation that is not noise.
    """

    beta: Floats
    Q: Floats
    Sigma: Floats
    reliability: Floats
    rounds: int
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffectsEstimate:
    """The drift without score noise and session effects, see `estimate`.

    Parameters
    ----------
    A
        (n, n) drift matrix, per unit of time.
    b
        (n,) drift at the origin in the average session, C mean(x_0) included.
    Q
        (n, n) covariance of a step's innovation.
    R
        (n, n) covariance of the noise in a score, mean over the starts of steps.
    session_sd
        (n,) standard deviation between sessions of the constant drift C x_0 + u, per unit of time; 0 where no session
        effects are fitted.
    session_effects
        Whether they are.
    session_p_value
        p-value of "sessions do not differ for good", one-sided; not-a-number where it cannot be tested.
    sessions, steps
        Numbers of sessions and of steps.
    converged, iterations
        Whether the rounds settled, and how many there were.
    reliability
        Least share, over directions, of the states' variation that is not noise.
    """

    A: Floats
    b: Floats
    Q: Floats
    R: Floats
    session_sd: Floats
    session_effects: bool
    session_p_value: float
    sessions: int
    steps: int
    converged: bool
    iterations: int
    reliability: float
    _dt: float = field(repr=False)
    _sample: Sample = field(repr=False)

    def draws(self, count: int, seed: int, *key: str | int) -> tuple[Floats, Floats]:
        """Return `count` bootstrap replicates of A, (count, n, n), and b, (count, n): sessions are resampled.

        Each replicate estimates the score noise anew. Those in which noise leaves too little of the states' variation
        are not-a-number. They depend on nothing but the data, `seed` and `key`.
        """
        rng = stream(seed, "random effects", *key)
        sample, S, n = self._sample, self.sessions, self._sample.n
        A, b = np.empty((count, n, n)), np.empty((count, n))
        p = 1 + 2 * n + sample.m
        block = max(1, _HELD // max(S, 4 * p * p * (1 + len(sample.runs))))
        for at in range(0, count, block):
            size = min(block, count - at)
            if S <= _MULTINOMIAL:
                weights = rng.multinomial(S, np.full(S, 1.0 / S), size=size).astype(np.float64)
            else:
                # So many that the sums are normal under either; these are faster to draw.
                weights = 1.0 + rng.standard_normal((size, S))
            sums = weighted_sums(sample, weights)
            if self.session_effects:
                solution = _random_effects(sample, sums, _DRAW_ROUNDS, _DRAW_TOLERANCE)
            else:
                solution = _pooled(sample, sums)
            drift = _drift(sample, sums, solution, self._dt)
            usable = solution.reliability >= RELIABLE
            for drawn, found in zip((A, b), drift, strict=True):
                drawn[at : at + size] = np.where(usable.reshape(-1, *(1,) * (found.ndim - 1)), found, np.nan)
        return A, b


def estimate(
    trajectories: Trajectories,
    code: int | None = None,
    noise: ScoreNoise | ArrayLike = 0.0,
    chosen: Ints | None = None,
    dt: float = 1.0,
) -> RandomEffectsEstimate:
    """Fit dx_t = (A x_t + b + C x_0 + u) dt + e_t, y_t = x_t + v_t to the scores y of one strategy.

    u ~ N(0, Sigma) is the session's own, e_t ~ N(0, Q) the step's, v_t ~ N(0, R_t) the score's; x_0 is the state from
    which the session starts. All is conditional on x_0, on which u may depend through C. If x were seen, the residuals'
    covariance within runs would be Q, and that of their means over a run of T steps, times T, Psi_T = Q + T Sigma. With
    z = [1, x, x_0], and W and B_T the sums of squares and products within and between the runs, the likelihood is
    greatest where, in turn until nothing changes,

        (Q^-1 (x) W_zz + sum_T Psi_T^-1 (x) B_T,zz) vec(beta) = vec(W_zd Q^-1 + sum_T B_T,zd Psi_T^-1),
        Q = RSS_W / sum (T - 1)   and   sum_T T Psi_T^-1 (RSS_T - S_T Psi_T) Psi_T^-1 = 0

    (for one equation and one T: Hsiao, Analysis of Panel Data, on dynamic models with random effects). W and B_T are
    linear in the second moments of (x_0, ..., x_T), so that those of the scores, less the noise's diag(R_0, ..., R_T),
    have the right mean (Fuller, Measurement Error Models). This meets noise wherever it enters: as state, as step, and
    as the start.

    Sigma is let fall below 0 as far as chance takes it, Psi_T >= Q (1 - 2 sqrt(2 / S)); held at 0 it would bias rates
    upwards. Where a one-sided test finds no sign of session effects, C = 0 and Sigma = 0, and the rest is least squares
    with the noise taken out. The test is of the sum over objectives of sum_{t != t'} r_t r_t' / Q_jj, r being the
    residuals of that fit; its standard error comes from leaving out each session in turn.

    A run is a stretch of complete steps without a gap. Runs of one session have effects of their own here, but sessions
    are what is resampled.

    Parameters
    ----------
    trajectories
        The data; a score that was judged several times must be the judgements' mean.
    code
        The strategy; all steps if None.
    noise
        What `score_noise` says of the judgements, row by row; or the noise's known variance, () or (n,), or
        covariance, (n, n), of all objectives of `trajectories`. An objective nowhere judged twice counts as free of it.
    chosen
        Indices of the objectives to fit; all if None.
    dt
        Time between iterations.

    Raises
    ------
    FitError
        If there are too few steps, or too little variation in some direction once the noise is taken out.
    InputError
        If `noise` fits neither rows nor objectives, or is no covariance.
    """
    space = trajectories.space
    if not isinstance(noise, ScoreNoise):
        noise = ScoreNoise.known(noise, trajectories.n_rows, space.n)
    if noise.share.shape != (trajectories.n_rows, space.n, space.n):
        raise InputError(
            f"the score noise must be that of {trajectories.n_rows} rows and {space.n} objectives, but it has "
            f"{noise.share.shape[0]} and {noise.share.shape[1]}"
        )
    chosen = np.arange(space.n) if chosen is None else np.asarray(chosen, dtype=np.int64)
    sample = run_sample(trajectories, code, noise, chosen)
    n, S = sample.n, sample.n_sessions
    if sample.n_steps < n + 2:
        raise FitError(f"{n} objectives need at least {n + 2} complete steps, but there are {sample.n_steps}")
    sums = weighted_sums(sample, np.ones((1, S)))
    solution = _pooled(sample, sums)
    p_value = _session_p_value(sample)
    effects = p_value < SESSION_EFFECTS and n + 3 <= S and bool((sample.lengths > 1).any())
    if effects:
        solution = _random_effects(sample, sums, _ROUNDS, _TOLERANCE)
    if not solution.reliability[0] >= RELIABLE:
        raise FitError(
            f"in some direction of the {n} objectives only {max(float(solution.reliability[0]), 0.0):.0%} of the "
            f"scores' variation is more than noise, but {RELIABLE:.0%} are needed: judge each iterate more often, or "
            "leave out an objective that hardly varies or repeats others"
        )
    A, b = _drift(sample, sums, solution, dt)
    unit = sample.scale[:, None] * sample.scale
    return RandomEffectsEstimate(
        A=A[0],
        b=b[0],
        Q=solution.Q[0] * unit,
        R=sums.R[0] * unit,
        session_sd=_session_sd(sample, sums, solution) * sample.scale / dt,
        session_effects=effects,
        session_p_value=p_value,
        sessions=S,
        steps=sample.n_steps,
        converged=solution.converged,
        iterations=solution.rounds,
        reliability=float(solution.reliability[0]),
        _dt=dt,
        _sample=sample,
    )


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
    """Solve systems (..., k, k) for (..., k, j); a ridge far below rounding's effect keeps singular ones harmless."""
    size = np.abs(np.diagonal(left, axis1=-2, axis2=-1)).max(axis=-1)[..., None, None]
    ridge = np.finfo(float).eps * np.where(size > 0, size, 1.0) * np.eye(left.shape[-1])
    return np.asarray(np.linalg.solve(left + ridge, right))


def _pooled(sample: Sample, sums: Sums) -> _Solution:
    """Fit without session effects: least squares, the noise taken out."""
    n, m, k = sample.n, sample.m, 1 + sample.n
    total, taken = sums.within + sums.between.sum(axis=-3), sums.taken.sum(axis=-3)
    beta = _solve(total[..., :k, :k], total[..., :k, -n:])
    free = np.maximum(sums.count @ sample.lengths - k, 1.0)
    Q, _ = _innovation(_residual(total, beta), _residual(total + taken, beta), free)
    return _Solution(
        beta=np.concatenate([beta, np.zeros((*beta.shape[:-2], m, n))], axis=-2),
        Q=Q,
        Sigma=np.zeros_like(Q),
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


def _random_effects(sample: Sample, sums: Sums, rounds: int, tolerance: float) -> _Solution:
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
    beta, Q, Sigma = np.zeros((B, k, n)), np.empty_like(L), np.empty_like(L)
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
        Sigma[active] = np.swapaxes(inverse, -1, -2) @ solved @ inverse
        found_tau, turn = np.linalg.eigh(np.swapaxes(root, -1, -2) @ Sigma[active] @ root)
        L[active], tau[active] = root @ turn, np.maximum(found_tau, lowest)
        change = np.abs(found - beta[active]).max(axis=(1, 2))
        beta[active] = found
        moving = ~(change < tolerance)
        active, W, between, taken, count = (part[moving] for part in (active, W, between, taken, count))
    weight = 1.0 / (1.0 + tau[..., None] * T)
    left, _ = _normal_equations(sums.within, sums.between, L, weight, k)
    of_noise, _ = _normal_equations(sums.taken[:, 0], sums.taken[:, 1:], L, weight, k)
    reliability = _reliability(left, of_noise).min(axis=-1)
    return _Solution(beta, Q, Sigma, reliability, done, not len(active))


def _normal_equations(within: Floats, between: Floats, L: Floats, weight: Floats, k: int) -> tuple[Floats, Floats]:
    """Return left (B, n, k, k) and right sides (B, n, k, 1) of the equations for the columns of beta L."""
    n = L.shape[-1]
    spread = within[:, None] + np.einsum("big,bgpq->bipq", weight, between, optimize=True)
    right = np.einsum("bikj,bji->bik", spread[..., :k, -n:], L)
    return spread[..., :k, :k], right[..., None]


def _starts(sample: Sample, sums: Sums) -> tuple[Floats, Floats]:
    """Return mean (B, m) and covariance (B, m, m) of V' x_0 over runs."""
    at = slice(1 + sample.n, 1 + sample.n + sample.m)
    runs = sums.count.sum(axis=-1)
    each = sums.between / sample.lengths[:, None, None]
    mean = each[..., 0, at].sum(axis=-2) / runs[:, None]
    square = each[..., at, at].sum(axis=-3) / runs[:, None, None]
    return mean, square - mean[..., :, None] * mean[..., None, :]


def _drift(sample: Sample, sums: Sums, solution: _Solution, dt: float) -> tuple[Floats, Floats]:
    """Return A (B, n, n) and b (B, n) of the average session, in the objectives' own units."""
    n, beta = sample.n, solution.beta
    mean, _ = _starts(sample, sums)
    constant = beta[..., 0, :] + (mean[..., None, :] @ beta[..., 1 + n :, :])[..., 0, :]
    A = np.swapaxes(beta[..., 1 : 1 + n, :], -1, -2) * sample.scale[:, None] / sample.scale / dt
    return A, constant * sample.scale / dt - A @ sample.center


def _session_sd(sample: Sample, sums: Sums, solution: _Solution) -> Floats:
    C = solution.beta[0, 1 + sample.n :]
    _, spread = _starts(sample, sums)
    return np.asarray(np.sqrt(np.maximum(np.diagonal(C.T @ spread[0] @ C + solution.Sigma[0]), 0.0)))


def _session_p_value(sample: Sample) -> float:
    """Test "sessions do not differ for good": do residuals of one session agree with each other? See `estimate`."""
    n, k, S = sample.n, 1 + sample.n, sample.n_sessions
    full, crossed = by_session(sample)
    total = full.sum(axis=0)
    steps = sum(np.diagonal(runs.full.sum(axis=0))[-n:] for runs in sample.runs)
    unit = np.maximum(steps, np.finfo(float).tiny)

    def agreement(sums: Floats, products: Floats) -> Floats:
        beta = _solve(sums[..., :k, :k], sums[..., :k, -n:])
        return np.asarray((np.diagonal(_residual(products, beta), axis1=-2, axis2=-1) / unit).sum(axis=-1))

    if S < 3:
        return float("nan")
    found = float(agreement(total, crossed.sum(axis=0)))
    without = agreement(total - full, crossed.sum(axis=0) - crossed)
    error = np.sqrt((S - 1) / S * ((without - without.mean()) ** 2).sum())
    return float(scipy.special.stdtr(S - 1, -found / error)) if error > 0 else float("nan")

"""The drift where scores are noisy and sessions differ for good, from repeated judgements and whole runs.

Least squares of dx_t on x_t takes score noise for dynamics, which makes rates too fast, and lasting differences between
sessions for inertia, which makes them too slow. Repeated judgements tell the noise apart, whole runs the differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.cautions import too_few_steps
from trimtab.estimation.run_moments import Sample, Sums, run_sample, weighted_sums
from trimtab.estimation.score_noise import ScoreNoise
from trimtab.estimation.session_effects import (
    RELIABLE,
    Solution,
    fit_pooled,
    fit_with_effects,
    resampling_weights,
    session_p_value,
)

__all__ = ["RandomEffectsEstimate", "estimate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SESSION_EFFECTS = 0.2
"""p-value from which on session effects are not fitted. Small: to leave out one that is there costs much more than to
fit one in vain."""

_ROUNDS, _TOLERANCE = 1_000, 1e-7  # for the estimate; coefficients are in units of the states' spread
_DRAW_ROUNDS, _DRAW_TOLERANCE = 200, 1e-4  # for a replicate, whose own spread is a hundred times that at least
_HELD = 8_000_000  # numbers held at once while resampling


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
        p-value of "sessions do not differ for good"; not-a-number where that cannot be tested.
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
            sums = weighted_sums(sample, resampling_weights(rng, size, S))
            if self.session_effects:
                solution = fit_with_effects(sample, sums, _DRAW_ROUNDS, _DRAW_TOLERANCE)
            else:
                solution = fit_pooled(sample, sums)
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
    upwards. Where a likelihood-ratio test finds no sign of session effects, or there are too few sessions or only runs
    of one step, C = 0 and Sigma = 0, and the rest is least squares with the noise taken out.

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
        raise FitError(too_few_steps(n, sample.n_steps))
    sums = weighted_sums(sample, np.ones((1, S)))
    solution = fit_pooled(sample, sums)
    _check(solution)
    p_value, effects = float("nan"), False
    if n + 3 <= S and bool((sample.lengths > 1).any()):
        p_value = session_p_value(sample)
        effects = not p_value >= SESSION_EFFECTS
    if effects:
        solution = fit_with_effects(sample, sums, _ROUNDS, _TOLERANCE)
        _check(solution)
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


def _check(solution: Solution) -> None:
    left, n = max(float(solution.reliability[0]), 0.0), solution.Q.shape[-1]
    if not left >= RELIABLE:
        raise FitError(
            f"in some direction of the {n} objectives only {left:.0%} of the scores' variation is more than noise, but "
            f"{RELIABLE:.0%} are needed: judge each iterate more often, or leave out an objective that hardly varies "
            "or repeats others"
        )


def _starts(sample: Sample, sums: Sums) -> tuple[Floats, Floats]:
    """Return mean (B, m) and covariance (B, m, m) of V' x_0 over runs."""
    at = slice(1 + sample.n, 1 + sample.n + sample.m)
    runs = sums.count.sum(axis=-1)
    each = sums.between / sample.lengths[:, None, None]
    mean = each[..., 0, at].sum(axis=-2) / runs[:, None]
    square = each[..., at, at].sum(axis=-3) / runs[:, None, None]
    return mean, square - mean[..., :, None] * mean[..., None, :]


def _drift(sample: Sample, sums: Sums, solution: Solution, dt: float) -> tuple[Floats, Floats]:
    """Return A (B, n, n) and b (B, n) of the average session, in the objectives' own units."""
    n, beta = sample.n, solution.beta
    mean, _ = _starts(sample, sums)
    constant = beta[..., 0, :] + (mean[..., None, :] @ beta[..., 1 + n :, :])[..., 0, :]
    A = np.swapaxes(beta[..., 1 : 1 + n, :], -1, -2) * sample.scale[:, None] / sample.scale / dt
    return A, constant * sample.scale / dt - A @ sample.center


def _session_sd(sample: Sample, sums: Sums, solution: Solution) -> Floats:
    C = solution.beta[0, 1 + sample.n :]
    _, spread = _starts(sample, sums)
    return np.asarray(np.sqrt(np.maximum(np.diagonal(C.T @ spread[0] @ C + solution.Sigma[0]), 0.0)))

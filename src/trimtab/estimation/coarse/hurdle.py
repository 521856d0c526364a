"""A loop that stands still with some probability and otherwise takes an affine step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation.estimates import R2, ArrayEstimate, Estimate, RegimeEstimate

__all__ = ["FEWEST_OF_EACH", "MATTERS", "STANDS_STILL", "UNSEEN", "Hurdle", "Loop"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Complexes = NDArray[np.complex128]

MATTERS = 0.05
"""p-value below which the state counts as bearing on whether a step stands still."""

STANDS_STILL = 0.02
"""Share of unchanged steps from which on a hurdle is tried."""

FEWEST_OF_EACH = 10
"""Steps that change something, and steps that do not, without which it is not."""

UNSEEN = 0.05
"""Share of the moves that may be unseen because they end on the level that they started from."""


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Figures of an affine loop dx = (A x + b) dt + e, e ~ N(0, Q): named and scaled as in `StrategyFit`."""

    A: Floats
    b: Floats
    Q: Floats
    eigenvalues: Complexes
    rate: Estimate
    smooth_rate: Estimate
    spectral_radius: Estimate
    half_life: Estimate
    period: float
    regime: RegimeEstimate


@dataclass(frozen=True, slots=True, eq=False)
class Hurdle:
    """A hurdle model: a step changes nothing with probability p(x), otherwise dx = (A_c x + b_c) dt + e, e ~ N(0, Q_c).

    The expected step is (1 - p(x)) (A_c x + b_c) dt, which vanishes where A_c x + b_c does, and whose slope there is
    (1 - p) A_c: a loop that moves rarely converges slowly, however fast it is when it moves.

    Parameters
    ----------
    sessions, steps, changed_steps
        Sessions with a step, steps, and steps that change something.
    active
        (n,) objectives that explain changes, see `StrategyFit`; figures of an unidentified model are nan.
    identified
        False where the steps that change something cannot identify A_c and b_c.
    unchanged
        Share of the steps that change nothing, from which p comes.
    state_p_value
        Of the hypothesis that p does not depend on the state; below `MATTERS` it is modelled as
        p(x) = 1 / (1 + exp(-(intercept + slope' x))).
    intercept, slope
        Of that; slope (n,) is 0 where p is one number.
    unchanged_at_equilibrium
        p at the equilibrium, or at the point of the range of the seen scores nearest to it objective by objective.
    sessions_p_value
        Of the hypothesis that sessions at the same scores do not differ in their chance to stand still. Where it is
        small, some are stuck and others move, and p is an average of the two.
    per_change
        The loop seen only when something changes: A_c, b_c, Q_c, and rates per changed step.
    per_iteration
        The loop as it is iterated, standing still included, linearised at the equilibrium: (1 - p) A_c, (1 - p) b_c,
        (1 - p) Q_c, and rates per iteration.
    equilibrium
        -A_c^-1 b_c, (n,).
    memory_p_value
        Of the hypothesis that scores after a change do not depend on those before it.
    coincidence
        Probability that a step that changes something starts on the very scores on which one of another session
        arrives. A move that ends where it started counts as unchanged; where this is more than `UNSEEN`, the moves
        that are seen therefore look like overshooting even if there is none, and no regime of `per_change` is named.
        `per_iteration` is free of that.
    r2
        Of the steps that change something.
    """

    sessions: int
    steps: int
    changed_steps: int
    dt: float
    active: Bools
    identified: bool
    unchanged: Estimate
    state_p_value: float
    intercept: float
    slope: Floats
    unchanged_at_equilibrium: Estimate
    sessions_p_value: float
    per_change: Loop
    per_iteration: Loop
    equilibrium: ArrayEstimate
    memory_p_value: float
    coincidence: float
    r2: R2

    @property
    def state_dependent(self) -> bool:
        """True where p depends on the state."""
        return bool(self.slope.any())

    def stays(self, x: ArrayLike) -> Floats:
        """Return p(x), the probability of standing still, (...) for states (..., n)."""
        return np.asarray(scipy.special.expit(self.intercept + np.asarray(x, dtype=np.float64) @ self.slope))

    @property
    def model(self) -> AffineSDE:
        """The model of the steps that change something; ``FitError`` where they identify none."""
        if not self.identified:
            raise FitError(f"{self.changed_steps} steps that change something do not identify a model")
        square = np.ix_(self.active, self.active)
        loop = self.per_change
        return AffineSDE(loop.A[square], loop.b[self.active], loop.Q[square], self.dt)

    def forecast(self, x: ArrayLike, steps: int, *, paths: int = 4000, seed: int = 0) -> tuple[Floats, Floats]:
        """Return mean (steps + 1, n) and covariance (steps + 1, n, n) of the state 0..steps iterations after x (n,).

        With p one number and F = I + A_c dt, by the laws of total expectation and variance::

            m_{k+1} = m_k + (1 - p) d_k,    d_k = (A_c m_k + b_c) dt
            P_{k+1} = p P_k + (1 - p) (F P_k F' + Q_c) + p (1 - p) d_k d_k'

        Where p depends on the state there is no closed form beyond one step: the moments are those of `paths` simulated
        paths, in pairs of opposite innovations, with errors of about 1 / sqrt(paths) of a standard deviation.

        Raises
        ------
        FitError
            If the model is not identified.
        InputError
            If x is no state or steps < 0.
        """
        A, b, Q, dt = self.per_change.A, self.per_change.b, self.per_change.Q, self.dt
        n = len(b)
        start = np.asarray(x, dtype=np.float64)
        if start.shape != (n,) or not np.isfinite(start).all() or steps < 0:
            raise InputError(f"a forecast needs one state of {n} scores and steps >= 0, but got {x!r} and {steps}")
        if not self.identified:
            raise FitError(f"{self.changed_steps} steps that change something do not identify a model")
        if self.state_dependent:
            return self._simulated(start, steps, max(paths // 2, 1), stream(seed, "coarse", "forecast"))
        F, p = np.eye(n) + A * dt, float(self.stays(start))
        mean, covariance = np.empty((steps + 1, n)), np.zeros((steps + 1, n, n))
        mean[0] = start
        for k in range(steps):
            d = (A @ mean[k] + b) * dt
            mean[k + 1] = mean[k] + (1 - p) * d
            moved = F @ covariance[k] @ F.T + Q
            covariance[k + 1] = p * covariance[k] + (1 - p) * moved + p * (1 - p) * np.outer(d, d)
        return mean, covariance

    def _simulated(self, start: Floats, steps: int, pairs: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        loop, n = self.per_change, len(start)
        values, vectors = np.linalg.eigh(loop.Q)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        mean, covariance = np.empty((steps + 1, n)), np.zeros((steps + 1, n, n))
        mean[0] = start
        state = np.tile(start, (2 * pairs, 1))
        for k in range(steps):
            half = rng.standard_normal((pairs, n)) @ root.T
            moved = state + (state @ loop.A.T + loop.b) * self.dt + np.concatenate([half, -half])
            still = rng.random(2 * pairs) < self.stays(state)
            state = np.where(still[:, None], state, moved)
            mean[k + 1] = state.mean(axis=0)
            covariance[k + 1] = np.atleast_2d(np.cov(state.T, bias=True))
        return mean, covariance

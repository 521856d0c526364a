"""AffineSDE: the model of one strategy, dX = (A X + b) dt + sigma dW, stepped once per iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.dynamics import response, spectrum
from trimtab.dynamics.covariance import check_affine_parts, stationary_covariance
from trimtab.dynamics.embedding import embed
from trimtab.dynamics.passage import MOST_SCORES, FirstPassage, first_passage
from trimtab.dynamics.spectral_clusters import SpectralCluster, spectral_clusters
from trimtab.errors import InputError

if TYPE_CHECKING:
    from trimtab.dynamics.continuous import ContinuousAffine

__all__ = ["AffineSDE"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AffineSDE:
    """An affine stochastic differential equation and the loop that steps it.

    The loop is the Euler-Maruyama scheme (paper, eq. 2)::

        x_{t+1} = x_t + (A x_t + b) dt + w_t,    w_t ~ N(0, Q)

    Parameters
    ----------
    A
        Drift matrix, (n, n), per unit of time.
    b
        Drift at the origin, (n,), score units per unit of time.
    Q
        Covariance of one step's innovation, Q = sigma sigma' dt, (n, n).
    dt
        Time between iterations.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, Q is not symmetric positive semidefinite, or ``dt <= 0``.
    """

    A: Floats
    b: Floats
    Q: Floats
    dt: float = 1.0

    def __init__(self, A: ArrayLike, b: ArrayLike, Q: ArrayLike, dt: float = 1.0) -> None:
        A_, b_, Q_ = (np.array(value, dtype=np.float64) for value in (A, b, Q))
        check_affine_parts(A_, b_, Q_, "Q")
        if not 0 < dt < np.inf:
            raise InputError(f"dt must be positive and finite, but got {dt:g}")
        for name, value in (("A", A_), ("b", b_), ("Q", Q_)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "dt", float(dt))

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.b)

    @property
    def transition(self) -> Floats:
        """F = I + A dt, (n, n): its eigenvalues are the multipliers."""
        return np.asarray(np.eye(self.n) + self.A * self.dt)

    @property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """Eigenvalues of A, by decreasing real part, (n,)."""
        return spectrum.eigenvalues(self.A)

    @property
    def rate(self) -> float:
        """Convergence rate -max Re(lambda)."""
        return float(spectrum.rate(self.eigenvalues))

    @property
    def stable(self) -> bool:
        """True where the loop itself converges: all abs(1 + lambda dt) < 1."""
        return bool(spectrum.stable_discrete(self.eigenvalues, self.dt))

    def spectral_clusters(self, tolerance: float) -> tuple[SpectralCluster, ...]:
        """Return the eigenvalues of A in clusters of those at most `tolerance` apart, with their conditions.

        See `trimtab.dynamics.spectral_clusters`. For n >= 4 and eigenvalues that nearly repeat, a cluster's mean and
        subspace are what can be known of them.
        """
        return spectral_clusters(self.A, tolerance)

    @property
    def equilibrium(self) -> Floats:
        """x* = -A^-1 b, (n,), where the drift vanishes; ``InputError`` if A is singular to working precision."""
        # Rows, then columns, are brought to one size, so that the answer does not depend on the objectives' units.
        rows = np.abs(self.A).max(axis=1, keepdims=True)
        columns = np.abs(self.A / np.where(rows > 0, rows, 1.0)).max(axis=0)
        if not rows.all() or not columns.all() or np.linalg.cond(self.A / rows / columns) > 1 / np.finfo(float).eps:
            raise InputError("the drift matrix is singular: there is no single equilibrium")
        return np.asarray(-np.linalg.solve(self.A / rows / columns, self.b / rows[:, 0]) / columns)

    def drift(self, x: ArrayLike) -> Floats:
        """Return A x + b for states x of shape (..., n)."""
        return np.asarray(np.asarray(x, dtype=np.float64) @ self.A.T + self.b)

    def step(self, x: ArrayLike, noise: ArrayLike) -> Floats:
        """Return the next states (..., n) from states and standard normal `noise`, both (..., n)."""
        return np.asarray(
            np.asarray(x, dtype=np.float64)
            + self.drift(x) * self.dt
            + np.asarray(noise, dtype=np.float64) @ self._root().T
        )

    def simulate(self, x0: ArrayLike, steps: int, rng: np.random.Generator) -> Floats:
        """Return paths (..., steps + 1, n) from starts x0 (..., n), the starts included, without clipping."""
        x = np.asarray(x0, dtype=np.float64)
        paths = np.empty((*x.shape[:-1], steps + 1, self.n))
        paths[..., 0, :] = x
        for t in range(steps):
            x = self.step(x, rng.standard_normal(x.shape))
            paths[..., t + 1, :] = x
        return paths

    def step_law(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """Return mean (..., n) and covariance (n, n) of the next state from states x (..., n): F x + b dt and Q."""
        return np.asarray(np.asarray(x, dtype=np.float64) + self.drift(x) * self.dt), self.Q

    def forecast(self, x: ArrayLike, steps: int) -> tuple[Floats, Floats]:
        """Return mean (..., steps + 1, n) and covariance (steps + 1, n, n) of the state 0..steps iterations after x.

        m_{k+1} = F m_k + b dt and P_{k+1} = F P_k F' + Q, from m_0 = x and P_0 = 0. The covariance is the same from
        every start.

        Parameters
        ----------
        x
            States (..., n) from which to look ahead.

        Raises
        ------
        InputError
            If x does not end in n scores, or ``steps < 0``.
        """
        F = self.transition
        start = np.asarray(x, dtype=np.float64)
        if start.shape[-1:] != (self.n,) or steps < 0:
            raise InputError(
                f"a forecast needs states of {self.n} scores and steps >= 0, but got shape {start.shape} and {steps}"
            )
        mean = np.empty((*start.shape[:-1], steps + 1, self.n))
        covariance = np.zeros((steps + 1, self.n, self.n))
        mean[..., 0, :] = start
        for k in range(steps):
            mean[..., k + 1, :] = self.step_law(mean[..., k, :])[0]
            covariance[k + 1] = F @ covariance[k] @ F.T + self.Q
        return mean, covariance

    def stationary(self) -> tuple[Floats, Floats]:
        """Return mean (n,) and covariance (n, n) of the stationary law: P = F P F' + Q.

        Raises
        ------
        InputError
            If the loop is not stable, so that there is none.
        """
        self._require_stable("a stationary law needs")
        return self.equilibrium, stationary_covariance(self.transition, self.Q)

    def autocovariance(self, lags: int) -> Floats:
        """Return Cov(x_{t+k}, x_t) = F^k P of the stationary law for k = 0..lags, (lags + 1, n, n).

        Raises
        ------
        InputError
            If the loop is not stable.
        """
        return response.impulse_responses(self.transition, self.stationary()[1], lags)

    def first_passage(
        self,
        start: ArrayLike,
        level: ArrayLike,
        steps: int,
        *,
        score: ArrayLike | None = None,
        seed: int = 0,
        points: int = 32_768,
    ) -> FirstPassage:
        """Return when the loop first stands at or above a level, counted in iterations from `start`, up to `steps`.

        Scores are not clipped at bounds, as in `simulate`. One score that is a Markov chain of its own, as every
        model of one objective is, is answered to about 12 digits; others to about three decimals, with their standard
        error (`trimtab.dynamics.passage`).

        Parameters
        ----------
        start
            (n,) the state at iteration 0, which may be at the target already.
        level
            A number, or one for each row of `score`. To reach a level from above, turn the sign of both.
        score
            (n,) one linear score c'x, such as one objective, or (m, n) several that must all stand at their levels in
            the same iteration. Without it: all objectives.
        seed, points
            Of the quasi-random points where there is no quadrature; four times the points halve the error at least.

        Raises
        ------
        InputError
            If shapes disagree, a value is not finite, ``steps < 1``, or steps times scores exceed 3,000.

        Examples
        --------
        >>> loop = AffineSDE([[-0.3]], [2.1], [[0.25]])
        >>> passage = loop.first_passage([3.0], 7.0, 20)
        >>> passage.median, round(passage.never, 4)
        (8.0, 0.0285)
        """
        x = np.asarray(start, dtype=np.float64)
        C = np.atleast_2d(np.eye(self.n) if score is None else np.asarray(score, dtype=np.float64))
        levels = np.asarray(level, dtype=np.float64)
        if x.shape != (self.n,) or C.shape[1:] != (self.n,) or levels.shape not in ((), (len(C),)):
            raise InputError(
                f"a passage needs a start of {self.n} scores, score rows of {self.n} and one level or one for each "
                f"row, but got shapes {x.shape}, {C.shape} and {levels.shape}"
            )
        if not (np.isfinite(x).all() and np.isfinite(C).all() and np.isfinite(levels).all()):
            raise InputError("the start, the score and the level of a passage must be finite")
        if not 1 <= steps * len(C) <= MOST_SCORES or points < 1:
            raise InputError(
                f"a passage needs points >= 1, steps >= 1 and steps times scores up to {MOST_SCORES}, "
                f"but got {points} points, {steps} steps and {len(C)} scores"
            )
        return first_passage(
            self.transition, self.b * self.dt, self.Q, x, C, np.broadcast_to(levels, len(C)), steps, seed, points
        )

    def to_continuous(self) -> ContinuousAffine:
        """Return the equation in continuous time that has exactly this loop's law at the times of its iterations.

        Its transition over dt is e^{A_c dt} = I + A dt, so that its eigenvalues are not those of A. Often there is none
        (`trimtab.dynamics.embedding` says how often). Where there is one, others turn faster between the iterations and
        look the same at them; the one returned is that of the principal logarithm.

        Raises
        ------
        EmbeddingError
            If no equation has the principal logarithm for its drift; its ``condition`` says why.
        """
        from trimtab.dynamics.continuous import ContinuousAffine  # which in turn makes loops

        return ContinuousAffine(*embed(self.transition, self.b * self.dt, self.Q, self.dt))

    def impulse_response(
        self, steps: int, ordering: Sequence[int] | None = None, *, cumulative: bool = False
    ) -> Floats:
        """Return what shocks of one standard deviation do, now and 1..steps iterations on, (steps + 1, n, n).

        Entry [k, i, j] is the response of objective i, k iterations after a shock in objective j, in score units.

        Parameters
        ----------
        ordering
            The objectives 0..n-1 in the order in which shocks pass through them within one iteration, for
            orthogonalised shocks; without it the generalised ones (`trimtab.dynamics.response.shocks`).
        cumulative
            Sum over the iterations up to k.
        """
        result = response.impulse_responses(self.transition, response.shocks(self.Q, ordering), steps)
        return np.cumsum(result, axis=0) if cumulative else result

    def own_half_lives(self, ordering: Sequence[int] | None = None) -> Floats:
        """Return after how many iterations each objective's response to its own shock stays below half, (n,).

        Shocks are those of `impulse_response`. Not-a-number for an objective that has none of its own.

        Raises
        ------
        InputError
            If the loop is not stable, so that responses need not fade.
        """
        self._require_stable("responses that fade need")
        return response.own_half_lives(self.transition, response.shocks(self.Q, ordering))

    def _root(self) -> Floats:
        """Return L with L L' = Q; from eigenvectors, because Q may be singular."""
        values, vectors = np.linalg.eigh(self.Q)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))

    def _require_stable(self, what: str) -> None:
        if not self.stable:
            radius = float(spectrum.spectral_radius(self.eigenvalues, self.dt))
            raise InputError(f"{what} all abs(1 + lambda dt) < 1, but the largest is {radius:.3g}")

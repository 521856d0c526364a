"""AffineSDE: the model of one strategy, dX = (A X + b) dt + sigma dW, stepped once per iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from trimtab.dynamics import spectrum
from trimtab.errors import InputError

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
        n = b_.shape[0] if b_.ndim == 1 else -1
        if n < 1 or A_.shape != (n, n) or Q_.shape != (n, n):
            raise InputError(
                f"A (n, n), b (n,) and Q (n, n) are needed, but got shapes {A_.shape}, {b_.shape} and {Q_.shape}"
            )
        if not (np.isfinite(A_).all() and np.isfinite(b_).all() and np.isfinite(Q_).all()):
            raise InputError("A, b and Q must be finite, but hold inf or not-a-number")
        size = max(float(np.abs(Q_).max()), np.finfo(float).tiny)
        if np.abs(Q_ - Q_.T).max() > 1e-9 * size or np.linalg.eigvalsh(Q_).min() < -1e-9 * size:
            raise InputError("Q must be symmetric and positive semidefinite: it is a covariance")
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

    def forecast(self, x: ArrayLike, steps: int) -> tuple[Floats, Floats]:
        """Return mean (steps + 1, n) and covariance (steps + 1, n, n) of the state 0..steps iterations after x (n,).

        m_{k+1} = F m_k + b dt and P_{k+1} = F P_k F' + Q, from m_0 = x and P_0 = 0.
        """
        F = self.transition
        start = np.asarray(x, dtype=np.float64)
        if start.shape != (self.n,) or steps < 0:
            raise InputError(
                f"a forecast needs one state of {self.n} scores and steps >= 0, but got shape {start.shape} and {steps}"
            )
        mean = np.empty((steps + 1, self.n))
        covariance = np.zeros((steps + 1, self.n, self.n))
        mean[0] = start
        for k in range(steps):
            mean[k + 1] = F @ mean[k] + self.b * self.dt
            covariance[k + 1] = F @ covariance[k] @ F.T + self.Q
        return mean, covariance

    def stationary(self) -> tuple[Floats, Floats]:
        """Return mean (n,) and covariance (n, n) of the stationary law: P = F P F' + Q.

        Raises
        ------
        InputError
            If the loop is not stable, so that there is none.
        """
        if not self.stable:
            radius = float(spectrum.spectral_radius(self.eigenvalues, self.dt))
            raise InputError(f"a stationary law needs all abs(1 + lambda dt) < 1, but the largest is {radius:.3g}")
        return self.equilibrium, np.asarray(scipy.linalg.solve_discrete_lyapunov(self.transition, self.Q))

    def _root(self) -> Floats:
        """Return L with L L' = Q; from eigenvectors, because Q may be singular."""
        values, vectors = np.linalg.eigh(self.Q)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))

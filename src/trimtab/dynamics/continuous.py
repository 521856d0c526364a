"""ContinuousAffine: an affine stochastic differential equation with no step of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from trimtab.dynamics import embedding, spectrum
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.covariance import balance, check_affine_parts
from trimtab.errors import InputError

__all__ = ["ContinuousAffine"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ContinuousAffine:
    """The equation dX = (A X + b) dt + sigma dW in continuous time.

    Parameters
    ----------
    A
        Drift matrix, (n, n), per unit of time.
    b
        Drift at the origin, (n,), score units per unit of time.
    S
        Diffusion sigma sigma', (n, n), squared score units per unit of time.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or S is not symmetric positive semidefinite.

    Examples
    --------
    >>> loop = AffineSDE([[-0.5]], [2.5], [[0.3]])
    >>> equation = loop.to_continuous()
    >>> round(equation.rate, 4), equation.to_discrete(1.0).transition.round(4).tolist()
    (0.6931, [[0.5]])
    """

    A: Floats
    b: Floats
    S: Floats

    def __init__(self, A: ArrayLike, b: ArrayLike, S: ArrayLike) -> None:
        A_, b_, S_ = (np.array(value, dtype=np.float64) for value in (A, b, S))
        check_affine_parts(A_, b_, S_, "S")
        for name, value in (("A", A_), ("b", b_), ("S", S_)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.b)

    @property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """Eigenvalues of A, by decreasing real part, (n,), per unit of time."""
        return spectrum.eigenvalues(self.A)

    @property
    def rate(self) -> float:
        """Convergence rate -max Re(lambda), per unit of time."""
        return float(spectrum.rate(self.eigenvalues))

    @property
    def stable(self) -> bool:
        """True where all Re(lambda) < 0."""
        return bool(spectrum.stable_continuous(self.eigenvalues))

    @property
    def equilibrium(self) -> Floats:
        """x* = -A^-1 b, (n,), where the drift vanishes; ``InputError`` if A is singular to working precision."""
        return self.euler(1.0).equilibrium

    def stationary(self) -> tuple[Floats, Floats]:
        """Return mean (n,) and covariance (n, n) of the stationary law: A P + P A' + S = 0.

        Raises
        ------
        InputError
            If some Re(lambda) >= 0, so that there is none.
        """
        if not self.stable:
            raise InputError(f"a stationary law needs all Re(lambda) < 0, but the largest is {-self.rate:.3g}")
        d = balance(self.A)
        P = scipy.linalg.solve_continuous_lyapunov(self.A * d / d[:, None], -self.S / d / d[:, None])
        return self.equilibrium, np.asarray((P + P.T) / 2 * d * d[:, None])

    def to_discrete(self, dt: float) -> AffineSDE:
        """Return the loop that has exactly the law of this equation at times 0, dt, 2 dt ...: F = e^{A dt}.

        Raises
        ------
        InputError
            If dt is not positive and finite.
        """
        _check_dt(dt)
        F, c, Q = embedding.discretise(self.A, self.b, self.S, dt)
        return AffineSDE((F - np.eye(self.n)) / dt, c / dt, Q, dt)

    def euler(self, dt: float) -> AffineSDE:
        """Return the Euler-Maruyama scheme of step dt: F = I + A dt and Q = S dt, right to first order in dt.

        Raises
        ------
        InputError
            If dt is not positive and finite.
        """
        _check_dt(dt)
        return AffineSDE(self.A, self.b, self.S * dt, dt)


def _check_dt(dt: float) -> None:
    if not 0 < dt < np.inf:
        raise InputError(f"dt must be positive and finite, but got {dt:g}")

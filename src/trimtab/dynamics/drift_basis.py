"""Drifts that are linear in their coefficients: mu(u) = Theta' [1, u, phi(u)], for many coefficients at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["Basis", "BasisDrift", "Monomials", "monomials", "numerical_jacobian"]

Floats = NDArray[np.float64]

Basis = Callable[[Floats], Floats]
"""phi: states (..., n) to terms beyond the constant and the states themselves, (..., p)."""

_STEP = 6e-6  # cube root of the unit roundoff: least error of a central difference of a function of size 1


@dataclass(frozen=True, slots=True, eq=False)
class Monomials:
    """The products of states that `factors` name.

    Parameters
    ----------
    factors
        (p, degree) positions of the states multiplied; n stands for the factor 1.
    n
        Number of states.
    """

    factors: NDArray[np.int64]
    n: int

    def __call__(self, u: Floats) -> Floats:
        """Return the products (..., p) of states u (..., n)."""
        padded = self._padded(u)
        result = padded[..., self.factors[:, 0]].copy()
        for column in self.factors.T[1:]:
            result *= padded[..., column]
        return np.asarray(result)

    def jacobian(self, u: Floats) -> Floats:
        """Return d phi / d u, (..., p, n), at states u (..., n)."""
        padded, (p, degree) = self._padded(u), self.factors.shape
        result = np.zeros((*u.shape[:-1], p, self.n + 1))
        for one in range(degree):
            rest = np.ones((*u.shape[:-1], p))
            for other in range(degree):
                if other != one:
                    rest *= padded[..., self.factors[:, other]]
            result[..., np.arange(p), self.factors[:, one]] += rest
        return result[..., :-1]

    def names(self, states: Sequence[str]) -> tuple[str, ...]:
        """Return what the products are called, such as ``speed*cost`` and ``speed^2``."""
        found = []
        for row in self.factors.tolist():
            powers = {j: row.count(j) for j in row if j < self.n}
            found.append("*".join(states[j] + (f"^{k}" if k > 1 else "") for j, k in powers.items()))
        return tuple(found)

    def _padded(self, u: Floats) -> Floats:
        return np.concatenate([u, np.ones((*u.shape[:-1], 1))], axis=-1)


def monomials(n: int, degree: int) -> Monomials:
    """Return all products of two up to `degree` of n states.

    >>> monomials(2, 2).names(["a", "b"])
    ('a^2', 'a*b', 'b^2')
    >>> monomials(2, 3)(np.array([2.0, 3.0]))
    array([ 4.,  6.,  9.,  8., 12., 18., 27.])
    """
    if n < 1 or degree < 2:
        raise InputError(f"products need n >= 1 states and a degree of 2 or more, but got n={n} and degree={degree}")
    rows = [
        [*row, *[n] * (degree - size)]
        for size in range(2, degree + 1)
        for row in combinations_with_replacement(range(n), size)
    ]
    return Monomials(np.array(rows, dtype=np.int64), n)


def numerical_jacobian(function: Basis, u: Floats) -> Floats:
    """Return d function / d u, (..., p, n), at states u (..., n) of about size 1, by central differences."""
    columns = []
    for j in range(u.shape[-1]):
        shift = np.zeros(u.shape[-1])
        shift[j] = _STEP
        columns.append((function(u + shift) - function(u - shift)) / (2 * _STEP))
    return np.stack(columns, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class BasisDrift:
    """B drifts mu_b(u) = Theta_b' [1, u, phi(u)] with a common basis.

    Parameters
    ----------
    theta
        (B, 1 + n + p, n) coefficients.
    basis
        phi; None for affine drifts, p = 0. One without a method `jacobian` is differentiated numerically.
    """

    theta: Floats
    basis: Basis | None = None

    @property
    def n(self) -> int:
        """Number of states n."""
        return int(self.theta.shape[-1])

    def __call__(self, u: Floats) -> Floats:
        """Return mu_b(u_b), (B, K, n), at K states for each drift, u (B, K, n)."""
        n = self.n
        result = self.theta[:, :1] + u @ self.theta[:, 1 : 1 + n]
        if self.basis is not None:
            result = result + self.basis(u) @ self.theta[:, 1 + n :]
        return np.asarray(result)

    def jacobian(self, u: Floats) -> Floats:
        """Return d mu_b / d u, (B, K, n, n), entry [i, j] being that of mu_i with respect to u_j."""
        n = self.n
        linear = np.swapaxes(self.theta[:, 1 : 1 + n], -1, -2)[:, None]
        if self.basis is None:
            return np.broadcast_to(linear, (*u.shape, n))
        inner = self.basis.jacobian(u) if isinstance(self.basis, Monomials) else numerical_jacobian(self.basis, u)
        return np.asarray(linear + np.swapaxes(self.theta[:, 1 + n :], -1, -2)[:, None] @ inner)

    def step(self, u: Floats) -> Floats:
        """Return the map of one iteration, u + mu(u), (B, K, n)."""
        return np.asarray(u + self(u))

    def step_jacobian(self, u: Floats) -> Floats:
        """Return the Jacobian I + d mu / d u of that map, (B, K, n, n)."""
        return np.asarray(np.eye(self.n) + self.jacobian(u))

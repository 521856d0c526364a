"""Covariance matrices of an affine loop, which may be singular: their checks, their roots and the stationary one."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["balance", "check_affine_parts", "semidefinite_cholesky", "stationary_covariance"]

Floats = NDArray[np.float64]

_SYMMETRY = 1e-9  # asymmetry and negative eigenvalues up to this share of the largest entry are rounding
_PIVOT = 1e-12  # share of its own variance below which a coordinate is determined by the ones before it


def check_affine_parts(A: Floats, b: Floats, C: Floats, name: str) -> None:
    """Check a drift A (n, n), b (n,) and a covariance C (n, n) called `name` in messages.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or C is not symmetric positive semidefinite.
    """
    n = b.shape[0] if b.ndim == 1 else -1
    if n < 1 or A.shape != (n, n) or C.shape != (n, n):
        raise InputError(
            f"A (n, n), b (n,) and {name} (n, n) are needed, but got shapes {A.shape}, {b.shape} and {C.shape}"
        )
    if not (np.isfinite(A).all() and np.isfinite(b).all() and np.isfinite(C).all()):
        raise InputError(f"A, b and {name} must be finite, but hold inf or not-a-number")
    size = max(float(np.abs(C).max()), np.finfo(float).tiny)
    if np.abs(C - C.T).max() > _SYMMETRY * size or np.linalg.eigvalsh(C).min() < -_SYMMETRY * size:
        raise InputError(f"{name} must be symmetric and positive semidefinite: it is a covariance")


def semidefinite_cholesky(C: Floats) -> Floats:
    """Return the lower triangular L (n, n) with L L' = C for a covariance C that may be singular.

    A coordinate that those before it determine gets a zero on the diagonal, and nothing below it.
    """
    L = np.zeros_like(C)
    for j in range(len(C)):
        column = C[j:, j] - L[j:, :j] @ L[j, :j]
        if column[0] > _PIVOT * C[j, j]:
            L[j:, j] = column / np.sqrt(column[0])
    return L


def balance(F: Floats) -> Floats:
    """Return sizes d (n,) of the coordinates in which F is balanced: F_ij d_j / d_i has rows and columns of one size.

    What is computed in these coordinates does not depend on the units in which the objectives are given.
    """
    return np.asarray(scipy.linalg.matrix_balance(F, permute=False, separate=True)[1][0])


def stationary_covariance(F: Floats, Q: Floats) -> Floats:
    """Return P = F P F' + Q, (n, n), for the transition F (n, n) of a stable loop and its innovations' covariance Q."""
    d = balance(F)
    P = scipy.linalg.solve_discrete_lyapunov(F * d / d[:, None], Q / d / d[:, None])
    return np.asarray((P + P.T) / 2 * d * d[:, None])

"""Eigenvalues that nearly repeat, taken together: their mean and their subspace are steady where they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["SpectralCluster", "spectral_clusters"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class SpectralCluster:
    """Eigenvalues of a matrix that lie close together, and how steady they are under a small change of the matrix.

    A change of size e moves an eigenvalue by up to its condition number times e, to first order, and the eigenvalues of
    a Jordan block of size k by about e^(1/k). The mean of a cluster moves by up to `mean_condition` times e and its
    subspace turns by up to about e / `separation`, however close its members are to each other (Stewart and Sun 1990,
    Matrix Perturbation Theory, ch. V; Bai, Demmel and McKenney 1993, ACM TOMS 19). All of these depend on the units of
    the objectives.

    Parameters
    ----------
    eigenvalues
        (k,) the members.
    mean
        Their mean, the trace of the matrix on the subspace over k. Real for a cluster that holds every member's
        conjugate.
    conditions
        (k,) condition number 1 / abs(y' x) of each member, with right and left eigenvectors x and y of length one; 1
        for a normal matrix, at most about 1e16.
    basis
        (n, k) orthonormal basis of the invariant subspace; real for a cluster that holds every member's conjugate.
    projector
        (n, n) spectral projector onto the subspace, along that of all other eigenvalues; real where `basis` is.
    separation
        Smallest singular value of X -> T11 X - X T22 for the blocks T11, T22 of the ordered Schur form: no smaller
        change of the two blocks makes the cluster share an eigenvalue with the rest. At most the gap between them;
        infinite where there is no rest.
    """

    eigenvalues: Complexes
    mean: complex
    conditions: Floats
    basis: Floats | Complexes
    projector: Floats | Complexes
    separation: float

    @property
    def size(self) -> int:
        """Number of eigenvalues in the cluster."""
        return len(self.eigenvalues)

    @property
    def mean_condition(self) -> float:
        """Condition number of the mean: the 2-norm of the projector."""
        return float(np.linalg.norm(self.projector, 2))

    @property
    def real(self) -> bool:
        """True where the cluster holds every member's conjugate."""
        return not np.iscomplexobj(self.basis)


def spectral_clusters(
    A: Floats, tolerance: float | Callable[[Complexes], Floats], *, relative: bool = False
) -> tuple[SpectralCluster, ...]:
    """Return the clusters of eigenvalues of a real matrix A (n, n), by decreasing real, then imaginary part of means.

    Two eigenvalues belong together where they are at most `tolerance` apart, or where a chain of others joins them.
    Each eigenvalue is in one cluster, mostly of itself alone.

    Parameters
    ----------
    tolerance
        In the units of A. For an estimated drift, the size of its error is a sensible choice: closer eigenvalues cannot
        be told apart. Where that differs between eigenvalues, a function of the eigenvalues (n,), in any order, that
        returns the tolerance of each pair, (n, n).
    relative
        Measure distances against the larger modulus of the two.

    Raises
    ------
    InputError
        If A is not a finite square matrix or the tolerance is negative.

    Examples
    --------
    >>> slow, pair = spectral_clusters(np.array([[-0.5, 1.0, 0.0], [1e-8, -0.5, 0.0], [0.0, 0.0, -0.1]]), 0.01)
    >>> pair.size, round(pair.mean.real, 9), bool((pair.conditions > 1000).all()), round(pair.mean_condition)
    (2, -0.5, True, 1)
    """
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not len(A) or not np.isfinite(A).all():
        raise InputError(f"eigenvalues need a finite square matrix, but got shape {A.shape} or values not finite")
    if not callable(tolerance) and not tolerance >= 0:
        raise InputError(f"the tolerance must be at least 0, but got {tolerance:g}")
    schur, Z = scipy.linalg.schur(A)
    T, Z = scipy.linalg.rsf2csf(schur, Z)
    lam = _exact_pairs(schur, np.diagonal(T))
    conditions = _conditions(T)
    clusters = [_cluster(T, Z, lam, conditions, members) for members in _grouped(lam, tolerance, relative)]
    return tuple(sorted(clusters, key=lambda one: (-one.mean.real, -one.mean.imag)))


def _exact_pairs(schur: Floats, lam: Complexes) -> Complexes:
    """Return the eigenvalues `lam` of a real Schur form with conjugate pairs, and real ones, exact to the bit."""
    result = np.diagonal(schur).astype(np.complex128)
    for i in np.flatnonzero(np.diagonal(schur, -1)):
        imag = np.sqrt(abs(schur[i, i + 1] * schur[i + 1, i])) * (1 if lam[i].imag > 0 else -1)
        result[i : i + 2] += np.array([1j, -1j]) * imag
    return result


def _grouped(
    lam: Complexes, tolerance: float | Callable[[Complexes], Floats], relative: bool
) -> list[NDArray[np.bool_]]:
    """Return masks (n,) of the groups that chains of close eigenvalues make."""
    size = np.maximum(np.abs(lam)[:, None], np.abs(lam)) if relative else 1.0
    reach = (tolerance(lam) if callable(tolerance) else tolerance) * size
    joined = np.abs(lam[:, None] - lam) <= reach
    for _ in lam:
        joined = joined @ joined
    return list(np.unique(joined, axis=0))


def _conditions(T: Complexes) -> Floats:
    """Return 1 / abs(y' x) for each eigenvalue of the upper triangular T (n, n), in the order of its diagonal, (n,)."""
    n, size = len(T), float(np.abs(T).max())
    if size < np.finfo(float).tiny:
        return np.ones(n)
    T, least = T / size, np.finfo(float).eps
    result = np.empty(n)
    for i in range(n):
        shifted = T - T[i, i] * np.eye(n)
        # An equal eigenvalue is moved by what rounding may have moved it, as LAPACK does for its eigenvectors.
        at = np.flatnonzero(np.abs(np.diagonal(shifted)) < least)
        shifted[at, at] = least
        x = scipy.linalg.solve_triangular(shifted[:i, :i], -T[:i, i]) if i else np.empty(0)
        y = scipy.linalg.solve_triangular(shifted[i + 1 :, i + 1 :], -T[i, i + 1 :], trans="T") if i < n - 1 else x[:0]
        result[i] = np.hypot(1, np.linalg.norm(x)) * np.hypot(1, np.linalg.norm(y))
    return result


def _cluster(
    T: Complexes, Z: Complexes, lam: Complexes, conditions: Floats, members: NDArray[np.bool_]
) -> SpectralCluster:
    n, k = len(lam), int(members.sum())
    T, Z = scipy.linalg.lapack.ztrsen(members, T, Z, job="N")[:2]
    # P = Z [[I, R], [0, 0]] Z* with T11 R - R T22 = T12.
    R, separation = np.zeros((k, n - k)), np.inf
    if k < n:
        R = scipy.linalg.solve_sylvester(T[:k, :k], -T[k:, k:], T[:k, k:])
        operator = np.kron(T[:k, :k], np.eye(n - k)) - np.kron(np.eye(k), T[k:, k:].T)
        separation = float(np.linalg.svd(operator, compute_uv=False)[-1])
    basis: Floats | Complexes = Z[:, :k]
    projector: Floats | Complexes = basis @ (basis.conj().T + R @ Z[:, k:].conj().T)
    mean = complex(np.trace(T[:k, :k]) / k)
    # Clusters are as symmetric about the real axis as the spectrum is: one that reaches it holds all its conjugates.
    if lam[members].imag.min() <= 0 <= lam[members].imag.max():
        basis = np.linalg.svd(np.hstack([basis.real, basis.imag]), full_matrices=False)[0][:, :k]
        projector, mean = projector.real, complex(mean.real)
    return SpectralCluster(lam[members], mean, conditions[members], basis, projector, separation)

"""Algebra of very many very small matrices at once.

LAPACK spends microseconds on each matrix of a batch, nearly all of it overhead. Here every operation runs over the
whole batch, which is kept along the last axis in memory: an array of shape (..., n, n) that is a view of one laid out
as (n, n, batch) costs no copy. Where a closed form or an unpivoted elimination cannot be trusted, a mask says so, and
the caller turns to LAPACK for these few.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["batch_first", "batch_last", "cholesky_solve", "closed_form_eigenvalues", "solve"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

_ROUNDING = 16 * float(
    np.finfo(np.float64).eps
)  # rounding error of a sum of a few products, relative to the sizes of the products


def batch_last(matrices: Floats) -> Floats:
    """Return matrices (..., p, q) as (p, q, batch), contiguous in memory."""
    flat = matrices.reshape(-1, *matrices.shape[-2:]) if matrices.ndim != 3 else matrices
    return np.ascontiguousarray(flat.transpose(1, 2, 0))


def batch_first(arrays: NDArray[Scalar], lead: tuple[int, ...]) -> NDArray[Scalar]:
    """Return arrays (..., batch) as (*lead, ...), lead being the axes that the batch was made of."""
    moved = arrays.transpose(-1, *range(arrays.ndim - 1))
    return moved if lead == moved.shape[:1] else moved.reshape(*lead, *moved.shape[1:])


def cholesky_solve(S: Floats, C: Floats, smallest: float) -> tuple[Floats, Bools]:
    """Solve S B = C for symmetric positive definite S by its Cholesky factor.

    Parameters
    ----------
    S, C
        (n, n, batch) with ones on the diagonal, and (n, m, batch).
    smallest
        Determinant of S from which on the result is trusted. Under a unit diagonal the smallest eigenvalue is at least
        the determinant times ((n - 1) / n)^(n - 1).

    Returns
    -------
    tuple
        B (n, m, batch), and (batch,) whether it can be trusted.
    """
    n = len(S)
    L, B = S.copy(), C.copy()
    determinant = np.ones(S.shape[2:])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for j in range(n):
            determinant *= L[j, j]
            inverse = 1.0 / np.sqrt(L[j, j])
            L[j:, j] *= inverse
            B[j] *= inverse
            for i in range(j + 1, n):
                L[i, j + 1 : i + 1] -= L[i, j] * L[j + 1 : i + 1, j]
                B[i] -= L[i, j] * B[j]
        for j in reversed(range(n)):
            for i in range(j + 1, n):
                B[j] -= L[i, j] * B[i]
            B[j] /= L[j, j]
        # A pivot that is not positive leaves not-a-number behind.
        return B, np.asarray((determinant >= smallest) & np.isfinite(B).all(axis=(0, 1)))


def solve(A: Floats, b: Floats, smallest: float) -> Floats:
    """Solve A x = b for any square A by elimination with partial pivoting.

    Parameters
    ----------
    A, b
        (n, n, batch), its rows and columns of similar size, and (n, batch).
    smallest
        Share of the largest pivot below which another one means that A is singular.

    Returns
    -------
    NDArray
        x (n, batch), not-a-number where A is singular.
    """
    n = len(A)
    M = np.concatenate([A, b[:, None]], axis=1)
    pivots = np.empty(b.shape)
    each = np.arange(b.shape[1])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for j in range(n):
            if j < n - 1:
                at = j + np.abs(M[j:, j]).argmax(axis=0)
                row = M[at, :, each].T
                M[at, :, each] = M[j].T
                M[j] = row
            pivots[j] = np.abs(M[j, j])
            M[j, j + 1 :] /= M[j, j]
            for i in range(j + 1, n):
                M[i, j + 1 :] -= M[i, j] * M[j, j + 1 :]
        x = M[:, n]
        for j in reversed(range(n)):
            for i in range(j + 1, n):
                x[j] -= M[j, i] * x[i]
        return np.where(pivots.min(axis=0) > smallest * pivots.max(axis=0), x, np.nan)


def closed_form_eigenvalues(A: Floats, precision: float) -> tuple[Complexes, Bools]:
    """Return the eigenvalues of real A (n, n, batch), n at most 3, (n, batch), by decreasing real, then imaginary part.

    With h = tr(A) / n and B = A - h I, the characteristic polynomial of B is z^2 - d for n = 2 and z^3 + p z + q for
    n = 3. Its real root of largest size on its side of zero, by Viete's or Cardano's formula and one Newton step, is
    well conditioned; the others solve the quadratic that is left. Members of a complex pair are exact conjugates.

    Returns
    -------
    tuple
        The eigenvalues; and (batch,) whether all of them are good to `precision`, relative to the size of the
        spectrum. They are not where eigenvalues nearly repeat. Both sizes and errors are computed from the cycle
        products of B, such as b_12 b_21, and so do not depend on the units of its coordinates.
    """
    n = len(A)
    if n == 1:
        return A[0].astype(np.complex128), np.isfinite(A[0, 0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if n == 2:
            h = 0.5 * (A[0, 0] + A[1, 1])
            half, product = 0.5 * (A[0, 0] - A[1, 1]), A[0, 1] * A[1, 0]
            d = half * half + product
            size = half * half + np.abs(product)
            root = np.sqrt(np.abs(d))
            complex_pair = d < 0
            error = _ROUNDING * size / root + _lost(size, h)
            lam = np.empty(A.shape[1:], dtype=np.complex128)
            _fill_pair(lam, h, root, complex_pair)
            return lam, np.asarray(error <= precision * (np.sqrt(size) + np.abs(h)))
        return _cubic(A, precision)


def _fill_pair(pair: Complexes, middle: Floats, root: Floats, complex_pair: Bools) -> None:
    """Write middle +- root, or middle +- i root, into `pair` (2, batch)."""
    real, imaginary = np.where(complex_pair, 0.0, root), np.where(complex_pair, root, 0.0)
    pair.real[0], pair.real[1] = middle + real, middle - real
    pair.imag[0], pair.imag[1] = imaginary, -imaginary


def _lost(size: Floats, h: Floats) -> Floats:
    """Return an infinite error where B = A - h I, whose squared size is given, is nothing but rounding error."""
    return np.where(size > (_ROUNDING * h) ** 2, 0.0, np.inf)


def _cubic(A: Floats, precision: float) -> tuple[Complexes, Bools]:
    h = (A[0, 0] + A[1, 1] + A[2, 2]) / 3.0
    a, b, c = A[0, 0] - h, A[1, 1] - h, A[2, 2] - h
    # The cycle products: of two coordinates, and of three in either direction.
    xy, xz, yz = A[0, 1] * A[1, 0], A[0, 2] * A[2, 0], A[1, 2] * A[2, 1]
    forth, back = A[0, 1] * A[1, 2] * A[2, 0], A[0, 2] * A[2, 1] * A[1, 0]
    diagonal = a * b * c
    p = a * b + a * c + b * c - xy - xz - yz
    q = a * yz + b * xz + c * xy - diagonal - forth - back
    size_p = a * a + b * b + c * c + np.abs(xy) + np.abs(xz) + np.abs(yz)
    size_q = np.abs(diagonal) + np.abs(a * yz) + np.abs(b * xz) + np.abs(c * xy) + np.abs(forth) + np.abs(back)

    third, half = p / 3.0, 0.5 * np.abs(q)
    inside = third * third * third + half * half
    three_real = inside < 0
    amplitude = np.sqrt(np.where(three_real, -third, 0.0))
    angle = np.arctan2(np.sqrt(np.where(three_real, -inside, 0.0)), half)
    u = np.cbrt(half + np.sqrt(np.where(three_real, 0.0, inside)))
    r = np.where(three_real, 2.0 * amplitude * np.cos(angle / 3.0), u - third / np.where(u > 0, u, 1.0))
    r = np.copysign(r, -q)
    slope = 3.0 * r * r + p
    r = r - (r * (r * r + p) + q) / slope
    # What is left is z^2 + r z + p + r^2.
    d = -(p + 0.75 * r * r)
    root = np.sqrt(np.abs(d))
    complex_pair = d < 0

    error_r = _ROUNDING * (size_q + np.abs(r) * size_p) / np.abs(slope)
    error_d = _ROUNDING * (size_p + r * r) + 1.5 * np.abs(r) * error_r
    error = error_r + error_d / root + _lost(size_p, h)
    lam = np.empty((3, *h.shape), dtype=np.complex128)
    pair = np.empty((2, *h.shape), dtype=np.complex128)
    _fill_pair(pair, h - 0.5 * r, root, complex_pair)
    # Where all three real parts agree, rounding would decide their order.
    trusted = (error <= precision * (np.sqrt(size_p) + np.abs(h))) & ((h + r != pair.real[0]) | ~complex_pair)
    first = r > 0
    lam[0] = np.where(first, h + r, pair[0])
    lam[1] = np.where(first, pair[0], pair[1])
    lam[2] = np.where(first, pair[1], h + r)
    return lam, np.asarray(trusted)

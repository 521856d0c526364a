"""Equilibria of many affine drifts at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.dynamics.small_matrices import batch_first, batch_last, solve

__all__ = ["equilibria"]

Floats = NDArray[np.float64]

_SINGULAR = 1e-12


def equilibria(A: Floats, b: Floats, unit: ArrayLike = 1.0) -> Floats:
    """Return x* = -A^-1 b, where the drift A x + b vanishes; not-a-number where A is singular.

    Parameters
    ----------
    A, b
        (..., n, n) and (..., n).
    unit
        (n,) or a number: sizes of the coordinates of x. Whether A is singular is judged in these units, and so does not
        depend on those in which the coordinates are given.
    """
    n = b.shape[-1]
    size = np.broadcast_to(np.asarray(unit, dtype=np.float64), (n,))[:, None]
    if not n:
        return np.empty(b.shape)
    x = solve(batch_last(A) * size / size[:, None], -batch_last(b[..., None])[:, 0] / size, _SINGULAR)
    return batch_first(x * size, b.shape[:-1])

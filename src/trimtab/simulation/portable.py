"""What `compiled` compiles, as NumPy operations: the same numbers to rounding, where Numba is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.simulation import philox
from trimtab.simulation.bounds import bound

__all__ = ["advance", "fill", "step"]

Array = NDArray[Any]


def fill(z: Array, first: int, group: int, tag: int, k0: int, k1: int) -> None:
    """See `kernels.fill`."""
    philox.normals(z, first, group, tag, (k0, k1))


def step(
    y: Array,
    x: Array,
    z: Array,
    where: Array,
    factor: Array,
    count: Array,
    c: Array,
    low: Array,
    high: Array,
    mode: int,
) -> None:
    """See `kernels.step`."""
    n = len(x)
    with np.errstate(over="ignore", invalid="ignore"):  # paths of an unstable model may leave all numbers
        for i in range(n):
            y[i] = c[i]
            for k in range(count[i]):
                row = where[i, k]
                y[i] += factor[i, k] * (x[row] if row < n else z[row - n])
    bound(y, low, high, mode)


def advance(
    x: Array, out: Array, every: int, first: int, start: int, codes: Array, where: Array, factor: Array,
    count: Array, c: Array, low: Array, high: Array, mode: int, k0: int, k1: int,
) -> None:  # fmt: skip
    """See `compiled.advance`."""
    now, then = x.copy(), np.empty_like(x)
    noise = np.empty((4, *x.shape), x.dtype)
    for t, k in enumerate(codes):
        lane = (start + t) % 4
        if lane == 0 or t == 0:
            fill(noise, first, (start + t) // 4, philox.STEP_NOISE, k0, k1)
        step(then, now, noise[lane], where[k], factor[k], count[k], c[k], low, high, mode)
        now, then = then, now
        if (t + 1) % every == 0:
            out[(t + 1) // every - 1] = now[:, : out.shape[2]]
    x[...] = now

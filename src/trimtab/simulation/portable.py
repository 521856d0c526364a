"""What `compiled` compiles, as NumPy operations: the same numbers to rounding, where Numba is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.simulation import philox
from trimtab.simulation.bounds import bound

__all__ = ["advance", "fill", "step"]

Array = NDArray[Any]


def fill(w: Array, skip: int, first: int, group: int, tag: int, k0: int, k1: int) -> None:
    """See `kernels.fill`."""
    philox.normals(w[:, skip:], first, group, tag, (k0, k1))


def step(
    y: Array, w: Array, where: Array, factor: Array, count: Array, c: Array, low: Array, high: Array, mode: int
) -> None:  # fmt: skip
    """See `kernels.step`."""
    with np.errstate(over="ignore", invalid="ignore"):  # paths of an unstable model may leave all numbers
        for i in range(len(count)):
            y[i] = c[i]
            for k in range(count[i]):
                y[i] += factor[i, k] * w[where[i, k]]
    bound(y[: len(count)], low, high, mode)


def advance(
    x: Array, out: Array, every: int, first: int, start: int, codes: Array, where: Array, factor: Array,
    count: Array, c: Array, low: Array, high: Array, mode: int, k0: int, k1: int,
) -> None:  # fmt: skip
    """See `compiled.advance`."""
    n = len(x)
    w = np.empty((4, 2 * n, x.shape[1]), x.dtype)
    w[start % 4, :n] = x
    for t, k in enumerate(codes):
        lane = (start + t) % 4
        if lane == 0 or t == 0:
            fill(w, n, first, (start + t) // 4, philox.STEP_NOISE, k0, k1)
        now = w[(lane + 1) % 4]
        step(now, w[lane], where[k], factor[k], count[k], c[k], low, high, mode)
        if (t + 1) % every == 0:
            out[(t + 1) // every - 1] = now[:n, : out.shape[2]]
    x[...] = w[(start + len(codes)) % 4, :n]

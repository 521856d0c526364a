"""The simulator's inner loops, compiled by Numba (see `kernels`); `portable` has the same functions without it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.simulation import kernels
from trimtab.simulation.kernels import fill, step

__all__ = ["advance", "fill", "step"]


def advance(
    x: NDArray[Any], out: NDArray[Any], every: int, first: int, start: int, codes: NDArray[np.int64],
    where: NDArray[np.int64], factor: NDArray[Any], count: NDArray[np.int64], c: NDArray[Any], low: NDArray[Any],
    high: NDArray[Any], mode: int, k0: int, k1: int,
) -> None:  # fmt: skip
    """Take all paths of a block through ``len(codes)`` steps.

    Parameters
    ----------
    x
        (n, m) States before, and after.
    out
        (records, n, up to m), of any strides: filled with the states after each `every` steps.
    first, start
        Indices of the first path and of the first step.
    codes
        (steps,) Which transition each step is by; `where` (K, n, 2 n), `factor`, `count` (K, n) and `c` hold them.
    low, high, mode
        See `bounds.read_bounds`.
    k0, k1
        Key of the generator.
    """
    # One flat array and its strides, so that there is one kind of array to compile for.
    records, rows, paths = out.shape
    by_record, by_row, by_path = (stride // out.itemsize for stride in out.strides)
    last = (records - 1) * by_record + (rows - 1) * by_row + (paths - 1) * by_path
    buffer = np.lib.stride_tricks.as_strided(out, (last + 1,), (out.itemsize,))
    kernels.advance(
        x, buffer, by_record, by_row, by_path, paths, every, first, start, codes, where, factor, count, c, low, high,
        mode, k0, k1,
    )  # fmt: skip

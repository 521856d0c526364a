"""Volumes of the box that iterates dominate, counted on 256 points of it that are held as the bits of four numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "Volume"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint64]

CELLS = 256
"""Points that a volume is counted on; each stands for a cell of the box around it."""


class Volume:
    """Shares of the box from 0 to `top` in n dimensions.

    The points are spread evenly by the powers of the golden ratio's like in n dimensions (Roberts 2018). A point of the
    box dominates the cells that are no greater in any dimension. In each dimension alone these are the first so many in
    the order of that dimension, so that their bits can be looked up.
    """

    def __init__(self, n: int, top: float) -> None:
        alphas = _golden(n) ** -np.arange(1, n + 1)
        points = top * ((0.5 + np.outer(np.arange(1, CELLS + 1), alphas)) % 1.0)
        order = np.argsort(points, axis=0)
        self._sorted = np.take_along_axis(points, order, axis=0).T.copy()
        # first[j, r, i]: whether cell i is one of the first r in dimension j.
        rank = np.argsort(order, axis=0)
        first = rank.T[:, None] < np.arange(CELLS + 1)[:, None]
        self._first = np.packbits(first, axis=-1).view(np.uint64)

    def dominated(self, x: Floats) -> Bits:
        """Return which cells points (..., n) dominate, as bits (..., 4); none where a coordinate is not a number."""
        x = np.where(np.isnan(x), -np.inf, x)
        result: Bits = self._first[0][np.searchsorted(self._sorted[0], x[..., 0], "right")]
        for j in range(1, len(self._sorted)):
            result &= self._first[j][np.searchsorted(self._sorted[j], x[..., j], "right")]
        return result

    @staticmethod
    def share(bits: Bits) -> Floats:
        """Return the share of the box that cells (..., 4) are, (...)."""
        return np.asarray(np.bitwise_count(bits).sum(axis=-1, dtype=np.float64) / CELLS)

    @staticmethod
    def cells(bits: Bits) -> Bools:
        """Return bits (..., 4) cell by cell, (..., 256)."""
        return np.unpackbits(np.ascontiguousarray(bits).view(np.uint8), axis=-1).astype(bool)


def _golden(n: int) -> float:
    """Return the positive root of g^(n+1) = g + 1."""
    g = 2.0
    for _ in range(64):
        g = (1 + g) ** (1 / (n + 1))
    return g

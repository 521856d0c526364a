"""Interpolation on a grid, linear in each of the simplices that Kuhn's triangulation cuts its cells into.

A point of a cell of n dimensions is between n + 1 of its corners, which are found by sorting its coordinates, where
multilinear interpolation takes all 2^n. Linear functions are met exactly, and so is the least coordinate, which is
linear in each simplex: the triangulation cuts where two coordinates are as far along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cells", "corners"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def cells(x: Floats, first: Floats | float, last: Floats | float, points: int) -> tuple[Ints, Floats]:
    """Return the interval that x lies in, of a grid of so many points from first to last, and how far along it is."""
    place = (x - first) / (np.asarray(last) - first) * (points - 1)
    cell = np.clip(place.astype(np.int64), 0, points - 2)
    return cell, np.asarray(place - cell)


def corners(x: Floats, first: Floats, last: Floats, points: int) -> tuple[Ints, Floats]:
    """Return the corners that points x (..., n) lie between, (..., n + 1), and the share of each (Kuhn 1960).

    Corners are numbered as the points of the grid are, the last axis fastest.

    Parameters
    ----------
    first, last
        (n,) ends of the axes; the first may be the greater one.
    points
        On each axis, 2 or more.
    """
    n = x.shape[-1]
    stride = points ** np.arange(n - 1, -1, -1)
    cell, part = cells(x, first, last, points)
    order = np.argsort(-part, axis=-1, kind="stable")
    falling = np.take_along_axis(part, order, -1)
    row = np.empty((*x.shape[:-1], n + 1), dtype=np.int64)
    row[..., 0] = cell @ stride
    row[..., 1:] = row[..., :1] + np.cumsum(stride[order], axis=-1)
    share = np.empty(row.shape)
    share[..., 0] = 1 - falling[..., 0]
    share[..., 1:-1] = falling[..., :-1] - falling[..., 1:]
    share[..., -1] = falling[..., -1]
    return row, share

"""Sessions drawn again with everything they hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["batches", "resampled"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST = 2_000
"""Sessions above which they are drawn in as many batches, each the sum of every 2,000th session."""

_WEIGHTS = 65_536  # weights held at once: few enough to stay in the cache


def batches(owner: Ints) -> tuple[Ints, int]:
    """Return the batch of each of `owner` = 0..S - 1, and the number of batches."""
    count = min(int(owner.max()) + 1, MOST)
    return owner % count, count


def resampled(values: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Return sums of `values` (S, q) over S sessions drawn with replacement, (draws, q)."""
    batch, S = batches(np.arange(len(values)))
    if len(values) > S:
        summed = np.zeros((S, values.shape[1]))
        np.add.at(summed, batch, values)
        values = summed
    sums = np.empty((draws, values.shape[1]))
    block = max(1, _WEIGHTS // S)
    for at in range(0, draws, block):
        size = min(block, draws - at)
        drawn = rng.integers(0, S, size=(size, S)) + S * np.arange(size)[:, None]
        sums[at : at + size] = np.bincount(drawn.ravel(), minlength=size * S).reshape(size, S) @ values
    return sums

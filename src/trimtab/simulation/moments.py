"""Mean, covariance and lag-1 autocovariance of an ensemble at every iteration, without its paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MomentSums", "Moments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments over the paths of an ensemble.

    Parameters
    ----------
    mean
        (steps + 1, n)
    covariance
        (steps + 1, n, n), with the divisor paths - 1; not-a-number for a single path.
    lag_covariance
        (steps, n, n) Entry [t, i, j] is the covariance of objective i at t with objective j at t + 1.
    """

    mean: Floats
    covariance: Floats
    lag_covariance: Floats


class MomentSums:
    """Sums about their own mean over some paths: those of two sets of paths merge into those of both.

    Source: T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", COMPSTAT 1982.
    """

    def __init__(self, steps: int, n: int) -> None:
        self.count = 0
        self.mean = np.zeros((steps + 1, n))
        self.products = np.zeros((steps + 1, n, n))
        self.lag_products = np.zeros((steps, n, n))

    def look_at(self, t: int, states: NDArray[Any]) -> None:
        """Take in states (records, n, m) of the iterations t, t + 1, ..., the first of which may have been seen."""
        x = states.astype(np.float64)
        self.count = x.shape[2]
        records = slice(t, t + len(x))
        with np.errstate(invalid="ignore", over="ignore"):  # paths of an unstable model may have left all numbers
            self.mean[records] = x.mean(axis=2)
            x -= self.mean[records][:, :, None]
            # Not by BLAS, whose order of summation depends on its number of threads.
            self.products[records] = np.einsum("tip,tjp->tij", x, x)
            self.lag_products[t : t + len(x) - 1] = np.einsum("tip,tjp->tij", x[:-1], x[1:])

    def merge(self, other: MomentSums) -> None:
        """Add the paths of `other`."""
        total = self.count + other.count
        with np.errstate(invalid="ignore", over="ignore"):
            apart = other.mean - self.mean
            share = self.count * other.count / total
            self.products += other.products + share * apart[:, :, None] * apart[:, None, :]
            self.lag_products += other.lag_products + share * apart[:-1, :, None] * apart[1:, None, :]
            self.mean += apart * (other.count / total)
        self.count = total

    def moments(self) -> Moments:
        """Return the moments of all paths."""
        divisor = self.count - 1 if self.count > 1 else np.nan
        return Moments(self.mean, self.products / divisor, self.lag_products / divisor)

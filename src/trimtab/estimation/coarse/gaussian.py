"""The probability that a Gaussian gives to a cell of scores."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.coarse.levels import Cells

__all__ = ["gaussian_log_mass", "root"]

Floats = NDArray[np.float64]

_FLOOR = 1e-2  # least standard deviation, relative to the least distance of two levels
_SINGULAR = 1e-8  # least eigenvalue of a correlation matrix


def gaussian_log_mass(mean: Floats, L: Floats, y: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return the log probability (m,) of cells under N(mean, L L'), one objective after the other.

    P(cell) = product over j of P(lower_j < Y_j < upper_j | Y_i = y_i for i < j), y being the levels inside the cells.
    Each factor is a law on the cells of objective j, so that the product is one on all cells; it equals the Gaussian's
    own where n = 1 and where cells are narrow.

    Parameters
    ----------
    mean
        (m, n).
    L
        (n, n), lower triangular with a positive diagonal.
    y, lower, upper
        (m, n) levels and edges of their cells.
    """
    total, z = np.zeros(len(mean)), np.empty_like(mean)
    for j in range(mean.shape[1]):
        at = mean[:, j] + z[:, :j] @ L[j, :j]
        z[:, j] = (y[:, j] - at) / L[j, j]
        total += _log_between((lower[:, j] - at) / L[j, j], (upper[:, j] - at) / L[j, j])
    return total


def root(Q: Floats, cells: Cells) -> Floats:
    """Return the Cholesky factor (n, n) of Q, made regular: no standard deviation is far below the distance of levels.

    The residuals of objectives that follow from each other are singular, and with enormous scores their covariance is
    rounding error, which need not even be one.
    """
    gap = np.array([np.diff(values).min(initial=np.inf) for values in cells.levels])
    floor = _FLOOR * np.where(np.isfinite(gap), gap, 1.0)
    # Neither squared, so that tiny scores do not vanish.
    size = np.hypot(np.sqrt(np.maximum(np.diagonal(Q), 0.0)), floor)
    values, vectors = np.linalg.eigh(np.clip(Q / size / size[:, None], -1.0, 1.0) + np.diag((floor / size) ** 2))
    correlation = (vectors * np.maximum(values, _SINGULAR)) @ vectors.T
    return np.asarray(np.linalg.cholesky(correlation) * size[:, None])


def _log_between(low: Floats, high: Floats) -> Floats:
    """Return log(Phi(high) - Phi(low)), exact in both tails."""
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    top, bottom = scipy.special.log_ndtr(high), scipy.special.log_ndtr(low)
    # Cells that end where they begin, to rounding, have the probability of rounding error.
    gap = np.minimum(bottom - top, -np.finfo(float).eps)
    return np.asarray(top + np.log(-np.expm1(gap)))

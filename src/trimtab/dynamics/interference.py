"""Interference: correlation of step changes between objectives (paper, eq. 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["interference_from_covariance", "interference_matrix"]

Floats = NDArray[np.float64]


def interference_from_covariance(covariance: Floats) -> Floats:
    """Return I_ij = C_ij / sqrt(C_ii C_jj) with I_ii = 0, for covariances (..., n, n) of step changes.

    Entries of an objective that never changes are not-a-number: a correlation with a constant does not exist.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0, variance, np.nan))
    result = np.clip(covariance / (scale[..., :, None] * scale[..., None, :]), -1.0, 1.0)
    result[..., np.arange(result.shape[-1]), np.arange(result.shape[-1])] = 0.0
    return np.asarray(result)


def interference_matrix(dx: Floats) -> Floats:
    """Return the interference matrix (n, n) of step changes dx (M, n), M >= 2."""
    return interference_from_covariance(np.atleast_2d(np.cov(dx, rowvar=False)))

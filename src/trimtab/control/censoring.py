"""Censoring: how far a score at the end of its scale is from its prediction, at least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_distance"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SWEEPS = 50


def least_distance(innovation: Floats, covariance: Floats, at_low: Bools, at_high: Bools) -> Floats:
    """Return the least squared distance r' S^-1 r of what may lie behind scores at the ends of their scales, (S,).

    A score at the lower end stands for every value from there downwards, one at the upper end for every value from
    there upwards. The value behind it that was really drawn has a chi-squared distance, and the least is no more than
    that: a test that goes by it gives no more false alarms than it says. Found by coordinate descent, which for a
    convex quadratic within bounds comes to the minimum (Tseng 2001).

    Parameters
    ----------
    innovation, covariance
        (S, n) scores less their prediction, r where no score is at an end, and (S, n, n) their covariance.
    at_low, at_high
        (S, n) which scores are at an end.
    """
    P, r = np.linalg.inv(covariance), innovation.copy()
    lowest = np.where(at_low, -np.inf, innovation)
    highest = np.where(at_high, np.inf, innovation)
    free = np.flatnonzero((at_low | at_high).any(axis=0))
    for _ in range(_SWEEPS if len(free) > 1 else 1):
        for j in free:
            others = np.einsum("si,si->s", P[:, j], r) - P[:, j, j] * r[:, j]
            r[:, j] = np.clip(-others / P[:, j, j], lowest[:, j], highest[:, j])
    return np.asarray(np.einsum("si,sij,sj->s", r, P, r))

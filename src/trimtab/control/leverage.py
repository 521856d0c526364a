"""Leverage: what doubt about a drift adds to the step that it predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.control.knowledge import Knowledge

__all__ = ["leverage"]

Floats = NDArray[np.float64]


def leverage(knowledge: Knowledge, x: Floats, covariance: Floats | None = None) -> Floats:
    """Return E[z' K^-1 z], z = [1, u], at states x (S, n): what doubt about each drift adds to a step, (S, K).

    In multiples of the innovations' covariance: the drift's error moves the step by N(0, (z' K^-1 z) Q).
    """
    n = knowledge.n
    inverse = np.linalg.inv(knowledge.total[:, : 1 + n, : 1 + n])
    z = np.concatenate([np.ones((len(x), 1)), (x - knowledge.center) / knowledge.scale], axis=1)
    result = np.einsum("si,kij,sj->sk", z, inverse, z, optimize=True)
    if covariance is not None:
        unit = knowledge.scale[:, None] * knowledge.scale
        result = result + np.einsum("kij,sij->sk", inverse[:, 1:, 1:], covariance / unit, optimize=True)
    return np.asarray(result)

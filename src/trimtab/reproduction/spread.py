"""How a figure spreads over simulated experiments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CENTRAL", "Spread", "spread"]

CENTRAL = 0.95
"""Share of experiments between `Spread.low` and `Spread.high`."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, central 95% range and standard deviation of a figure over experiments."""

    median: float
    low: float
    high: float
    sd: float

    def holds(self, value: float) -> bool:
        """Say whether `value` is one that an experiment may well show."""
        return self.low <= value <= self.high


def spread(values: NDArray[np.floating] | NDArray[np.bool_]) -> Spread:
    """Return the spread of one figure, (E,) with E >= 2."""
    measured = np.asarray(values, dtype=np.float64)
    low, median, high = np.quantile(measured, [(1 - CENTRAL) / 2, 0.5, (1 + CENTRAL) / 2])
    return Spread(float(median), float(low), float(high), float(measured.std(ddof=1)))

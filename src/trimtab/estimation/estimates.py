"""Numbers and arrays that know their intervals, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.spectrum import Regime

__all__ = ["R2", "ArrayEstimate", "Draws", "Estimate", "RegimeEstimate"]

Floats = NDArray[np.float64]


class Estimate(float):
    """A number with an interval. It behaves as the number; ``low`` and ``high`` are its interval, nan if unknown."""

    __slots__ = ("high", "low")
    low: float
    high: float

    def __new__(cls, estimate: float, low: float = float("nan"), high: float = float("nan")) -> Estimate:
        """Make the number `estimate` with its interval."""
        made = super().__new__(cls, estimate)
        made.low, made.high = float(low), float(high)
        return made

    @property
    def estimate(self) -> float:
        """The number alone."""
        return float(self)

    def __str__(self) -> str:
        return f"{float(self):.3g} [{self.low:.3g}, {self.high:.3g}]"

    def __repr__(self) -> str:
        return f"Estimate({float(self):.6g}, low={self.low:.6g}, high={self.high:.6g})"


@dataclass(frozen=True, slots=True, eq=False)
class ArrayEstimate:
    """An array with elementwise intervals; all three arrays share one shape."""

    estimate: Floats
    low: Floats
    high: Floats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.estimate, dtype=dtype)

    def __getitem__(self, index: Any) -> Estimate:
        return Estimate(float(self.estimate[index]), float(self.low[index]), float(self.high[index]))


@dataclass(frozen=True, slots=True)
class RegimeEstimate:
    """The name of the qualitative behaviour and the share of bootstrap draws that show each regime."""

    label: Regime
    probabilities: Mapping[str, float]

    def __str__(self) -> str:
        if self.label == "undetermined":
            return self.label
        return f"{self.label} ({self.probabilities[self.label]:.0%})"


@dataclass(frozen=True, slots=True, eq=False)
class R2:
    """Coefficients of determination, each the mean over the objectives that vary.

    Parameters
    ----------
    steps, levels
        Of dx_t and of x_{t+1}, in sample.
    steps_held_out, levels_held_out
        The same for sessions that the fit has not seen (10-fold, grouped by session).
    levels_persistence, levels_mean
        Of x_{t+1}, for the baselines "stays where it is" and, held out, "jumps to the mean".
    per_objective
        `steps` of each objective, (n,).
    """

    steps: Estimate
    levels: Estimate
    steps_held_out: float
    levels_held_out: float
    levels_persistence: float
    levels_mean: float
    per_objective: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Bootstrap replicates of the drift: A (draws, n, n), b (draws, n), eigenvalues (draws, active objectives)."""

    A: Floats
    b: Floats
    eigenvalues: NDArray[np.complex128]

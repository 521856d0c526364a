"""How sure a difference of two figures is: from replicates, from units' influences, paired or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.comparison.results import Row
from trimtab.estimation.results import Estimate

__all__ = ["Inference", "Spread", "central", "deviation", "mean", "means", "of_draws", "of_influence"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard errors of a figure on either side, (sa, sb), and of their difference where they are paired."""

    a: float
    b: float
    joint: float


@dataclass(frozen=True, slots=True)
class Inference:
    """How a difference becomes an interval and a p-value.

    Parameters
    ----------
    level
        Coverage of the intervals.
    paired
        Whether errors of differences come from `Spread.joint`; otherwise from both sides' own, as independent ones.
    units
        Independent units on either side, from which the degrees of freedom come.
    """

    level: float
    paired: bool
    units: tuple[int, int]

    def infer(self, difference: float, spread: Spread) -> tuple[float, float, float]:
        """Return low, high and the p-value of t = difference / error, with Welch's degrees of freedom if unpaired."""
        if self.paired:
            error, dof = spread.joint, self.units[0] - 1.0
        else:
            parts = spread.a**2, spread.b**2
            error = float(np.sqrt(sum(parts)))
            lost = sum(part**2 / (count - 1) for part, count in zip(parts, self.units, strict=True))
            dof = sum(parts) ** 2 / lost if lost > 0 else float(min(self.units) - 1)
        if not np.isfinite(error) or not np.isfinite(difference):
            return float("nan"), float("nan"), float("nan")
        half = float(scipy.special.stdtrit(dof, 0.5 + self.level / 2)) * error
        if error == 0:
            return difference, difference, float(difference == 0)
        p = 2 * float(scipy.special.stdtr(dof, -abs(difference) / error))
        return difference - half, difference + half, p

    def row(
        self, figure: str, objectives: tuple[str, ...], a: float, b: float, spread: Spread, *, ratio: bool = False
    ) -> Row:
        """Return the row of a figure; with `ratio` the spread is that of its logarithm."""
        if not ratio:
            low, high, p = self.infer(b - a, spread)
            return Row(figure, objectives, a, b, Estimate(b - a, low, high), "difference", p)
        usable = 0 < a < np.inf and 0 < b < np.inf
        change = float(np.log(b / a)) if usable else float("nan")
        low, high, p = self.infer(change, spread)
        return Row(figure, objectives, a, b, Estimate(*np.exp([change, low, high])), "ratio", p)


def deviation(values: Floats) -> float:
    """Return the standard deviation of the finite values, nan with fewer than two."""
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def central(values: Floats) -> float:
    """Return half the central 68% range: for ratios, whose replicates may have no finite variance."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan")
    tail = float(scipy.special.ndtr(-1.0))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(high - low) / 2


def of_draws(a: Floats, b: Floats, size: Callable[[Floats], float] = deviation) -> Spread:
    """Return errors from replicates (draws,) of a figure on either side, drawn together."""
    return Spread(size(a), size(b), size(b - a))


def means(a: tuple[Ints, Floats, int], b: tuple[Ints, Floats, int]) -> Iterator[tuple[float, float, Spread]]:
    """Yield for each column of values (S, k) both means over sessions and their spread over units."""
    means, influences = zip(*(mean(*side) for side in (a, b)), strict=True)
    for j in range(a[1].shape[1]):
        yield float(means[0][j]), float(means[1][j]), of_influence(influences[0][:, j], influences[1][:, j])


def mean(unit: Ints, values: Floats, units: int) -> tuple[Floats, Floats]:
    """Return the mean over sessions (k,), missing ones left out, and the units' influences on it, (units, k)."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    influence = np.zeros((units, values.shape[1]))
    np.add.at(influence, unit, np.where(known, values - mean, 0.0) / np.maximum(count, 1))
    return mean, influence


def of_influence(a: Floats, b: Floats) -> Spread:
    """Return errors from units' influences, which sum to zero: root of S / (S - 1) times their sum of squares."""

    def error(influence: Floats) -> float:
        return float(np.sqrt(len(influence) / (len(influence) - 1) * (influence**2).sum()))

    return Spread(error(a), error(b), error(b - a) if len(a) == len(b) else float("nan"))

"""The minimum of a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, sqrt

__all__ = ["line_minimum"]

_GOLDEN = (3 - sqrt(5)) / 2
_ROUNDING = sqrt(2.2e-16)  # share of x below which a function is flat for its own rounding errors


def line_minimum(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-5) -> float:
    """Return where `function` has a minimum between `low` and `high`, to about `tolerance`.

    Steps go to the lowest point of the parabola through the three best points so far, or by the golden section where
    that would not close in (Brent, Algorithms for Minimization without Derivatives, 1973, chapter 5).
    """
    x = low + _GOLDEN * (high - low)
    best = second = third = (function(x), x)
    move = before = 0.0
    while True:
        middle, x = (low + high) / 2, best[1]
        least = _ROUNDING * abs(x) + tolerance / 3
        if abs(x - middle) <= 2 * least - (high - low) / 2:
            return x
        above, below = _parabola(best, second, third) if abs(before) > least else (0.0, 0.0)
        halved = abs(above) < abs(below * before / 2)
        if halved and below * (low - x) < above < below * (high - x):
            before, move = move, above / below
            if not (2 * least <= x + move - low and 2 * least <= high - x - move):
                move = copysign(least, middle - x)
        else:
            before = (low if x >= middle else high) - x
            move = _GOLDEN * before
        x += copysign(max(abs(move), least), move)
        there = (function(x), x)
        if there[0] <= best[0]:
            low, high = (best[1], high) if x >= best[1] else (low, best[1])
            best, second, third = there, best, second
            continue
        low, high = (x, high) if x < best[1] else (low, x)
        if there[0] <= second[0] or second[1] == best[1]:
            second, third = there, second
        elif there[0] <= third[0] or third[1] in (best[1], second[1]):
            third = there


def _parabola(*points: tuple[float, float]) -> tuple[float, float]:
    """Return numerator and denominator of the step from the first of three (value, x) to the parabola's vertex."""
    (best, x), (second, v), (third, w) = points
    r, q = (x - v) * (best - third), (x - w) * (best - second)
    above, below = (x - w) * q - (x - v) * r, 2 * (q - r)
    return (-above, below) if below > 0 else (above, -below)

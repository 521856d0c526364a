"""Results as plain Python values, the way all documents write them: a number that is unknown or infinite is None."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core.exclusions import Exclusion
from trimtab.core.objectives import ObjectiveSpace

__all__ = ["Interval", "array", "complexes", "exact", "exclusions", "interval", "number", "objectives"]


class Interval(Protocol):
    """A number or an array between two others of its shape."""

    @property
    def estimate(self) -> ArrayLike:
        """What was found."""

    @property
    def low(self) -> ArrayLike:
        """Where its interval begins."""

    @property
    def high(self) -> ArrayLike:
        """Where its interval ends."""


def number(value: float) -> float | None:
    """Return `value` as a float, None if it is unknown or infinite."""
    return float(value) if math.isfinite(value) else None


def exact(value: float) -> str:
    """Return the shortest text that reads back as the very same number.

    >>> exact(2.0), exact(0.1234567891)
    ('2', '0.1234567891')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def array(values: ArrayLike) -> Any:
    """Return an array of any shape as nested lists, and one of no dimension as a number, by the rule of `number`."""
    floats = np.asarray(values, dtype=np.float64)
    found = floats.astype(object)
    found[~np.isfinite(floats)] = None
    return found.tolist()


def interval(value: Interval) -> dict[str, Any]:
    """Return estimate, low and high by name."""
    return {"estimate": array(value.estimate), "low": array(value.low), "high": array(value.high)}


def complexes(values: NDArray[np.complex128]) -> list[dict[str, float]]:
    """Return complex numbers (n,) by their parts."""
    return [{"re": float(value.real), "im": float(value.imag)} for value in values]


def objectives(space: ObjectiveSpace) -> list[dict[str, Any]]:
    """Return names, bounds and directions; an open end of a scale is None."""
    return [{"name": o.name, "low": number(o.low), "high": number(o.high), "direction": o.direction} for o in space]


def exclusions(found: Iterable[Exclusion]) -> list[dict[str, Any]]:
    """Return what was left out, counted."""
    return [{"reason": e.reason, "count": e.count, "unit": e.unit, "examples": [*e.examples]} for e in found]

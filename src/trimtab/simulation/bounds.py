"""Bounds of the scale, kept at every step: part of the model, because their effect depends on the step's length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

__all__ = ["MODES", "bound", "read_bounds"]

MODES = {"none": 0, "clip": 1, "reflect": 2}

Floats = NDArray[np.float64]


def read_bounds(bounds: Any, mode: str, n: int) -> tuple[Floats, Floats, int]:
    """Return lower and upper bounds, each (n,), and the code of `mode`, 0 where nothing is bounded.

    Raises
    ------
    InputError
        If the mode is unknown, or bounds are not low < high for each of the n objectives.
    """
    if mode not in MODES:
        raise InputError(f"at_bounds must be one of {', '.join(map(repr, MODES))}, but got {mode!r}")
    if bounds is None:
        return np.full(n, -np.inf), np.full(n, np.inf), MODES["none"]
    ends = (bounds.low, bounds.high) if isinstance(bounds, ObjectiveSpace) else bounds
    wanted = f"bounds need a pair (low, high) of numbers or arrays ({n},), or an ObjectiveSpace of {n} objectives"
    try:
        low, high = (np.broadcast_to(np.asarray(end, dtype=np.float64), n).copy() for end in ends)
    except (TypeError, ValueError):
        raise InputError(f"{wanted}, but got {bounds!r}") from None
    if not (low < high).all():  # not-a-number is not below anything
        raise InputError(f"bounds need low < high for every objective, but got {low} and {high}")
    return low, high, MODES[mode]


def bound(y: NDArray[Any], low: NDArray[Any], high: NDArray[Any], mode: int) -> None:
    """Bring states y (n, m) within low .. high, each (n,), in place.

    Clipping replaces what is beyond a bound by the bound. Reflection mirrors it, repeatedly where the jump was longer
    than the interval is wide.
    """
    if mode == MODES["none"]:
        return
    low, high = low[:, None], high[:, None]
    if mode == MODES["reflect"]:
        with np.errstate(invalid="ignore", over="ignore"):
            y[...] = np.where(y < low, low + (low - y), y)
            y[...] = np.where(y > high, high - (y - high), y)
            width = high - low
            turn = (y - low) - (width + width) * np.floor((y - low) / (width + width))
            folded = low + (width - np.abs(turn - width))
            np.copyto(y, folded, where=(y < low) | (y > high))
    np.copyto(y, low, where=y < low)
    np.copyto(y, high, where=y > high)

"""Floors: levels that an objective must not pass, but with a small chance."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Literal, cast

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.plain import exact
from trimtab.errors import InputError

__all__ = ["Floor", "is_number", "passed_chance", "read_floor", "sided"]

Floats = NDArray[np.float64]

_On = Literal["kept", "each"]
_Side = Literal[">=", "<="]

_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Floor:
    """A level that an objective must not pass, but with a small chance: P(score < level) <= alpha.

    Parameters
    ----------
    objective
        Its name. For an objective that is minimised, the level is a ceiling: P(score > level) <= alpha.
    level
        In the objective's own units.
    alpha
        Largest chance that is allowed.
    on
        ``"kept"``: of the iterate that is kept in the end. ``"each"``: of every next iterate, so that a strategy that
        would probably pass the level is not used at all.
    side
        How it is written: ``">="``, or ``"<="`` for an objective that is minimised. A `Goal` fills it in where it is
        None, and takes no other side.
    """

    objective: str
    level: float
    alpha: float = 0.05
    on: _On = "kept"
    side: _Side | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (
            not (is_number(self.level) and is_number(self.alpha))
            or not 0 < self.alpha < 1
            or self.on not in ("kept", "each")
        ):
            raise InputError(
                f"a floor needs a finite level, 0 < alpha < 1 and on='kept' or 'each', but got level={self.level}, "
                f"alpha={self.alpha} and on={self.on!r}"
            )

    def __str__(self) -> str:
        end = ":each" if self.on == "each" else ""
        return f"{self.objective}{self.side or '>='}{exact(self.level)}@{exact(self.alpha)}{end}"


_FLOOR = re.compile(
    r"\s*(?P<name>[^<>=@]+?)\s*(?P<side>>=|<=)\s*(?P<level>[^@:]+)(@(?P<alpha>[^:]+))?(:(?P<on>kept|each))?\s*"
)


def read_floor(text: str) -> Floor:
    """Read ``NAME>=LEVEL[@ALPHA][:kept|each]``; ``NAME<=LEVEL`` of an objective that is minimised.

    >>> read_floor("security>=2@0.05")
    Floor(objective='security', level=2.0, alpha=0.05, on='kept')
    """
    found = _FLOOR.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        alpha = float(found["alpha"]) if found["alpha"] else 0.05
        on, side = cast("_On", found["on"] or "kept"), cast("_Side", found["side"])
        return Floor(found["name"], float(found["level"]), alpha, on, side)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"a floor is written NAME>=LEVEL[@ALPHA][:kept|each], such as security>=2@0.05, but got {text!r}"
        ) from None


def passed_chance(space: ObjectiveSpace, floor: Floor, x: Floats, variance: Floats | None) -> Floats:
    """Return P(score passes the floor), (...), for scores that are N(x, variance); 0 or 1 without a variance."""
    sign = space.sign[space.index(floor.objective)]
    short = sign * (floor.level - x)
    if variance is None:
        return np.asarray((short > 0).astype(np.float64))
    sd = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 1e-9, short / np.where(sd > 1e-9, sd, 1.0), np.where(short > 0, np.inf, -np.inf))
    return np.asarray(scipy.special.ndtr(z))


def sided(floor: Floor, space: ObjectiveSpace) -> Floor:
    """Return the floor, written as its objective's direction has it."""
    if not isinstance(floor, Floor):
        raise InputError(f"a floor is a Floor, or a text such as 'security>=2@0.05', but got {floor!r:.80}")
    one = space[floor.objective]
    side: _Side = ">=" if one.direction == "max" else "<="
    if floor.side not in (None, side):
        raise InputError(
            f"{one.name} is {'maximised' if side == '>=' else 'minimised'}, and a floor shuts off its bad side: write "
            f"{one.name}{side}{exact(floor.level)}"
        )
    if not (floor.level <= one.high if side == ">=" else floor.level >= one.low):
        raise InputError(
            f"no score can meet {one.name}{side}{exact(floor.level)}: its scale goes from {exact(one.low)} to "
            f"{exact(one.high)}"
        )
    return replace(floor, side=side)


def is_number(value: object) -> bool:
    """Say whether a value is a finite number."""
    return isinstance(value, Real) and -_LARGEST <= cast("float", value) <= _LARGEST

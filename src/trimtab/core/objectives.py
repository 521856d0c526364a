"""Objectives: the named axes of quality on which every iteration is scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["Direction", "Objective", "ObjectiveSpace"]

Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One axis of quality.

    Parameters
    ----------
    name
        How tables and figures call it.
    low, high
        Bounds of the scale; infinite where the scale is open.
    direction
        ``"max"`` where higher is better, ``"min"`` where lower is.

    Raises
    ------
    InputError
        If the name is empty, a bound is not a number, ``low >= high``, or the direction is unknown.
    """

    name: str
    low: float = 0.0
    high: float = 10.0
    direction: Direction = "max"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("an objective needs a name, but an empty one was given")
        if math.isnan(self.low) or math.isnan(self.high) or not self.low < self.high:
            raise InputError(
                f"objective {self.name!r} needs low < high, but got low={self.low:g} and high={self.high:g}"
            )
        if self.direction not in ("max", "min"):
            raise InputError(f"objective {self.name!r} needs the direction 'max' or 'min', but got {self.direction!r}")

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read ``NAME[:LOW:HIGH][:min|max]``, the form used on the command line.

        >>> Objective.parse("latency:0:30:min")
        Objective(name='latency', low=0.0, high=30.0, direction='min')
        """
        needed = f"an objective is written NAME[:LOW:HIGH][:min|max], for example security:0:10, but got {text!r}"
        name, *rest = text.split(":")
        direction: Direction = "max"
        if rest and rest[-1] in ("min", "max"):
            direction = "min" if rest.pop() == "min" else "max"
        if len(rest) not in (0, 2):
            raise InputError(needed)
        try:
            bounds = [float(part) for part in rest]
        except ValueError as error:
            raise InputError(needed) from error
        low, high = bounds or (0.0, 10.0)
        return cls(name.strip(), low, high, direction)

    @property
    def bounded(self) -> bool:
        """True where both ends of the scale are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        return f"{self.name}:{self.low:g}:{self.high:g}:{self.direction}"


@dataclass(frozen=True, slots=True)
class ObjectiveSpace:
    """The n objectives of an experiment, in a fixed order.

    Raises
    ------
    InputError
        If there is no objective or two share a name.
    """

    objectives: tuple[Objective, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __init__(self, objectives: Iterable[Objective | str]) -> None:
        built = tuple(o if isinstance(o, Objective) else Objective.parse(o) for o in objectives)
        if not built:
            raise InputError("at least one objective is needed, but none was given")
        index = {objective.name: i for i, objective in enumerate(built)}
        if len(index) < len(built):
            raise InputError(f"objectives need distinct names, but got {', '.join(o.name for o in built)}")
        object.__setattr__(self, "objectives", built)
        object.__setattr__(self, "_index", index)

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.objectives)

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(objective.name for objective in self.objectives)

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower bounds, shape (n,)."""
        return np.array([objective.low for objective in self.objectives])

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper bounds, shape (n,)."""
        return np.array([objective.high for objective in self.objectives])

    @property
    def sign(self) -> NDArray[np.float64]:
        """+1 where higher is better and -1 where lower is, shape (n,)."""
        return np.array([1.0 if objective.direction == "max" else -1.0 for objective in self.objectives])

    def index(self, name: str) -> int:
        """Position of the objective called `name`; ``InputError`` if there is none."""
        try:
            return self._index[name]
        except KeyError:
            raise InputError(f"no objective is called {name!r}; there are {', '.join(self.names)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __getitem__(self, name: str) -> Objective:
        return self.objectives[self.index(name)]

    def __iter__(self) -> Iterator[Objective]:
        return iter(self.objectives)

    def __len__(self) -> int:
        return len(self.objectives)

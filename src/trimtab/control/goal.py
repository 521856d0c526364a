"""Goal: what a session is to achieve, what an iteration costs, and what must not happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from trimtab.control.floor import Floor, is_number, passed_chance, sided
from trimtab.control.volume import Volume
from trimtab.core import plain
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

__all__ = ["UTILITIES", "Carried", "Goal", "Utility"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Carried = NDArray[Any]
"""Numbers, or bits where the utility is set-valued; see `Goal.keep`."""

Utility = str | Mapping[str, float] | Callable[[Floats], Floats]

POINTS = 10.0
"""Utility of an iterate that is the best possible in every objective."""

UTILITIES = {
    "weighted": "mean of the objectives, with weights if any are given",
    "worst": "the worst objective (Chebyshev)",
    "product": "geometric mean of the objectives, with weights if any are given",
    "hypervolume": "share of the box that the iterates seen dominate together",
}


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """What a session is to achieve.

    Every score is first brought to the same scale of goodness, 0 to 10: g = 10 (x - low) / (high - low), turned round
    for objectives that are minimised; an objective with an open bound counts as it is, with its sign. Then

    ==============  =====================================================
    ``weighted``    sum of w_j g_j, weights w adding up to 1
    ``worst``       min g_j
    ``product``     10 prod (g_j / 10)^w_j
    ``hypervolume`` 10 times the share of the box that all iterates seen dominate together
    a callable      whatever it returns for scores (..., n), shape (...)
    ==============  =====================================================

    Parameters
    ----------
    utility
        A name from `UTILITIES`, weights by objective (missing ones weigh nothing), or a callable.
    weights
        For ``weighted`` and ``product``; equal ones if None.
    floors
        Chance constraints.
    cost
        Utility points that an iteration costs.
    costs
        The same for single strategies, in place of `cost`.
    least_gain
        Expected gain below which going on is not worth it, in utility points.

    Raises
    ------
    InputError
        If a name, a weight or a cost cannot be used as given.
    """

    space: ObjectiveSpace
    utility: Utility = "weighted"
    weights: Mapping[str, float] | None = None
    floors: tuple[Floor, ...] = ()
    cost: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)
    least_gain: float = 0.01
    _w: Floats = field(init=False, repr=False)
    _scale: tuple[Floats, Floats] = field(init=False, repr=False)
    _volume: Volume = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if isinstance(self.utility, Mapping):
            if self.weights is not None:
                raise InputError("weights by objective are a utility already: leave out weights=, or name a utility")
            put(self, "weights", dict(self.utility))
            put(self, "utility", "weighted")
        if not callable(self.utility) and not (isinstance(self.utility, str) and self.utility in UTILITIES):
            raise InputError(
                f"a utility is one of {', '.join(UTILITIES)}, weights by objective or a callable, "
                f"but got {self.utility!r:.80}"
            )
        if self.weights is not None and self.utility not in ("weighted", "product"):
            name = "a function" if callable(self.utility) else repr(self.utility)
            raise InputError(f"weights are for the utilities 'weighted' and 'product', but the utility is {name}")
        for number in (self.cost, self.least_gain, *self.costs.values()):
            if not is_number(number) or number < 0:
                raise InputError(f"a cost or least gain must be zero or more utility points, but got {number!r:.80}")
        put(self, "floors", tuple(sided(floor, self.space) for floor in self.floors))
        open_ended = [one.name for one in self.space if not one.bounded]
        if open_ended and self.utility in ("product", "hypervolume"):
            raise InputError(
                f"the utility {self.utility!r} needs bounds, but {', '.join(open_ended)} has an open scale"
            )
        put(self, "_w", self._weights())
        put(self, "_scale", _goodness_of(self.space))
        put(self, "_volume", Volume(self.space.n, POINTS))

    def _weights(self) -> Floats:
        given = self.weights
        if given is None:
            return np.full(self.space.n, 1 / self.space.n)
        if not isinstance(given, Mapping):
            raise InputError(
                f"weights are given by objective, as in {{{self.space.names[0]!r}: 2}}, but got {given!r:.80}"
            )
        w = np.zeros(self.space.n)
        usable = all(is_number(weight) and weight >= 0 for weight in given.values())
        for name, weight in given.items():
            w[self.space.index(name)] = weight if usable else 0.0
        if not w.sum() > 0:
            raise InputError(f"weights must be zero or more and not all zero, but got {dict(given)!r:.200}")
        return np.asarray(w / w.sum())

    @property
    def set_valued(self) -> bool:
        """True where an iterate's worth depends on what was seen before it."""
        return self.utility == "hypervolume"

    def goodness(self, x: Floats) -> Floats:
        """Return scores (..., n) on the common scale of goodness."""
        slope, offset = self._scale
        return np.asarray(x * slope + offset)

    def value(self, x: Floats, seen: Bools | None = None) -> Floats:
        """Return the utility of scores (..., n), shape (...).

        Parameters
        ----------
        seen
            For ``hypervolume``: what iterates before dominate, see `dominated`.
        """
        if callable(self.utility):
            return self._called(x)
        if self.utility == "hypervolume":
            cells = self.dominated(x)
            return self.worth(cells if seen is None else cells | seen)
        slope, offset = self._scale
        if self.utility == "worst":
            worst = x[..., 0] * slope[0] + offset[0]
            for j in range(1, len(slope)):  # a reduction along so short an axis would cost several times as much
                worst = np.minimum(worst, x[..., j] * slope[j] + offset[j])
            return np.asarray(worst)
        if self.utility == "product":
            return np.asarray(POINTS * np.exp(np.log(np.maximum(self.goodness(x), 1e-12) / POINTS) @ self._w))
        return np.asarray(x @ (slope * self._w) + offset @ self._w)

    def dominated(self, x: Floats) -> NDArray[np.uint64]:
        """Return which of 256 cells of the box scores (..., n) dominate, as bits (..., 4); see `cells`."""
        return self._volume.dominated(self.goodness(x))

    def cells(self, bits: NDArray[np.uint64]) -> Bools:
        """Return bits (..., 4) of `dominated` cell by cell, (..., 256)."""
        return self._volume.cells(bits)

    def acceptable(self, x: Floats, covariance: Floats | None) -> Bools:
        """Return where all floors on the kept iterate hold, for scores (..., n) known up to a covariance."""
        result = np.ones(x.shape[:-1], dtype=bool)
        for floor in self.floors:
            if floor.on == "kept":
                j = self.space.index(floor.objective)
                variance = None if covariance is None else covariance[..., j, j]
                result &= passed_chance(self.space, floor, x[..., j], variance) <= floor.alpha
        return result

    def expected(self, x: Floats, covariance: Floats | None) -> Floats:
        """Return E[U(X)], (...), for X ~ N(x, covariance) clipped to the bounds, by a cubature of degree 3.

        The 2n points x +- sqrt(n) l_j, l_j being the columns of a root of the covariance, each weigh 1 / 2n
        (Arasaratnam and Haykin 2009). A linear utility needs none, nor does a set-valued one, which is that of x.
        """
        if covariance is None or self.set_valued or self.utility == "weighted":
            return self.value(x)
        n = x.shape[-1]
        values, vectors = np.linalg.eigh(covariance)
        points = (vectors * np.sqrt(n * np.maximum(values, 0.0))[..., None, :]).swapaxes(-1, -2)
        low, high = self.space.low, self.space.high
        total: Floats = np.zeros(x.shape[:-1])
        for j in range(n):
            for side in (1.0, -1.0):
                total += self.value(np.clip(x + side * points[..., j, :], low, high))
        return np.asarray(total / (2 * n))

    def keep(self, carry: Carried, x: Floats, covariance: Floats | None) -> tuple[Carried, Floats]:
        """Return what a session carries on, and its utility, once iterates x (..., n) may be kept as well.

        Parameters
        ----------
        carry
            (...) utility of the best iterate so far; for a set-valued utility bits (..., 4) of what is dominated.
        covariance
            Of x, broadcast against it; None where it is known.
        """
        if self.set_valued:
            cells = self.dominated(x)
            if self.floors:
                cells = np.where(self.acceptable(x, covariance)[..., None], cells, np.uint64(0))
            cells = carry | cells
            return cells, self.worth(cells)
        utility = self.expected(x, covariance)
        if self.floors:
            utility = np.where(self.acceptable(x, covariance), utility, -np.inf)
        kept = np.maximum(carry, utility)
        return kept, kept

    def worth(self, carry: Carried) -> Floats:
        """Return the utility of what is carried, see `keep`."""
        return POINTS * self._volume.share(carry) if self.set_valued else carry

    def shortfall(self, x: Floats, covariance: Floats | None) -> Floats:
        """Return how far scores (..., n) are from what the floors on the kept iterate allow: 0 where all hold.

        The largest chance of passing a floor, and where chances are equal, by how many points.
        """
        result = np.zeros(x.shape[:-1])
        for floor in self.floors:
            if floor.on == "kept":
                j = self.space.index(floor.objective)
                chance = passed_chance(
                    self.space, floor, x[..., j], None if covariance is None else covariance[..., j, j]
                )
                short = np.maximum(self.space.sign[j] * (floor.level - x[..., j]), 0.0)
                result = np.maximum(result, np.where(chance > floor.alpha, chance + short / (1 + short), 0.0))
        return result

    def cost_of(self, strategies: Sequence[str]) -> Floats:
        """Return the cost of an iteration by each strategy."""
        unknown = sorted(set(self.costs) - set(strategies))
        if unknown:
            raise InputError(
                f"a cost is given for {', '.join(unknown)}, but the strategies are {', '.join(strategies)}"
            )
        return np.array([self.costs.get(name, self.cost) for name in strategies])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``InputError`` for a callable, which no document can hold."""
        if callable(self.utility):
            raise InputError("a utility that is a function cannot be written to a document: give a name or weights")
        return {
            "objectives": plain.objectives(self.space),
            "utility": self.utility,
            "weights": None if self.weights is None else dict(self.weights),
            "floors": [str(one) for one in self.floors],
            "cost": self.cost,
            "costs": dict(self.costs),
            "least_gain": self.least_gain,
        }

    def _called(self, x: Floats) -> Floats:
        function = cast("Callable[[Floats], Floats]", self.utility)
        try:
            result = np.asarray(function(x), dtype=np.float64)
        except Exception as error:
            raise InputError(
                f"the utility failed on scores of shape {x.shape}: {type(error).__name__}: {error}"
            ) from error
        if result.shape != x.shape[:-1] or not np.isfinite(result).all():
            raise InputError(
                f"a utility must return one finite number for each row of scores {x.shape}, that is shape "
                f"{x.shape[:-1]}, but returned shape {result.shape}"
            )
        return result


def _goodness_of(space: ObjectiveSpace) -> tuple[Floats, Floats]:
    """Return slope and offset of each objective's goodness, (n,) and (n,)."""
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, width = np.where(bounded, space.low, 0.0), np.where(bounded, space.high - space.low, 1.0)
    slope = np.where(bounded, space.sign * POINTS / width, space.sign)
    start = np.where(space.sign > 0, low, low + width)
    return slope, np.where(bounded, -start * slope, 0.0)

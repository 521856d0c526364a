"""A test that units step from level to level with the same chances on both sides, by dealing them to sides anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.comparison.results import TransitionTest

__all__ = ["PERMUTATIONS", "transition_test"]

Floats = NDArray[np.float64]

PERMUTATIONS = 1999

_MOST = 4_000  # units above which they are dealt in groups
_HELD = 4_000_000  # numbers held at once


def transition_test(a: Floats, b: Floats, *, paired: bool, seed: int, key: tuple[str, ...]) -> TransitionTest:
    """Test equal transition matrices; what a unit holds stays together.

    With C_ij and C_i the steps of a side from state i to j and from i, P_ij = C_ij / C_i, and C_uij - P_ij C_ui what
    unit u adds to a side's surprise, the statistic is::

        T = sum over i, j of (P^b_ij - P^a_ij)^2 / (s_ij^2 + r_i^2)

    s_ij^2 is the sum over units of the squares of (C_uij - P_ij C_ui) / C_i on both sides, where paired of the
    differences of the sides; r_i^2, the sum over sides of 1 / (2 C_i + 2)^2, keeps a cell without any spread from
    deciding alone. T is referred to its values after the units were dealt to the sides at random, so many to each as
    before, or after the sides of random pairs were exchanged.

    That is exact where the sides differ in nothing. Because T counts in units of its own error, it also holds, for many
    units, where only the chances are equal and the lengths of sessions, for example, are not (Chung & Romano 2013,
    Annals of Statistics 41). A chi-squared test of all steps would take the steps of a unit for independent.

    Parameters
    ----------
    a, b
        (U, K, K) steps from state to state of each unit, none from states that end a session; where `paired`, unit i
        is the same in both.
    """
    cells = np.flatnonzero((a.sum(axis=0) + b.sum(axis=0)).ravel())
    size = -(-(len(a) if paired else len(a) + len(b)) // _MOST)
    sides = [_grouped(_cells(side, cells), size) for side in (a, b)]
    statistic = (_Paired if paired else _Apart)(*sides)
    observed = float(statistic.values(statistic.observed)[0])
    rng, as_large = stream(seed, "transitions", *key), 0
    block = max(1, _HELD // (statistic.observed.size + 10 * len(cells)))
    for at in range(0, PERMUTATIONS, block):
        dealt = statistic.dealt(rng, min(block, PERMUTATIONS - at))
        as_large += int((statistic.values(dealt) >= observed * (1 - 1e-9)).sum())
    return TransitionTest(observed, PERMUTATIONS, (1 + as_large) / (1 + PERMUTATIONS))


def _cells(steps: Floats, cells: NDArray[np.int64]) -> Floats:
    """Return each unit's steps in the cells, and its steps from their rows, (U, 2, q)."""
    K = steps.shape[-1]
    return np.stack([steps.reshape(len(steps), -1)[:, cells], steps.sum(axis=-1)[:, cells // K]], axis=1)


def _grouped(values: Floats, size: int) -> Floats:
    """Return the sums of every `size` units that follow each other."""
    return np.asarray(np.add.reduceat(values, np.arange(0, len(values), size), axis=0)) if size > 1 else values


def _products(own: Floats) -> Floats:
    """Return what the chances of a side and their errors are made of, (U, 5, q); it adds up over units."""
    C, R = own[:, 0], own[:, 1]
    return np.stack([C, R, C * C, C * R, R * R], axis=1)


class _Apart:
    """The statistic of units of two sides, dealt (B, U_a + U_b) to side a where true."""

    def __init__(self, a: Floats, b: Floats) -> None:
        self._products = _products(np.concatenate([a, b]))
        self.observed = np.arange(len(a) + len(b))[None] < len(a)

    def dealt(self, rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
        return np.asarray(rng.random((count, self.observed.shape[1])).argsort(axis=1) < self.observed.sum())

    def values(self, dealt: NDArray[np.bool_]) -> Floats:
        a = _mixed(dealt, self._products)
        return _statistic(a, self._products.sum(axis=0) - a)


class _Paired:
    """The statistic of units that are on both sides, which are exchanged (B, U) where true."""

    def __init__(self, a: Floats, b: Floats) -> None:
        self._a, self._b = _products(a), _products(b)
        # C^b C^a, C^b R^a, R^b C^a, R^b R^a of each unit.
        self._cross = np.stack([b[:, i] * a[:, j] for i in (0, 1) for j in (0, 1)], axis=1)
        self.observed = np.zeros((1, len(a)), dtype=bool)

    def dealt(self, rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
        return np.asarray(rng.random((count, self.observed.shape[1])) < 0.5)

    def values(self, dealt: NDArray[np.bool_]) -> Floats:
        change = _mixed(dealt, self._b - self._a)
        cross = self._cross.sum(axis=0) + _mixed(dealt, self._cross[:, [0, 2, 1, 3]] - self._cross)
        return _statistic(self._a.sum(axis=0) + change, self._b.sum(axis=0) - change, cross)


def _mixed(dealt: NDArray[np.bool_], values: Floats) -> Floats:
    """Return the sums of values (U, k, q) over the units dealt (B, U), (B, k, q)."""
    flat = values.reshape(len(values), -1)
    return np.asarray(dealt.astype(np.float64) @ flat).reshape(len(dealt), *values.shape[1:])


def _statistic(a: Floats, b: Floats, cross: Floats | None = None) -> Floats:
    """Return T, (B,), from the sums of `_products` over either side's units (B, 5, q), and of what units share."""
    (Pa, Ra, Sa), (Pb, Rb, Sb) = (_chances(side) for side in (a, b))
    spread = Sa / np.maximum(Ra, 1.0) ** 2 + Sb / np.maximum(Rb, 1.0) ** 2
    if cross is not None:
        CC, CR, RC, RR = np.moveaxis(cross, 1, 0)
        together = CC - Pa * CR - Pb * RC + Pa * Pb * RR
        spread = np.maximum(spread - 2 * together / np.maximum(Ra * Rb, 1.0), 0.0)
    spread = spread + sum(1.0 / (2.0 * R + 2.0) ** 2 for R in (Ra, Rb))
    # Where one side never starts, nothing can be compared.
    return np.asarray(np.where((Ra > 0) & (Rb > 0), (Pb - Pa) ** 2 / spread, 0.0).sum(axis=-1))


def _chances(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return from sums (B, 5, q) the chances, the steps from each row, and the sum of squares of C - P R over units."""
    C, R, CC, CR, RR = np.moveaxis(sums, 1, 0)
    P = C / np.maximum(R, 1.0)
    return P, R, np.maximum(CC - 2 * P * CR + P * P * RR, 0.0)

"""Which interferences are there? One test for each pair of objectives, and what remains when all are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import InputError
from trimtab.estimation.decomposition import InterferenceParts

__all__ = ["Adjusted", "InterferenceTests", "adjusted_interference", "holm", "interference_tests"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class InterferenceTests:
    """Tests of "these two objectives' steps are uncorrelated" for K sets of steps, usually the strategies of one fit.

    Parameters
    ----------
    p_value
        (K, n, n), symmetric; nan on the diagonal and where nothing can be tested.
    adjusted_p_value
        (K, n, n): adjusted for the number of pairs in all sets together. Who calls those below .05 real is wrong about
        one or more of them in at most 5% of experiments.
    method
        Of the adjustment.
    """

    p_value: Floats
    adjusted_p_value: Floats
    method: str = "Holm"


def interference_tests(sets: Sequence[InterferenceParts]) -> InterferenceTests:
    """Return the p-values of all pairs of objectives in K sets of steps, and adjust them for there being so many.

    Raises
    ------
    InputError
        If there is no set, or they differ in the number of objectives.
    """
    if len({one.p_value.shape for one in sets}) != 1:
        raise InputError(
            "interference is tested in one or more sets of steps on the same objectives, but got sets of "
            f"{[len(one.p_value) for one in sets]} objectives"
        )
    p = np.stack([one.p_value for one in sets])
    rows, columns = np.triu_indices(p.shape[1], 1)
    adjusted = np.full_like(p, np.nan)
    adjusted[:, rows, columns] = adjusted[:, columns, rows] = holm(p[:, rows, columns])
    return InterferenceTests(p, adjusted)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """p-values (n, n) of the correlations, adjusted for the number of pairs they were `compared` with."""

    p_value: Floats
    compared: int


def adjusted_interference(found: Mapping[str | None, InterferenceParts]) -> dict[str | None, Adjusted]:
    """Adjust p-values by strategy; None stands for all steps pooled.

    Every pair of objectives under every strategy is one family of tests; those of all steps pooled are another.
    """
    tests: dict[str | None, Adjusted] = {}
    for family in ([name for name in found if name is None], [name for name in found if name is not None]):
        if family:
            adjusted = interference_tests([found[name] for name in family]).adjusted_p_value
            compared = int(np.isfinite(adjusted).sum()) // 2
            tests.update({name: Adjusted(p, compared) for name, p in zip(family, adjusted, strict=True)})
    return tests


def holm(p_values: Floats) -> Floats:
    """Return p-values adjusted for their number (Holm, Scandinavian Journal of Statistics 6, 1979), in the same shape.

    With m of them in increasing order, the i-th becomes the largest of (m - k + 1) p_k over k <= i, at most 1.
    Not-a-number ones stay so and do not count.
    """
    p = np.ravel(p_values)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted.reshape(np.shape(p_values))

"""What a reader of a comparison must be warned of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.comparison.figures import MOST_PAIRS, Sample
from trimtab.estimation.comparison.results import StrategyComparison
from trimtab.estimation.spectral import NO_MEMORY, SECOND_LAG

__all__ = ["cautions", "left_out", "of_stillness"]

FEW = 20
"""Units below which intervals and tests are rough."""


def left_out(objectives: tuple[str, ...], active: NDArray[np.int64]) -> list[str]:
    """Say which objectives no drift is compared of."""
    if not len(active):
        return [
            "no objective varies at the start of steps on both sides, so that no drift is compared: only where "
            "sessions end, and what they do step by step"
        ]
    lost = [name for j, name in enumerate(objectives) if j not in active]
    if not lost:
        return []
    return [
        "the same at the start of every step on one side, or exact combinations of others, and left out of the "
        f"dynamics: {', '.join(lost)}"
    ]


def of_stillness(one: StrategyComparison) -> list[str]:
    """Return what the fits of the sides say to beware of where they stand still or jump between levels."""
    if one.stillness is None:
        return []
    said: dict[str, list[str]] = {}
    for name, fit in zip(one.names, one.fits, strict=True):
        for text in fit.coarse.cautions:
            said.setdefault(text, []).append(name)
    found = [f"{', '.join(names)}: {text}" for text, names in said.items()]
    longest = [0 if fit.coarse.chain is None else fit.coarse.chain.horizon for fit in one.fits]
    if any(one.stillness.absorbing) and all(longest) and longest[0] != longest[1]:
        found.append(
            f"sessions of {one.names[0]} have up to {longest[0]} tries and those of {one.names[1]} up to {longest[1]}: "
            "where they end is no fair comparison, while chances are, of which later tries are left out"
        )
    return found


def cautions(one: StrategyComparison, samples: tuple[Sample, Sample]) -> list[str]:
    """Return what to beware of in figures of the drift, one sentence each."""
    found, n = [], samples[0].moments.n
    if n * (n - 1) // 2 > MOST_PAIRS:
        found.append(f"more than {MOST_PAIRS} pairs of objectives: their interference is not compared")
    without = [name for name, p in zip(one.names, one.memory, strict=True) if not p < NO_MEMORY]
    if without:
        found.append(
            f"nothing shows that the next score depends on the present one on {' and '.join(without)}: rates and "
            "regimes may describe noise there"
        )
    noisy = [name for name, p in zip(one.names, one.second_lag, strict=True) if p < SECOND_LAG and name not in without]
    if noisy:
        found.append(
            f"the score before last matters too on {' and '.join(noisy)}: by least squares lasting differences make a "
            "rate too slow and scoring noise too fast, so that sides that differ in these differ in rate without any "
            "difference in drift"
        )
    meeting = [
        name for name, fit in zip(one.names, one.fits, strict=True) if fit.identified and fit.rung.nearly_repeated
    ]
    if meeting:
        found.append(
            f"two speeds of {' and '.join(meeting)} cannot be told apart, which makes intervals of the slowest "
            "direction's rate unreliable: read the average direction's"
        )
    if min(one.units) < FEW:
        found.append(f"only {min(one.units)} {one.noun} on a side: intervals and tests are rough below about {FEW}")
    if not len(samples[0].drawn.A):
        found.append("an objective varies in too few sessions on one side for intervals")
    return found

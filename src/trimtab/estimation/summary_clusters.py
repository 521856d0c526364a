"""The table of eigenvalues by cluster in a fit's summary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from trimtab.estimation.layout import number, plain, table
from trimtab.estimation.results import Fit

__all__ = ["clusters"]

_NOTE = (
    "Eigenvalues closer than their own uncertainty are one line: their mean is known where they are not.\n"
    "Condition: how many times an error in A can be magnified in the least steady member, and in the mean.\n"
)


def clusters(fit: Fit, narrow: bool) -> Iterator[RenderableType]:
    """Yield the eigenvalues of trusted rungs by cluster, where there are many or some cannot be told apart."""
    shown = [one for one in fit.strategies.values() if one.rung.clusters]
    if not shown:
        return
    heads = ["strategy", "eigenvalues", "mean, real part", "imaginary", "condition", "of the mean"]
    kept = [0, 1, 2, 4] if narrow else range(len(heads))
    made = table(f"Eigenvalues by cluster ({fit.level:.0%} intervals)", [heads[i] for i in kept])
    for one in shown:
        for k, cluster in enumerate(one.rung.clusters):
            cells: list[RenderableType] = [
                Text(plain(one.name)) if k == 0 else "",
                f"{cluster.size}",
                f"{number(cluster.real, 3)} ({number(cluster.real.low, 3)}..{number(cluster.real.high, 3)})",
                number(cluster.mean.imag, 3, signed=True) if cluster.mean.imag else "–",
                number(float(np.max(cluster.conditions)), 1),
                number(cluster.mean_condition, 1),
            ]
            made.add_row(*(cells[i] for i in kept))
    yield made
    yield Text(_NOTE)

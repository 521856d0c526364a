"""The estimators of one strategy side by side, and why one of them is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.results import StrategyFit
from trimtab.estimation.rungs import RUNGS, Rung
from trimtab.report.text import bounds, number, shorten

__all__ = ["EstimatorRow", "EstimatorTable", "estimator_table", "unsaid"]

LISTED = 6
"""Objectives up to which a figure of each is written into a cell."""

Each = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EstimatorRow:
    """What one estimator sees.

    Parameters
    ----------
    rate, smooth_rate
        Number and interval.
    noise, lasting
        (objective, standard deviation) of the score noise, and of a session's own lasting drift; empty where the
        estimator knows none.
    settled
        Whether the search for it ended.
    repeated
        Whether the rate's interval is unreliable, because eigenvalues nearly meet.
    """

    name: str
    trusted: bool
    rate: tuple[str, str]
    smooth_rate: tuple[str, str]
    regime: str
    noise: Each
    lasting: Each
    settled: bool
    repeated: bool


@dataclass(frozen=True, slots=True)
class EstimatorTable:
    """All estimators of one strategy, the name of the trusted one, and why it is trusted."""

    rows: tuple[EstimatorRow, ...]
    trusted: str
    trust: tuple[str, ...]


def estimator_table(one: StrategyFit) -> EstimatorTable:
    """Return what every rung says of one strategy, in the order of the ladder."""
    rows = tuple(
        EstimatorRow(
            name=RUNGS[name],
            trusted=name == one.trusted,
            rate=bounds(rung.rate),
            smooth_rate=bounds(rung.smooth_rate),
            regime=str(rung.regime),
            noise=_each(None if rung.R is None else np.sqrt(np.maximum(rung.R, 0.0)), one),
            lasting=_each(rung.session_sd, one),
            settled=rung.converged,
            repeated=_repeated(rung),
        )
        for name, rung in one.rungs.items()
    )
    return EstimatorTable(rows, RUNGS[one.trusted], _sentences(one.trust))


def unsaid(texts: Sequence[str], verdict: str) -> tuple[str, ...]:
    """Return those of `texts`, as sentences, that `verdict` does not give already."""
    return _sentences([text for text in texts if text not in verdict])


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    """Return each text as a sentence: a capital first, a full stop last."""
    short = (shorten(text, 600) for text in texts)
    return tuple(text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".") for text in short if text)


def _repeated(rung: Rung) -> bool:
    return bool(rung.nearly_repeated) and bool(np.isfinite(float(rung.rate)))


def _each(values: NDArray[np.float64] | None, one: StrategyFit) -> Each:
    """Return one number per active objective, or how far they reach where they are many."""
    if values is None or not one.active.any():
        return ()
    own = values[one.active]
    if len(own) > LISTED:
        return ((f"{len(own)} objectives", f"{number(own.min(), 2)} to {number(own.max(), 2)}"),)
    names = [shorten(name, 24) for name, active in zip(one.space.names, one.active, strict=True) if active]
    return tuple((name, number(value, 2)) for name, value in zip(names, own.tolist(), strict=True))

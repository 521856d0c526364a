"""What a comparison means, said in plain words."""

from __future__ import annotations

import numpy as np

from trimtab.estimation.comparison.results import FIGURES, Row, StrategyComparison

__all__ = ["verdict"]


def verdict(one: StrategyComparison) -> str:
    """Return a sentence or two: does B differ from A, in which figures, by how much.

    A figure is said to differ where its p-value, adjusted for all rows, is below 1 - level.
    """
    return " ".join([f"{_speed(one)}; {_ends(one)}.", *_further(one)])


def _differs(one: StrategyComparison, row: Row) -> bool:
    return row.p_adjusted < 1 - one.level


def _between(low: float, high: float, scale: float = 1.0) -> str:
    low, high = sorted((low * scale, high * scale))
    return f"{low:.3g} to {high:.3g}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def _speed(one: StrategyComparison) -> str:
    a, b = one.names
    rate, average = one["rate"], one["smooth_rate"]
    for row, words in ((rate, ""), (average, " on average over all directions")):
        if _differs(one, row):
            by = float(row.difference) * one.dt
            how = "faster" if by > 0 else "slower"
            scale = one.dt if by > 0 else -one.dt
            span = _between(row.difference.low, row.difference.high, scale)
            does = "converges" if min(row.a, row.b) > 0 else "pulls back"
            return f"{b} {does} {how} than {a}{words}, by {abs(by):.3g} per iteration ({span})"
    low, high = rate.difference.low * one.dt, rate.difference.high * one.dt
    if np.isnan(low):
        span = "too few sessions vary to say more"
    else:
        span = f"its rate minus that of {a} lies between {low:+.2f} and {high:+.2f} per iteration"
    p = one.drift.p_adjusted
    if np.isnan(p):
        return f"Whether {b} moves differently from {a} cannot be tested ({span})"
    if p < 1 - one.level:
        return f"{b} moves differently from {a} ({_p(p)}), but not visibly faster or slower ({span})"
    return f"No difference in dynamics can be seen between {a} and {b} ({_p(p)}; for {b} {span})"


def _ends(one: StrategyComparison) -> str:
    moved = [row for row in one.rows if row.figure == "reached" and _differs(one, row)]
    if moved:
        return "it ends " + " and ".join(_higher(row) for row in moved)
    heading = [row for row in one.rows if row.figure == "equilibrium" and _differs(one, row)]
    if heading:
        return "where they end cannot be told apart, but left alone it heads " + " and ".join(map(_higher, heading))
    return "no difference in where they end can be seen"


def _higher(row: Row) -> str:
    by = float(row.difference)
    sign = 1.0 if by > 0 else -1.0
    span = _between(row.difference.low, row.difference.high, sign)
    return f"{'higher' if by > 0 else 'lower'} in {row.objectives[0]} by {abs(by):.3g} ({span})"


def _further(one: StrategyComparison) -> list[str]:
    """Name the other rows that differ; those about speed follow from the rate."""
    named = [
        FIGURES[row.figure] + (f" of {' and '.join(row.objectives)}" if row.objectives else "")
        for row in one.rows
        if row.figure in ("r2_held_out", "interference", "pareto_efficiency") and _differs(one, row)
    ]
    return [f"They differ also in: {', '.join(named)}."] if named else []

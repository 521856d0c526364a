"""Adjustment of a comparison's p-values for their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from trimtab.estimation.comparison.results import FOLLOWING, Row, StrategyComparison
from trimtab.estimation.comparison.wald import holm

__all__ = ["adjusted"]

Rows = tuple[Row, ...]


def adjusted(found: Mapping[str, StrategyComparison]) -> dict[str, StrategyComparison]:
    """Adjust all p-values by Holm's method, each kind over all strategies.

    The kinds are: rows of least squares and of outcomes; rows of trusted estimates; rows of standing still; tests of A
    and b; tests of A; tests of transitions. Estimators are kinds of their own because they are several readings of one
    question and not several questions: a reader believes one of them, and adding a reading must not weaken another.
    """
    rows = _rows({name: one.rows for name, one in found.items()})
    own = _rows({name: one.trusted.rows for name, one in found.items() if one.trusted is not None and one.trusted.own})
    still = _rows({name: one.stillness.rows for name, one in found.items() if one.stillness is not None})
    drift = _p_values({name: one.drift.p_value for name, one in found.items()})
    matrix = _p_values({name: one.matrix.p_value for name, one in found.items()})
    tests = {name: one.stillness.test for name, one in found.items() if one.stillness is not None}
    levels = _p_values({name: test.p_value for name, test in tests.items() if test is not None})
    made = {}
    for name, one in found.items():
        trusted, stillness = one.trusted, one.stillness
        if trusted is not None:
            plain = tuple(row for row in rows[name] if row.figure in FOLLOWING)
            trusted = replace(trusted, rows=own[name] if trusted.own else plain)
        if stillness is not None:
            test = stillness.test
            test = None if test is None else replace(test, p_adjusted=levels[name])
            stillness = replace(stillness, rows=still[name], test=test)
        made[name] = replace(
            one,
            rows=rows[name],
            drift=replace(one.drift, p_adjusted=drift[name]),
            matrix=replace(one.matrix, p_adjusted=matrix[name]),
            trusted=trusted,
            stillness=stillness,
        )
    return made


def _rows(found: Mapping[str, Rows]) -> dict[str, Rows]:
    p_values = holm(np.array([row.p_value for rows in found.values() for row in rows])).tolist()
    made, at = {}, 0
    for name, rows in found.items():
        own = p_values[at : at + len(rows)]
        made[name] = tuple(replace(row, p_adjusted=p) for row, p in zip(rows, own, strict=True))
        at += len(rows)
    return made


def _p_values(found: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(found, holm(np.array([*found.values()])).tolist(), strict=True))

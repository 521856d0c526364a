"""A comparison as one JSON document, described by the JSON Schema ``comparison.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trimtab.core import plain
from trimtab.estimation.comparison.results import Comparison, DriftTest, Row, Stillness, StrategyComparison
from trimtab.estimation.results import StrategyFit

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.comparison/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.estimation.comparison").joinpath("comparison.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(comparison: Comparison) -> dict[str, Any]:
    """Return `comparison` as plain Python values; numbers that are unknown or infinite are None."""
    return {
        "schema": SCHEMA,
        "a": comparison.names[0],
        "b": comparison.names[1],
        "objectives": plain.objectives(comparison.space),
        "dt": comparison.dt,
        "level": comparison.level,
        "seed": comparison.seed,
        "adjustment": "holm",
        "strategies": {name: _strategy(one) for name, one in comparison.strategies.items()},
        "warnings": [*comparison.warnings],
        "exclusions": plain.exclusions(comparison.exclusions),
        "notes": [*comparison.notes],
    }


def _strategy(one: StrategyComparison) -> dict[str, Any]:
    return {
        "paired": one.paired,
        "by": one.by,
        "units": [*one.units],
        "sessions": [*one.sessions],
        "steps": [*one.steps],
        "tests": {"drift": _test(one.drift), "matrix": _test(one.matrix)},
        "figures": [_row(row) for row in one.rows],
        "sides": {"a": _side(one.fits[0]), "b": _side(one.fits[1])},
        "trusted": None
        if one.trusted is None
        else {
            "same_as_least_squares": not one.trusted.own,
            "independent": one.trusted.own or not one.paired,
            "figures": [_row(row) for row in one.trusted.rows],
        },
        "stillness": None if one.stillness is None else _stillness(one.stillness),
        "regimes": {"a": dict(one.regimes[0]), "b": dict(one.regimes[1])},
        "memory_p_value": [plain.number(p) for p in one.memory],
        "second_lag_p_value": [plain.number(p) for p in one.second_lag],
        "warnings": [*one.warnings],
        "verdict_text": one.verdict,
    }


def _side(fit: StrategyFit) -> dict[str, Any]:
    return {
        "verdict": fit.diagnosis.label,
        "reasons": [*fit.diagnosis.reasons],
        "identified": fit.identified,
        "trusted": fit.trusted,
        "trust": [*fit.trust],
        "model": fit.coarse.chosen,
    }


def _stillness(found: Stillness) -> dict[str, Any]:
    test = found.test
    return {
        "model": found.model,
        "objectives": [*found.objectives],
        "states": [[plain.number(value) for value in values] for values in found.states],
        "absorbing": [*found.absorbing],
        "horizon": found.horizon,
        "test": None
        if test is None
        else {
            "statistic": plain.number(test.statistic),
            "permutations": test.permutations,
            "p_value": plain.number(test.p_value),
            "p_adjusted": plain.number(test.p_adjusted),
        },
        "figures": [_row(row) for row in found.rows],
    }


def _test(test: DriftTest) -> dict[str, Any]:
    return {
        "entries": test.entries,
        "statistic": plain.number(test.statistic),
        "dof": test.dof,
        "error_dof": plain.number(test.error_dof),
        "p_value": plain.number(test.p_value),
        "p_adjusted": plain.number(test.p_adjusted),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "objectives": [*row.objectives],
        "a": plain.number(row.a),
        "b": plain.number(row.b),
        "kind": row.kind,
        "difference": {
            "estimate": plain.number(row.difference),
            "low": plain.number(row.difference.low),
            "high": plain.number(row.difference.high),
        },
        "p_value": plain.number(row.p_value),
        "p_adjusted": plain.number(row.p_adjusted),
    }

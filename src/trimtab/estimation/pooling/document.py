"""Pooling as one JSON document, ``trimtab.pooling/1``."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trimtab.core import plain
from trimtab.estimation.pooling.results import GroupFit, Pooling, StrategyPooling

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.pooling/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.estimation.pooling").joinpath("pooling.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(pooling: Pooling) -> dict[str, Any]:
    """Return `pooling` as plain Python values; numbers that are unknown or infinite are None."""
    return {
        "schema": SCHEMA,
        "group": pooling.group,
        "objectives": plain.objectives(pooling.space),
        "dt": pooling.dt,
        "level": pooling.level,
        "seed": pooling.seed,
        "strategies": {name: _strategy(one) for name, one in pooling.strategies.items()},
        "warnings": [*pooling.warnings],
        "exclusions": plain.exclusions(pooling.exclusions),
        "notes": [*pooling.notes],
    }


def _strategy(one: StrategyPooling) -> dict[str, Any]:
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "varies": one.varies,
        "bic": {name: plain.number(value) for name, value in one.bic.items()},
        "starts": one.starts,
        "active": [bool(a) for a in one.active],
        "A": plain.array(one.A),
        "b": plain.array(one.b),
        "Q": plain.array(one.Q),
        "rate": plain.interval(one.rate),
        "smooth_rate": plain.interval(one.smooth_rate),
        "equilibrium": plain.interval(one.equilibrium),
        "plain_rate": plain.number(one.plain_rate),
        "between": {
            "drift": plain.array(one.between.drift),
            "equilibrium": plain.array(one.between.equilibrium),
            "rate": plain.number(one.between.rate),
            "smooth_rate": plain.number(one.between.smooth_rate),
        },
        "heterogeneity": {
            "statistic": plain.number(one.heterogeneity.statistic),
            "p_value": plain.number(one.heterogeneity.p_value),
            "permutations": one.heterogeneity.permutations,
        },
        "within_p_value": plain.number(one.within_p_value),
        "groups": [_group(group) for group in one.groups],
        "warnings": [*one.warnings],
        "verdict_text": one.verdict,
    }


def _group(group: GroupFit) -> dict[str, Any]:
    return {
        "name": group.name,
        "sessions": group.sessions,
        "steps": group.steps,
        "rate": plain.interval(group.rate),
        "own_rate": plain.number(group.own_rate),
        "equilibrium": plain.interval(group.equilibrium),
        "shrinkage": plain.number(group.shrinkage),
        "distance": plain.number(group.distance),
    }

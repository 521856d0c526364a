"""Pooling as one JSON document, ``trimtab.pooling/1``."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.estimates import ArrayEstimate, Estimate
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
        "objectives": [
            {"name": o.name, "low": _number(o.low), "high": _number(o.high), "direction": o.direction}
            for o in pooling.space
        ],
        "dt": pooling.dt,
        "level": pooling.level,
        "seed": pooling.seed,
        "strategies": {name: _strategy(one) for name, one in pooling.strategies.items()},
        "warnings": [*pooling.warnings],
        "exclusions": [
            {"reason": e.reason, "count": e.count, "unit": e.unit, "examples": [*e.examples]}
            for e in pooling.exclusions
        ],
        "notes": [*pooling.notes],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _array(values: NDArray[Any]) -> Any:
    return [_array(v) for v in values] if np.ndim(values) else _number(float(values))


def _interval(value: Estimate | ArrayEstimate) -> dict[str, Any]:
    return {name: _array(np.asarray(getattr(value, name))) for name in ("estimate", "low", "high")}


def _strategy(one: StrategyPooling) -> dict[str, Any]:
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "varies": one.varies,
        "bic": {name: _number(value) for name, value in one.bic.items()},
        "starts": one.starts,
        "active": [bool(a) for a in one.active],
        "A": _array(one.A),
        "b": _array(one.b),
        "Q": _array(one.Q),
        "rate": _interval(one.rate),
        "smooth_rate": _interval(one.smooth_rate),
        "equilibrium": _interval(one.equilibrium),
        "plain_rate": _number(one.plain_rate),
        "between": {
            "drift": _array(one.between.drift),
            "equilibrium": _array(one.between.equilibrium),
            "rate": _number(one.between.rate),
            "smooth_rate": _number(one.between.smooth_rate),
        },
        "heterogeneity": {
            "statistic": _number(one.heterogeneity.statistic),
            "p_value": _number(one.heterogeneity.p_value),
            "permutations": one.heterogeneity.permutations,
        },
        "within_p_value": _number(one.within_p_value),
        "groups": [_group(group) for group in one.groups],
        "warnings": [*one.warnings],
        "verdict_text": one.verdict,
    }


def _group(group: GroupFit) -> dict[str, Any]:
    return {
        "name": group.name,
        "sessions": group.sessions,
        "steps": group.steps,
        "rate": _interval(group.rate),
        "own_rate": _number(group.own_rate),
        "equilibrium": _interval(group.equilibrium),
        "shrinkage": _number(group.shrinkage),
        "distance": _number(group.distance),
    }

"""A fit as one JSON document, described by the JSON Schema ``fit.schema.json`` beside this file."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.estimation.results import ArrayEstimate, Estimate, Fit, StrategyFit

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.fit/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.estimation").joinpath("fit.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(fit: Fit) -> dict[str, Any]:
    """Return `fit` as plain Python values; numbers that are unknown or infinite are None."""
    return {
        "schema": SCHEMA,
        "objectives": _objectives(fit.space),
        "dt": fit.dt,
        "level": fit.level,
        "seed": fit.seed,
        "warnings": [*fit.warnings],
        "exclusions": [
            {"reason": e.reason, "count": e.count, "unit": e.unit, "examples": [*e.examples]} for e in fit.exclusions
        ],
        "notes": [*fit.notes],
        "interference": _interval(fit.interference),
        "strategies": {name: _strategy(one) for name, one in fit.strategies.items()},
        "pooled": _strategy(fit.pooled),
    }


def _objectives(space: ObjectiveSpace) -> list[dict[str, Any]]:
    return [{"name": o.name, "low": _number(o.low), "high": _number(o.high), "direction": o.direction} for o in space]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _array(values: NDArray[Any]) -> Any:
    return [_array(v) for v in values] if np.ndim(values) else _number(float(values))


def _interval(value: Estimate | ArrayEstimate) -> dict[str, Any]:
    return {name: _array(np.asarray(getattr(value, name))) for name in ("estimate", "low", "high")}


def _strategy(one: StrategyFit) -> dict[str, Any]:
    r2 = one.r2
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "identified": one.identified,
        "active": [bool(a) for a in one.active],
        "A": _array(one.A),
        "b": _array(one.b),
        "Q": _array(one.Q),
        "eigenvalues": [{"re": float(v.real), "im": float(v.imag)} for v in one.eigenvalues],
        "rate": _interval(one.rate),
        "smooth_rate": _interval(one.smooth_rate),
        "multiplier": _interval(one.multiplier),
        "multipliers": _interval(one.multipliers),
        "spectral_radius": _interval(one.spectral_radius),
        "half_life": _interval(one.half_life),
        "period": _number(one.period),
        "stable_continuous": one.stable_continuous,
        "stable_discrete": one.stable_discrete,
        "regime": {"label": one.regime.label, "probabilities": dict(one.regime.probabilities)},
        "equilibrium": _interval(one.equilibrium),
        "started": _array(one.started.estimate),
        "reached": _array(one.reached.estimate),
        "reached_interval": {"low": _array(one.reached.low), "high": _array(one.reached.high)},
        "r2": {
            "steps": _number(r2.steps),
            "levels": _number(r2.levels),
            "steps_held_out": _number(r2.steps_held_out),
            "levels_held_out": _number(r2.levels_held_out),
            "levels_persistence": _number(r2.levels_persistence),
            "levels_mean": _number(r2.levels_mean),
            "steps_interval": {"low": _number(r2.steps.low), "high": _number(r2.steps.high)},
            "levels_interval": {"low": _number(r2.levels.low), "high": _number(r2.levels.high)},
            "steps_per_objective": _array(r2.per_objective),
        },
        "interference": _interval(one.interference),
        "pareto_efficiency": _number(one.pareto_efficiency),
        "pareto_efficiency_interval": {
            "low": _number(one.pareto_efficiency.low),
            "high": _number(one.pareto_efficiency.high),
        },
        "hypervolume": _number(one.hypervolume),
        "memory_p_value": _number(one.memory_p_value),
        "second_lag_p_value": _number(one.second_lag_p_value),
        "at_bound": _array(one.at_bound),
        "warnings": [*one.warnings],
        "verdict_text": one.verdict,
    }

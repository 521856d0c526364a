"""A forecast as one JSON document, described by the JSON Schema ``simulation.schema.json`` beside this file."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.forecasting.fan import QUANTILES, Fan, Passage
from trimtab.forecasting.forecast import Forecast

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.simulation/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.forecasting").joinpath("simulation.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(forecast: Forecast) -> dict[str, Any]:
    """Return `forecast` as plain Python values; numbers that are unknown or infinite are None."""
    return {
        "schema": SCHEMA,
        "source": forecast.kind,
        "objectives": [
            {"name": o.name, "low": _number(o.low), "high": _number(o.high), "direction": o.direction}
            for o in forecast.space
        ],
        "dt": forecast.dt,
        "seed": forecast.seed,
        "paths": forecast.paths,
        "steps": forecast.steps,
        "parameter_uncertainty": forecast.uncertain,
        "score_noise": forecast.scored,
        "starts": forecast.starts,
        "quantile_levels": [*QUANTILES],
        "fans": {name: _fan(fan) for name, fan in forecast.fans.items()},
        "notes": [*forecast.notes],
    }


def _fan(fan: Fan) -> dict[str, Any]:
    one = fan.together
    return {
        "schedule": [*fan.schedule],
        "mean": _array(fan.mean),
        "quantiles": _array(fan.quantiles),
        "at_bound": _array(fan.at_bound),
        "best_iteration": _array(fan.best_iteration),
        "better": _array(fan.better),
        "together": {
            "best_iteration": _number(one.best_iteration),
            "better": _number(one.better),
            "best_everywhere": _number(one.best_everywhere),
            "worst_everywhere": _number(one.worst_everywhere),
            "pareto_efficiency": _number(one.pareto_efficiency),
        },
        "targets": [_passage(passage) for passage in fan.passages],
        "drifts": fan.drifts,
        "unstable": _number(fan.unstable),
        "cautions": [*fan.cautions],
    }


def _passage(passage: Passage) -> dict[str, Any]:
    return {
        "target": dict(passage.target),
        "reached": _array(passage.reached),
        "median": _number(passage.median),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _array(values: NDArray[Any]) -> Any:
    return [_array(v) for v in values] if np.ndim(values) else _number(float(values))

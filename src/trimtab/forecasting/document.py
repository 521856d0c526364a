"""A forecast as one JSON document, described by the JSON Schema ``simulation.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trimtab.core import plain
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
        "objectives": plain.objectives(forecast.space),
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
        "mean": plain.array(fan.mean),
        "quantiles": plain.array(fan.quantiles),
        "at_bound": plain.array(fan.at_bound),
        "best_iteration": plain.array(fan.best_iteration),
        "better": plain.array(fan.better),
        "together": {
            "best_iteration": plain.number(one.best_iteration),
            "better": plain.number(one.better),
            "best_everywhere": plain.number(one.best_everywhere),
            "worst_everywhere": plain.number(one.worst_everywhere),
            "pareto_efficiency": plain.number(one.pareto_efficiency),
        },
        "targets": [_passage(passage) for passage in fan.passages],
        "drifts": fan.drifts,
        "unstable": plain.number(fan.unstable),
        "cautions": [*fan.cautions],
    }


def _passage(passage: Passage) -> dict[str, Any]:
    return {
        "target": dict(passage.target),
        "reached": plain.array(passage.reached),
        "median": plain.number(passage.median),
    }

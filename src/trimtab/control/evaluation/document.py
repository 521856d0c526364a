"""An evaluation as one JSON document, described by the JSON Schema ``policies.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trimtab.control.evaluation.evaluate import Evaluation
from trimtab.control.evaluation.outcome import Figure, Outcome, paired
from trimtab.control.goal import Goal
from trimtab.core import plain

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.policies/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.control.evaluation").joinpath("policies.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain Python values; numbers that are unknown or infinite are None."""
    world, oracle = found.world, found.oracle
    return {
        "schema": SCHEMA,
        "source": found.kind,
        "objectives": plain.objectives(world.space),
        "strategies": [*world.strategies],
        "goal": _goal(found.goal),
        "sessions": found.sessions,
        "iterations": found.budget,
        "seed": found.seed,
        "best_fixed": found.best_fixed,
        "schedule": found.schedule,
        "oracle": None
        if oracle is None
        else {"by": found.oracle_by, "sessions": len(oracle), **_outcome(oracle, world.strategies)},
        "policies": {name: {**_outcome(found[name], world.strategies), **_standing(found, name)} for name in found},
        "handling": None
        if found.handling is None
        else {
            "net": _figure(found.handling.net),
            "interference": _figure(found.handling.interference),
            "sequential": plain.number(found.handling.sequential),
            "simultaneous": plain.number(found.handling.simultaneous),
            "says": found.handling.says,
        },
        "learned": found.learned,
        "robustness": [
            {
                "scenario": one.name,
                "best_fixed": plain.number(one.fixed),
                "informed": plain.number(one.informed),
                "policies": {
                    name: {
                        "net": _figure(case.net),
                        "lost": _figure(case.lost),
                        "over_fixed": _figure(case.over_fixed),
                    }
                    for name, case in one.cases.items()
                },
            }
            for one in found.scenarios
        ],
        "notes": [*found.notes],
    }


def _goal(goal: Goal) -> dict[str, Any]:
    return {
        "utility": "function" if callable(goal.utility) else goal.utility,
        "weights": None if goal.weights is None else dict(goal.weights),
        "floors": [str(floor) for floor in goal.floors],
        "cost": goal.cost,
        "costs": dict(goal.costs),
    }


def _outcome(one: Outcome, strategies: tuple[str, ...]) -> dict[str, Any]:
    return {
        "utility": _figure(paired(one.utility)),
        "net": _figure(paired(one.net)),
        "iterations": _figure(paired(one.used.astype(float))),
        "hypervolume": _figure(paired(one.hypervolume)),
        "asked": float(one.asked.mean()),
        "uses": {name: int(count) for name, count in zip(strategies, one.uses, strict=True)},
        "floors": [
            {
                "floor": str(each.floor),
                "passed": each.count,
                "of": each.of,
                "low": each.low,
                "high": each.high,
                "allowed": each.floor.alpha,
                "verdict": each.verdict,
            }
            for each in one.passed
        ],
        "triggers": dict(one.fired),
    }


def _standing(found: Evaluation, name: str) -> dict[str, Any]:
    own = found.standing(name)
    return {
        "over_fixed": _figure(own.over_fixed),
        "over_schedule": _figure(own.over_schedule),
        "regret": _figure(own.regret),
        "share": _figure(own.share),
    }


def _figure(figure: Figure | None) -> list[float | None] | None:
    return None if figure is None else plain.array([figure.mean, figure.low, figure.high])

"""A fit as one JSON document, described by the JSON Schema ``fit.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from trimtab.core import plain
from trimtab.estimation.audit.finding import Finding
from trimtab.estimation.clusters import cluster_documents
from trimtab.estimation.coarse.document import coarse_document
from trimtab.estimation.decomposition import InterferenceParts, parts_document
from trimtab.estimation.dropout import MeanCurve
from trimtab.estimation.estimates import Draws, RegimeEstimate
from trimtab.estimation.multiplicity import Adjusted
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import Rung

__all__ = ["SCHEMA", "document", "json_schema"]

SCHEMA = "trimtab.fit/1"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.estimation").joinpath("fit.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(fit: Fit, *, timings: bool = False, audit: bool = True) -> dict[str, Any]:
    """Return `fit` as plain Python values; numbers that are unknown or infinite are None.

    What each rung cost is the one figure that differs from run to run; it is None unless `timings` asks for it. The
    findings of the audit cost a few tenths of a second; without `audit` their lists are empty.
    """
    findings = {name: [*one] for name, one in fit.audit().strategies.items()} if audit else {}
    tests = fit.interference_tests
    return {
        "schema": SCHEMA,
        "objectives": plain.objectives(fit.space),
        "dt": fit.dt,
        "level": fit.level,
        "seed": fit.seed,
        "estimator": fit.estimator,
        "warnings": [*fit.warnings],
        "exclusions": plain.exclusions(fit.exclusions),
        "notes": [*fit.notes],
        "interference": plain.interval(fit.interference),
        "strategies": {
            name: _strategy(one, timings, findings.get(name, []), tests.get(name))
            for name, one in fit.strategies.items()
        },
        "pooled": _strategy(fit.pooled, timings, [], tests.get(None)),
        "pooling": None if fit.pooling is None else fit.pooling.to_dict(),
    }


def _strategy(one: StrategyFit, timings: bool, findings: list[Finding], tests: Adjusted | None) -> dict[str, Any]:
    r2, verdict = one.r2, one.verdict
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "identified": one.identified,
        "active": [bool(a) for a in one.active],
        "A": plain.array(one.A),
        "b": plain.array(one.b),
        "Q": plain.array(one.Q),
        "eigenvalues": plain.complexes(one.eigenvalues),
        "rate": plain.interval(one.rate),
        "smooth_rate": plain.interval(one.smooth_rate),
        "multiplier": plain.interval(one.multiplier),
        "multipliers": plain.interval(one.multipliers),
        "spectral_radius": plain.interval(one.spectral_radius),
        "half_life": plain.interval(one.half_life),
        "period": plain.number(one.period),
        "stable_continuous": one.stable_continuous,
        "stable_discrete": one.stable_discrete,
        "regime": _regime(one.regime),
        "equilibrium": plain.interval(one.equilibrium),
        "started": plain.array(one.started.estimate),
        "started_covariance": plain.array(one.started_covariance),
        "reached": plain.array(one.reached.estimate),
        "reached_interval": {"low": plain.array(one.reached.low), "high": plain.array(one.reached.high)},
        "r2": {
            "steps": plain.number(r2.steps),
            "levels": plain.number(r2.levels),
            "steps_held_out": plain.number(r2.steps_held_out),
            "levels_held_out": plain.number(r2.levels_held_out),
            "levels_persistence": plain.number(r2.levels_persistence),
            "levels_mean": plain.number(r2.levels_mean),
            "steps_interval": {"low": plain.number(r2.steps.low), "high": plain.number(r2.steps.high)},
            "levels_interval": {"low": plain.number(r2.levels.low), "high": plain.number(r2.levels.high)},
            "steps_per_objective": plain.array(r2.per_objective),
        },
        "interference": plain.interval(one.interference),
        "pareto_efficiency": plain.number(one.pareto_efficiency),
        "pareto_efficiency_interval": {
            "low": plain.number(one.pareto_efficiency.low),
            "high": plain.number(one.pareto_efficiency.high),
        },
        "hypervolume": plain.number(one.hypervolume),
        "memory_p_value": plain.number(one.memory_p_value),
        "second_lag_p_value": plain.number(one.second_lag_p_value),
        "at_bound": plain.array(one.at_bound),
        "mean_curve": _curve(one.curve),
        "warnings": [*one.warnings],
        "verdict_text": str(verdict),
        "verdict": {"label": verdict.label, "reasons": [*verdict.reasons]},
        "trusted": one.trusted,
        "predicts": one.predicts,
        "trust": [*one.trust],
        "rungs": {name: _rung(rung, timings) for name, rung in one.rungs.items()},
        "coarse": coarse_document(one.coarse),
        "interference_parts": _parts(one.interference_parts, tests),
        "audit": [_finding(finding) for finding in findings],
    }


def _parts(parts: InterferenceParts | None, tests: Adjusted | None) -> dict[str, Any] | None:
    if parts is None or tests is None:
        return None
    return parts_document(parts) | {
        "p_value": plain.array(parts.p_value),
        "adjusted_p_value": plain.array(tests.p_value),
        "adjustment": "Holm",
        "compared": tests.compared,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "statistic": plain.number(finding.statistic),
        "p_value": plain.number(finding.p_value),
        "holds": finding.holds,
        "says": finding.says,
    }


def _curve(curve: MeanCurve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    return {
        "observed": plain.array(curve.observed),
        "corrected": plain.array(curve.corrected),
        "runs": [int(count) for count in curve.runs],
    }


def _regime(regime: RegimeEstimate) -> dict[str, Any]:
    return {"label": regime.label, "probabilities": dict(regime.probabilities)}


def _drift_covariance(draws: Draws) -> Any:
    """Return the covariance of (A by rows, b) over the draws; None where there are too few to have one."""
    if len(draws.A) < 2:
        return None
    return plain.array(np.cov(np.hstack([draws.A.reshape(len(draws.A), -1), draws.b]).T))


def _rung(rung: Rung, timings: bool) -> dict[str, Any]:
    return {
        "A": plain.array(rung.A),
        "b": plain.array(rung.b),
        "Q": plain.array(rung.Q),
        "drift_covariance": _drift_covariance(rung.draws),
        "R": None if rung.R is None else plain.array(rung.R),
        "session_sd": None if rung.session_sd is None else plain.array(rung.session_sd),
        "eigenvalues": plain.complexes(rung.eigenvalues),
        "rate": plain.interval(rung.rate),
        "smooth_rate": plain.interval(rung.smooth_rate),
        "multiplier": plain.interval(rung.multiplier),
        "spectral_radius": plain.interval(rung.spectral_radius),
        "half_life": plain.interval(rung.half_life),
        "nearly_repeated": rung.nearly_repeated,
        "clusters": cluster_documents(rung.clusters),
        "regime": _regime(rung.regime),
        "equilibrium": plain.interval(rung.equilibrium),
        "interference": plain.interval(rung.interference),
        "converged": rung.converged,
        "seconds": rung.seconds if timings else None,
    }

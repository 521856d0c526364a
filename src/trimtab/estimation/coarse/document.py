"""What `coarse_fit` found, as plain values for the JSON document."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.coarse.chain import Chain
from trimtab.estimation.coarse.choice import Coarse
from trimtab.estimation.coarse.hurdle import Hurdle, Loop
from trimtab.estimation.estimates import ArrayEstimate, Estimate, RegimeEstimate

__all__ = ["coarse_document"]


def coarse_document(coarse: Coarse) -> dict[str, Any]:
    """Return `coarse` as plain Python values; numbers that are unknown or infinite are None."""
    levels = coarse.levels
    return {
        "chosen": coarse.chosen,
        "says": coarse.says,
        "behaviour": coarse.behaviour,
        "cautions": [*coarse.cautions],
        "log_scores": {name: {"mean": _number(s.mean), "se": _number(s.se)} for name, s in coarse.scores.items()},
        "gains": {name: {"mean": _number(s.mean), "se": _number(s.se)} for name, s in coarse.gains.items()},
        "levels": {
            "unchanged": _number(levels.unchanged),
            "objectives": {
                name: {
                    "unchanged": _number(levels.unchanged_per_objective[j]),
                    "count": int(levels.count[j]),
                    "share": _number(levels.share[j]),
                    "values": None if (values := levels.values[j]) is None else [*values],
                }
                for j, name in enumerate(levels.names)
            },
        },
        "hurdle": None if coarse.hurdle is None else _hurdle(coarse.hurdle),
        "chain": None if coarse.chain is None else _chain(coarse.chain),
    }


def _hurdle(hurdle: Hurdle) -> dict[str, Any]:
    return {
        "sessions": hurdle.sessions,
        "steps": hurdle.steps,
        "changed_steps": hurdle.changed_steps,
        "active": [bool(a) for a in hurdle.active],
        "identified": hurdle.identified,
        "unchanged": _interval(hurdle.unchanged),
        "unchanged_at_equilibrium": _interval(hurdle.unchanged_at_equilibrium),
        "state_p_value": _number(hurdle.state_p_value),
        "intercept": _number(hurdle.intercept),
        "slope": _array(hurdle.slope),
        "sessions_p_value": _number(hurdle.sessions_p_value),
        "per_change": _loop(hurdle.per_change),
        "per_iteration": _loop(hurdle.per_iteration),
        "equilibrium": _interval(hurdle.equilibrium),
        "memory_p_value": _number(hurdle.memory_p_value),
        "coincidence": _number(hurdle.coincidence),
        "r2": {
            "steps": _number(hurdle.r2.steps),
            "levels": _number(hurdle.r2.levels),
            "steps_held_out": _number(hurdle.r2.steps_held_out),
            "levels_held_out": _number(hurdle.r2.levels_held_out),
        },
    }


def _loop(loop: Loop) -> dict[str, Any]:
    return {
        "A": _array(loop.A),
        "b": _array(loop.b),
        "Q": _array(loop.Q),
        "eigenvalues": _complexes(loop.eigenvalues),
        "rate": _interval(loop.rate),
        "smooth_rate": _interval(loop.smooth_rate),
        "spectral_radius": _interval(loop.spectral_radius),
        "half_life": _interval(loop.half_life),
        "period": _number(loop.period),
        "regime": _regime(loop.regime),
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "objectives": [*chain.objectives],
        "states": _array(chain.values),
        "counts": _array(chain.counts),
        "P": _array(chain.P),
        "absorbing": [bool(a) for a in chain.absorbing],
        "by_design": [bool(a) for a in chain.by_design],
        "identified": chain.identified,
        "eigenvalues": _complexes(chain.eigenvalues),
        "rate": _interval(chain.rate),
        "half_life": _interval(chain.half_life),
        "period": _number(chain.period),
        "regime": _regime(chain.regime),
        "law": _array(chain.law),
        "equilibrium": _interval(chain.equilibrium),
        "going": _array(chain.going),
        "horizon": chain.horizon,
        "absorbed": _interval(chain.absorbed),
        "expected_steps": _interval(chain.expected_steps),
        "reached": _number(chain.reached),
        "sessions_p_value": _number(chain.sessions_p_value),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _array(values: NDArray[Any]) -> Any:
    return [_array(v) for v in values] if np.ndim(values) else _number(float(values))


def _complexes(values: NDArray[np.complex128]) -> list[dict[str, float]]:
    return [{"re": float(v.real), "im": float(v.imag)} for v in values]


def _interval(value: Estimate | ArrayEstimate) -> dict[str, Any]:
    return {name: _array(np.asarray(getattr(value, name))) for name in ("estimate", "low", "high")}


def _regime(regime: RegimeEstimate) -> dict[str, Any]:
    return {"label": regime.label, "probabilities": dict(regime.probabilities)}

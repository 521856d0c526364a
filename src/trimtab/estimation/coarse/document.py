"""What `coarse_fit` found, as plain values for the JSON document."""

from __future__ import annotations

from typing import Any

from trimtab.core import plain
from trimtab.estimation.coarse.chain import Chain
from trimtab.estimation.coarse.choice import Coarse
from trimtab.estimation.coarse.hurdle import Hurdle, Loop
from trimtab.estimation.estimates import RegimeEstimate

__all__ = ["coarse_document"]


def coarse_document(coarse: Coarse) -> dict[str, Any]:
    """Return `coarse` as plain Python values; numbers that are unknown or infinite are None."""
    levels = coarse.levels
    return {
        "chosen": coarse.chosen,
        "says": coarse.says,
        "behaviour": coarse.behaviour,
        "cautions": [*coarse.cautions],
        "log_scores": {
            name: {"mean": plain.number(s.mean), "se": plain.number(s.se)} for name, s in coarse.scores.items()
        },
        "gains": {name: {"mean": plain.number(s.mean), "se": plain.number(s.se)} for name, s in coarse.gains.items()},
        "levels": {
            "unchanged": plain.number(levels.unchanged),
            "objectives": {
                name: {
                    "unchanged": plain.number(levels.unchanged_per_objective[j]),
                    "count": int(levels.count[j]),
                    "share": plain.number(levels.share[j]),
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
        "unchanged": plain.interval(hurdle.unchanged),
        "unchanged_at_equilibrium": plain.interval(hurdle.unchanged_at_equilibrium),
        "state_p_value": plain.number(hurdle.state_p_value),
        "intercept": plain.number(hurdle.intercept),
        "slope": plain.array(hurdle.slope),
        "sessions_p_value": plain.number(hurdle.sessions_p_value),
        "per_change": _loop(hurdle.per_change),
        "per_iteration": _loop(hurdle.per_iteration),
        "equilibrium": plain.interval(hurdle.equilibrium),
        "memory_p_value": plain.number(hurdle.memory_p_value),
        "coincidence": plain.number(hurdle.coincidence),
        "r2": {
            "steps": plain.number(hurdle.r2.steps),
            "levels": plain.number(hurdle.r2.levels),
            "steps_held_out": plain.number(hurdle.r2.steps_held_out),
            "levels_held_out": plain.number(hurdle.r2.levels_held_out),
        },
    }


def _loop(loop: Loop) -> dict[str, Any]:
    return {
        "A": plain.array(loop.A),
        "b": plain.array(loop.b),
        "Q": plain.array(loop.Q),
        "eigenvalues": plain.complexes(loop.eigenvalues),
        "rate": plain.interval(loop.rate),
        "smooth_rate": plain.interval(loop.smooth_rate),
        "spectral_radius": plain.interval(loop.spectral_radius),
        "half_life": plain.interval(loop.half_life),
        "period": plain.number(loop.period),
        "regime": _regime(loop.regime),
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "objectives": [*chain.objectives],
        "states": plain.array(chain.values),
        "counts": plain.array(chain.counts),
        "P": plain.array(chain.P),
        "absorbing": [bool(a) for a in chain.absorbing],
        "by_design": [bool(a) for a in chain.by_design],
        "identified": chain.identified,
        "eigenvalues": plain.complexes(chain.eigenvalues),
        "rate": plain.interval(chain.rate),
        "half_life": plain.interval(chain.half_life),
        "period": plain.number(chain.period),
        "regime": _regime(chain.regime),
        "law": plain.array(chain.law),
        "equilibrium": plain.interval(chain.equilibrium),
        "going": plain.array(chain.going),
        "horizon": chain.horizon,
        "absorbed": plain.interval(chain.absorbed),
        "expected_steps": plain.interval(chain.expected_steps),
        "reached": plain.number(chain.reached),
        "sessions_p_value": plain.number(chain.sessions_p_value),
    }


def _regime(regime: RegimeEstimate) -> dict[str, Any]:
    return {"label": regime.label, "probabilities": dict(regime.probabilities)}

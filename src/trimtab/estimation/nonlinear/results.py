"""What a nonlinear fit holds: the drift chosen for each strategy, its fixed points, and its Lyapunov exponents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core import plain
from trimtab.core.by_name import ByStrategy
from trimtab.core.exclusions import Exclusion
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.drift_basis import Basis, BasisDrift
from trimtab.dynamics.fixed_points import FixedPointType
from trimtab.estimation.audit.clustered import Gain

__all__ = ["SCHEMA", "Choice", "FixedPoint", "LongRun", "NonlinearFit", "NonlinearStrategy"]

Floats = NDArray[np.float64]

SCHEMA = "trimtab.nonlinear/1"

Choice = Literal["linear", "nonlinear"]


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """A state at which the drift vanishes.

    Parameters
    ----------
    point, low, high
        (n,) scores, and their interval over the replicates that have the point; nan where fewer than two do.
    kind
        Of the map of one iteration: see `trimtab.dynamics.fixed_points.fixed_point_type`.
    multipliers
        (n,) eigenvalues of the map's Jacobian there.
    probability
        Share of replicates that have it, within the box.
    kinds
        Share of these of each kind.
    stable
        Share of these in which it is stable.
    seen
        False where it lies outside the range of the scores that steps started from: an extrapolation.
    """

    point: Floats
    low: Floats
    high: Floats
    kind: FixedPointType
    multipliers: NDArray[np.complex128]
    probability: float
    kinds: Mapping[str, float]
    stable: float
    seen: bool


@dataclass(frozen=True, slots=True)
class LongRun:
    """The largest Lyapunov exponent of the map of one iteration, over orbits from where sessions ended.

    Parameters
    ----------
    exponent, low, high
        Per iteration: its mean over the orbits that stay in the box, with an interval over replicates; nan where none
        stays.
    positive
        Share of replicates in which it is above 0.
    escaped
        Share of the estimate's orbits that leave the box.
    escaped_draws
        Share of replicates in which some orbit leaves it.
    """

    exponent: float
    low: float
    high: float
    positive: float
    escaped: float
    escaped_draws: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NonlinearStrategy:
    """The drift of one strategy, and where it leads.

    Parameters
    ----------
    name, sessions, steps
        Strategy, number of sessions with a complete step, number of complete steps.
    objectives
        Names of the n objectives in it: those that differ between steps and are no combination of others.
    terms
        Names of the P terms beyond the constant and the states.
    center, scale
        (n,) origin and unit of the scaled states u = (x - center) / scale.
    theta
        (1 + n + P, n) du = theta' [1, u, phi(u)] as fitted with the terms.
    theta_linear
        (1 + n, n) as fitted without them.
    basis
        phi.
    penalty
        Of the ridge on the terms, 0 where none was needed.
    Q
        (n, n) covariance of what the chosen drift leaves of a step.
    gain
        What the terms add to R2 of steps of unseen sessions, with its interval over sessions.
    r2_linear, r2_nonlinear
        R2 of steps of unseen sessions without and with them.
    chosen, says
        Which drift is believed, and why, in a sentence.
    low, high
        (n,) the box in which fixed points are looked for.
    fixed_points
        Of the chosen drift.
    counts
        Share of replicates by their number of fixed points in the box.
    long_run, noisy_long_run
        Of the loop without innovations, and with Gaussian ones of covariance Q.
    warnings
        Sentences.
    """

    name: str
    sessions: int
    steps: int
    objectives: tuple[str, ...]
    terms: tuple[str, ...]
    center: Floats
    scale: Floats
    theta: Floats
    theta_linear: Floats
    basis: Basis
    penalty: float
    Q: Floats
    gain: Gain
    r2_linear: float
    r2_nonlinear: float
    chosen: Choice
    says: str
    low: Floats
    high: Floats
    fixed_points: tuple[FixedPoint, ...]
    counts: Mapping[int, float]
    long_run: LongRun
    noisy_long_run: LongRun
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"NonlinearStrategy({self.name!r}, {self.chosen}, fixed points: {len(self.fixed_points)})"

    def drift(self, x: ArrayLike) -> Floats:
        """Return the expected change in an iteration under the chosen drift at states x (..., n), (..., n)."""
        u = (np.asarray(x, dtype=np.float64) - self.center) / self.scale
        linear = self.chosen == "linear"
        drift = BasisDrift((self.theta_linear if linear else self.theta)[None], None if linear else self.basis)
        return np.asarray(drift(u.reshape(1, -1, len(self.center))).reshape(u.shape) * self.scale)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NonlinearFit(ByStrategy[NonlinearStrategy]):
    """The chosen drifts of all strategies. ``fit["EF"]`` is one of them; iterating gives the names.

    Parameters
    ----------
    basis
        Name of the basis; ``"own"`` where it was given as a function.
    """

    space: ObjectiveSpace
    basis: str
    level: float
    draws: int
    seed: int
    strategies: Mapping[str, NonlinearStrategy]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}: {one.chosen}" for name, one in self.strategies.items())
        return f"NonlinearFit with a {self.basis} basis ({chosen}); print(fit.summary()) for all"

    def summary(self) -> str:
        """Return what was chosen and where it leads as text, at most 118 columns wide."""
        from trimtab.estimation.layout import as_text
        from trimtab.estimation.nonlinear.summary import NonlinearSummary

        return as_text(NonlinearSummary(self))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values; numbers that are unknown or infinite are None."""
        return {
            "schema": SCHEMA,
            "basis": self.basis,
            "level": self.level,
            "draws": self.draws,
            "seed": self.seed,
            "strategies": {name: _strategy(one) for name, one in self.strategies.items()},
            "exclusions": plain.exclusions(self.exclusions),
            "notes": [*self.notes],
            "warnings": [*self.warnings],
        }


def _strategy(one: NonlinearStrategy) -> dict[str, Any]:
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "objectives": [*one.objectives],
        "terms": [*one.terms],
        "center": plain.array(one.center),
        "scale": plain.array(one.scale),
        "theta": plain.array(one.theta),
        "theta_linear": plain.array(one.theta_linear),
        "penalty": one.penalty,
        "Q": plain.array(one.Q),
        "held_out": {
            "gain": {name: plain.number(getattr(one.gain, name)) for name in ("estimate", "low", "high")},
            "r2_linear": plain.number(one.r2_linear),
            "r2_nonlinear": plain.number(one.r2_nonlinear),
        },
        "chosen": one.chosen,
        "says": one.says,
        "box": {"low": plain.array(one.low), "high": plain.array(one.high)},
        "fixed_points": [_fixed_point(point) for point in one.fixed_points],
        "fixed_point_counts": {str(count): share for count, share in one.counts.items()},
        "lyapunov": _long_run(one.long_run),
        "lyapunov_noisy": _long_run(one.noisy_long_run),
        "warnings": [*one.warnings],
    }


def _fixed_point(point: FixedPoint) -> dict[str, Any]:
    return {
        "point": plain.array(point.point),
        "low": plain.array(point.low),
        "high": plain.array(point.high),
        "type": point.kind,
        "multipliers": plain.complexes(point.multipliers),
        "probability": point.probability,
        "types": dict(point.kinds),
        "stable": plain.number(point.stable),
        "within_scores_seen": point.seen,
    }


def _long_run(found: LongRun) -> dict[str, Any]:
    return {
        "exponent": plain.number(found.exponent),
        "low": plain.number(found.low),
        "high": plain.number(found.high),
        "positive": plain.number(found.positive),
        "escaped": found.escaped,
        "escaped_draws": found.escaped_draws,
    }

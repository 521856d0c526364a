"""The ladder of estimators: which rungs the data allow, what each says, and which one to trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import FitError
from trimtab.estimation.diagnosis import Diagnosis
from trimtab.estimation.ground import Ground, state_space_rung
from trimtab.estimation.panel import Panel
from trimtab.estimation.rungs import RUNGS, Rung, RungName
from trimtab.estimation.state_space.fit import StateSpaceFit, fit_state_space
from trimtab.estimation.state_space.likelihood import Model
from trimtab.estimation.state_space.moments import known_noise, panel_moments

__all__ = ["ESTIMATORS", "Climbed", "Estimator", "climb"]

Floats = NDArray[np.float64]

Estimator = Literal["auto", "least-squares", "tobit", "repeats", "state-space", "all"]

ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

PLAIN = 0.05
"""p-value of "neither score noise nor lasting differences" from which on least squares is trusted."""

MOST_OBJECTIVES = 8
"""Objectives up to which the state-space model is fitted."""

FEWEST_SESSIONS = 10
"""Sessions from which on it is fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """The rungs that the data allow, which one is trusted and why, and the law of the state-space model, if any."""

    rungs: Mapping[RungName, Rung]
    trusted: RungName
    why: tuple[str, ...]
    law: Model | None = None


def climb(
    ground: Ground,
    plain: Rung,
    diagnosis: Diagnosis,
    panel: Panel,
    judgements: Floats | None,
    bounds: Floats,
    estimator: Estimator,
    draws: int,
    seed: int,
    key: tuple[str, ...],
) -> Climbed:
    """Fit every rung that `estimator` asks for and the data allow, and choose the one to trust.

    Parameters
    ----------
    ground, plain
        Least squares of the steps, and its rung.
    panel
        The strategy's runs on the active objectives.
    judgements
        (rows, n, r) repeated judgements of the strategy's scores, if there are any.
    bounds
        (n,) share of scores at a bound.

    Raises
    ------
    FitError
        Where the one rung that was asked for cannot be fitted.
    """
    rungs: dict[RungName, Rung] = {"least_squares": plain}
    if estimator == "least-squares" or not ground.design.identified:
        return Climbed(rungs, "least_squares", ("least squares was asked for",) if ground.design.identified else ())
    found: StateSpaceFit | None = None
    if estimator in ("auto", "state-space", "all"):
        found = _state_space(ground, panel, judgements, draws, seed, key)
        if found is not None:
            rungs["state_space"] = state_space_rung(ground, found)
    if diagnosis.label == "dynamics":
        rungs = {name: ground.named(rung) for name, rung in rungs.items()}
    if estimator == "state-space":
        if found is None:
            raise FitError(_needs(ground, panel))
        return Climbed(rungs, "state_space", ("the state-space model was asked for",), found.law)
    if diagnosis.label != "dynamics":
        return Climbed(rungs, "least_squares", ("no dynamics are shown, so that there is nothing to correct",))
    trusted, why = _trusted(found, rungs)
    law = None if found is None else found.law
    return Climbed(rungs, trusted, (*why, *_disagreement(rungs, trusted, ground.dt)), law)


def _state_space(
    ground: Ground, panel: Panel, judgements: Floats | None, draws: int, seed: int, key: tuple[str, ...]
) -> StateSpaceFit | None:
    chosen = ground.chosen
    longer = sum(len(block.y) for block in panel.blocks if len(block.at) > 2)
    if len(chosen) > MOST_OBJECTIVES or panel.n_sessions < FEWEST_SESSIONS or longer < FEWEST_SESSIONS:
        return None
    square = np.ix_(chosen, chosen)
    estimate = ground.estimate
    return fit_state_space(
        panel_moments(panel),
        estimate.A[square],
        estimate.b[chosen],
        estimate.Q[square],
        dt=ground.dt,
        draws=draws,
        seed=seed,
        key=key,
        known=known_noise(None if judgements is None else judgements[:, chosen]),
    )


def _needs(ground: Ground, panel: Panel) -> str:
    return (
        f"the state-space model needs up to {MOST_OBJECTIVES} objectives and at least {FEWEST_SESSIONS} sessions with "
        f"three scored iterations or more, not too long, but there are {len(ground.chosen)} objectives, "
        f"{panel.n_sessions} sessions and up to {panel.span} iterations: choose --estimator least-squares"
    )


def _trusted(found: StateSpaceFit | None, rungs: Mapping[RungName, Rung]) -> tuple[RungName, tuple[str, ...]]:
    if found is None:
        return "least_squares", ("nothing but least squares can be fitted to so few or so short sessions",)
    if not found.converged:
        return "least_squares", ("the search for the state-space model did not settle",)
    if all(part.noise for part in found.parts):
        sd = ", ".join(f"{value:.2g}" for value in np.sqrt(found.R))
        shown = f"repeated judgements show score noise of standard deviation {sd}"
        lasting = found.weight(sessions=True)
        also = f", and sessions differ for good (weight {lasting:.0%})" if lasting > 0.5 else ""
        return "state_space", (f"{shown}{also}, which least squares mistakes for dynamics",)
    p = found.plain_p_value
    if p >= PLAIN and _near(rungs["least_squares"], rungs["state_space"]):
        return "least_squares", (f"neither score noise nor lasting differences show in the data (p = {p:.2f})",)
    if p >= PLAIN:
        unsure = f"score noise and lasting differences do not show clearly (p = {p:.2f}), but allowing for them changes"
        return "state_space", (f"{unsure} the rate",)
    noise, sessions = found.weight(noise=True), found.weight(sessions=True)
    what = []
    if noise > 0.5:
        sd = ", ".join(f"{value:.2g}" for value in np.sqrt(found.R))
        what.append(f"score noise of standard deviation {sd} (weight {noise:.0%})")
    if sessions > 0.5:
        what.append(f"sessions that differ for good (weight {sessions:.0%})")
    shown = " and ".join(what) or "score noise or lasting differences"
    return "state_space", (f"the data show {shown}, which least squares mistakes for dynamics",)


def _near(plain: Rung, full: Rung) -> bool:
    """Say whether rate and average rate of two rungs agree within one standard error of the plain one."""
    pairs = ((plain.rate, full.rate), (plain.smooth_rate, full.smooth_rate))
    return all(abs(one - other) <= (one.high - one.low) / 4 for one, other in pairs)


def _disagreement(rungs: Mapping[RungName, Rung], trusted: RungName, dt: float) -> tuple[str, ...]:
    """Say where another rung sees a clearly different speed, and what that means."""
    best = rungs[trusted]
    said = []
    for name, rung in rungs.items():
        apart = rung.rate.low > best.rate.high or best.rate.low > rung.rate.high
        if name != trusted and apart:
            faster = "faster" if rung.rate > best.rate else "slower"
            cause = {"faster": "score noise", "slower": "lasting differences between sessions"}[faster]
            own, trust = float(rung.rate) * dt, float(best.rate) * dt
            said.append(f"{RUNGS[name]} alone says rate {own:.2f}, {faster} than {trust:.2f}: the mark of {cause}")
    return tuple(said)

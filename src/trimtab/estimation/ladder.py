"""The ladder of estimators: which rungs the data allow, what each says, and which one to trust."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.dynamics import spectrum
from trimtab.errors import FitError
from trimtab.estimation import random_effects, tobit
from trimtab.estimation.cautions import BOUND_SHARE
from trimtab.estimation.diagnosis import Diagnosis
from trimtab.estimation.estimates import Draws, Estimate
from trimtab.estimation.ground import REGULAR, Ground, state_space_rung
from trimtab.estimation.options import Estimator
from trimtab.estimation.panel import Panel
from trimtab.estimation.rungs import RUNGS, Rung, RungName
from trimtab.estimation.score_noise import ScoreNoise, score_noise
from trimtab.estimation.state_space.fit import StateSpaceFit, fit_state_space
from trimtab.estimation.state_space.likelihood import Model
from trimtab.estimation.state_space.moments import known_noise, panel_moments

__all__ = ["Climbed", "Data", "climb"]

Floats = NDArray[np.float64]

PLAIN = 0.05
"""p-value of "neither score noise nor lasting differences" from which on least squares is trusted, of 100 sessions.

With S of them, fewer than 100, 5 / S, at most a half: a test of few sessions finds little, and trusting least squares
in vain costs coverage, while allowing in vain for what is not there only costs width."""

MOST_OBJECTIVES = 8
"""Objectives up to which the state-space model is fitted."""

FEWEST_SESSIONS = 10
"""Sessions from which on it is fitted."""

MOSTLY_AT_BOUNDS = 0.5
"""Share of an objective's scores at a bound from which on no rung is believed to see through it: whether quality itself
ends there or goes on unseen then makes all the difference to a Tobit's rates, and the scores do not tell. Either way
scores are predicted best by the Tobit, which knows that they end there."""

_REPEATS_DRAWS = 1000  # each of them iterates


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """The rungs that the data allow, which one is trusted and why, and the law of the state-space model, if any.

    `predicts` is the one to predict scores by, the trusted one if None.
    """

    rungs: Mapping[RungName, Rung]
    trusted: RungName
    why: tuple[str, ...]
    law: Model | None = None
    predicts: RungName | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What the rungs above least squares are fitted to.

    Parameters
    ----------
    trajectories, code, steps
        The strategy's code (None: all steps) and its steps.
    panel
        Its runs on the active objectives.
    bounds
        (n,) share of scores at a bound.
    remembered
        Whether the next score depends on the present one: without that no regime is named.
    affine
        False where steps mostly stand still or jump between levels: noise and levels of affine steps would then have to
        explain that.
    """

    trajectories: Trajectories
    code: int | None
    steps: Steps
    panel: Panel
    bounds: Floats
    remembered: bool
    affine: bool


def climb(
    ground: Ground,
    plain: Rung,
    diagnosis: Diagnosis,
    data: Data,
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

    Raises
    ------
    FitError
        Where the one rung that was asked for cannot be fitted.
    """
    rungs: dict[RungName, Rung] = {"least_squares": plain}
    if not ground.design.identified:
        return Climbed(rungs, "least_squares", ())
    noise = _judged_noise(data)
    found: StateSpaceFit | None = None
    limited = np.isfinite(_limits(data)).any(axis=0) & ground.design.active
    bounded = bool((data.bounds[limited] > BOUND_SHARE).any())
    hidden = bool((data.bounds[limited] > MOSTLY_AT_BOUNDS).any())
    if estimator in ("tobit", "all") or (estimator == "auto" and bounded):
        _try(rungs, estimator, lambda: _tobit(ground, data, draws, seed, key))
    if estimator in ("repeats", "all") or (estimator == "auto" and noise is not None):
        _try(rungs, estimator, lambda: _repeats(ground, data, noise, draws, seed, key))
    if estimator in ("auto", "state-space", "all"):
        found = _state_space(ground, data.panel, noise, draws, seed, key)
        if found is not None:
            rungs["state_space"] = state_space_rung(ground, found)
        elif estimator == "state-space":
            raise FitError(_needs(ground, data.panel))
    if diagnosis.label == "dynamics" and data.remembered and not hidden:
        rungs = {name: ground.named(rung) for name, rung in rungs.items()}
    law = None if found is None else found.law
    for name in RUNGS:
        if estimator == name.replace("_", "-"):
            return Climbed(rungs, name, (f"the {RUNGS[name]} estimate was asked for",), law)
    if diagnosis.label not in ("dynamics", "undetermined"):
        return Climbed(rungs, "least_squares", ("no dynamics are shown, so that there is nothing to correct",), law)
    if not data.affine:
        return Climbed(rungs, "least_squares", ("steps that stand still or jump between levels are not affine",), law)
    believed = {name: rung for name, rung in rungs.items() if not (hidden and name == "tobit")}
    trusted, why = _trusted(found, believed, data.panel.n_sessions)
    if hidden:
        why = (*why, "most scores sit at a bound, where affine steps cannot be seen: take these figures lightly")
    predicts = trusted
    if hidden and "tobit" in rungs:
        predicts = "tobit"
    elif hidden and trusted == "state_space":  # what it takes for score noise is what the bounds cut off
        predicts = "least_squares"
    return Climbed(rungs, trusted, (*why, *_disagreement(rungs, trusted, ground.dt)), law, predicts)


def _judged_noise(data: Data) -> ScoreNoise | None:
    judgements = data.trajectories.judgements
    if judgements is None or not (np.isfinite(judgements).sum(axis=2) > 1).any():
        return None
    return score_noise(judgements)


def _try(rungs: dict[RungName, Rung], estimator: Estimator, make: Callable[[], Rung]) -> None:
    """Add the rung, unless the data do not allow it and it is not the one that was asked for."""
    try:
        rung = make()
    except FitError:
        if estimator not in ("auto", "all"):
            raise
    else:
        rungs[rung.name] = rung


def _tobit(ground: Ground, data: Data, draws: int, seed: int, key: tuple[str, ...]) -> Rung:
    began = time.perf_counter()
    chosen, estimate = ground.chosen, ground.estimate
    own = Steps(
        data.steps.x[:, chosen], data.steps.dx[:, chosen], data.steps.session, data.steps.strategy, data.steps.iteration
    )
    low, high = _limits(data)
    found = tobit.estimate(own, low[chosen], high[chosen], ground.dt)
    return ground.rung(
        "tobit",
        ground.whole(found.A, estimate.A),
        ground.whole(found.b, estimate.b),
        ground.whole(found.Q, estimate.Q),
        _usable_draws(ground, *found.draws(draws, seed, *key)),
        ground.interference(),
        seconds=time.perf_counter() - began,
    )


def _repeats(ground: Ground, data: Data, noise: ScoreNoise | None, draws: int, seed: int, key: tuple[str, ...]) -> Rung:
    if noise is None:
        raise FitError(
            "the repeats estimate needs scores that were judged at least twice, but none was: name the column of the "
            "repeats, or choose another estimator"
        )
    began = time.perf_counter()
    chosen, estimate, zero = ground.chosen, ground.estimate, np.zeros(len(ground.design.active))
    found = random_effects.estimate(data.trajectories, data.code, noise, chosen, ground.dt)
    R = ground.whole(np.diagonal(found.R), zero)
    return ground.rung(
        "repeats",
        ground.whole(found.A, estimate.A),
        ground.whole(found.b, estimate.b),
        ground.whole(found.Q, estimate.Q),
        _usable_draws(ground, *found.draws(min(draws, _REPEATS_DRAWS), seed, *key)),
        ground.interference(R),
        R=R,
        session_sd=ground.whole(found.session_sd, zero),
        converged=found.converged,
        seconds=time.perf_counter() - began,
    )


def _limits(data: Data) -> tuple[Floats, Floats]:
    """Return the bounds (n,) that cut scores off, infinite where scores beyond them show that they do not."""
    space, start = data.trajectories.space, data.steps.x
    end = start + data.steps.dx
    below = np.minimum(start.min(axis=0), end.min(axis=0)) < space.low
    above = np.maximum(start.max(axis=0), end.max(axis=0)) > space.high
    return np.where(below, -np.inf, space.low), np.where(above, np.inf, space.high)


def _usable_draws(ground: Ground, A: Floats, b: Floats) -> Draws:
    usable = np.flatnonzero(np.isfinite(A).all(axis=(1, 2)) & np.isfinite(b).all(axis=1))
    if len(usable) < REGULAR * len(A):
        usable = usable[:0]
    estimate = ground.estimate
    return ground.draws(ground.whole(A[usable], estimate.A), ground.whole(b[usable], estimate.b))


def _state_space(
    ground: Ground, panel: Panel, noise: ScoreNoise | None, draws: int, seed: int, key: tuple[str, ...]
) -> StateSpaceFit | None:
    chosen, estimate = ground.chosen, ground.estimate
    longer = sum(len(block.y) for block in panel.blocks if len(block.at) > 2)
    if len(chosen) > MOST_OBJECTIVES or panel.n_sessions < FEWEST_SESSIONS or longer < FEWEST_SESSIONS:
        return None
    square = np.ix_(chosen, chosen)
    return fit_state_space(
        panel_moments(panel),
        estimate.A[square],
        estimate.b[chosen],
        estimate.Q[square],
        dt=ground.dt,
        draws=draws,
        seed=seed,
        key=key,
        known=known_noise(noise, chosen),
    )


def _needs(ground: Ground, panel: Panel) -> str:
    return (
        f"the state-space model needs up to {MOST_OBJECTIVES} objectives and at least {FEWEST_SESSIONS} sessions with "
        f"three scored iterations or more, not too long, but there are {len(ground.chosen)} objectives, "
        f"{panel.n_sessions} sessions and up to {panel.span} iterations: choose --estimator least-squares"
    )


def _trusted(
    found: StateSpaceFit | None, rungs: Mapping[RungName, Rung], sessions: int
) -> tuple[RungName, tuple[str, ...]]:
    if "tobit" in rungs:
        why = "scores sit at the bounds, which least squares mistakes for coming to rest there"
        if found is not None and found.plain_p_value < PLAIN:
            doubt = (
                "score noise or lasting differences show as well, or the bounds look like them: no estimate has both"
            )
            return "tobit", (why, doubt)
        return "tobit", (why,)
    if found is None and "repeats" in rungs and np.isfinite(rungs["repeats"].rate.low):
        return "repeats", ("repeated judgements tell the score noise, which least squares mistakes for dynamics",)
    if found is None:
        return "least_squares", ("the state-space model cannot be fitted to sessions so few, so short or so long",)
    if not found.converged:
        return "least_squares", ("the search for the state-space model did not settle",)
    if all(part.noise for part in found.parts):
        sd = ", ".join(f"{value:.2g}" for value in np.sqrt(found.R))
        shown = f"repeated judgements show score noise of standard deviation {sd}"
        lasting = found.weight(sessions=True)
        also = f", and sessions differ for good (weight {lasting:.0%})" if lasting > 0.5 else ""
        return "state_space", (f"{shown}{also}, which least squares mistakes for dynamics",)
    p = found.plain_p_value
    enough = max(PLAIN, min(5 / sessions, 0.5))
    if p >= enough and _near(rungs["least_squares"], rungs["state_space"]):
        return "least_squares", (f"neither score noise nor lasting differences show in the data (p = {p:.2f})",)
    if p >= PLAIN:
        unsure = f"score noise and lasting differences do not show clearly (p = {p:.2f}), but"
        if p >= enough:
            return "state_space", (f"{unsure} allowing for them changes the rate",)
        return "state_space", (f"{unsure} {sessions} sessions are too few to exclude them",)
    noise, lasting = found.weight(noise=True), found.weight(sessions=True)
    what = []
    if noise > 0.5:
        sd = ", ".join(f"{value:.2g}" for value in np.sqrt(found.R))
        what.append(f"score noise of standard deviation {sd} (weight {noise:.0%})")
    if lasting > 0.5:
        what.append(f"sessions that differ for good (weight {lasting:.0%})")
    shown = " and ".join(what) or "score noise or lasting differences"
    return "state_space", (f"the data show {shown}, which least squares mistakes for dynamics",)


def _near(plain: Rung, full: Rung) -> bool:
    """Say whether rate and average rate of two rungs agree within one standard error of the plain one."""
    lam = plain.draws.eigenvalues
    if len(lam) < 2:
        return False
    pairs = (
        (plain.rate, full.rate, spectrum.rate(lam)),
        (plain.smooth_rate, full.smooth_rate, -lam.real.mean(axis=-1)),
    )
    return all(abs(one - other) <= drawn.std(ddof=1) for one, other, drawn in pairs)


def _disagreement(rungs: Mapping[RungName, Rung], trusted: RungName, dt: float) -> tuple[str, ...]:
    """Say where another rung sees a clearly different speed, and what that means."""
    best = rungs[trusted]
    said = []
    for name, rung in rungs.items():
        if name == trusted or not (_apart(rung.rate, best.rate) or _apart(rung.smooth_rate, best.smooth_rate)):
            continue
        faster = "faster" if rung.rate > best.rate else "slower"
        cause = {"faster": "score noise", "slower": "lasting differences between sessions"}[faster]
        if "tobit" in (name, trusted):
            cause = "scores at the bounds"
        alone = f"{RUNGS[name]} alone says rate {float(rung.rate) * dt:.2f}"
        said.append(f"{alone}, {faster} than {float(best.rate) * dt:.2f}: the mark of {cause}")
    return tuple(said)


def _apart(one: Estimate, other: Estimate) -> bool:
    """Say whether either lies outside the other's interval."""
    return not one.low <= other <= one.high and not other.low <= one <= other.high

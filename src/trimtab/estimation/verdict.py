"""What one strategy's figures mean, said in plain words."""

from __future__ import annotations

import numpy as np

from trimtab.estimation.results import StrategyFit
from trimtab.estimation.strategy import CANNOT_IDENTIFY, NO_MEMORY

__all__ = ["verdict"]

LITTLE = 0.1
"""R2 of unseen next scores below which a rate near 1 says little about the loop."""


def verdict(fit: StrategyFit) -> str:
    """Return two to five sentences: does it converge, how fast, to what, at whose expense, and is that credible."""
    if not fit.identified:
        reason = next((w for w in fit.warnings if CANNOT_IDENTIFY in w), CANNOT_IDENTIFY)
        return f"Nothing can be said: {reason}."
    sentences = [_behaviour(fit)]
    if not fit.memory_p_value < NO_MEMORY:
        return " ".join([*sentences, _outcome(fit)])
    return " ".join(filter(None, [*sentences, _destination(fit), _outcome(fit), _prediction(fit), _trade_offs(fit)]))


def _behaviour(fit: StrategyFit) -> str:
    if fit.memory_p_value >= NO_MEMORY:
        return (
            "No dynamics found: the scores look like independent draws around a fixed level "
            f"(p = {fit.memory_p_value:.2f} for no memory at all), so the rate and the regime mean nothing here."
        )
    shares = fit.regime.probabilities
    likely = sorted(shares, key=lambda label: -shares[label])
    speed = f"rate {float(fit.rate):.2f} per iteration"
    if fit.regime.label == "undetermined":
        if not shares:
            return f"One session gives a rate of {float(fit.rate):.2f} per iteration, but no interval and no regime."
        if np.isnan(fit.memory_p_value):
            return f"Too few sessions ({fit.sessions}) to tell dynamics from noise ({speed})."
        listed = ", ".join(f"{label} {shares[label]:.0%}" for label in likely if shares[label] >= 0.05)
        return f"The next score depends on the present one ({speed}), but the regime is not settled: {listed}."
    sure = f"{shares[fit.regime.label]:.0%} of the bootstrap draws agree"
    life = f"{float(fit.half_life):.1f} iterations"
    return {
        "exponential": f"Converges steadily: a deviation halves every {life} ({speed}; {sure}).",
        "oscillatory": (
            f"Converges in a damped oscillation with a turn every {fit.period:.1f} iterations; a deviation halves "
            f"every {life} ({speed}; {sure})."
        ),
        "boundary": (
            f"Hardly settles: the slowest direction halves only every {life}, so that within one session it drifts "
            f"until a bound or the end stops it ({sure})."
        ),
        "overshooting": (
            f"Overshoots: the slowest deviation changes sign at every iteration and halves every {life} ({speed}; "
            f"{sure}). A differential equation has no such mode."
        ),
        "unstable": (
            f"Does not settle: deviations grow by a factor {float(fit.spectral_radius):.2f} per iteration ({sure})."
        ),
    }[fit.regime.label]


def _levels(names: tuple[str, ...], values: np.ndarray) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True) if np.isfinite(value))


def _destination(fit: StrategyFit) -> str:
    if not fit.stable_discrete or fit.regime.label == "unstable" or not np.isfinite(fit.equilibrium.estimate).any():
        return ""
    target, names = fit.equilibrium.estimate, fit.space.names
    outside = [
        name
        for name, value, low, high in zip(names, target, fit.space.low, fit.space.high, strict=True)
        if value < low or value > high
    ]
    text = f"Left alone it heads for {_levels(names, target)}."
    if outside:
        text += f" That is off the scale for {', '.join(outside)}: the bound will stop it first."
    return text


def _outcome(fit: StrategyFit) -> str:
    known = np.isfinite(fit.reached.estimate)
    moves = ", ".join(
        f"{name} from {start:.3g} to {end:.3g}"
        for name, start, end, shown in zip(
            fit.space.names, fit.started.estimate, fit.reached.estimate, known, strict=True
        )
        if shown
    )
    return f"On average its sessions took {moves}."


def _prediction(fit: StrategyFit) -> str:
    held_out, persistence = fit.r2.levels_held_out, fit.r2.levels_persistence
    if not np.isfinite(held_out):
        return ""
    if held_out < LITTLE and float(fit.rate) > 0.7:
        return (
            f"Little carries over from one score to the next (R2 of unseen next scores {held_out:.2f}): the steps are "
            "mostly fresh draws around a level, as scoring noise alone would make them."
        )
    best = max(persistence, fit.r2.levels_mean)
    which = "staying put" if persistence >= fit.r2.levels_mean else "jumping to the mean"
    if held_out <= best + 0.01:
        return f"It predicts the next scores of unseen sessions no better than {which} (R2 {held_out:.2f})."
    return (
        f"It explains {held_out:.0%} of the variance of unseen next scores, against {max(best, 0.0):.0%} for {which}."
    )


def _trade_offs(fit: StrategyFit) -> str:
    names, matrix = fit.space.names, fit.interference
    found = [
        (matrix.estimate[i, j], names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if matrix.high[i, j] < 0 or matrix.low[i, j] > 0
    ]
    if not found:
        return ""
    value, one, other = max(found, key=lambda item: abs(item[0]))
    how = "against each other" if value < 0 else "together"
    return f"Steps of {other} and {one} go {how} (correlation {value:+.2f})."

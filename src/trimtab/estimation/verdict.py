"""What one strategy's figures mean, said in plain words."""

from __future__ import annotations

import numpy as np

from trimtab.estimation.cautions import CANNOT_IDENTIFY
from trimtab.estimation.results import ArrayEstimate, StrategyFit
from trimtab.estimation.rungs import RUNGS
from trimtab.estimation.spectral import SECOND_LAG

__all__ = ["verdict"]

LITTLE = 0.1
"""R2 of unseen next scores below which a rate near 1 says little about the loop."""

NEAR_ONE = 0.7
"""Rate per iteration from which on an iteration leaves little of a deviation."""

NOTEWORTHY = 0.1
"""Size of an interference from which on it is spoken of."""


CHANCE = 0.05
"""p-value, adjusted for all pairs and strategies, from which on an interference may be chance."""


def verdict(fit: StrategyFit) -> str:
    """Return a few sentences: does it converge, how fast, to what, at whose expense, and is that credible."""
    if not fit.identified:
        reason = next((w for w in fit.warnings if CANNOT_IDENTIFY in w), CANNOT_IDENTIFY)
        if fit.coarse.chosen == "affine":
            return f"Nothing can be said: {reason}."
        # No drift, but levels that are reached and left all the same.
        said = [f"No drift can be fitted: {reason}.", _outcome(fit), fit.coarse.says, fit.coarse.behaviour]
        return " ".join(filter(None, said))
    if fit.diagnosis.label != "dynamics":
        return " ".join(filter(None, [_no_dynamics(fit), _outcome(fit)]))
    if fit.coarse.mostly_still:
        # Affine figures would average standing still with moving, or numbers with states.
        return " ".join(filter(None, [_outcome(fit), fit.coarse.says, fit.coarse.behaviour, _trade_offs(fit)]))
    parts = [
        _outcome(fit),
        _behaviour(fit),
        _repeated(fit),
        _trust(fit),
        _destination(fit),
        _prediction(fit),
        _trade_offs(fit),
        fit.coarse.says if fit.coarse.chosen != "affine" else "",
    ]
    return " ".join(filter(None, parts))


def _rate(fit: StrategyFit) -> str:
    return f"rate {float(fit.rate) * fit.dt:.2f} per iteration"


def _no_dynamics(fit: StrategyFit) -> str:
    if np.isnan(fit.memory_p_value):
        many = "one session" if fit.sessions == 1 else f"{fit.sessions} sessions"
        return f"Too little to tell dynamics from noise with {many} ({_rate(fit)})."
    reasons = "; ".join(fit.diagnosis.reasons)
    return {
        "noise": (
            "No dynamics found: the scores look like independent draws around one level, so that rate and regime mean "
            f"nothing here ({reasons})."
        ),
        "static level": (
            "No dynamics found: every session keeps a level of its own and the rest looks like scoring noise, so that "
            f"rate and regime mean nothing here ({reasons})."
        ),
        "trend": (
            "All sessions move alike and nothing else lasts: a common trend with independent noise around it, not a "
            f"pull that depends on the scores ({reasons})."
        ),
        "undetermined": f"Dynamics cannot be told from noise with {fit.sessions} sessions ({reasons}).",
    }[fit.diagnosis.label]


def _behaviour(fit: StrategyFit) -> str:
    shares, label = fit.regime.probabilities, fit.regime.label
    if label == "undetermined":
        likely = sorted(shares, key=lambda name: -shares[name])
        listed = ", ".join(f"{name} {shares[name]:.0%}" for name in likely if shares[name] >= 0.05)
        settled = f"the regime is not settled: {listed}" if listed else "too few sessions vary to name a regime"
        return f"The next score depends on the present one ({_rate(fit)}), but {settled}."
    sure = f"{shares[label]:.0%} of the bootstrap draws agree"
    life = f"{float(fit.half_life):.1f} iterations"
    radius = fit.spectral_radius
    if label == "unstable":
        if radius.low > 1:
            return f"Does not settle: deviations grow by a factor {float(radius):.2f} per iteration ({sure})."
        return f"Returns to no level that could be seen: it drifts like a random walk, or slower than shows ({sure})."
    return {
        "exponential": f"Converges steadily: a deviation halves every {life} ({_rate(fit)}; {sure}).",
        "oscillatory": (
            f"Converges in a damped oscillation with a turn every {fit.period:.1f} iterations; a deviation halves "
            f"every {life} ({_rate(fit)}; {sure})."
        ),
        "boundary": (
            f"Hardly settles: the slowest direction halves only every {life}, so that within one session it drifts "
            f"until a bound or the end stops it ({sure})."
        ),
        "overshooting": (
            f"Overshoots: the slowest deviation changes sign at every iteration and halves every {life} ({sure}). A "
            "differential equation has no such mode."
        ),
    }[label]


def _repeated(fit: StrategyFit) -> str:
    """Say which figure to read where the eigenvalue that sets the rate cannot be told from another."""
    if not fit.rung.nearly_repeated:
        return ""
    average, dt = fit.smooth_rate, fit.dt
    return (
        "Two of its speeds cannot be told apart, and the interval of the rate allows for that. The average rate over "
        f"all directions is surer: {float(average) * dt:.2f} ({average.low * dt:.2f} to {average.high * dt:.2f})."
    )


def _trust(fit: StrategyFit) -> str:
    """Say which estimator speaks and what it corrects, where others disagree, or what remains to doubt."""
    if len(fit.rungs) == 1:
        doubt = "Take the speed with caution: the score before last matters too, so levels differ or scores are noisy."
        return doubt if fit.second_lag_p_value < SECOND_LAG else ""
    said = [f"These figures come from the {RUNGS[fit.trusted]} estimate, because {fit.trust[0]}", *fit.trust[1:]]
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in said)


def _destination(fit: StrategyFit) -> str:
    """Name where the loop heads, for the objectives whose equilibrium is known to within half the scale."""
    if not fit.spectral_radius.high < 1:
        return ""
    target, scale = fit.equilibrium, fit.space.high - fit.space.low
    spread = np.where(np.isfinite(scale), scale, 2 * np.abs(target.estimate))
    known = np.isfinite(target.estimate) & (target.high - target.low < spread / 2)
    if not known.any():
        return ""
    listed = ", ".join(_with_interval(fit.space.names[j], target, int(j)) for j in np.flatnonzero(known))
    beyond = known & ((target.low > fit.space.high) | (target.high < fit.space.low))
    off = ", ".join(fit.space.names[j] for j in np.flatnonzero(beyond))
    return f"Left alone it heads for {listed}." + (
        f" That is off the scale for {off}: the bound will stop it first." if off else ""
    )


def _with_interval(name: str, target: ArrayEstimate, j: int) -> str:
    return f"{name} {target.estimate[j]:.3g} ({target.low[j]:.3g} to {target.high[j]:.3g})"


def _outcome(fit: StrategyFit) -> str:
    ends = zip(fit.space.names, fit.started.estimate, fit.reached.estimate, strict=True)
    moves = [f"{name} from {start:.3g} to {end:.3g}" for name, start, end in ends if np.isfinite(end)]
    return f"On average its sessions took {', '.join(moves)}." if moves else ""


def _prediction(fit: StrategyFit) -> str:
    held_out, persistence = fit.r2.levels_held_out, fit.r2.levels_persistence
    if not np.isfinite(held_out):
        return ""
    if held_out < LITTLE and float(fit.rate) * fit.dt > NEAR_ONE:
        return (
            f"Little carries over from one score to the next (R2 of unseen next scores {held_out:.2f}): the steps are "
            "mostly fresh draws around a level, as scoring noise alone would make them."
        )
    best = max(persistence, fit.r2.levels_mean)
    which = "staying put" if persistence >= fit.r2.levels_mean else "jumping to the mean"
    if held_out <= best + 0.01:
        return f"It predicts the next scores of unseen sessions no better than {which} (R2 {held_out:.2f})."
    against = f"{best:.0%}" if best >= 0 else "less than nothing"
    return f"It explains {held_out:.0%} of the variance of unseen next scores, against {against} for {which}."


def _trade_offs(fit: StrategyFit) -> str:
    """Name the strongest interference that is more than chance, with improvement counted as each direction says."""
    names, sign, matrix, p = fit.space.names, fit.space.sign, fit.interference.estimate, fit.interference_p_value
    found = [
        (sign[i] * sign[j] * matrix[i, j], names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if p[i, j] < CHANCE and abs(matrix[i, j]) >= NOTEWORTHY
    ]
    if not found:
        return ""
    value, one, other = max(found, key=lambda item: abs(item[0]))
    direction = "lose" if value < 0 else "gain"
    return f"Steps that gain in '{other}' tend to {direction} in '{one}' (correlation of gains {value:+.2f})."

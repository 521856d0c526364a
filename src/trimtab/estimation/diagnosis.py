"""Is it dynamics at all? One word, and the reasons for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from trimtab.estimation.lag_covariance import LagTests

__all__ = ["LABELS", "Diagnosis", "Label", "diagnose"]

Label = Literal["dynamics", "noise", "static level", "trend", "undetermined"]

LABELS: tuple[Label, ...] = get_args(Label)

MEMORY = 0.05
"""p-value from which on nothing is taken to last from one iteration to another."""

FADING = 0.02
"""p-value below which what lasts is taken to fade. Small, because it alone parts dynamics from static levels."""

TREND = 0.01
"""p-value below which the common level is taken to move."""

TIGHT = 0.3
"""How near to 0 the interval of the average multiplier must lie for noise to be more than a guess."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """What the data show.

    Parameters
    ----------
    label
        ``"dynamics"``: what a score was like a moment ago matters more than what it was like long ago. ``"noise"``:
        independent draws about one level. ``"static level"``: each session keeps a level of its own, and the rest is
        independent. ``"trend"``: independent draws about a level that moves in the same way in all sessions.
        ``"undetermined"``: too little to tell.
    reasons
        What says so, in sentences.
    lags
        The tests behind it; None where there is nothing to test.
    """

    label: Label
    reasons: tuple[str, ...]
    lags: LagTests | None


def diagnose(
    identified: bool, sessions: int, memory: float, lags: LagTests | None, multiplier: tuple[float, float]
) -> Diagnosis:
    """Return the diagnosis of one strategy.

    Parameters
    ----------
    identified
        Whether the steps identify A at all.
    memory
        p-value of `memory.memory_p_value`.
    lags
        Tests over runs, see `lag_covariance`.
    multiplier
        95% interval of the average multiplier 1 + tr(A) dt / n by least squares.
    """
    if not identified or lags is None:
        return Diagnosis("undetermined", ("the steps cannot identify the dynamics",), lags)
    dependence, fading = lags.dependence_p_value, lags.fading_p_value
    if not memory >= 0 and not dependence >= 0:
        return Diagnosis("undetermined", (f"{sessions} sessions are too few for any test of memory",), lags)
    remembered = memory < MEMORY or dependence < MEMORY
    if not fading >= 0:
        return _without_lags(memory, remembered, multiplier, lags)
    if remembered and fading < FADING:
        near = "more" if not lags.fading < 0 else "less"
        reason = f"scores of neighbouring iterations are {near} alike than those of distant ones (p {_p(fading)})"
        return Diagnosis("dynamics", (reason, _memory(memory)), lags)
    flat = f"scores of neighbouring iterations are no more alike than those of distant ones (p {_p(fading)})"
    if not dependence >= 0:
        few = f"{sessions} sessions are too few to say whether scores stay alike for good"
        return Diagnosis("undetermined", (_memory(memory), few), lags)
    if dependence < MEMORY:
        lasting = f"a session's scores are alike at all iterations (p {_p(dependence)} for no likeness)"
        if lags.flat:
            level = "each session keeps a level of its own"
            if lags.trend_p_value < TREND:
                level += f", and all of them move alike (p {_p(lags.trend_p_value)})"
            return Diagnosis("static level", (lasting, flat, level), lags)
        return Diagnosis("undetermined", (lasting, flat, "but what they show leaves room for their fading"), lags)
    unlike = f"a session's scores are not alike beyond what all sessions share (p {_p(dependence)})"
    if lags.trend_p_value < TREND:
        moved = f"the mean over sessions moves (p {_p(lags.trend_p_value)})"
        return Diagnosis("trend", (moved, unlike), lags)
    if not remembered and -TIGHT < multiplier[0] <= multiplier[1] < TIGHT:
        left = f"an iteration leaves {multiplier[0]:.0%} to {multiplier[1]:.0%} of a deviation on average"
        return Diagnosis("noise", (_memory(memory), unlike, left), lags)
    return Diagnosis("undetermined", (_memory(memory), unlike, "more sessions may show what these do not"), lags)


def _without_lags(memory: float, remembered: bool, multiplier: tuple[float, float], lags: LagTests) -> Diagnosis:
    if not remembered and -TIGHT < multiplier[0] <= multiplier[1] < TIGHT:
        left = f"an iteration leaves {multiplier[0]:.0%} to {multiplier[1]:.0%} of a deviation on average"
        return Diagnosis("noise", (_memory(memory), left), lags)
    short = "sessions of three iterations or fewer, or too few longer ones, cannot part dynamics from lasting levels"
    return Diagnosis("undetermined", (_memory(memory), short), lags)


def _memory(p: float) -> str:
    if not p >= 0:
        return "too few sessions for the test of memory"
    if p < MEMORY:
        return f"the next score depends on the present one (p {_p(p)} for no memory)"
    return f"nothing shows that the next score depends on the present one (p {_p(p)})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.095 else f"= {value:.2f}"

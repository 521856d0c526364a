"""Whether a drift bends: the straight one is kept unless the other predicts unseen sessions clearly better."""

from __future__ import annotations

from trimtab.estimation.audit.form import NEGLIGIBLE
from trimtab.estimation.nonlinear.regression import HeldOut, Wide, held_out
from trimtab.estimation.nonlinear.results import Choice
from trimtab.estimation.options import Options

__all__ = ["chosen_drift", "compared_drifts"]

_FEWEST = 5  # sessions without which nothing is held out


def compared_drifts(wide: Wide, options: Options) -> tuple[HeldOut | None, str]:
    """Return the comparison on unseen sessions, or why there is none."""
    r = wide.regression
    if r.S < _FEWEST:
        return None, f"a comparison needs at least {_FEWEST} sessions, and there are {r.S}"
    if not wide.terms:
        return None, "the scores take so few values that no bend can be told from a straight line"
    if not len(r.noisy):
        return None, "a straight line predicts every step exactly"
    return held_out(wide, options.level, options.seed), ""


def chosen_drift(drift: str, compared: HeldOut | None, why_not: str, what: str) -> tuple[Choice, str]:
    """Return which drift is believed, and why, in a sentence."""
    if compared is None:
        chosen: Choice = "nonlinear" if drift == "nonlinear" else "linear"
        return chosen, f"Taken as {chosen}, untested: {why_not}."
    gain = compared.gain
    figures = (
        f"{what} change the R2 of unseen steps from {compared.linear:.3f} to {compared.nonlinear:.3f}, "
        f"by {gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    )
    if gain.low > 0 and gain.estimate >= NEGLIGIBLE:
        better: Choice = "nonlinear"
        verdict = "A straight line does not do"
    else:
        better = "linear"
        verdict = "Linear is enough" if gain.high < NEGLIGIBLE else "Linear is kept, because no gain is sure"
        if gain.low > 0:
            verdict = "Linear is enough, because the bend is sure but too small to count"
    if drift in ("auto", better):
        return better, f"{verdict}: {figures}."
    return ("linear" if better == "nonlinear" else "nonlinear"), f"As asked for, though not chosen: {figures}."

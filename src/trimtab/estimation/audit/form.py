"""Whether the drift is linear, and the present score all of the past that matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps
from trimtab.estimation.audit.clustered import Gain, held_out_gain, score_test
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.wording import p_text
from trimtab.estimation.memory import second_lag_p_value

__all__ = ["NEGLIGIBLE", "first_order", "linear"]

Floats = NDArray[np.float64]

NEGLIGIBLE = 0.01
"""Share of the variance of unseen steps that a richer model must explain beyond the fit to be worth having."""

_MOST_TERMS = 60  # quadratic terms up to which products of different objectives are among them


def linear(sample: Sample) -> Answer:
    """Answer whether a linear drift is enough.

    Against all products u_i u_j; the figure is their held-out gain in R2 of steps.
    """
    r = sample.regression
    r.with_noise()
    i, j = np.triu_indices(r.n)
    if len(i) > min(_MOST_TERMS, r.M / 10):
        i = j = np.arange(r.n)
    W = r.beyond_state(r.u[:, i] * r.u[:, j])
    mine = (i[:, None] == r.noisy) | (j[:, None] == r.noisy)
    squares = (i == j)[:, None] & mine
    p = score_test(r, W, r.e, (np.ones_like(mine), mine, squares))
    gain = held_out_gain(r, W, sample.options.level, sample.options.seed)
    return _judged(sample, p, gain, "quadratic terms", "A straight line does not do", "No bend in the drift shows")


def first_order(sample: Sample) -> Answer:
    """Answer whether the present score is enough, without the one before.

    The figure is the held-out gain of adding x_{t-1}.
    """
    whole = sample.regression
    whole.with_noise()
    p = second_lag_p_value(whole.steps)
    follows = (np.diff(whole.steps.session) == 0) & (np.diff(whole.steps.iteration) == 1)
    at = np.flatnonzero(follows & (np.diff(whole.steps.strategy) == 0)) + 1
    if np.isnan(p):
        raise CannotSayError(
            f"it takes {whole.n + 3} sessions with steps that follow each other, and enough variation in them"
        )
    r = _restricted(whole, at)
    gain = held_out_gain(r, whole.u[at - 1], sample.options.level, sample.options.seed)
    denied = "The score before last matters beside the last one, as lasting differences or noisy scores make it"
    return _judged(sample, p, gain, "the score before last", denied, "The score before last does not show to matter")


def _restricted(r: Regression, at: NDArray[np.int64]) -> Regression:
    """Return the data of the steps `at`; its coefficients and residuals remain those of all steps."""
    s = r.steps
    steps = Steps(s.x[at], s.dx[at], s.session[at], s.strategy[at], s.iteration[at])
    return Regression(
        names=r.names,
        steps=steps,
        moments=r.moments,
        u=r.u[at],
        du=r.du[at],
        Z=r.Z[at],
        inverse=r.inverse,
        beta=r.beta,
        residual=r.residual[at],
        noisy=r.noisy,
        e=r.e[at],
        leverage=r.leverage[at],
        starts=np.flatnonzero(np.diff(steps.session, prepend=-1) != 0),
    )


def _judged(sample: Sample, p: float, gain: Gain, what: str, denied: str, upheld: str) -> Answer:
    change = f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    figures = f"{what} would change the R2 of unseen steps by {change}"
    if p < sample.options.alpha and gain.estimate >= NEGLIGIBLE:
        return Answer(gain.estimate, f"{denied} ({p_text(p)}): {figures}.", p, gain.low, gain.high, False)
    says = f"{denied} ({p_text(p)}), but too little to count" if p < sample.options.alpha else f"{upheld} ({p_text(p)})"
    return Answer(gain.estimate, f"{says}: {figures}.", p, gain.low, gain.high, True)

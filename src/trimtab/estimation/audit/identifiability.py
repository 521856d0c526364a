"""What the data can tell at all: how well states are told apart, how many sessions count, how many more it takes."""

from __future__ import annotations

import numpy as np
import scipy.special

from trimtab.dynamics import spectrum
from trimtab.estimation import least_squares as ls
from trimtab.estimation.audit.clustered import half_width
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.audit.wording import number, span
from trimtab.estimation.bootstrap import normal_interval, resample

__all__ = ["condition", "effective_sessions", "power"]

ILL_CONDITIONED = 30.0
"""Condition number of the scaled states from which on coefficients swap with each other (Belsley, Kuh, Welsch 1980)."""

FEW = 20
"""Sessions below which intervals over sessions are rough."""

_DRAWS = 400
_SEVERAL = 10  # sessions below which their spread says little about how much their steps tell


def condition(sample: Sample) -> Answer:
    """Answer whether the objectives' effects can be told apart.

    The condition number of the states, each scaled to unit spread.
    """
    r = sample.regression
    centred = r.u - r.u.mean(axis=0)
    centred = centred / np.sqrt((centred**2).sum(axis=0))
    values = np.linalg.eigvalsh(centred.T @ centred)
    value = float(np.sqrt(values[-1] / max(values[0], 1e-300)))
    figures = f"condition number {number(value)}; from {ILL_CONDITIONED:.0f} on it gets hard"
    if value < ILL_CONDITIONED:
        return Answer(value, f"The objectives' effects can be told apart ({figures}).", holds=True)
    text = f"The objectives move almost as one, so that their effects swap with each other ({figures})."
    return Answer(value, text, holds=False)


def effective_sessions(sample: Sample) -> Answer:
    """Answer whether enough sessions count.

    The figure is how many equally telling ones they equal.

    (sum h_s)^2 / sum h_s^2, h_s being the sum of the leverages of the session's steps. Effective steps are those that,
    independent of each other, would leave the average rate -tr(A)/n as uncertain as it is over sessions.
    """
    r = sample.regression
    weight = r.summed(r.leverage)
    count = float(weight.sum() ** 2 / (weight**2).sum())
    steps = ""
    if r.S >= _SEVERAL and len(r.noisy):
        influence = ((r.Z @ r.inverse[:, 1:]) * r.residual).sum(axis=1)
        together, apart = float((r.summed(influence) ** 2).sum()), float((influence**2).sum())
        if together > 0:
            steps = f", and their {r.M:,} steps to about {min(r.M * apart / together, r.M):,.0f} independent ones"
    text = f"The {r.S:,} sessions amount to {number(count)} that weigh alike{steps}."
    if count >= FEW:
        return Answer(count, text, holds=True)
    return Answer(count, f"{text[:-1]}: intervals over sessions are rough below about {FEW}.", holds=False)


def power(sample: Sample) -> Answer:
    """Answer whether the rate is told from 0.

    The figure is the number of sessions that would halve its interval.
    """
    r, options = sample.regression, sample.options
    r.several()
    drawn = ls.estimate(resample(r.moments, _DRAWS, options.seed, "audit"), r.moments.center, r.moments.scale)
    regular = drawn.rank == r.n
    if regular.mean() < 0.9:
        raise CannotSayError("an objective varies in too few sessions for an interval of the rate")
    rate = float(spectrum.rate(spectrum.eigenvalues(r.beta[1:].T)))
    rates = spectrum.rate(spectrum.eigenvalues(drawn.A[regular]))
    low, high = normal_interval(np.asarray(rate), rates, options.level, r.S)
    needed = _halving(r.S, options.level)
    known = f"The rate is {number(rate)}{span(float(low), float(high))}"
    more = f"halving that interval takes {needed:,} sessions, {needed / r.S:.1f} times as many"
    told = bool(low > 0 or high < 0)
    text = f"{known}, {'and' if told else 'which does not exclude 0;'} {more}."
    return Answer(float(needed), text, holds=told)


def _halving(S: int, level: float) -> int:
    """Return the fewest sessions S' with t(S' - 1) / sqrt(S') <= t(S - 1) / sqrt(S) / 2: errors fall as 1 / sqrt(S)."""
    aim = float(half_width(1.0, level, S)) / np.sqrt(S) / 2
    below, above = S, 4 * S + 8
    while above - below > 1:
        middle = (below + above) // 2
        wide = scipy.special.stdtrit(middle - 1, 0.5 + level / 2) / np.sqrt(middle) > aim
        below, above = (middle, above) if wide else (below, middle)
    return above

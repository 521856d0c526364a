"""Whether the fit's figures say more than those of the same scores in random order, see `shuffles`.

Sessions that end because of what they scored cannot be shuffled without undoing that: `strategy` doubts these findings
where dropout shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.audit.wording import number, p_text, percent

__all__ = ["shuffled_interference", "shuffled_pairs", "shuffled_r2", "shuffled_rate"]

Floats = NDArray[np.float64]

_REAL = 1e-9  # imaginary part below which an eigenvalue is real


def _place(observed: float, null: Floats) -> tuple[float, float, float, float]:
    """Return the two-sided permutation p-value, and the null's median and 2.5% and 97.5% quantiles."""
    null = null[np.isfinite(null)]
    if not len(null) or not np.isfinite(observed):
        raise CannotSayError("the figure does not exist for these scores")
    slack = 1e-12 * max(1.0, abs(observed))
    below, above = int((null <= observed + slack).sum()), int((null >= observed - slack).sum())
    p = min(1.0, 2 * (1 + min(below, above)) / (1 + len(null)))
    low, middle, high = np.quantile(null, [0.025, 0.5, 0.975])
    return p, float(middle), float(low), float(high)


def _compared(sample: Sample, pair: tuple[float, Floats], what: str) -> Answer:
    observed, null = pair
    p, middle, low, high = _place(observed, null)
    differs = p < sample.options.alpha
    text = (
        f"In random order the scores show {what} of {number(middle)} ({number(low)} to {number(high)}), and in their "
        f"own order {number(observed)}: the order {'matters' if differs else 'makes no difference'} ({p_text(p)})."
    )
    return Answer(observed, text, p, low, high, differs)


def shuffled_rate(sample: Sample) -> Answer:
    """Answer whether the rate differs from that of shuffled scores."""
    return _compared(sample, sample.shuffled.rate, "a rate")


def shuffled_r2(sample: Sample) -> Answer:
    """Answer whether the R2 of steps differs from that of shuffled scores."""
    return _compared(sample, sample.shuffled.r2, "an R2 of steps")


def shuffled_interference(sample: Sample) -> Answer:
    """Answer whether the largest interference differs from that of shuffled scores."""
    if sample.regression.n < 2:
        raise CannotSayError("there is only one objective that explains steps")
    return _compared(sample, sample.shuffled.interference, "a largest interference")


def shuffled_pairs(sample: Sample) -> Answer:
    """Answer whether a complex pair of eigenvalues means more than in shuffled scores.

    The figure is the largest Im.
    """
    if sample.regression.n < 2:
        raise CannotSayError("there is only one objective that explains steps, and oscillation takes two")
    observed, null = sample.shuffled.turning
    share = float((null > _REAL).mean())
    p, _, low, high = _place(observed, null)
    known = f"in random order {percent(share)} of the refits show one"
    if observed <= _REAL:
        return Answer(
            observed, f"The fit shows no complex pair of eigenvalues, and {known} ({p_text(p)}).", p, low, high
        )
    differs = p < sample.options.alpha
    means = "its size is not what random order gives" if differs else "it is no sign of oscillation"
    text = f"The fit shows a complex pair of eigenvalues, but {known}: {means} ({p_text(p)})."
    return Answer(observed, text, p, low, high, differs)

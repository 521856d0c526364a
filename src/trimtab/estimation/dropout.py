"""Mean scores by iteration where sessions end early: of those still running, and of all had they gone on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.panel import Panel
from trimtab.estimation.state_space.likelihood import Model, stacked_law
from trimtab.estimation.state_space.moments import PanelMoments

__all__ = ["MeanCurve", "mean_curve", "plain_law"]

Floats = NDArray[np.float64]

_LONGEST = 400  # scores of one run beyond which nothing is corrected


@dataclass(frozen=True, slots=True, eq=False)
class MeanCurve:
    """Mean scores by iteration, counted from where the strategy takes over.

    Parameters
    ----------
    observed
        (T, n) mean over the runs scored at that iteration. Where runs end because of what they scored, it shows the
        others.
    corrected
        (T, n) mean over all runs, those that ended replaced by what the fitted dynamics expect of them given all
        they scored before. Right where ending depends on scores seen, and on nothing else.
    runs
        (T,) runs scored at that iteration.
    """

    observed: Floats
    corrected: Floats
    runs: NDArray[np.int64]


def plain_law(moments: PanelMoments, phi: Floats, c: Floats, Q: Floats) -> Model:
    """Return the law of runs without score noise and lasting differences, in the moments' units."""
    n = moments.n
    count = sum(pattern.count for pattern in moments.patterns)
    first = sum((pattern.total[:n] for pattern in moments.patterns), np.zeros(n)) / count
    outer = sum((pattern.outer[:n, :n] for pattern in moments.patterns), np.zeros((n, n))) / count
    zero = np.zeros((n, n))
    return Model(phi=phi, c=c, Q=Q, P=outer - np.outer(first, first), U=zero, C=zero, m=first, r=np.zeros(n))


def mean_curve(panel: Panel, moments: PanelMoments, law: Model) -> MeanCurve | None:
    """Return the curves of the runs in `panel`; None where all are scored at the same iterations, or too long.

    E[y | y_o] = m + V_o' V_oo^-1 (y_o - m_o) for the scored part y_o of a run with mean m and covariance V.
    """
    span, n = panel.span, panel.n
    if len(panel.blocks) < 2 or span * n > _LONGEST:
        return None
    mean, V = stacked_law(law, span)
    # A direction without innovation leaves V singular; what is added is far below any score's precision.
    V = V + 1e-9 * np.eye(span * n)
    sums, corrected, runs = np.zeros((span, n)), np.zeros(span * n), np.zeros(span, dtype=np.int64)
    for pattern, block in zip(moments.patterns, panel.blocks, strict=True):
        o = pattern.index
        surprise = pattern.total - pattern.count * mean[o]
        expected = pattern.count * mean + V[:, o] @ np.linalg.solve(V[np.ix_(o, o)], surprise)
        expected[o] = pattern.total
        corrected += expected
        sums[block.at] += pattern.total.reshape(-1, n)
        runs[block.at] += pattern.count
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = sums / np.where(runs > 0, runs, np.nan)[:, None]
    everything = corrected.reshape(span, n) / sum(pattern.count for pattern in moments.patterns)
    return MeanCurve(observed * moments.scale + moments.center, everything * moments.scale + moments.center, runs)

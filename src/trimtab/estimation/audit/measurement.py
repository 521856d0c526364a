"""What the scores themselves are like: at their bounds, on a coarse grid, unchanged."""

from __future__ import annotations

import numpy as np

from trimtab.core.trajectories import OK
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.audit.wording import listed, named, percent
from trimtab.estimation.cautions import BOUND_SHARE, at_bound, rows_of

__all__ = ["at_bounds", "coarse", "unchanged"]

_MORE = 1.5  # times as many as chance makes from which on something else is at work

LEVELS = 10
"""Distinct scores of an objective below which its grid counts as coarse."""

UNCHANGED = 0.05
"""Share of steps that change nothing at all from which on it is said: a continuous model has none."""


def at_bounds(sample: Sample) -> Answer:
    """Answer whether scores are off their bounds.

    The figure is the largest share of an objective's scores at a bound.
    """
    space = sample.trajectories.space
    shares = at_bound(sample.trajectories, rows_of(sample.trajectories, sample.code))
    if not np.isfinite(shares).any():
        raise CannotSayError("no score is known")
    largest = float(np.nanmax(shares))
    beyond = [j for j in np.argsort(-np.nan_to_num(shares)) if shares[j] > BOUND_SHARE]
    if beyond:
        where = listed([f"{named(space.names[j])} {percent(shares[j])}" for j in beyond])
        text = f"Scores sit at a bound ({where}), which distorts rates and regimes from about 2% on."
        return Answer(largest, text, holds=False)
    return Answer(largest, f"At most {percent(largest)} of an objective's scores lie at a bound.", holds=True)


def coarse(sample: Sample) -> Answer:
    """Answer whether the scores are fine enough.

    The figure is the smallest number of distinct scores of an objective.
    """
    t = sample.trajectories
    rows = rows_of(t, sample.code)
    scores, known = t.scores[rows], t.status[rows] == OK
    levels = np.array([len(np.unique(scores[known[:, j], j])) for j in range(t.space.n)])
    count = known.sum(axis=0)
    if not count.any():
        raise CannotSayError("no score is known")
    there = np.flatnonzero(count > 0)
    few = [j for j in there[np.argsort(levels[there])] if levels[j] < LEVELS]
    least = float(levels[there].min())
    if few:
        where = listed([f"{named(t.space.names[j])} {levels[j]} among {count[j]:,}" for j in few])
        text = f"Few distinct scores ({where}): small movements are rounded away, and no step is Gaussian."
        return Answer(least, text, holds=False)
    j = int(there[levels[there].argmin()])
    share = percent(levels[j] / count[j])
    where = f"{share} of its scores in {named(t.space.names[j])}"
    text = f"Every objective takes {int(least):,} distinct scores or more ({where})."
    return Answer(least, text, holds=True)


def unchanged(sample: Sample) -> Answer:
    """Answer whether every step changes something.

    The figure is the share of steps that change no objective.
    """
    dx, names = sample.steps.dx, sample.trajectories.space.names
    if not len(dx):
        raise CannotSayError("there is no complete step")
    still = dx == 0
    share, by_objective = float(still.all(axis=1).mean()), still.mean(axis=0)
    j = int(by_objective.argmax())
    one = f"{percent(by_objective[j])} leave {named(names[j])} as it was"
    figures = f"{percent(share)} of the steps change no score, and {one}"
    if share <= UNCHANGED:
        return Answer(share, f"{figures}.", holds=True)
    # Where scores stand still independently of each other, all of them do by coincidence.
    chance = float(by_objective.prod())
    if len(names) == 1:
        why = "either the scores are coarse, or steps that do nothing are mixed with steps that do"
    elif share > _MORE * chance:
        why = f"coarse scores explain {percent(chance)}, so that steps that do nothing are mixed with steps that do"
    else:
        why = "coarse scores alone explain as many"
    return Answer(share, f"{figures}: {why}.", holds=False)

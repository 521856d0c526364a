"""Which mixed model describes the groups: whether starts matter, and whether speed differs as well as level."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import FitError
from trimtab.estimation.moments import Moments
from trimtab.estimation.pooling.groups import group_sums, within_p_value
from trimtab.estimation.pooling.mixed_model import MixedFit, fit_mixed
from trimtab.estimation.pooling.population import group_coefficients
from trimtab.estimation.pooling.results import Varying

__all__ = ["DIFFERENT", "Choice", "choose"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIFFERENT = 0.01
"""p-value below which sessions of one group are said to differ in level for good."""

PER_START = 5
"""Groups for each coefficient of the mean start below which a group's level is taken not to depend on it."""

MOST_GROUPS = 1_000
"""Groups above which differences of A are looked for only where they are asked for, because that takes long."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The model chosen.

    Parameters
    ----------
    varies, starts, fit
        What differs between groups, the mean starts (G, h) that their level depends on, and the fit.
    bic
        Of the alternatives that were tried.
    within_p_value
        See `groups.within_p_value`; of the alternative with the least BIC.
    """

    varies: Varying
    starts: Floats
    fit: MixedFit
    bic: Mapping[Varying, float]
    within_p_value: float


def choose(own: Moments, group: Ints, by_group: Moments, starts: Floats, varies: Varying | None) -> Choice:
    """Fit and choose.

    The starts stay wherever there are groups enough, and not only where a test finds that levels depend on them: where
    they do and it does not find so, intervals of the rate cover too seldom, and keeping them costs little precision. A
    differs between groups where that has the smaller BIC, unless sessions of one group differ in level for good: that
    would pass for differences of A.

    Parameters
    ----------
    own, group
        Moments by session, and the group of each, (S,).
    by_group
        The same by group.
    starts
        (G, h) mean starts.
    varies
        What differs; to be chosen if None.
    """
    G, first = len(starts), varies or "levels"
    if PER_START * (1 + starts.shape[1]) > G:
        starts = starts[:, :0]
    fits: dict[Varying, MixedFit] = {first: _fit(by_group, starts, first)}
    if varies is None and G <= MOST_GROUPS:
        # A population of drifts that cannot be fitted is no reason to do without the simpler one.
        with suppress(FitError):
            fits["levels and A"] = _fit(by_group, starts, "levels and A")
    bic = {key: -2 * one.log_likelihood + one.parameters * log(G) for key, one in fits.items()}
    chosen = min(bic, key=lambda key: bic[key])
    # Under one A for all, sessions from different starts would seem to differ in level where A differs.
    fit = fits[chosen]
    within = within_p_value(own, group, group_coefficients(fit, starts), fit.Q)
    if varies is None and within < DIFFERENT:
        chosen = "levels"
    return Choice(chosen, starts, fits[chosen], bic, within)


def _fit(by_group: Moments, starts: Floats, varies: Varying) -> MixedFit:
    n, h = by_group.n, starts.shape[1]
    q = 1 if varies == "levels" else 1 + n
    free = np.eye(q * n, dtype=bool)
    free[:n, :n] = True
    # The intercept and the starts are there before the first step; the states are not.
    before = np.array([True] + [False] * n + [True] * h)
    return fit_mixed(group_sums(by_group, starts), q, free, before)

"""What pooling over groups holds: the population, every group, and how much they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.core.by_name import ByStrategy
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.estimation.estimates import ArrayEstimate, Estimate
from trimtab.estimation.pooling.groups import Heterogeneity

__all__ = ["Between", "GroupFit", "Pooling", "StrategyPooling", "Varying"]

Floats = NDArray[np.float64]
Varying = Literal["levels", "levels and A"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupFit:
    """One group, drawn towards the population as far as its own steps leave room.

    Parameters
    ----------
    rate, equilibrium
        Of the group's shrunken drift; one rate for all groups where only levels vary. The equilibrium is (n,), nan for
        objectives that explain no step.
    own_rate
        Of least squares of the group's own steps, nan where they do not identify it.
    shrinkage
        How far the group's level was drawn to what is expected of a group with its mean start: 0 where its own steps
        decide, 1 where they say nothing. It is the share of the variance of levels between such groups that is left
        once its steps are known.
    distance
        Distance of its drift from the population, in standard deviations between groups.
    """

    name: str
    sessions: int
    steps: int
    rate: Estimate
    own_rate: float
    equilibrium: ArrayEstimate
    shrinkage: float
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Standard deviations between groups: of the drift at the mean state (n,), equilibrium (n,), rate, average rate."""

    drift: Floats
    equilibrium: Floats
    rate: float
    smooth_rate: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyPooling:
    """Groups of sessions under one strategy: dx_t = (A_g x_t + b_g) dt + e_t with (A_g, b_g) drawn from a population.

    Parameters
    ----------
    name, group
        Strategy and the column that names the groups.
    varies
        What differs between groups; ``"levels"`` is b alone.
    bic
        Of each alternative tried: -2 log likelihood + parameters x log(number of groups). The least was chosen, but
        ``"levels"`` where sessions of one group differ in level for good: that would pass for differences of A.
    A, b, Q
        Mean drift of the population, (k, k) and (k,), and the covariance of a step within a group, (k, k), of the k
        objectives that are `active`.
    active
        (n,) objectives that explain steps.
    rate, smooth_rate, equilibrium
        Of that mean drift, with intervals from its sampling distribution over groups, in which the variances between
        and within groups are unknown as well.
    plain_rate
        What least squares of all steps gives, which takes lasting differences between groups for slowness.
    groups
        By decreasing distance from the population.
    between
        Standard deviations between groups.
    heterogeneity
        The test of "groups do not differ in level".
    within_p_value
        Of "sessions of one group do not differ in level"; nan where each group has one session.
    starts
        True where a group's level may depend on its mean start.
    """

    name: str
    group: str
    space: ObjectiveSpace
    level: float
    dt: float
    sessions: int
    steps: int
    varies: Varying
    bic: Mapping[Varying, float]
    A: Floats
    b: Floats
    Q: Floats
    active: NDArray[np.bool_]
    rate: Estimate
    smooth_rate: Estimate
    equilibrium: ArrayEstimate
    plain_rate: float
    groups: tuple[GroupFit, ...]
    between: Between
    heterogeneity: Heterogeneity
    within_p_value: float
    starts: bool
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"StrategyPooling({self.name!r}, groups={len(self.groups)}, rate={self.rate!s})"

    def __getitem__(self, name: str) -> GroupFit:
        for one in self.groups:
            if one.name == name:
                return one
        raise InputError(
            f"no {self.group} is called {name!r}; the first are {', '.join(g.name for g in self.groups[:5])}"
        )

    @property
    def settles(self) -> bool:
        """Whether groups return to levels of their own, that is, whether the interval of the rate excludes 0."""
        return self.rate.low > 0

    @property
    def verdict(self) -> str:
        """What the figures mean, in plain words."""
        from trimtab.estimation.pooling.summary import verdict

        return verdict(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pooling(ByStrategy[StrategyPooling]):
    """Partial pooling of every strategy: ``pooling["EF"]``; iterating gives the names."""

    space: ObjectiveSpace
    group: str
    dt: float
    level: float
    seed: int
    strategies: Mapping[str, StrategyPooling]
    warnings: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Pooling by {self.group} under {', '.join(self.strategies)}; print(pooling.summary()) for all"

    def summary(self) -> str:
        """Return tables and verdicts as text for a terminal."""
        from trimtab.estimation.pooling.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.pooling/1``, as plain Python values."""
        from trimtab.estimation.pooling.document import document

        return document(self)

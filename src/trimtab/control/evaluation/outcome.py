"""Outcome: what sessions under one policy came to, in true utility, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.control.evaluation.world import Sessions
from trimtab.control.floor import Floor
from trimtab.control.goal import POINTS, Goal
from trimtab.dynamics.pareto import hypervolume

__all__ = ["Figure", "Outcome", "Passed", "binomial_interval", "outcome_of", "paired", "share_of_gain"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_95 = 1.959964
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over sessions with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Passed:
    """How often sessions truly passed a floor.

    Parameters
    ----------
    count, of
        Times it was passed, of so many kept iterates, or of so many iterates after the first for a floor on each.
    low, high
        95% interval of the chance. Exact (Clopper and Pearson 1934) for kept iterates, which are independent; for a
        floor on each, that of as many independent iterates as carry the same information (Korn and Graubard 1998).
    """

    floor: Floor
    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Share of iterates that passed it."""
        return self.count / self.of if self.of else float("nan")

    @property
    def verdict(self) -> str:
        """``"kept"`` or ``"broken"`` where the chance is surely below or above what is allowed, or ``"open"``."""
        return "kept" if self.high <= self.floor.alpha else "broken" if self.low > self.floor.alpha else "open"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What S sessions under one policy came to.

    Parameters
    ----------
    utility
        (S,) true utility of the iterate that was kept; for a set-valued utility, of all iterates seen.
    cost
        (S,) of all its iterations.
    used
        (S,) iterations.
    hypervolume
        (S,) share of the box that the true iterates dominate; not-a-number where a scale is open.
    asked
        (S,) whether a human was called.
    uses
        (K,) iterations by each strategy.
    passed
        One entry per floor.
    fired
        In how many sessions each trigger fired.
    steps
        (S, T, n) true step changes in goodness, see `Goal`; not-a-number after the end.
    """

    name: str
    utility: Floats
    cost: Floats
    used: Ints
    hypervolume: Floats
    asked: Bools
    uses: Ints
    passed: tuple[Passed, ...]
    steps: Floats
    fired: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.utility)

    @property
    def net(self) -> Floats:
        """Utility less cost, (S,)."""
        return np.asarray(self.utility - self.cost)


def outcome_of(
    name: str, ran: Sessions, goal: Goal, strategies: tuple[str, ...], triggers: Sequence[str] = ()
) -> Outcome:
    """Return what sessions came to by the true states behind their scores; `triggers` are named in their order."""
    seen: Bools = np.asarray(np.isfinite(ran.states).all(axis=-1))
    volumes = _hypervolumes(ran.states, seen, goal)
    if goal.set_valued:
        holds = seen & goal.acceptable(ran.states, None)
        utility = POINTS * (volumes if holds.sum() == seen.sum() else _hypervolumes(ran.states, holds, goal))
    else:
        utility = goal.value(ran.kept)
    used_by = np.array([(ran.strategy == k).sum(axis=1) for k in range(len(strategies))])
    rows = np.arange(len(ran.states))[:, None]
    good = goal.goodness(ran.states)
    before = good[rows, np.maximum(ran.base, 0)]
    return Outcome(
        name, np.asarray(utility), np.asarray(goal.cost_of(strategies) @ used_by), ran.used, volumes, ran.asked,
        used_by.sum(axis=1), tuple(_passed(floor, ran, goal) for floor in goal.floors), good[:, 1:] - before,
        dict(zip(triggers, ran.fired.sum(axis=0).tolist(), strict=True)),
    )  # fmt: skip


def paired(one: Floats, other: Floats | float = 0.0) -> Figure:
    """Return the mean difference of two policies on the same sessions (S,), with its 95% interval."""
    difference = one - other
    mean = float(difference.mean())
    half = _95 * float(difference.std(ddof=1)) / np.sqrt(len(difference)) if len(difference) > 1 else float("nan")
    return Figure(mean, mean - half, mean + half)


def share_of_gain(policy: Floats, baseline: Floats, oracle: Floats) -> Figure:
    """Return mean(policy - baseline) / mean(oracle - baseline) over the same sessions (S,), with its 95% interval.

    The interval is that of the ratio of two paired means by the delta method. Not-a-number where the oracle is not
    better than the baseline beyond chance, since there is then no gain to have a share of.
    """
    whole = paired(oracle, baseline)
    if not whole.low > 0:
        return Figure(float("nan"), float("nan"), float("nan"))
    share = paired(policy, baseline).mean / whole.mean
    residual = paired((policy - baseline - share * (oracle - baseline)) / whole.mean)
    return Figure(share, share + residual.low, share + residual.high)


def binomial_interval(count: float, of: float) -> tuple[float, float]:
    """Return the exact 95% interval of a chance (Clopper and Pearson 1934), whose ends are quantiles of Beta laws."""
    if of <= 0:
        return 0.0, 1.0
    tail = (1 - _LEVEL) / 2
    low = float(scipy.special.betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(scipy.special.betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return low, high


def _passed(floor: Floor, ran: Sessions, goal: Goal) -> Passed:
    j = goal.space.index(floor.objective)
    short = goal.space.sign[j] * (floor.level - ran.states[..., j])
    if floor.on == "kept":
        own = short[np.arange(len(short)), ran.keep] > 0
        return Passed(floor, int(own.sum()), len(own), *binomial_interval(int(own.sum()), len(own)))
    seen = np.isfinite(short[:, 1:])
    each, lengths = (np.where(seen, short[:, 1:], -1.0) > 0).sum(axis=1), seen.sum(axis=1)
    count, of = int(each.sum()), int(lengths.sum())
    return Passed(floor, count, of, *_clustered_interval(each, lengths))


def _clustered_interval(count: Ints, of: Ints) -> tuple[float, float]:
    """Return the interval of a chance from counts (S,) of so many in each session, which need not be independent."""
    total, S = float(of.sum()), len(of)
    if total == 0:
        return 0.0, 1.0
    p = float(count.sum()) / total
    variance = float(((count - p * of) ** 2).sum()) / total**2 * S / max(S - 1, 1)
    # Where nothing or everything passed, nothing shows how alike a session's iterates are: count each session once.
    size = min(p * (1 - p) / variance, total) if variance > 0 else min(S, total)
    return binomial_interval(p * size, size)


def _hypervolumes(states: Floats, chosen: Bools, goal: Goal) -> Floats:
    space = goal.space
    if not all(one.bounded for one in space):
        return np.full(len(states), np.nan)
    return np.array(
        [hypervolume(x[own], space.low, space.high, space.sign) for x, own in zip(states, chosen, strict=True)]
    )

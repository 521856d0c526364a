"""predictive: look ahead with the fitted dynamics, and do what promises most."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trimtab.control.grid_plan import ValueGrids, grid_plan
from trimtab.control.knowledge import Drifts
from trimtab.control.lookahead import Effort, Plan, look_ahead
from trimtab.control.policies.preference import preferred
from trimtab.control.situation import Choice, Situation
from trimtab.errors import InputError

__all__ = ["Predictive"]

_REASONS = (
    "{strategy} promises a gain of {gain}, more than any other strategy",
    "no strategy promises a gain of {least} or more after its cost: the most is {gain} by {best}",
)
_95 = 1.959964


@dataclass(frozen=True)
class Predictive:
    """Receding horizon over strategies, replanned after every iteration.

    What follows the first step is read from a value grid where that can be had (`trimtab.control.grid_plan`), and
    otherwise looked for among sequences of strategies (`trimtab.control.lookahead`).

    Parameters
    ----------
    effort
        How finely values are computed.
    hedge
        ``None``: the expected value over the drifts that the data leave possible. Otherwise a level in (0, 1): the mean
        over that share of the drifts that are worst for the strategy (conditional value at risk).
    explore
        How much strategies of which too little is known are tried first, see `trimtab.control.policies.preference`; 0
        for not at all.
    """

    name: str = field(default="predictive", init=False)
    effort: Effort = field(default_factory=Effort)
    hedge: float | None = None
    explore: float = 1.0
    _grids: ValueGrids = field(default_factory=ValueGrids, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.hedge is not None and not 0 < self.hedge < 1:
            raise InputError(f"a hedge is a level between 0 and 1, but got {self.hedge!r}")
        if not 0 <= self.explore < np.inf:
            raise InputError(f"explore is a factor of 0 or more, but got {self.explore!r}")

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        drifts = now.knowledge.draws(self.effort.draws, now.seed, "predictive")
        grid = self._grids.of(now, self.effort.horizon)
        if grid is None:
            plan = self._looked(now, drifts)
        else:
            plan = grid_plan(now, drifts, grid, min(now.left, self.effort.horizon))
        return chosen(now, plan, self.hedge, self.explore)

    def _looked(self, now: Situation, drifts: Drifts) -> Plan:
        beliefs = now.beliefs
        return look_ahead(
            now.goal,
            now.knowledge,
            drifts,
            beliefs.mean,
            beliefs.covariance,
            now.carry,
            now.left,
            self.effort,
            kept=now.kept,
        )


def chosen(now: Situation, plan: Plan, hedge: float | None = None, explore: float = 0.0) -> Choice:
    """Return the choice that a plan makes, strategies of which too little is known coming first."""
    mean = score = plan.value - plan.now[:, None]
    sd = plan.by_drift.std(axis=-1)
    if hedge is not None:
        worst = max(1, round(hedge * plan.by_drift.shape[-1]))
        score = np.sort(plan.by_drift, axis=-1)[..., :worst].mean(axis=-1) - plan.now[:, None]
    # What is kept cannot become worse, so that a gain cannot be less than the cost.
    low = np.maximum(mean - _95 * sd, -now.goal.cost_of(now.knowledge.strategies))
    spread = np.stack([mean, low, mean + _95 * sd], axis=-1)
    first = np.zeros(len(now), dtype=np.int64)
    return preferred(now, score, first, _REASONS, gain=spread, promise=score, explore=explore, little=1)

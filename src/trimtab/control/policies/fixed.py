"""fixed, schedule: strategies in an order that was set before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trimtab.control.policies.preference import preferred, strategy_index
from trimtab.control.situation import Choice, Situation
from trimtab.errors import InputError
from trimtab.forecasting.schedule import MOST_STEPS, parse_schedule

__all__ = ["PAPER", "Schedule"]

PAPER = "FFx3,SFx4,EFx3,AI"
"""The paper's order (C.1): functionality first, then security, then efficiency, and a balanced strategy to the end."""


@dataclass(frozen=True)
class Schedule:
    """Follow a list of strategies, one iteration each; the last one holds until the budget is spent.

    With a single strategy this is the policy ``fixed``. Needs no dynamics, and never stops because of a cost. Where a
    floor on each iterate forbids a strategy, the next one of the list that it allows stands in; where it forbids all,
    the session stops.

    Parameters
    ----------
    strategies
        Names, one for each iteration; or a text such as ``"FFx3,SFx4,EF"``; the paper's order if None.
    name
        ``"fixed"`` or ``"schedule"``.
    """

    strategies: Sequence[str] | str | None = None
    name: str = "schedule"

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        known = now.knowledge.strategies
        order = self.order(known)
        ahead = dict.fromkeys(order[min(now.t, len(order) - 1) :])
        score = np.full(len(known), -np.inf)
        score[[strategy_index(name, known, self.name) for name in ahead]] = -np.arange(len(ahead))
        S = len(now)
        reasons = ("{strategy} is the only strategy set",) if len(set(order)) == 1 else (
            "{strategy} is next in the order that was set",
        )  # fmt: skip
        return preferred(now, np.tile(score, (S, 1)), np.zeros(S, dtype=np.int64), reasons, explore=0)

    def order(self, known: Sequence[str]) -> tuple[str, ...]:
        """Return the strategy of each iteration; the last one holds on.

        Raises
        ------
        InputError
            If the schedule cannot be read, or names a strategy that there is not.
        """
        if self.strategies is None:
            missing = [name for name in ("FF", "SF", "EF", "AI") if name not in known]
            if missing:
                raise InputError(
                    f"the policy {self.name!r} follows {PAPER} unless told otherwise, but the strategies are "
                    f'{", ".join(known)}: give an order, such as "FFx3,SFx4,EF"'
                )
            return _parsed(PAPER, tuple(known))
        if isinstance(self.strategies, str):
            return _parsed(self.strategies, tuple(known))
        if not self.strategies:
            raise InputError(f"the policy {self.name!r} needs at least one strategy, but got none")
        return tuple(self.strategies)


@lru_cache(maxsize=32)
def _parsed(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    steps = parse_schedule(text, known, default=MOST_STEPS)
    end = len(steps)
    while end > 1 and steps[end - 2] == steps[-1]:  # the last one holds anyway
        end -= 1
    return steps[:end]

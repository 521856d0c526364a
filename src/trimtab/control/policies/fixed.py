"""fixed, schedule: strategies in an order that was set before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trimtab.control.situation import STOP, Choice, Situation
from trimtab.errors import InputError

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """Follow a list of strategies, one iteration each; the last one holds until the budget is spent.

    With a single strategy this is the policy ``fixed``.
    """

    strategies: Sequence[str]
    name: str = field(default="schedule")

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        known = now.knowledge.strategies
        wanted = self.strategies[min(now.t, len(self.strategies) - 1)]
        if wanted not in known:
            raise InputError(
                f"the policy {self.name!r} needs the strategy {wanted!r}, but there are {', '.join(known)}"
            )
        S = len(now)
        action = np.full(S, known.index(wanted) if now.left > 0 else STOP)
        return Choice(action, np.zeros(S, dtype=np.int64), ("{strategy} is next in the order that was set",))

"""thompson: act as if one drift, drawn from what is possible, were true (Thompson 1933)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trimtab.control.knowledge import Drifts
from trimtab.control.lookahead import Effort, look_ahead
from trimtab.control.policies.preference import preferred
from trimtab.control.situation import Choice, Situation
from trimtab.core.streams import stream_seed

__all__ = ["Thompson"]

_POOL = 64  # drifts that sessions are given, so that many sessions are planned together
_REASONS = (
    "{strategy} promises a gain of {gain}, more than any other, under a drift drawn from those that the data allow",
    "under a drift drawn from those that the data allow, no strategy promises {least} or more: the most is {gain} "
    "by {best}",
)


@dataclass(frozen=True)
class Thompson:
    """Posterior sampling: each session is given one drift from the posterior, and does what is best under it.

    A strategy whose dynamics are unknown has drifts that promise much in some sessions, and is used there, until enough
    is known of it: exploration as far as it may pay (Russo, Van Roy, Kazerouni, Osband and Wen 2018). The drift hangs
    on the session's name and on nothing else, and is one of 64, so that the plans of many sessions are made together.
    Stops where no strategy is worth its cost under that drift.

    Parameters
    ----------
    effort
        How finely values are computed; its draws do not count.
    """

    effort: Effort = field(default_factory=lambda: Effort(draws=1, outcomes=32))
    name: str = field(default="thompson", init=False)

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        S, K = len(now), len(now.knowledge.strategies)
        pool = now.knowledge.draws(_POOL, now.seed, "thompson")
        given = np.array([stream_seed(now.seed, "thompson", key) % _POOL for key in now.keys])
        gain = np.full((S, K, 3), np.nan)  # one drift has no interval
        for one in np.unique(given):
            at = given == one
            drift = Drifts(pool.F[one : one + 1], pool.c[one : one + 1], pool.Q)
            plan = look_ahead(
                now.goal, now.knowledge, drift, now.beliefs.mean[at], now.beliefs.covariance[at], now.carry[at],
                max(now.left, 1), self.effort,
            )  # fmt: skip
            gain[at, :, 0] = plan.value - plan.now[:, None]
        first = np.zeros(S, dtype=np.int64)
        return preferred(now, gain[..., 0], first, _REASONS, explore=0, gain=gain, little=1)

"""sequential, simultaneous: one objective after another, or all at once (paper, B.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.control.knowledge import Knowledge
from trimtab.control.outlook import held
from trimtab.control.policies.preference import preferred
from trimtab.control.situation import Choice, Situation
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.errors import InputError

__all__ = ["Sequential", "Simultaneous", "handling_order", "known_interference"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sequential:
    """Give each objective a share of the session in which nothing else counts.

    The session's budget is cut into n stages of equal length. In each, the strategy is used that would bring the
    stage's objective furthest by the end of the stage, held until then, with the mean drift. The paper's hypothesis is
    that objectives handled one after another do not interfere; compare `Simultaneous`. Does not stop because of a cost.
    Strategies hardly known are first tried in turn.

    Parameters
    ----------
    order
        Names of objectives, first to last, or a text such as ``"functionality>security"``; those left out follow. By
        the interference matrix if None, see `handling_order`.
    """

    order: Sequence[str] | str | None = None
    name: str = field(default="sequential", init=False)

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        S, n, space = len(now), now.goal.space.n, now.goal.space
        order = self._order(now.knowledge)
        stage = min(now.t * n // now.budget, n - 1)
        end = -(-(stage + 1) * now.budget // n)
        reached = now.goal.goodness(held(now.knowledge, now.beliefs.mean, max(end - now.t, 1)))
        facts = {
            "objective": np.full(S, space.names[order[stage]], dtype=object),
            "stage": np.full(S, stage + 1),
            "stages": np.full(S, n),
        }
        reason = "in stage {stage} of {stages}, which is for {objective}, {strategy} takes it furthest"
        return preferred(now, reached[..., order[stage]], np.zeros(S, dtype=np.int64), (reason,), facts)

    def _order(self, knowledge: Knowledge) -> list[int]:
        space = knowledge.space
        if self.order is None:
            return handling_order(known_interference(knowledge))
        given = self.order.split(">") if isinstance(self.order, str) else self.order
        first = [space.index(name.strip()) for name in given]
        if len(set(first)) < len(first):
            raise InputError(f"an order names each objective once, but got {self.order!r:.200}")
        return first + [j for j in range(space.n) if j not in first]


@dataclass(frozen=True)
class Simultaneous:
    """Handle all objectives at once: the strategy with the greatest utility at the end of the session, held until then.

    The counterpart of `Sequential`: one stage, in which the goal's own utility counts. It goes by the mean drift and
    where that leads, as if nothing were uncertain and only the last iterate could be kept; `Predictive` does better.
    Does not stop because of a cost. Strategies hardly known are first tried in turn.
    """

    name: str = field(default="simultaneous", init=False)

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        reached = now.goal.value(held(now.knowledge, now.beliefs.mean, max(now.left, 1)))
        reason = "{strategy} leads to the greatest utility of all objectives together"
        return preferred(now, reached, np.zeros(len(now), dtype=np.int64), (reason,))


def known_interference(knowledge: Knowledge) -> Floats:
    """Return the interference matrix (paper, eq. 4), (n, n): the mean over strategies of what their steps show.

    A strategy's posterior holds the sum of w w' over its steps, w = [1, u, du], and so Cov(du) = T_dd / N - m m' with
    m = T_1d / N. Objectives that are minimised are turned round: positive means that two get better together.
    """
    k = 1 + knowledge.n
    N = knowledge.total[:, 0, 0]
    m = knowledge.total[:, 0, k:] / N[:, None]
    covariance = knowledge.total[:, k:, k:] / N[:, None, None] - m[:, :, None] * m[:, None, :]
    sign = knowledge.space.sign
    return np.asarray(np.nan_to_num(interference_from_covariance(covariance)).mean(axis=0) * sign * sign[:, None])


def handling_order(interference: Floats) -> list[int]:
    """Return the order in which to handle objectives: the one at odds with the others most comes first.

    An objective's steps disturb the others as much as its row of the interference matrix says, and what is handled
    later repairs that. The matrix is symmetric, so it cannot say which of two disturbs the other.
    """
    return [int(j) for j in interference.sum(axis=1).argsort(kind="stable")]

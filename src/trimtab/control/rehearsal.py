"""Rehearsal: a decision before the first session, so that what cannot be used shows before anything depends on it."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.situation import Policy
from trimtab.control.track import Track
from trimtab.control.triggers import Trigger, fired

__all__ = ["rehearse"]


def rehearse(
    goal: Goal, knowledge: Knowledge, policies: Sequence[Policy], triggers: Sequence[Trigger] = (), seed: int = 0
) -> None:
    """Let policies decide on a session of one step that starts where sessions start on average.

    Raises
    ------
    InputError
        If a policy names a strategy or an objective that there is not, a trigger does, or the utility cannot be used.
    """
    start = knowledge.start_mean.clip(goal.space.low, goal.space.high)
    now = Track(goal, knowledge, 1, seed, ["rehearsal"], start[None]).situation()
    for policy in policies:
        policy.choose(now)
    fired(triggers, now)

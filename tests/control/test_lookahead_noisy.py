"""The lookahead for noisy scores, where it has to agree with the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.steering import known, situation
from trimtab.control.goal import Goal
from trimtab.control.lookahead import Effort, look_ahead
from trimtab.core.objectives import ObjectiveSpace


@pytest.mark.parametrize("at", [0.5, 5.0, 9.5])
def test_next_to_no_noise_promises_what_none_does_also_at_the_bounds(at: float) -> None:
    space = ObjectiveSpace(["a", "b"])
    # "past" leads far beyond both bounds, from where "back" would return with a swing that no true state can make.
    F = {"past": np.eye(2), "back": -0.8 * np.eye(2)}
    knowledge = known(space, F, {"past": [15.0, -15.0], "back": [9.0, 9.0]}, 0.2 * np.eye(2))
    goal, effort = Goal(space, "worst"), Effort(draws=1, outcomes=64, paths=32, horizon=4)
    gains = []
    for noise in (0.0, 1e-4):
        now = situation(goal, replace(knowledge, score_noise=np.full(2, noise)), np.full((1, 1, 2), at))
        drifts, beliefs = now.knowledge.mean, now.beliefs
        plan = look_ahead(
            goal, now.knowledge, drifts, beliefs.mean, beliefs.covariance, now.carry, now.left, effort, kept=now.kept
        )
        gains.append(plan.value - plan.now[:, None])
    np.testing.assert_allclose(gains[1], gains[0], atol=0.15)

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from support.steering import known, situation
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.leverage import leverage
from trimtab.control.outlook import floor_chance, held, next_iterate, standing
from trimtab.core.objectives import ObjectiveSpace

SPACE = ObjectiveSpace(["quality", "cost:0:20:min"])
F = {"up": [[0.5, 0.1], [0.0, 0.8]], "down": [[0.9, 0.0], [0.2, 0.3]]}
C = {"up": [4.0, 2.0], "down": [0.0, 5.0]}
Q = [[0.4, 0.1], [0.1, 0.9]]


def seen_steps(knowledge: Knowledge, count: int, seed: int) -> Knowledge:
    """Return what is known after `count` steps from scattered states by each strategy."""
    rng = np.random.default_rng(seed)
    K, n = len(knowledge.strategies), knowledge.n
    sums = np.empty((K, 1 + 2 * n, 1 + 2 * n))
    for k in range(K):
        u, du = rng.normal(size=(count, n)), rng.normal(0, 0.5, (count, n))
        w = np.concatenate([np.ones((count, 1)), u, du], axis=1)
        sums[k] = w.T @ w
    return knowledge.added(sums)


def test_the_next_iterates_law_is_that_of_simulated_drifts_states_and_innovations() -> None:
    knowledge = seen_steps(Knowledge.none(SPACE, ["up", "down"], {"quality": 0.7, "cost": 1.1}), 12, 1)
    now = situation(Goal(SPACE), knowledge, [[[4.0, 9.0], [5.0, 8.0]], [[2.0, 1.0], [1.0, 2.0]]])
    mean, covariance = next_iterate(knowledge, now.beliefs.mean, now.beliefs.covariance)
    rng, count = np.random.default_rng(2), 40_000
    drifts = knowledge.draws(count, 3)
    for s in range(2):
        x = rng.multivariate_normal(now.beliefs.mean[s], now.beliefs.covariance[s], size=count)
        for k in range(2):
            w = rng.multivariate_normal(np.zeros(2), drifts.Q[k], size=count)
            after = np.einsum("dij,dj->di", drifts.F[:, k], x) + drifts.c[:, k] + w
            sd = np.sqrt(np.diagonal(covariance[s, k]))
            assert (np.abs(after.mean(axis=0) - mean[s, k]) <= 6 * sd / np.sqrt(count)).all()
            # Products of normals have heavier tails than normal ones, hence a little more than sqrt(2 / count).
            assert np.abs(np.cov(after.T) / np.outer(sd, sd) - covariance[s, k] / np.outer(sd, sd)).max() < 0.05


def test_a_sessions_own_level_shifts_its_outlook() -> None:
    knowledge = known(SPACE, F, C, Q, session_sd=[0.5, 1.0])
    mean = np.array([[5.0, 6.0, 2.0, -1.0]])
    center, covariance = next_iterate(knowledge, mean, np.diag([0.0, 0.0, 0.3, 0.2])[None])
    expected = np.array(F["up"]) @ [5.0, 6.0] + C["up"] + [0.5 * 2.0, 1.0 * -1.0]
    assert center[0, 0] == pytest.approx(expected, abs=1e-6)
    assert covariance[0, 0] == pytest.approx(np.array(Q) + np.diag([0.25 * 0.3, 1.0 * 0.2]), abs=1e-6)
    assert held(knowledge, mean, 1)[0, 0] == pytest.approx(expected, abs=1e-6)


def test_the_chance_of_passing_a_floor_is_the_normal_one() -> None:
    knowledge = known(SPACE, F, C, Q)
    goal = Goal(SPACE, floors=(Floor("quality", 5.0, 0.1, "each"), Floor("cost", 9.0, 0.2, "each"), Floor("cost", 1.0)))
    chance = floor_chance(goal, knowledge, np.array([[5.0, 10.0]]), np.zeros((1, 2, 2)))
    up = max(stats.norm.cdf(5.0, 7.5, 0.4**0.5) / 0.1, stats.norm.sf(9.0, 10.0, 0.9**0.5) / 0.2)
    down = max(stats.norm.cdf(5.0, 4.5, 0.4**0.5) / 0.1, stats.norm.sf(9.0, 9.0, 0.9**0.5) / 0.2)
    assert chance[0] == pytest.approx([up, down], rel=1e-5)


def test_holding_a_strategy_iterates_its_mean_drift_within_the_bounds() -> None:
    knowledge = known(SPACE, {"out": [[1.5, 0.0], [0.0, 1.0]]}, {"out": [0.0, -7.0]}, Q)
    assert held(knowledge, np.array([[2.0, 15.0]]), 2)[0, 0] == pytest.approx([4.5, 1.0], abs=1e-5)
    assert held(knowledge, np.array([[2.0, 15.0]]), 9)[0, 0] == pytest.approx([10.0, 0.0])


def test_doubt_about_the_drift_shrinks_with_steps_and_grows_away_from_them() -> None:
    few = seen_steps(Knowledge.none(SPACE, ["up", "down"]), 10, 4)
    many = seen_steps(few, 200, 5)
    x = np.array([[5.0, 10.0], [10.0, 20.0]])
    assert (leverage(many, x) < leverage(few, x) / 5).all()
    assert (leverage(few, x)[1] > leverage(few, x)[0]).all()


def test_standing_at_an_earlier_iterate_is_what_the_filter_returns_to() -> None:
    knowledge = known(SPACE, F, C, Q, score_noise=[0.5, 0.5], session_sd=[0.5, 1.0])
    now = situation(Goal(SPACE), knowledge, [[[5.0, 9.0], [6.0, 8.0], [3.0, 7.0]]] * 2, [[0, 1], [1, 1]])
    base = np.array([1, 2])
    mean, covariance = standing(now.beliefs, base)
    now.beliefs._return_to(base)
    assert np.allclose(mean, now.beliefs.mean)
    assert np.allclose(covariance, now.beliefs.covariance)

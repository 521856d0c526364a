"""The lookahead against closed forms and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from support.beliefs import certain, knowledge
from trimtab.control import lookahead_plans
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Drifts, Knowledge
from trimtab.control.lookahead import Effort, look_ahead
from trimtab.control.lookahead_noisy import Kept
from trimtab.control.lookahead_parts import deviations, jumps_of
from trimtab.core.objectives import ObjectiveSpace

FINE = Effort(draws=1, outcomes=4000, paths=2, horizon=1)


def _one(noise: float = 0.0) -> tuple[Goal, Knowledge]:
    """Return one objective with wide bounds, and a strategy known for certain: x' = .5 x + 30 + w, w ~ N(0, 4)."""
    space = ObjectiveSpace(["a:-100:200"])
    known = Knowledge.none(space, ["S"], {"a": noise})
    scale, center = known.scale[0], known.center[0]
    B = np.array([[(0.5 * center + 30 - center) / scale], [-0.5]])
    K = np.eye(2) * 1e9
    total = np.block([[K, K @ B], [(K @ B).T, np.array([[4.0 / scale**2 * 1e9]]) + B.T @ K @ B]])
    return Goal(space, {"a": 1.0}), known.with_total(total[None])


def _points(goal: Goal, x: float) -> float:
    return float(goal.value(np.array([x])))


def test_one_step_is_worth_its_expected_improvement() -> None:
    goal, known = _one()
    np.testing.assert_allclose([known.mean.F[0, 0, 0, 0], known.mean.c[0, 0, 0], known.mean.Q[0, 0, 0]], [0.5, 30, 4])
    for x, best in ((58.0, 58.0), (58.0, 62.0), (40.0, 52.0)):
        plan = look_ahead(
            goal, known, known.mean, np.array([[x]]), np.zeros((1, 1, 1)), np.array([_points(goal, best)]), 5, FINE
        )
        z = (0.5 * x + 30 - best) / 2
        gain = 2 * (z * norm.cdf(z) + norm.pdf(z)) / 300 * 10
        assert plan.value[0, 0] - plan.now[0] == pytest.approx(gain, abs=0.003)


def test_score_noise_makes_an_iterate_count_by_its_estimate() -> None:
    """With noise r and a state known up to p, the estimate moves by a variance of P^2 / (P + r), P = .25 p + 4."""
    noise, p, x = 3.0, 2.0, 60.0
    goal, known = _one(noise)
    plan = look_ahead(
        goal, known, known.mean, np.array([[x]]), np.array([[[p]]]), np.array([_points(goal, x)]), 5, FINE
    )
    P = 0.25 * p + 4
    sd = P / np.sqrt(P + noise**2)
    assert plan.value[0, 0] - plan.now[0] == pytest.approx(sd * norm.pdf(0) / 300 * 10, abs=0.003)


def test_doubt_about_the_drift_is_looked_for_among_the_draws() -> None:
    goal, known = _one()
    c = np.array([20.0, 40.0])[:, None, None]
    drifts = Drifts(np.full((2, 1, 1, 1), 0.5), c, known.mean.Q)
    best = np.array([_points(goal, 60.0)])
    plan = look_ahead(goal, known, drifts, np.array([[60.0]]), np.zeros((1, 1, 1)), best, 1, FINE)
    # From 60 one drift leads to 50, which is not kept, and the other to 70.
    np.testing.assert_allclose(plan.by_drift[0, 0] - best, [0.0, 10 / 300 * 10], atol=0.01)
    np.testing.assert_allclose(plan.value, plan.by_drift.mean(axis=-1), atol=1e-9)


def test_more_steps_are_worth_as_much_as_by_brute_force() -> None:
    """Two steps by one strategy: E max(best, U(x1), U(x2)) by a million paths, where stopping costs nothing."""
    known = certain(knowledge(K=1, seed=3))
    goal = Goal(known.space, "worst")
    x, best = np.array([4.0, 4.5]), 5.0
    plan = look_ahead(
        goal, known, known.mean, x[None], np.zeros((1, 2, 2)), np.array([best]), 2, Effort(1, 600, 600, 2), seed=1
    )
    rng, root = np.random.default_rng(4), np.linalg.cholesky(known.mean.Q[0])
    state, kept = np.repeat(x[None], 1_000_000, axis=0), np.full(1_000_000, best)
    for _ in range(2):
        state = np.clip(
            state @ known.mean.F[0, 0].T + known.mean.c[0, 0] + rng.normal(size=state.shape) @ root.T, 0, 10
        )
        kept = np.maximum(kept, goal.value(state))
    assert plan.value[0, 0] == pytest.approx(kept.mean(), abs=0.02)


def test_a_cost_is_taken_off_for_every_step_and_one_may_stop_before() -> None:
    known = knowledge()
    x, covariance, best = np.full((3, 2), 4.0), np.zeros((3, 2, 2)), np.full(3, 4.0)
    free, dear, far = (
        look_ahead(Goal(known.space, cost=cost), known, known.mean, x, covariance, best, 6, Effort(1, 16, 16, horizon))
        for cost, horizon in ((0.0, 6), (50.0, 6), (0.0, 1))
    )
    one = look_ahead(Goal(known.space, cost=50.0), known, known.mean, x, covariance, best, 6, Effort(1, 16, 16, 1))
    np.testing.assert_allclose(dear.value, one.value)
    np.testing.assert_allclose(dear.value, far.value - 50.0)
    assert (free.value >= far.value).all()


def test_values_do_not_depend_on_the_sessions_beside() -> None:
    known = knowledge(noise=0.4, levels=0.3)
    rng = np.random.default_rng(5)
    mean, best = rng.normal(5, 1, (40, 4)), rng.normal(5, 1, 40)
    root = rng.normal(0, 0.3, (40, 4, 4))
    covariance = root @ root.swapaxes(-1, -2)
    drifts = known.draws(4, 0)
    goal = Goal(known.space, "worst")
    whole = look_ahead(goal, known, drifts, mean, covariance, best, 5, Effort(4, 4, 8, 5))
    part = look_ahead(goal, known, drifts, mean[7:9], covariance[7:9], best[7:9], 5, Effort(4, 4, 8, 5))
    np.testing.assert_allclose(part.value, whole.value[7:9], rtol=1e-12)


def test_many_strategies_are_looked_ahead_with_within_bounds() -> None:
    """Of twelve, eight copies of a bad one add nothing: the value is that of the four others."""
    few, effort = knowledge(K=4), Effort(4, 4, 8, 6)
    order = [3, 3, 0, 3, 1, 3, 3, 2, 3, 3, 3, 3]
    many = replace(
        few, strategies=tuple(f"T{i}" for i in range(12)), total=few.total[order], session_sd=few.session_sd[order]
    )
    drifts = few.draws(4, 0)
    all_drifts = Drifts(drifts.F[:, order], drifts.c[:, order], drifts.Q[order])
    mean, best = np.random.default_rng(6).normal(5, 1, (3, 2)), np.zeros(3)
    nothing = np.zeros((3, 2, 2))
    for goal in (Goal(few.space, "worst", cost=0.05), Goal(few.space, "hypervolume")):
        carry = best if goal.utility == "worst" else np.zeros((3, 4), dtype=np.uint64)
        expected = look_ahead(goal, few, drifts, mean, nothing, carry, 6, effort).value
        found = look_ahead(goal, many, all_drifts, mean, nothing, carry, 6, effort).value
        np.testing.assert_allclose(found, expected[:, order], rtol=1e-9)


def test_plans_do_not_depend_on_how_many_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    known = knowledge(K=4, noise=0.4)
    mean, covariance, best = np.full((1, 2), 5.0), np.eye(2)[None] * 0.1, np.array([4.0])
    kept = Kept(mean, covariance, covariance, np.array([True]))
    args = (Goal(known.space, "worst"), known, known.draws(4, 0), mean, covariance, best, 6, Effort(4, 4, 8, 6))
    whole = [look_ahead(*args, kept=one).value for one in (None, kept)]
    monkeypatch.setattr(lookahead_plans, "_HELD", 1)
    for one, value in zip((None, kept), whole, strict=True):
        np.testing.assert_allclose(look_ahead(*args, kept=one).value, value, rtol=1e-12)


def test_floors_on_each_iterate_are_chances_of_the_next_one() -> None:
    goal, known = _one()
    goal = replace(goal, floors=(Floor("a", 55.0, 0.05, "each"),))
    best = np.array([5.0])
    plan = look_ahead(goal, known, known.mean, np.array([[60.0]]), np.zeros((1, 1, 1)), best, 3, FINE)
    assert plan.chance[0, 0] * 0.05 == pytest.approx(norm.cdf(-2.5), rel=1e-6)


def test_looks_are_at_doubling_steps() -> None:
    assert [jumps_of(steps) for steps in (0, 1, 2, 3, 7, 9)] == [
        [],
        [1],
        [1, 1],
        [1, 1, 1],
        [1, 1, 2, 3],
        [1, 1, 2, 4, 1],
    ]


def test_drifts_that_do_not_matter_are_not_told_apart_by_luck() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0, 1, (8, 4000, 4))
    assert deviations(values).std(axis=-1).mean() < 0.5 * values.mean(axis=-1).std(axis=0).mean()
    values += np.linspace(-3, 3, 8)[:, None, None]
    np.testing.assert_allclose(deviations(values).std(axis=-1).mean(), np.linspace(-3, 3, 8).std(), atol=0.05)


def test_plans_are_made_without_knowing_the_drift() -> None:
    """Two drifts as likely, +20 and -20 a step, at a cost of 11 a step: the first gains 20 or nothing, so it costs 1.

    Were the drift known after it, one would go on under +20 and gain 9 with every further step.
    """
    space = ObjectiveSpace(["a:-1000:1000"])
    known = Knowledge.none(space, ["S"])
    drifts = Drifts(np.ones((2, 1, 1, 1)), np.array([20.0, -20.0])[:, None, None], np.full((1, 1, 1), 1e-9))
    known = replace(known, total=known.total * np.array([1.0, 1.0, 1e-9])[:, None])
    goal, point = Goal(space, cost=11 / 200), 1 / 200
    best, x = np.array([5.0]), np.array([[0.0]])
    plan = look_ahead(goal, known, drifts, x, np.zeros((1, 1, 1)), best, 6, Effort(2, 4, 8, 6))
    np.testing.assert_allclose(plan.value - plan.now, -1 * point, atol=0.2 * point)
    np.testing.assert_allclose(plan.by_drift[0, 0] - plan.now, [9 * point, -11 * point], atol=0.3 * point)

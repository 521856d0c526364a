"""What policies know: learned from nothing, from a log, and wrong."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from trimtab.control.evaluation.cold_start import learned, logged
from trimtab.control.evaluation.robustness import POLICIES, _open, robustness
from trimtab.control.evaluation.world import World
from trimtab.control.evaluation.worlds import random_world
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.core.objectives import ObjectiveSpace

WIDE = ObjectiveSpace(["a:-50:50"])


def pull(up: float) -> World:
    """Return two strategies on one objective far from its bounds, which pull to `up` and to its negative."""
    F = np.array([[[0.5]], [[0.5]]])
    c = np.array([[up / 2], [-up / 2]])
    return World(
        WIDE, ("up", "down"), F, c, np.full((2, 1, 1), 0.25), np.zeros(1), np.zeros((2, 1)),
        np.linspace(-10, 10, 21)[:, None],
    )  # fmt: skip


def test_a_log_tells_as_much_as_it_says() -> None:
    world = pull(10.0)
    z = []
    for seed in range(60):
        known = logged(world, 600, 5, seed)
        np.testing.assert_allclose(known.steps, 3000)
        draws = known.draws(400, seed, "test")
        z += [(known.mean.F[0] - world.F).ravel() / draws.F.std(axis=0).ravel()]
    # 120 squares of what should be standard normal numbers; the prior, of one step, moves each by less than a third.
    low, high = chi2.ppf([1e-6, 1 - 1e-6], 120)
    assert low < np.sum(np.square(z)) < high
    wider, narrower = (logged(world, count, 5, 0).draws(2000, 0, "test").F.std(axis=0) for count in (200, 1800))
    np.testing.assert_allclose(wider / narrower, 3.0, rtol=0.15)


def test_a_pilot_learns_which_strategy_is_better() -> None:
    world = pull(20.0)
    goal = Goal(WIDE, {"a": 1.0}, cost=0.01)
    known, net = learned(world, goal, 6, 30, seed=2)
    again, same = learned(world, goal, 6, 30, seed=2)
    np.testing.assert_array_equal(net, same)
    np.testing.assert_array_equal(known.total, again.total)
    assert net[10:].mean() > net[:2].mean()
    assert known.steps[0] > 3 * known.steps[1] > 0
    error = known.draws(1000, 0, "test").F.std(axis=0)[0, 0, 0]
    assert abs(known.mean.F[0, 0, 0, 0] - 0.5) < 6 * error


def test_what_is_known_for_certain_and_true_costs_nothing() -> None:
    world = pull(20.0)
    goal = Goal(WIDE, {"a": 1.0})
    vague = logged(world, 2, 3, seed=5)
    found = robustness(world, goal, vague, 200, 4, seed=0)
    assert [one.name for one in found] == [
        "as known", "drift off by 1 standard error", "drift off by 2 standard errors", "score noise understated",
        "bounds ignored",
    ]  # fmt: skip
    for one in found:
        assert set(one.cases) == set(POLICIES)
        for case in one.cases.values():
            np.testing.assert_allclose(case.net.mean + case.lost.mean, one.informed)
            np.testing.assert_allclose(case.net.mean - case.over_fixed.mean, one.fixed)
    # Up is better in every world that such knowledge leaves possible, and that is all there is to choose.
    assert found[0].cases["predictive"].lost.high - found[0].cases["predictive"].lost.low < 0.2
    # Bounds are far away, so that to ignore them changes little.
    np.testing.assert_allclose(found[4].cases["predictive"].net.mean, found[0].cases["predictive"].net.mean, atol=0.2)


def test_ignoring_bounds_changes_nothing_within_them() -> None:
    space = ObjectiveSpace(["a", "b:0:5:min"])
    goal = Goal(space, "worst", floors=(Floor("b", 4.0, 0.1),), cost=0.1)
    wide = _open(goal)
    x = np.random.default_rng(0).uniform(0, 5, (50, 2))
    np.testing.assert_allclose(wide.value(x), goal.value(x))
    np.testing.assert_array_equal(wide.acceptable(x, None), goal.acceptable(x, None))
    assert wide.value(np.array([12.0, -1.0])) > 10
    np.testing.assert_array_equal(wide.cost_of(["x"]), goal.cost_of(["x"]))


def test_set_valued_goals_know_their_bounds() -> None:
    world = random_world(1, seed=0)
    known = logged(world, 5, 3, seed=0)
    found = robustness(world, Goal(world.space, "hypervolume"), known, 10, 2, seed=0)
    assert "bounds ignored" not in [one.name for one in found]

"""Steering on simulated sessions: floors hold as often as they say, and it stops where going on does not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

import trimtab as tt
from trimtab.control.evaluation.world import Sessions, World, steer
from trimtab.control.evaluation.worlds import recorded, world_of
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead import Effort
from trimtab.control.policies.fixed import Schedule
from trimtab.control.policies.predictive import Predictive
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.sources import loops_of, loops_of_reference
from trimtab.forecasting.starts import Starts

EFFORT = Effort(draws=2, outcomes=8, paths=8, horizon=4)
LOOPS = loops_of_reference()


def _noisy(sd: float) -> tuple[World, Knowledge]:
    known = Knowledge.of_loops(LOOPS, score_noise=dict.fromkeys(LOOPS.space.names, sd))
    return replace(world_of(LOOPS), score_noise=np.full(3, sd**2)), known


def _trade(noise: float) -> tuple[World, Knowledge]:
    """Return a world in which one strategy brings functionality at the price of security, and the other the reverse."""
    space = ObjectiveSpace(["security", "functionality"])
    F = np.broadcast_to(np.eye(2) * 0.5, (2, 2, 2))
    Q = np.broadcast_to(np.eye(2) * 0.7**2, (2, 2, 2))
    c = 0.5 * np.array([[4.5, 8.0], [6.5, 5.0]])
    names = ("features", "guard")
    loops = {name: Loop(name, AffineSDE(F[k] - np.eye(2), c[k], Q[k]), START) for k, name in enumerate(names)}
    known = Knowledge.of_loops(Loops(space, loops, "model file", {}), score_noise=dict.fromkeys(space.names, noise))
    world = world_of(Loops(space, loops, "model file", {}))
    return replace(world, score_noise=np.full(2, noise**2)), known


START = Starts(np.array([6.0, 5.0]), np.eye(2) * 0.5, "somewhere")


@pytest.mark.parametrize("noise", [0.6, 1.2])
def test_the_kept_iterate_passes_its_floor_as_rarely_as_said(noise: float) -> None:
    """A floor that binds: what promises most functionality has little security, and scores are noisy."""
    world, known = _trade(noise)
    goal = Goal(world.space, {"functionality": 1.0}, floors=(Floor("security", 5.0, 0.05),))
    passed, kept = _passing(steer(world, Predictive(EFFORT), goal, known, 5, 600, 1))
    assert kept > 300
    assert binomtest(passed, kept).proportion_ci(0.99, "exact").low <= 0.05
    # Taken at its score, what is kept passes the floor more often than that.
    careless = steer(world, Predictive(EFFORT), goal, replace(known, score_noise=np.zeros(2)), 5, 600, 1)
    assert binomtest(*_passing(careless)).proportion_ci(0.99, "exact").low > 0.05


def _passing(done: Sessions) -> tuple[int, int]:
    """Return how many of the kept iterates have a true security below 5, and how many were kept without asking."""
    kept = done.kept[~done.asked & (done.keep > 0), 0]
    return int((kept < 5.0).sum()), len(kept)


def test_iterates_pass_a_floor_on_each_as_rarely_as_said() -> None:
    world, known = _noisy(0.5)
    goal = Goal(LOOPS.space, {"functionality": 1.0}, floors=(Floor("security", 4.5, 0.05, "each"),))
    done = steer(world, Predictive(EFFORT), goal, known, 4, 400, 2)
    # The first iterate alone, so that sessions are independent.
    first = done.states[done.used > 0, 1, 0]
    assert binomtest(int((first < 4.5).sum()), len(first)).proportion_ci(0.99, "exact").low <= 0.05
    free = steer(world, Predictive(EFFORT), replace(goal, floors=()), known, 4, 400, 2)
    loose = free.states[free.used > 0, 1, 0]
    assert binomtest(int((loose < 4.5).sum()), len(loose)).proportion_ci(0.99, "exact").low > 0.05


def _world(kind: str, noise: float) -> World:
    """Return a world in which iterating does not help: quality falls, or stays where it is."""
    n, K = 3, 4
    F = np.broadcast_to(np.eye(n) * (0.7 if kind == "falling" else 0.5), (K, n, n))
    level = np.linspace(2.0, 4.0, K * n).reshape(K, n) if kind == "falling" else np.full((K, n), 6.0)
    c = np.einsum("kij,kj->ki", np.eye(n) - F, level)
    sd = 0.3 if kind == "falling" else 0.05
    starts = np.random.default_rng(0).normal(7.0 if kind == "falling" else 6.0, sd, (500, n))
    noises = np.full(n, noise**2)
    Q = np.broadcast_to(np.eye(n) * sd**2, (K, n, n))
    return World(ObjectiveSpace(["a", "b", "c"]), tuple("ABCD"), F, c, Q, noises, np.zeros((K, n)), starts)


@pytest.mark.parametrize("utility", ["worst", "weighted"])
@pytest.mark.parametrize(("kind", "noise"), [("falling", 0.0), ("falling", 0.5), ("still", 0.5)])
def test_it_stops_where_going_on_does_not_help(kind: str, noise: float, utility: str) -> None:
    world = _world(kind, noise)
    known = Knowledge.of_loops(loops_of(tt.fit(recorded(world, 100, 10, 3), draws=200)))
    goal = Goal(world.space, utility, cost=0.02)
    done = steer(world, Predictive(EFFORT), goal, known, 10, 200, 4)
    assert (done.used <= 2).mean() >= 0.95


@pytest.mark.parametrize("utility", ["worst", "weighted"])
def test_where_going_on_helps_little_is_lost_by_stopping(utility: str) -> None:
    """Against the same policy when stopping is forbidden: less than 2% of what can be gained, net of a small cost."""
    world, known = _noisy(0.0)
    goal = Goal(LOOPS.space, utility, cost=0.01)
    never = replace(goal, cost=0.0, least_gain=0.0)
    done, on = (steer(world, Predictive(EFFORT), one, known, 8, 300, 5) for one in (goal, never))
    start = goal.value(done.states[:, 0])
    gained = goal.value(done.kept) - start
    most = goal.value(on.kept) - start
    assert gained.mean() > 0.98 * (most.mean() - 0.01 * 8)
    best = max(
        (goal.value(steer(world, Schedule([name]), goal, known, 8, 300, 5).kept) - start).mean()
        for name in known.strategies
    )
    assert gained.mean() > 1.3 * best

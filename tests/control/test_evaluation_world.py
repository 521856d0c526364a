"""Simulated sessions: against a slow loop, on common random numbers; and the worlds that they take place in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from trimtab.control.evaluation.world import Sessions, World, steer
from trimtab.control.evaluation.worlds import moved, noisier, random_world, recorded, world_of
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.policies.fixed import Schedule
from trimtab.control.policies.predictive import Predictive
from trimtab.control.situation import ASK, STOP, Choice, Situation
from trimtab.control.triggers import Below
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError
from trimtab.forecasting.sources import loops_of

SPACE = ObjectiveSpace(["a", "b:0:10:min"])


@dataclass(frozen=True)
class ByScore:
    """Use S1 where the first score is below 5, else S0, from the best iterate so far; stop above 8; ask below 1."""

    name: str = "by score"

    def choose(self, now: Situation) -> Choice:
        a = now.scores[:, -1, 0]
        action = np.where(a < 5, 1, 0)
        action = np.where(a > 8, STOP, np.where(a < 1, ASK, action))
        base = now.scores[..., 0].argmax(axis=1)
        return Choice(action, np.zeros(len(now), dtype=np.int64), ("",), base=base)


def small_world() -> World:
    F = np.array([[[0.7, 0.3], [-0.2, 0.5]], [[0.9, -0.1], [0.3, 0.6]]])
    c = np.array([[1.0, 2.0], [1.5, 1.0]])
    Q = np.array([[[1.0, 0.3], [0.3, 0.5]], [[2.0, 0.0], [0.0, 0.0]]])
    rng = np.random.default_rng(3)
    return World(SPACE, ("S0", "S1"), F, c, Q, np.array([0.5, 0.1]), np.full((2, 2), 0.4), rng.uniform(0, 9, (50, 2)))


def known(world: World) -> Knowledge:
    return Knowledge.none(world.space, world.strategies)


def same(one: Sessions, other: Sessions, count: int) -> None:
    for field in ("states", "scores", "strategy", "base", "used", "keep", "asked"):
        np.testing.assert_array_equal(getattr(one, field)[:count], getattr(other, field)[:count], err_msg=field)


def test_sessions_are_those_of_a_slow_loop() -> None:
    world, T, S = small_world(), 6, 40
    ran = steer(world, ByScore(), Goal(SPACE, {"a": 1}), known(world), T, S, seed=4)
    x0, xi, w, v = world.noises(S, T, 4)
    ended = {"asked": 0, "stopped": 0, "went back": 0}
    for i in range(S):
        states = [np.clip(x0[i], 0, 10)]
        scores = [np.clip(states[0] + v[0, i], 0, 10)]
        asked = False
        for t in range(T):
            a = scores[-1][0]
            if a > 8 or a < 1:
                asked = a < 1
                break
            k, base = int(a < 5), int(np.argmax([y[0] for y in scores]))
            L = semidefinite_cholesky(world.Q[k])
            x = world.F[k] @ states[base] + world.c[k] + 0.4 * xi[i] + L @ w[t, i]
            states.append(np.clip(x, 0, 10))
            scores.append(np.clip(states[-1] + v[t + 1, i], 0, 10))
            assert (ran.strategy[i, t], ran.base[i, t]) == (k, base)
            ended["went back"] += base != t
        used = len(states) - 1
        assert (ran.used[i], ran.asked[i]) == (used, asked)
        np.testing.assert_allclose(ran.states[i, : used + 1], states, rtol=1e-12)
        np.testing.assert_allclose(ran.scores[i, : used + 1], scores, rtol=1e-12)
        assert np.isnan(ran.states[i, used + 1 :]).all()
        assert (ran.strategy[i, used:] == -1).all()
        ended["asked" if asked else "stopped"] += used < T
    assert min(ended.values()) > 0


@pytest.mark.parametrize("policy", [Schedule("S0x2,S1"), Predictive(), ByScore()], ids=lambda one: one.name)
def test_sessions_repeat_and_the_first_are_the_same_among_more(policy) -> None:
    world = small_world()
    goal = Goal(SPACE, "worst")
    few, many, again = (steer(world, policy, goal, known(world), 5, count, seed=1) for count in (20, 50, 20))
    same(few, again, 20)
    same(few, many, 20)


def test_policies_meet_the_same_innovations() -> None:
    world = replace(small_world(), score_noise=np.zeros(2), session_sd=np.zeros((2, 2)))
    world = replace(world, Q=np.stack([world.Q[0]] * 2), F=np.zeros((2, 2, 2)), c=np.array([[4.0, 4], [5, 5]]))
    goal = Goal(SPACE, "worst")
    one, other = (steer(world, Schedule([name]), goal, known(world), 4, 300, seed=9) for name in world.strategies)
    inside = ((one.states > 0) & (other.states < 10) & (one.states < 9)).all(axis=-1)[:, 1:]
    np.testing.assert_allclose((other.states - one.states)[:, 1:][inside], 1.0)
    assert inside.mean() > 0.5


def test_triggers_end_sessions_or_only_warn() -> None:
    world = replace(small_world(), score_noise=np.zeros(2))
    goal, policy = Goal(SPACE, {"a": 1}), Schedule(["S0"])
    free = steer(world, policy, goal, known(world), 5, 60, seed=2)
    warned = steer(world, policy, goal, known(world), 5, 60, seed=2, triggers=[Below("a", 3.0, action="warn")])
    same(free, warned, 60)
    low = free.states[:, :-1, 0] < 3
    np.testing.assert_array_equal(warned.fired[:, 0], low.any(axis=1))
    asked = steer(world, policy, goal, known(world), 5, 60, seed=2, triggers=[Below("a", 3.0)])
    first = np.where(low.any(axis=1), low.argmax(axis=1), 5)
    np.testing.assert_array_equal(asked.used, first)
    np.testing.assert_array_equal(asked.asked, low.any(axis=1))
    assert 0 < asked.asked.mean() < 1
    stopped = steer(world, policy, goal, known(world), 5, 60, seed=2, triggers=[Below("a", 3.0, action="stop")])
    np.testing.assert_array_equal(stopped.used, first)
    assert not stopped.asked.any()
    # Nobody is there to be told or to resume: a webhook is a warning, and a pause ends as a question does.
    told = steer(world, policy, goal, known(world), 5, 60, seed=2, triggers=[Below("a", 3.0, action="webhook")])
    same(warned, told, 60)
    np.testing.assert_array_equal(told.fired, warned.fired)
    paused = steer(world, policy, goal, known(world), 5, 60, seed=2, triggers=[Below("a", 3.0, action="pause")])
    same(asked, paused, 60)
    np.testing.assert_array_equal(paused.asked, asked.asked)


def test_the_world_of_the_reference_has_its_estimates_and_starts() -> None:
    loops = loops_of("reference")
    world = world_of(loops)
    for k, name in enumerate(world.strategies):
        model = loops[name].model
        np.testing.assert_allclose(world.F[k], np.eye(3) + model.A, atol=1e-6)
        np.testing.assert_allclose(world.c[k], model.b, atol=1e-6)
        np.testing.assert_allclose(world.Q[k], model.Q, atol=1e-6)
    start = loops["EF"].starts
    error = np.sqrt(np.diagonal(start.covariance) / len(world.starts))
    assert (np.abs(world.starts.mean(axis=0) - start.mean) < 6 * error + 0.05).all()


def test_a_moved_drift_is_off_by_the_standard_errors_asked_for() -> None:
    world = random_world(3, seed=0)
    knowledge = Knowledge.none(world.space, world.strategies)
    drawn = knowledge.draws(4000, 1, "spread")
    sd = drawn.F.std(axis=0)
    far = np.stack([moved(world, knowledge, 2.0, seed).F - world.F for seed in range(300)])
    ratio = np.sqrt((far**2).mean(axis=0)) / sd
    # 300 squares of normal numbers: the root mean square has a relative error of 1 / sqrt(600).
    np.testing.assert_allclose(ratio, 2.0, atol=6 * 2 / np.sqrt(600) + 0.05)
    np.testing.assert_array_equal(moved(world, knowledge, 0.0, 5).c, world.c)
    np.testing.assert_array_equal(moved(world, knowledge, 1.0, 5).Q, world.Q)


def test_score_noise_grows_by_the_factor_and_to_the_least() -> None:
    world = noisier(small_world(), 2.0, np.ones(2))
    np.testing.assert_allclose(world.score_noise, [2.0, 1.0])


@pytest.mark.parametrize("n", [1, 3, 5])
def test_random_worlds_differ_and_have_varied_spectra(n: int) -> None:
    worlds = [random_world(n, seed) for seed in range(20)]
    multipliers = np.linalg.eigvals(np.concatenate([world.F for world in worlds]))
    size = np.abs(multipliers)
    assert size.max() <= 1.06 + 1e-9
    real = np.abs(multipliers.imag) < 1e-9
    found = [(real & (multipliers.real < -0.05)).any(), (size > 1).any(), (size < 0.3).any(), (size > 0.9).any()]
    assert all(found)
    assert (~real).any() == (n > 1)
    for world in worlds:
        sd = np.sqrt(np.diagonal(world.Q, axis1=1, axis2=2))
        assert ((sd > 0.2 - 1e-9) & (sd < 1.5 + 1e-9)).all()
        np.testing.assert_array_equal(world.F, random_world(n, worlds.index(world)).F)
    assert len({float(world.F[0, 0, 0]) for world in worlds}) == 20


def test_random_worlds_need_objectives() -> None:
    with pytest.raises(InputError, match="1 or more objectives"):
        random_world(0, 0)


def test_recorded_sessions_show_the_dynamics() -> None:
    world = replace(random_world(2, seed=2), score_noise=np.zeros(2))
    # Far from the bounds, least squares finds what made the steps.
    world = replace(world, space=ObjectiveSpace(["q1:-1000:1000", "q2:-1000:1000"]), F=world.F * 0.5)
    log = recorded(world, 400, 10, seed=0)
    assert log.strategies == world.strategies
    assert (log.n_sessions, log.n_rows) == (1600, 17600)
    for k in range(4):
        rows = log.scores[log.strategy == k].reshape(400, 11, 2)
        x, y = rows[:, :-1].reshape(-1, 2), rows[:, 1:].reshape(-1, 2)
        X = np.column_stack([np.ones(len(x)), x])
        B, *_ = np.linalg.lstsq(X, y, rcond=None)
        error = np.sqrt(np.outer(np.diagonal(np.linalg.inv(X.T @ X)), np.diagonal(world.Q[k])))
        assert (np.abs(B - np.vstack([world.c[k], world.F[k].T])) < 6 * error).all()

"""Cold start: what a pilot has learned after sessions in a world that it knew nothing of, and what those were worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.world import World
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.pilot import Pilot
from trimtab.core.streams import stream_seed
from trimtab.dynamics.covariance import semidefinite_cholesky

__all__ = ["learned", "logged"]

Floats = NDArray[np.float64]


def learned(
    world: World, goal: Goal, budget: int, sessions: int, seed: int, policy: str = "predictive"
) -> tuple[Knowledge, Floats]:
    """Return what a pilot knows after so many sessions, one after the other, and the net utility of each, (sessions,).

    The pilot knows the scales, the score noise and nothing else at first. Sessions are others than those that policies
    are compared on.
    """
    space = world.space
    pilot = Pilot(
        space, world.strategies, policy=policy, utility=goal.utility, weights=goal.weights, constraints=goal.floors,
        cost={name: float(cost) for name, cost in zip(world.strategies, goal.cost_of(world.strategies), strict=True)},
        least_gain=goal.least_gain, iterations=budget, seed=seed,
        score_noise=dict(zip(space.names, np.sqrt(world.score_noise).tolist(), strict=True)),
    )  # fmt: skip
    x0, xi, w, v = world.noises(sessions, budget, stream_seed(seed, "cold start"))
    roots = [semidefinite_cholesky(Q) for Q in world.Q]
    costs = goal.cost_of(world.strategies)
    net = np.empty(sessions)
    for i in range(sessions):
        session = pilot.session(f"s{i}")
        states, spent = [np.clip(x0[i], space.low, space.high)], 0.0
        while True:
            t = len(states) - 1
            scores = np.clip(states[-1] + v[t, i], space.low, space.high)
            decision = session.observe(dict(zip(space.names, scores.tolist(), strict=True)))
            if decision.strategy is None:
                session.end()
                break
            k = world.strategies.index(decision.strategy)
            moved = world.F[k] @ states[decision.base] + world.c[k] + world.session_sd[k] * xi[i] + roots[k] @ w[t, i]
            states.append(np.clip(moved, space.low, space.high))
            spent += float(costs[k])
        reached = np.array(states)
        if goal.set_valued:
            gained = float(goal.worth(np.bitwise_or.reduce(goal.dominated(reached), axis=0)))
        else:
            gained = float(goal.value(reached[decision.keep]))
        net[i] = gained - spent
    return pilot.knowledge, net


def logged(world: World, sessions: int, steps: int, seed: int) -> Knowledge:
    """Return what the true states of so many sessions under each strategy tell: least squares and its doubt.

    Lasting differences between sessions are taken as known.
    """
    known = replace(
        Knowledge.none(world.space, world.strategies), score_noise=world.score_noise, session_sd=world.session_sd
    )
    n, space = world.space.n, world.space
    sums = np.empty_like(known.total)
    for k in range(len(world.strategies)):
        x, xi, w, _ = world.noises(sessions, steps, stream_seed(seed, "logged", k))
        lasting = world.session_sd[k] * xi
        shocks = w @ semidefinite_cholesky(world.Q[k]).T
        x = np.clip(x, space.low, space.high)
        rows = []
        for t in range(steps):
            after = np.clip(x @ world.F[k].T + world.c[k] + lasting + shocks[t], space.low, space.high)
            u, du = (x - known.center) / known.scale, (after - x - lasting) / known.scale
            rows.append(np.concatenate([np.ones((sessions, 1)), u, du], axis=1))
            x = after
        W = np.concatenate(rows)
        sums[k] = W.T @ W
    start = np.cov(world.starts.T).reshape(n, n)
    return replace(known.added(sums), start_mean=world.starts.mean(axis=0), start_covariance=start)

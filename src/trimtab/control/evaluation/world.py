"""World: simulated sessions whose true dynamics are known, on the same random numbers for every policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.situation import ASK, STOP, Policy
from trimtab.control.track import Track
from trimtab.control.triggers import Trigger, fired
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.dynamics.covariance import semidefinite_cholesky

__all__ = ["Sessions", "World", "steer"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_CALLS = {"ask": ASK, "pause": ASK, "stop": STOP, "warn": 0, "webhook": 0}
"""What a trigger's action comes to in a session that no human is at: set aside, it is not gone on with."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """True dynamics of K strategies.

    Parameters
    ----------
    F, c, Q
        (K, n, n), (K, n) and (K, n, n): x' = clip(F x + c + s xi + w), w ~ N(0, Q).
    score_noise
        (n,) variances: scores are y = clip(x + v).
    session_sd
        (K, n) s; a session's own xi is standard normal.
    starts
        (M, n) states at iteration 0, of which each session has one at random.
    """

    space: ObjectiveSpace
    strategies: tuple[str, ...]
    F: Floats
    c: Floats
    Q: Floats
    score_noise: Floats
    session_sd: Floats
    starts: Floats

    def noises(self, sessions: int, budget: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Return starts (S, n), deviates (S, n), innovations (budget, S, n) and score noise (budget + 1, S, n)."""
        n = self.space.n
        x0 = self.starts[(stream(seed, "world", "start").random(sessions) * len(self.starts)).astype(np.int64)]
        xi = stream(seed, "world", "sessions").standard_normal((sessions, n))
        w = np.stack([stream(seed, "world", "step", t).standard_normal((sessions, n)) for t in range(budget)])
        v = np.stack([stream(seed, "world", "score", t).standard_normal((sessions, n)) for t in range(budget + 1)])
        return x0, xi, w, v * np.sqrt(self.score_noise)


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """What became of S sessions under one policy.

    Parameters
    ----------
    states, scores
        (S, budget + 1, n) true and scored, not-a-number after the end.
    strategy, base
        (S, budget) what produced iterations 1.., and from which iterate; -1 after the end.
    used
        (S,) iterations done.
    keep
        (S,) iteration whose iterate was kept.
    asked
        (S,) true where a human was called.
    fired
        (S, N) which of N triggers fired, at any iteration.
    """

    states: Floats
    scores: Floats
    strategy: Ints
    base: Ints
    used: Ints
    keep: Ints
    asked: Bools
    fired: Bools

    @property
    def kept(self) -> Floats:
        """True state of the kept iterate, (S, n)."""
        return np.asarray(self.states[np.arange(len(self.keep)), self.keep])


def steer(
    world: World, policy: Policy, goal: Goal, knowledge: Knowledge, budget: int, sessions: int, seed: int,
    triggers: Sequence[Trigger] = (),
) -> Sessions:  # fmt: skip
    """Return sessions of `world` under a policy that knows `knowledge`.

    A trigger that asks, pauses or stops ends a session whatever the policy would do; one that warns is only counted.
    The random numbers of a session depend on `seed` and its place alone, so that policies can be compared pair by pair.
    """
    n, space = world.space.n, world.space
    roots = np.stack([semidefinite_cholesky(Q) for Q in world.Q])
    x0, xi, w, v = world.noises(sessions, budget, seed)
    states, scores = (np.full((sessions, budget + 1, n), np.nan) for _ in range(2))
    strategy, bases = (np.full((sessions, budget), -1) for _ in range(2))
    used, keep, asked = np.zeros(sessions, dtype=np.int64), np.zeros(sessions, dtype=np.int64), np.zeros(sessions, bool)
    states[:, 0] = np.clip(x0, space.low, space.high)
    scores[:, 0] = np.clip(states[:, 0] + v[0], space.low, space.high)
    live = np.arange(sessions)
    hit = np.zeros((sessions, len(triggers)), dtype=bool)
    track = Track(goal, knowledge, budget, seed, [f"s{i}" for i in range(sessions)], scores[:, 0])
    for t in range(budget + 1):
        now = track.situation()
        keep[live] = now.keep
        if t == budget or not len(live):
            break
        choice = policy.choose(now)
        action = choice.action
        if triggers:
            found = fired(triggers, now)
            hit[live] |= found.fired
            calls = np.array([_CALLS[trigger.action] for trigger in triggers])[found.first]
            action = np.where((found.first >= 0) & (calls < 0), calls, action)
        go = action >= 0
        asked[live[action == ASK]] = True
        if not go.all():
            live, track = live[go], track.take(go)
        if not len(live):
            break
        k = action[go]
        base = np.full(len(live), t) if choice.base is None else choice.base[go]
        x = states[live, base]
        moved = (world.F[k] @ x[..., None])[..., 0] + world.c[k] + world.session_sd[k] * xi[live]
        moved = moved + (roots[k] @ w[t, live][..., None])[..., 0]
        states[live, t + 1] = np.clip(moved, space.low, space.high)
        scores[live, t + 1] = np.clip(states[live, t + 1] + v[t + 1, live], space.low, space.high)
        strategy[live, t], bases[live, t] = k, base
        used[live] = t + 1
        track.step(k, scores[live, t + 1], None if choice.base is None else base)
    return Sessions(states, scores, strategy, bases, used, keep, asked, hit)

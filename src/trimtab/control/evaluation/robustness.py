"""Robustness: what it costs a policy that looks ahead when what it knows is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.cold_start import logged
from trimtab.control.evaluation.oracle import known_for_certain
from trimtab.control.evaluation.outcome import Figure, outcome_of, paired
from trimtab.control.evaluation.world import World, steer
from trimtab.control.evaluation.worlds import moved, noisier
from trimtab.control.goal import Goal
from trimtab.control.knowledge import CERTAIN, Knowledge
from trimtab.control.policies.fixed import Schedule
from trimtab.control.registry import read_policy
from trimtab.control.situation import Policy
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.streams import stream_seed

__all__ = ["POLICIES", "Case", "Scenario", "robustness"]

Floats = NDArray[np.float64]

POLICIES = ("predictive", "predictive:hedge=0.2")
"""Policies that are tried: by the expected value, and by the mean over the worst fifth of the drifts possible."""

MOVES = 10
"""Directions in which a drift is moved."""

LOGGED = 100
"""Sessions of each strategy that a fit is taken to be of where policies know the dynamics for certain."""


@dataclass(frozen=True, slots=True)
class Case:
    """One policy in one scenario: its net utility, what not knowing better cost it, and its gain over fixed."""

    net: Figure
    lost: Figure
    over_fixed: Figure


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of being wrong.

    Parameters
    ----------
    fixed
        Mean net utility of the fixed strategy that is best in it.
    informed
        That of predictive where it knows everything.
    cases
        By policy.
    """

    name: str
    fixed: float
    informed: float
    cases: Mapping[str, Case]


def robustness(
    world: World, goal: Goal, knowledge: Knowledge, sessions: int, budget: int, seed: int
) -> tuple[Scenario, ...]:
    """Return how policies fare in worlds that differ from what they know.

    What they know stays the same. The worlds are: what it says on average; ten worlds whose drifts are one, and ten
    whose drifts are two standard errors away from that in directions drawn from the posterior; one whose score noise
    has twice the standard deviation known, and at least a twentieth of the scale; and the first, for policies that do
    not know that scores end at bounds. Where the dynamics are known for certain, doubt is that of a log of 100 sessions
    per strategy.
    """
    if knowledge.steps.min() > CERTAIN:
        knowledge = logged(world, LOGGED, budget, stream_seed(seed, "robustness"))
    mean = knowledge.mean
    believed = replace(
        world, F=mean.F[0], c=mean.c[0], Q=mean.Q, score_noise=knowledge.score_noise, session_sd=knowledge.session_sd
    )
    found = [_scenario("as known", [believed], goal, knowledge, sessions, budget, seed)]
    for errors, name in ((1.0, "drift off by 1 standard error"), (2.0, "drift off by 2 standard errors")):
        worlds = [moved(believed, knowledge, errors, stream_seed(seed, "robustness", m)) for m in range(MOVES)]
        found.append(_scenario(name, worlds, goal, knowledge, sessions, budget, seed))
    bounded = np.isfinite(world.space.low) & np.isfinite(world.space.high)
    width = np.where(bounded, np.where(bounded, world.space.high, 0) - np.where(bounded, world.space.low, 0), 0.0)
    noisy = noisier(believed, 2.0, width / 20)
    found.append(_scenario("score noise understated", [noisy], goal, knowledge, sessions, budget, seed))
    if not goal.set_valued:
        unclipped = _open(goal), replace(knowledge, space=_open(goal).space)
        found.append(_scenario("bounds ignored", [believed], goal, knowledge, sessions, budget, seed, unclipped))
    return tuple(found)


def _scenario(
    name: str, worlds: list[World], goal: Goal, knowledge: Knowledge, sessions: int, budget: int, seed: int,
    seen: tuple[Goal, Knowledge] | None = None,
) -> Scenario:  # fmt: skip
    """Run all policies in all worlds, an equal share of the sessions in each; `seen` is the goal as policies see it."""
    count = -(-sessions // len(worlds))

    def run(policy: Policy, known: Knowledge | None, wanted: Goal) -> Floats:
        parts = []
        for m, world in enumerate(worlds):
            own = known_for_certain(world) if known is None else known
            ran = steer(world, policy, wanted, own, budget, count, stream_seed(seed, "robustness", name, m))
            parts.append(outcome_of("", ran, goal, world.strategies).net)
        return np.concatenate(parts)

    informed = run(read_policy(POLICIES[0]), None, goal)
    fixed = max((run(policy, knowledge, goal) for policy in _fixed(knowledge)), key=lambda net: float(net.mean()))
    wanted, known = (goal, knowledge) if seen is None else seen
    cases = {}
    for text in POLICIES:
        net = run(read_policy(text), known, wanted)
        cases[text] = Case(paired(net), paired(informed, net), paired(net, fixed))
    return Scenario(name, float(fixed.mean()), float(informed.mean()), cases)


def _fixed(knowledge: Knowledge) -> Iterator[Policy]:
    return (Schedule([name], "fixed") for name in knowledge.strategies)


def _open(goal: Goal) -> Goal:
    """Return the goal as one sees it who does not know that scores end at bounds."""
    space = ObjectiveSpace(Objective(one.name, -np.inf, np.inf, one.direction) for one in goal.space)
    return replace(goal, space=space, utility=goal.value, weights=None)

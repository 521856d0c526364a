"""evaluate(source, policies) -> Evaluation: policies side by side on the same simulated sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.cold_start import learned
from trimtab.control.evaluation.handling import Handling, handling
from trimtab.control.evaluation.oracle import is_programmed, known_for_certain, oracle_sessions
from trimtab.control.evaluation.outcome import Figure, Outcome, outcome_of, paired, share_of_gain
from trimtab.control.evaluation.robustness import Scenario, robustness
from trimtab.control.evaluation.world import World, steer
from trimtab.control.evaluation.worlds import world_of
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.policies.fixed import PAPER, Schedule
from trimtab.control.registry import read_policy
from trimtab.control.rehearsal import rehearse
from trimtab.control.situation import Policy
from trimtab.control.triggers import Trigger, read_trigger
from trimtab.core.by_name import ByName
from trimtab.core.counting import count_of
from trimtab.errors import InputError
from trimtab.forecasting.loops import Loops

__all__ = ["Evaluation", "Standing", "default_policies", "evaluate", "fixed_name"]

Floats = NDArray[np.float64]

MOST_SESSIONS = 1_000_000
MOST_ITERATIONS = 1000
MOST_LEARNED = 10_000
ROBUST_SESSIONS = 2000
ORACLE_SESSIONS = 1000
"""Sessions that a lookahead of great effort is run on; dynamic programming is run on all."""
_COMPARED = ("schedule", "rules", "sequential", "simultaneous", "rate_control", "best_of_n", "predictive")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a policy stands among the others, in net utility, session by session.

    Parameters
    ----------
    net
        Its mean net utility.
    over_fixed, over_schedule
        What it gains over the best fixed strategy, and over the schedule; None for the schedule where there is none.
    regret
        What the oracle gains over it; None without an oracle.
    share
        Its share of what the oracle gains over the best fixed strategy; None without an oracle.
    """

    net: Figure
    over_fixed: Figure
    over_schedule: Figure | None
    regret: Figure | None
    share: Figure | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation(ByName[Outcome]):
    """Policies on the same sessions: ``evaluation["predictive"]`` is an `Outcome`, ``evaluation.standings`` compares.

    Parameters
    ----------
    kind
        Of the world: that of its loops, or ``"world"``.
    best_fixed
        Name of the fixed strategy with the greatest mean net utility on these very sessions.
    schedule
        Name of the schedule that others are held against, if there is one.
    oracle, oracle_by
        Outcome of the oracle, maybe on the first sessions only, and how it was computed; None if there was none.
    handling
        Sequential against simultaneous handling of objectives, where both policies are there.
    scenarios
        What it costs when what policies know is wrong, where that was asked for.
    learned
        Sessions that a pilot had learned what policies know from; 0 where it was given.
    """

    world: World
    goal: Goal
    kind: str
    budget: int
    sessions: int
    seed: int
    outcomes: Mapping[str, Outcome]
    best_fixed: str
    schedule: str | None
    oracle: Outcome | None
    oracle_by: str | None
    handling: Handling | None
    scenarios: tuple[Scenario, ...] = ()
    learned: int = 0
    notes: tuple[str, ...] = ()

    _unknown = "no policy is called"

    @property
    def _parts(self) -> Mapping[str, Outcome]:
        return self.outcomes

    def __repr__(self) -> str:
        return (
            f"Evaluation of {', '.join(self.outcomes)} on {count_of(self.sessions, 'session')} of "
            f"{count_of(self.budget, 'iteration')}; "
            "print(evaluation.summary()) for all"
        )

    def standing(self, name: str) -> Standing:
        """Return where a policy stands."""
        own, fixed = self[name].net, self[self.best_fixed].net
        regret = share = None
        if self.oracle is not None:
            m = len(self.oracle)
            regret = paired(self.oracle.net, own[:m])
            share = share_of_gain(own[:m], fixed[:m], self.oracle.net)
        return Standing(
            net=paired(own),
            over_fixed=paired(own, fixed),
            over_schedule=None if self.schedule is None else paired(own, self[self.schedule].net),
            regret=regret,
            share=share,
        )

    @property
    def standings(self) -> dict[str, Standing]:
        """Where all policies stand, by name."""
        return {name: self.standing(name) for name in self}

    def summary(self) -> str:
        """Return tables and what they say as text for a terminal."""
        from trimtab.control.evaluation.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.policies/1``, as plain Python values."""
        from trimtab.control.evaluation.document import document

        return document(self)


def evaluate(
    source: Loops | World,
    goal: Goal,
    policies: Sequence[str | Policy] | None = None,
    *,
    sessions: int = 10_000,
    budget: int = 10,
    seed: int = 0,
    knowledge: Knowledge | None = None,
    triggers: Sequence[str | Trigger] = (),
    learn: int = 0,
    oracle: bool = True,
    robust: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Run policies on the same simulated sessions, and say what each achieves in true utility.

    Every fixed strategy is always among them. All policies meet the same starts, innovations and score noise, session
    by session, so that differences are those of pairs.

    Parameters
    ----------
    source
        The world: loops whose estimates are taken for the truth, or a world itself.
    policies
        ``NAME[:OPTION=VALUE,...]``, see `registry.read_policy`, or objects; see `default_policies` if None.
    sessions, budget
        Simulated sessions, and the most iterations of each.
    knowledge
        What policies know; for loops what those say, doubt about the drift included, and for a world everything, if
        None.
    triggers
        Conditions that end a session, or only warn, whatever the policy, see `triggers.read_trigger`.
    learn
        Sessions steered by a pilot, whose knowledge policies then have in place of `knowledge`: it starts knowing
        nothing but the scales and the score noise.
    oracle
        Whether to compute what the best possible policy would achieve.
    robust
        Whether to ask what it costs when what policies know is wrong, see `robustness.robustness`.
    progress
        Told of each policy before it runs.

    Raises
    ------
    InputError
        If a number is out of range, a policy is unknown or comes twice, or spaces or strategies differ.
    """
    _check(sessions, budget, learn)
    world, kind = (source, "world") if isinstance(source, World) else (world_of(source), source.kind)
    if knowledge is None:
        knowledge = known_for_certain(world) if isinstance(source, World) else Knowledge.of_loops(source)
    if goal.space != world.space or knowledge.space != world.space or knowledge.strategies != world.strategies:
        raise InputError(
            "goal, knowledge and world need the same objectives and strategies, but have "
            f"{', '.join(map(str, goal.space))}; {', '.join(map(str, knowledge.space))} with "
            f"{', '.join(knowledge.strategies)}; and {', '.join(map(str, world.space))} with "
            f"{', '.join(world.strategies)}"
        )
    chosen = _chosen(policies, world, goal)
    watched = [read_trigger(one, world.space) if isinstance(one, str) else one for one in triggers]
    rehearse(goal, knowledge, [*chosen.values()], watched, seed)
    if learn:
        if progress is not None:
            progress(f"learning from {learn:,} sessions")
        knowledge, _ = learned(world, goal, budget, learn, seed)
    told = [one if isinstance(one, str) else repr(one) for one in triggers]
    outcomes: dict[str, Outcome] = {}
    for name, policy in chosen.items():
        if progress is not None:
            progress(name)
        ran = steer(world, policy, goal, knowledge, budget, sessions, seed, watched)
        outcomes[name] = outcome_of(name, ran, goal, world.strategies, told)
    fixed = [fixed_name(strategy) for strategy in world.strategies]
    best = None
    how = None
    if oracle:
        if progress is not None:
            progress("oracle")
        how, best = _oracle(world, goal, budget, sessions, seed)
    scenarios: tuple[Scenario, ...] = ()
    if robust:
        if progress is not None:
            progress("robustness")
        scenarios = robustness(world, goal, knowledge, min(sessions, ROBUST_SESSIONS), budget, seed)
    return Evaluation(
        world=world,
        goal=goal,
        kind=kind,
        budget=budget,
        sessions=sessions,
        seed=seed,
        outcomes=outcomes,
        best_fixed=max(fixed, key=lambda name: float(outcomes[name].net.mean())),
        schedule=next((name for name, policy in chosen.items() if policy.name == "schedule"), None),
        oracle=best,
        oracle_by=how,
        handling=_handling(chosen, outcomes),
        scenarios=scenarios,
        learned=learn,
        notes=(
            *(() if isinstance(source, World) else source.doubts()),
            *_notes(world, goal, best, how, sessions, learn, any(trigger.action != "warn" for trigger in watched)),
        ),
    )


def fixed_name(strategy: str) -> str:
    """Return how the policy that only uses one strategy is called."""
    return f"fixed:strategy={strategy}"


def default_policies(world: World) -> list[str]:
    """Return the package's policies that need no option in this world, but thompson, which is for learning."""
    needs = {part.split("x")[0] for part in PAPER.split(",")}
    return [name for name in _COMPARED if name != "schedule" or needs <= set(world.strategies)]


def _chosen(policies: Sequence[str | Policy] | None, world: World, goal: Goal) -> dict[str, Policy]:
    chosen: dict[str, Policy] = {fixed_name(name): Schedule([name], "fixed") for name in world.strategies}
    goal.cost_of(world.strategies)
    for given in default_policies(world) if policies is None else policies:
        name = given if isinstance(given, str) else given.name
        if name in chosen:
            if name.startswith("fixed:"):
                continue
            raise InputError(f"each policy may be given once, but {name!r} comes twice")
        chosen[name] = read_policy(given) if isinstance(given, str) else given
    return chosen


def _oracle(world: World, goal: Goal, budget: int, sessions: int, seed: int) -> tuple[str, Outcome]:
    count = sessions if is_programmed(world, goal) else min(sessions, ORACLE_SESSIONS)
    how, ran = oracle_sessions(world, goal, budget, count, seed)
    return how, outcome_of("oracle", ran, goal, world.strategies)


def _handling(chosen: Mapping[str, Policy], outcomes: Mapping[str, Outcome]) -> Handling | None:
    first = {
        word: next((outcomes[name] for name, policy in chosen.items() if policy.name == word), None)
        for word in ("sequential", "simultaneous")
    }
    one, other = first["sequential"], first["simultaneous"]
    return None if one is None or other is None else handling(one, other)


def _notes(
    world: World, goal: Goal, best: Outcome | None, how: str | None, sessions: int, learn: int, called: bool
) -> tuple[str, ...]:
    notes = [
        "The best fixed strategy is chosen on these very sessions, which flatters it a little.",
    ]
    if best is not None:
        told = f"The oracle, by {how}, knows the dynamics for certain and sees states instead of scores"
        notes.append(told + (f"; it was run on the first {len(best):,} sessions." if len(best) < sessions else "."))
        if goal.floors:
            notes.append(
                "A policy that passes floors by mistake may have a greater utility than the oracle, which passes none "
                "that it need not."
            )
    if called:
        told = ", and the oracle has none" if best is not None else ""
        notes.append(f"A trigger that asks, pauses or stops ends a session; no policy foresees triggers{told}.")
    if learn:
        notes.append(
            f"What policies know was learned from {learn:,} sessions, one after another, by a pilot that knew nothing "
            "but the scales and the score noise; those sessions are not among the ones shown."
        )
    if world.score_noise.any():
        notes.append("Utility is that of true states; policies see scores with noise.")
    return tuple(notes)


def _check(sessions: int, budget: int, learn: int) -> None:
    for name, value, least, most in (
        ("sessions", sessions, 1, MOST_SESSIONS),
        ("iterations", budget, 1, MOST_ITERATIONS),
        ("sessions to learn from", learn, 0, MOST_LEARNED),
    ):
        if not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"{name} must be a whole number from {least} to {most:,}, but got {value!r}")

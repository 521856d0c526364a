"""Trial: policies on real loops, on tasks that the dynamics they go by were not fitted to."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.control.evaluation.outcome import Figure, Outcome, outcome_of
from trimtab.control.evaluation.world import Sessions
from trimtab.control.goal import Goal
from trimtab.core.by_name import ByName
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration
from trimtab.core.streams import stream
from trimtab.errors import InputError, TrimtabError
from trimtab.estimation.fit import fit
from trimtab.estimation.results import Fit
from trimtab.providers.base import Provider
from trimtab.providers.registry import get_provider
from trimtab.scoring.base import AnyScorer
from trimtab.sessions.config import RunConfig
from trimtab.sessions.experiment import close
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.scorers import scorers_of
from trimtab.sessions.steering import pilot_of
from trimtab.sessions.strategies import Strategy
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.memory import MemoryStore

__all__ = ["COLD", "Trial", "clustered", "default_arms", "split_tasks", "trial"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLD = " from nothing"
"""Ends the name of an arm whose policy starts without the fit."""

_LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Trial(ByName[Outcome]):
    """What policies came to on held-out tasks.

    Parameters
    ----------
    goal
        What they were to achieve.
    known
        The fit of the training tasks, on which each strategy ran on its own.
    training, held_out
        Ids of the tasks that sessions worked on.
    budget, seed
        Most iterations of a session, and the seed.
    outcomes
        By arm. Session i of every arm worked on the same task, as the same replicate.
    task
        (S,) index into `held_out` of each session's task.
    failed
        By arm, the share of answers that could not be used.
    best_fixed
        Name of the fixed strategy with the greatest mean net utility on these very sessions.
    """

    goal: Goal
    known: Fit
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    budget: int
    seed: int
    outcomes: Mapping[str, Outcome]
    task: Ints
    failed: Mapping[str, float]
    best_fixed: str

    _unknown = "no arm is called"

    @property
    def _parts(self) -> Mapping[str, Outcome]:
        return self.outcomes

    def over(self, arm: str, other: str) -> Figure:
        """Return how much more net utility one arm has than another, in pairs, with an interval clustered by task."""
        return clustered(self[arm].net - self[other].net, self.task)

    def summary(self) -> str:
        """Return tables and what they say as text for a terminal."""
        from trimtab.estimation.layout import as_text
        from trimtab.sessions.trial_summary import TrialSummary

        return as_text(TrialSummary(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.trial/1``, as plain Python values."""
        from trimtab.sessions.trial_summary import document

        return document(self)


def default_arms(strategies: Sequence[str]) -> list[str]:
    """Return what a trial compares: predictive with and without the fit, rules, the schedule, and best_of_n."""
    schedule = ["schedule"] if {"EF", "SF", "FF", "AI"} <= set(strategies) else []
    return ["predictive", f"predictive{COLD}", "rules", *schedule, "best_of_n"]


def split_tasks(tasks: Sequence[Task], seed: int) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """Return half of the tasks for training and the others, by a permutation that depends on the seed alone."""
    if len(tasks) < 4:
        raise InputError(f"a trial needs at least four tasks, to be parted into two halves, but got {len(tasks)}")
    order = stream(seed, "trial", "tasks").permutation(len(tasks))
    half = len(tasks) // 2
    return tuple(tasks[i] for i in sorted(order[:half])), tuple(tasks[i] for i in sorted(order[half:]))


def clustered(values: Floats, cluster: Ints) -> Figure:
    """Return the mean of values (S,) with a 95% interval that allows values of one cluster to be alike.

    The variance of the mean is G/(G-1) sum_g (sum over g of (v - mean))^2 / S^2 for G clusters (Liang and Zeger 1986),
    and the interval that of Student's t with G - 1 degrees of freedom.
    """
    mean, G = float(values.mean()), int(cluster.max()) + 1
    if G < 2:
        return Figure(mean, float("nan"), float("nan"))
    sums = np.bincount(cluster, weights=values - mean, minlength=G)
    error = float(np.sqrt(G / (G - 1) * (sums**2).sum())) / len(values)
    half = float(scipy.special.stdtrit(G - 1, (1 + _LEVEL) / 2)) * error
    return Figure(mean, mean - half, mean + half)


def trial(
    config: RunConfig,
    tasks: Sequence[Task],
    strategies: Sequence[Strategy],
    arms: Sequence[str] | None = None,
    *,
    provider: Provider | None = None,
    progress: Callable[[str], None] | None = None,
) -> Trial:
    """Run every strategy on half of the tasks, fit, and let policies that know the fit steer on the other half.

    Parameters
    ----------
    config
        As for a run: utility, weights, floor, cost, iterations, round, seed, scorers and concurrency, and `sessions` of
        every arm. Its policy, fit and tasks are not looked at.
    arms
        Policies, `COLD` behind the name of one that starts without the fit; `default_arms` if None. Each strategy on
        its own is always among them.
    provider
        What answers; that of the settings if None. It is closed at the end.
    progress
        Told of each arm before it runs.

    Raises
    ------
    InputError
        If there are too few tasks, or a policy or the goal cannot be used.
    TrimtabError
        If the provider cannot go on.
    """
    names = [strategy.name for strategy in strategies]
    fixed = [f"fixed:strategy={name}" for name in names]
    chosen = list(dict.fromkeys([*fixed, *(default_arms(names) if arms is None else arms)]))
    training, held_out = split_tasks(tasks, config.seed)
    told = progress or (lambda _: None)
    used = provider or get_provider(config.provider, config.provider_settings)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fit.json"
        settings = {
            arm: config.model_copy(
                update={"policy": arm.removesuffix(COLD), "fit": "" if arm.endswith(COLD) else str(file)}
            )
            for arm in chosen
        }
        scorers = scorers_of(config, used)
        alone = make_plan(config.model_copy(update={"policy": "", "fit": ""}), training, strategies, scorers)
        for arm in chosen:  # before anything takes time
            pilot_of(settings[arm].model_copy(update={"fit": ""}), alone.space, names)

        async def run_all() -> tuple[Fit, dict[str, tuple[Plan, Store]]]:
            try:
                told("every strategy on the training tasks")
                known = fit((await _ran(alone, used, scorers, config)).trajectories())
                file.write_text(known.to_json(), encoding="utf-8")
                stores = {}
                for arm in chosen:
                    told(arm)
                    plan = make_plan(settings[arm], held_out, strategies, scorers)
                    stores[arm] = plan, await _ran(plan, used, scorers, config)
                return known, stores
            finally:
                await close([used, *scorers])

        known, stores = asyncio.run(run_all())
    goal = pilot_of(settings[chosen[0]].model_copy(update={"fit": ""}), alone.space, names).goal
    outcomes, failed = {}, {}
    for arm, (plan, store) in stores.items():
        records = [list(store.iterations(session.id)) for session in plan.sessions]
        outcomes[arm] = outcome_of(arm, _sessions(records, alone.space, names, config.iterations), goal, tuple(names))
        answers = [record.status == "failed" for one in records for record in one[1:]]
        failed[arm] = float(np.mean(answers)) if answers else 0.0
    return Trial(
        goal=goal,
        known=known,
        training=tuple(task.id for task in training[: config.sessions]),
        held_out=tuple(task.id for task in held_out[: config.sessions]),
        budget=config.iterations,
        seed=config.seed,
        outcomes=outcomes,
        task=np.arange(config.sessions) % min(len(held_out), config.sessions),
        failed=failed,
        best_fixed=max(fixed, key=lambda arm: float(outcomes[arm].net.mean())),
    )


async def _ran(plan: Plan, provider: Provider, scorers: Sequence[AnyScorer], config: RunConfig) -> Store:
    """Run a plan to its end in memory."""
    store = MemoryStore()
    store.set_experiment(Experiment("trial", plan.space, plan.settings))
    outcome = await run_sessions(plan, store, provider, scorers, concurrency=config.concurrency, timeout=config.timeout)
    if outcome.ended != "complete":
        raise TrimtabError(f"the trial cannot go on: {outcome.reason}")
    return store


def _sessions(
    records: Sequence[Sequence[Iteration]], space: ObjectiveSpace, strategies: Sequence[str], budget: int
) -> Sessions:
    """Return stored sessions as evaluation knows them, the scores of the program in force being its true state."""
    S = len(records)
    states = np.full((S, budget + 1, space.n), np.nan)
    strategy, base = np.full((S, budget), -1), np.full((S, budget), -1)
    used, keep, asked = np.zeros(S, dtype=np.int64), np.zeros(S, dtype=np.int64), np.zeros(S, dtype=bool)
    for s, one in enumerate(records):
        for record in one:
            t = record.index
            if t:
                strategy[s, t - 1], base[s, t - 1] = strategies.index(record.strategy), record.base
            if t and record.status == "failed":
                states[s, t] = states[s, record.base]
            else:
                values = record.values
                states[s, t] = [np.nan if values[name] is None else values[name] for name in space.names]
        decision = one[-1].meta["decision"]
        used[s], keep[s], asked[s] = one[-1].index, decision["keep"], decision["action"] == "ask"
    return Sessions(states, states, strategy, base, used, keep, asked, np.zeros((S, 0), dtype=bool))

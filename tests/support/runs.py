"""Plans, stores and runs for the tests of the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from support.providers import ScriptedProvider
from trimtab.core.objectives import Objective
from trimtab.core.records import Iteration, Score
from trimtab.providers.base import Provider
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import RunConfig
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.runner import Outcome, run_sessions
from trimtab.sessions.strategies import Strategy, load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.memory import MemoryStore

__all__ = ["PROGRAM", "STRATEGIES", "TASKS", "Faulty", "one", "plan_for", "run", "store_for"]

TASKS = tuple(Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x\n") for i in range(3))
STRATEGIES = load_strategies(["EF", "SF"])
PROGRAM = "def g(x):\n    return x * 2\n"


def plan_for(
    sessions: int = 2,
    iterations: int = 3,
    strategies: Sequence[Strategy] = STRATEGIES,
    tasks: Sequence[Task] = TASKS,
    scorers: Sequence[Scorer] | None = None,
    **fields: object,
) -> Plan:
    config = RunConfig(sessions=sessions, iterations=iterations, **fields)
    return make_plan(config, tasks, strategies, scorers or [get_scorer("python-static")])


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def run(plan: Plan, store: Store, provider: Provider, scorers: Sequence[Scorer] | None = None, **options) -> Outcome:
    return asyncio.run(run_sessions(plan, store, provider, scorers or [get_scorer("python-static")], **options))


def one(answer: object, **options) -> list[Iteration]:
    """Run one session of one iteration against a scripted provider, and return what was stored."""
    plan = plan_for(1, 1, STRATEGIES[:1])
    store = store_for(plan)
    outcome = run(plan, store, ScriptedProvider(answer), **options)
    assert outcome.ended == "complete"
    return list(store.iterations())


class Faulty:
    """A scorer with one objective that raises, or says nothing, or too much."""

    name = "faulty"
    objectives = (Objective("calm"),)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        if self.kind == "raises":
            raise RecursionError("too deep \ud800")
        return () if self.kind == "silent" else (Score("calm", 1.0), Score("unasked", 2.0))

"""Sessions under triggers: programs whose scores are given, a human with given answers, and a webhook that listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from support.providers import fenced
from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.core.streams import stream_seed
from trimtab.providers.base import Completion, Request
from trimtab.scoring.base import ScoringContext
from trimtab.sessions.attendance import Attendance
from trimtab.sessions.config import RunConfig
from trimtab.sessions.desk import Desk, Question
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.progress import Outcome
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.memory import MemoryStore


class Says:
    """Scores a program by the number that it returns."""

    name = "says"
    objectives = (Objective("quality"), Objective("cost", direction="min"))

    def score(self, text: str, context: ScoringContext) -> list[Score]:
        value = float(text.rpartition("return ")[2])
        return [Score("quality", value), Score("cost", 10 - value)]


SCORERS = [Says()]


def program(value: float) -> str:
    return f"def f():\n    return {value}\n"


def task(value: float, name: str = "task") -> Task:
    return Task(name, "Do it.", program(value))


def plan_for(tasks: Sequence[Task], iterations: int, *triggers: str, **fields: object) -> Plan:
    if any(text.endswith(":webhook") for text in triggers):
        fields["webhook"] = "http://127.0.0.1:9/hook"
    config = RunConfig(sessions=len(tasks), iterations=iterations, trigger=triggers, **fields)
    return make_plan(config, tasks, load_strategies(["EF", "SF"] if config.policy else ["EF"]), SCORERS)


class Paced:
    """Answers iteration t of any session with the t-th value, whatever was asked before."""

    name = "paced"

    def __init__(self, plan: Plan, *values: float) -> None:
        self.calls = 0
        self.values = {
            stream_seed(plan.seed, strategy.name, one.task.id, one.replicate, t + 1): value
            for one in plan.sessions
            for strategy in plan.strategies
            for t, value in enumerate(values)
        }

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        await asyncio.sleep(0)
        return Completion(fenced(program(self.values[request.seed])), "paced", "stop", 10, 5)

    async def aclose(self) -> None:
        pass


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def run(plan: Plan, store: Store, provider: Any, attendance: Attendance | None = None, **options: object) -> Outcome:
    async def bounded() -> Outcome:
        async with asyncio.timeout(20):
            return await run_sessions(plan, store, provider, SCORERS, attendance=attendance, **options)

    return asyncio.run(bounded())


def human(*answers: str, seen: list[Question] | None = None) -> Desk:
    """Return a desk with a human who gives these answers in turn, then goes away."""
    left = list(answers)

    async def clerk(desk: Desk) -> None:
        while True:
            for question in desk.questions:
                if left:
                    action, _, strategy = left.pop(0).partition(" ")
                    if seen is not None:
                        seen.append(question)
                    desk.answer(question.id, action, "tester", strategy)
            await desk.changed()

    return Desk([clerk])


def fired(store: Store) -> list[tuple[int, list[str]]]:
    return [
        (record.index, [one["trigger"] for one in record.meta["watch"]["fired"]])
        for record in store.iterations()
        if "watch" in record.meta
    ]


class Hook:
    """Stands for a webhook."""

    artefact = False

    def __init__(self, fails: Callable[[dict], bool] = lambda _: False) -> None:
        self.told: list[dict] = []
        self.fails = fails

    async def deliver(self, payload: dict) -> dict:
        self.told.append(payload)
        await asyncio.sleep(0)
        if self.fails(payload):
            return {"delivered": False, "reason": "the server answered with status 500"}
        return {"delivered": True, "delivered_at": "2030-01-01T00:00:00+00:00"}

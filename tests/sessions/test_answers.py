"""Answers that were paid for: kept under keys of their own, and never asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.core.records import Iteration
from trimtab.errors import ProviderError, StoreError
from trimtab.providers.base import Completion, Message, Place, Provider, Request
from trimtab.providers.rewriter import RewriterProvider
from trimtab.scoring.registry import get_scorer
from trimtab.sessions import sharing
from trimtab.sessions.answers import answer_key
from trimtab.sessions.config import RunConfig
from trimtab.sessions.iterate import MAX_ANSWER_BYTES
from trimtab.sessions.plan import Plan, PlannedSession, make_plan
from trimtab.sessions.runner import Outcome, run_sessions
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore

TASKS = tuple(Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x\n") for i in range(2))
STRATEGIES = load_strategies(["EF", "SF"])
SCORERS = [get_scorer("python-static")]


def plan_for(sessions: int = 4, iterations: int = 3, **fields: object) -> Plan:
    return make_plan(RunConfig(sessions=sessions, iterations=iterations, **fields), TASKS, STRATEGIES, SCORERS)


def run(plan: Plan, store: MemoryStore, provider: Provider, **options: object) -> Outcome:
    return asyncio.run(run_sessions(plan, store, provider, SCORERS, **options))


def begun(plan: Plan, store: MemoryStore | None = None) -> MemoryStore:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


class Dying(MemoryStore):
    """Takes in answers, and dies before their iterations are stored."""

    left = 0

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        if self.left < len(iterations):
            raise StoreError("killed")
        self.left -= len(iterations)
        super().extend(iterations, owner)


def test_everything_that_is_asked_and_what_it_is_for_makes_another_key() -> None:
    request = Request((Message("user", "Improve this."),), "m", 0.5, 100, 7, ("end",))
    session = PlannedSession(STRATEGIES[0], TASKS[0], 0)
    keys = {answer_key("openai", [], request, session, 1)}
    assert keys == {answer_key("openai", [], replace(request), replace(session), 1)}
    others = [
        answer_key("anthropic", [], request, session, 1),
        answer_key("openai", ["a=1"], request, session, 1),
        answer_key("openai", [], replace(request, messages=(Message("user", "Improve that."),)), session, 1),
        answer_key("openai", [], replace(request, messages=(Message("system", "Improve this."),)), session, 1),
        answer_key("openai", [], replace(request, model="n"), session, 1),
        answer_key("openai", [], replace(request, temperature=None), session, 1),
        answer_key("openai", [], replace(request, max_tokens=101), session, 1),
        answer_key("openai", [], replace(request, seed=8), session, 1),
        answer_key("openai", [], replace(request, stop=()), session, 1),
        answer_key("openai", [], replace(request, schema={"type": "object"}), session, 1),
        answer_key("openai", [], replace(request, schema={"type": "array"}), session, 1),
        answer_key("openai", [], replace(request, place=Place("EF", "task0", 0, 1, "SF")), session, 1),
        answer_key("openai", [], request, replace(session, task=TASKS[1]), 1),
        answer_key("openai", [], request, replace(session, replicate=1), 1),
        answer_key("openai", [], request, session, 2),
    ]
    assert len(keys.union(others)) == 1 + len(others)
    assert all(len(key) == 64 for key in others)


@pytest.mark.parametrize("policy", ["", "thompson"])
def test_an_answer_whose_iteration_was_not_stored_is_not_asked_for_again(policy: str) -> None:
    plan = plan_for(policy=policy)
    whole, provider = begun(plan), TinyProvider()
    run(plan, whole, provider)
    broken, broken_provider = begun(plan, Dying()), TinyProvider()
    for writes in (3, 4, 2, 100):
        broken.left = writes
        if writes < 100:
            with pytest.raises(StoreError, match="killed"):
                run(plan, broken, broken_provider, concurrency=3)
        else:
            run(plan, broken, broken_provider, concurrency=3)
    assert contents(broken) == contents(whole)
    remembered = [record for record in broken.iterations() if record.meta.get("remembered")]
    assert remembered
    assert all(record.answer is not None for record in remembered)
    # What was answered was asked for once; only failures of the provider may have been met with again.
    answered = sum(record.answer is not None for record in broken.iterations())
    assert len(broken._answers) == answered


def test_replicates_that_ask_the_same_get_answers_of_their_own() -> None:
    plan = plan_for(sessions=8, iterations=2)
    numbers = iter(range(10**6))

    def answer(_: Request) -> str:
        return fenced(f"def g(x):\n    return x + {next(numbers)}\n")

    store, provider = begun(plan), ScriptedProvider(answer)
    # Even if an endpoint knows no seeds, so that all replicates send the same.
    run(plan, store, provider)
    answers = [record.answer for record in store.iterations() if record.index]
    assert len(set(answers)) == len(answers) == len(provider.requests) == 8 * 2 * 2
    again = begun(plan, store)
    assert run(plan, again, provider).progress.new == 0


def test_whoever_takes_over_a_session_asks_for_no_answer_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_POLL", 0.001)
    plan, store, providers = plan_for(), MemoryStore(), (TinyProvider(), TinyProvider())
    begun(plan, store)

    class Dies:
        """The same store, to one who dies before anything but starts is stored."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
            if any(iteration.index for iteration in iterations):
                raise StoreError("killed")
            store.extend(iterations, owner)

    async def both() -> None:
        one, other = (
            asyncio.ensure_future(run_sessions(plan, at, provider, SCORERS, concurrency=len(plan.sessions)))
            for at, provider in zip((Dies(), store), providers, strict=True)
        )
        with pytest.raises(StoreError, match="killed"):
            await one
        assert (await other).ended == "complete"

    asyncio.run(both())
    kept = sum(bool(record.meta.get("remembered")) for record in store.iterations())
    assert kept > 0
    assert sum(provider.calls for provider in providers) == _calls(plan)


def _calls(plan: Plan) -> int:
    provider = TinyProvider()
    run(plan, begun(plan), provider)
    return provider.calls


def test_a_run_that_is_started_over_still_knows_what_was_answered() -> None:
    plan = plan_for()
    store, provider = begun(plan, Dying()), TinyProvider()
    store.left = 8  # every start, and nothing after it
    with pytest.raises(StoreError):
        run(plan, store, provider, concurrency=8)
    calls = provider.calls
    assert calls > 0
    store.start_over()
    store.left = 1000
    run(plan, begun(plan, store), provider)
    assert any(record.meta.get("remembered") for record in store.iterations())
    assert contents(store) == contents(_whole(plan))


def _whole(plan: Plan) -> MemoryStore:
    store = begun(plan)
    run(plan, store, TinyProvider())
    return store


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("x" * MAX_ANSWER_BYTES, True),
        ("x" * (MAX_ANSWER_BYTES + 1), False),
        ("ψ" * (MAX_ANSWER_BYTES // 2 + 1), False),
        ("\ud800", True),
        (Completion("cut", finish_reason="length", prompt_tokens=3, wasted={"prompt_tokens": 2}), True),
        (ProviderError("busy"), False),
    ],
)
def test_answers_of_any_kind_are_kept_but_neither_giant_ones_nor_failures(answer: object, kept: bool) -> None:
    plan = plan_for(1, 1, strategies=("EF",))

    def say(_: Request) -> str | Completion:
        if isinstance(answer, Exception):
            raise answer
        return answer

    dying, provider = begun(plan, Dying()), ScriptedProvider(say)
    dying.left = len(plan.sessions)
    with pytest.raises(StoreError):
        run(plan, dying, provider)
    assert dying.remembers() is kept
    asked = len(provider.requests)
    dying.left = 100
    run(plan, dying, provider)
    whole = begun(plan)
    run(plan, whole, ScriptedProvider(say))
    assert contents(dying) == contents(whole)
    assert any(record.meta.get("remembered", False) for record in dying.iterations()) is kept
    assert kept or len(provider.requests) > asked


@pytest.mark.parametrize(("provider", "options"), [(TinyProvider(), {"cache": False}), (RewriterProvider(0), {})])
def test_nothing_is_kept_where_it_is_switched_off_or_costs_nothing(provider: Provider, options: dict) -> None:
    plan = plan_for(1, 2)
    store = begun(plan)
    assert run(plan, store, provider, **options).ended == "complete"
    assert not store.remembers()


def test_a_store_that_cannot_keep_an_answer_ends_the_run() -> None:
    class Full(MemoryStore):
        def remember(self, answers: object) -> None:
            raise StoreError("the disk is full")

    plan = plan_for()
    with pytest.raises(StoreError, match="the disk is full"):
        run(plan, begun(plan, Full()), TinyProvider())

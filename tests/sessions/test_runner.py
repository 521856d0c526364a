"""The runner: every iteration once, whatever fails, and on from wherever it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.providers import ScriptedProvider, TinyProvider
from support.runs import plan_for, run, store_for
from trimtab.core.records import Iteration
from trimtab.errors import ProviderError, StoreError
from trimtab.providers.base import Completion, Request
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.runner import Outcome, Progress, run_sessions
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store


def test_every_planned_iteration_is_stored_once_in_order() -> None:
    plan = plan_for(sessions=4, iterations=5)
    store, seen = store_for(plan), []
    outcome = run(plan, store, TinyProvider(), concurrency=3, listener=seen.append)
    assert outcome.ended == "complete"
    assert [(i.session_id, i.index) for i in store.iterations()] == [(s.id, t) for s in plan.sessions for t in range(6)]
    assert outcome.progress.new == outcome.progress.iterations == outcome.progress.iterations_done == 40
    assert outcome.progress.sessions_done == 8
    assert outcome.progress.failures == sum(i.status == "failed" for i in store.iterations()) > 0
    assert [p.iterations_done for p in seen] == sorted(p.iterations_done for p in seen)
    assert seen[-1] == outcome.progress


def test_the_result_does_not_depend_on_completion_order(tmp_path: Path) -> None:
    plan = plan_for(sessions=4, iterations=4)
    results = []
    for concurrency in (1, 5, 100):
        store = store_for(plan, open_store(f"sqlite:///{tmp_path}/{concurrency}.db", create=True))
        run(plan, store, TinyProvider(), concurrency=concurrency)
        results.append(contents(store))
        store.close()
    assert results[0] == results[1] == results[2]


def test_a_finished_run_asks_nothing_more() -> None:
    plan, provider = plan_for(), TinyProvider()
    store = store_for(plan)
    run(plan, store, provider)
    calls, before = provider.calls, contents(store)
    outcome = run(plan, store, provider)
    assert (provider.calls, contents(store)) == (calls, before)
    assert (outcome.ended, outcome.progress.new) == ("complete", 0)


@pytest.mark.parametrize("after", [0, 1, 5, 17])
def test_a_stopped_run_goes_on_where_it_stopped(after: int) -> None:
    plan = plan_for(sessions=4, iterations=4)
    whole, broken = store_for(plan), store_for(plan)
    run(plan, whole, TinyProvider())

    async def stopped() -> Outcome:
        stop = asyncio.Event()

        def watch(progress: Progress) -> None:
            if progress.new >= after:
                stop.set()

        return await run_sessions(
            plan, broken, TinyProvider(), [get_scorer("python-static")], concurrency=3, listener=watch, stop=stop
        )

    outcome = asyncio.run(stopped())
    assert outcome.ended == "stopped"
    assert after <= outcome.progress.new <= after + 3
    assert run(plan, broken, TinyProvider()).ended == "complete"
    assert contents(broken) == contents(whole)


def test_more_sessions_and_iterations_add_to_what_is_there() -> None:
    small, large = plan_for(2, 2), plan_for(4, 5)
    grown, whole = store_for(large), store_for(large)
    run(small, grown, TinyProvider())
    run(large, grown, TinyProvider())
    run(large, whole, TinyProvider())
    assert contents(grown) == contents(whole)
    before = contents(grown)
    assert run(small, grown, TinyProvider()).ended == "complete"
    assert contents(grown) == before


def test_iterations_that_do_not_finish_in_time_leave_nothing_after_a_stop() -> None:
    plan = plan_for(2, 2)
    store = store_for(plan)

    async def stopped() -> Outcome:
        stop = asyncio.Event()

        async def never(_: Request) -> str:
            stop.set()
            await asyncio.sleep(3600)
            return ""

        provider = ScriptedProvider(lambda request: never(request))
        return await run_sessions(plan, store, provider, [get_scorer("python-static")], stop=stop, grace=0.05)

    assert asyncio.run(stopped()).ended == "stopped"
    assert {i.index for i in store.iterations()} == {0}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProviderError("the key was refused", fatal=True), "the key was refused"),
        (ZeroDivisionError("bug"), "the provider broke with ZeroDivisionError: bug"),
    ],
)
def test_a_fatal_refusal_ends_the_run_and_keeps_what_there_is(error: Exception, said: str) -> None:
    plan = plan_for(4, 4)
    whole, broken = store_for(plan), store_for(plan)
    run(plan, whole, TinyProvider())
    tiny, calls = TinyProvider(), iter(range(10**6))

    async def dies(request: Request) -> str:
        if next(calls) >= 7:
            raise error
        return (await tiny.complete(request)).text

    async def dies_like_tiny(request: Request) -> Completion:
        if next(calls) >= 7:
            raise error
        return await tiny.complete(request)

    provider = ScriptedProvider(lambda request: dies(request))
    provider.complete = dies_like_tiny
    outcome = run(plan, broken, provider, concurrency=3)
    assert (outcome.ended, outcome.reason) == ("error", said)
    assert 4 <= outcome.progress.new <= 7
    assert run(plan, broken, TinyProvider()).ended == "complete"
    assert contents(broken) == contents(whole)


def test_a_store_that_refuses_ends_the_run() -> None:
    class Full(MemoryStore):
        def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
            if any(iteration.index == 2 for iteration in iterations):
                raise StoreError("the disk is full")
            super().extend(iterations, owner)

    plan = plan_for()
    store = store_for(plan, Full())
    with pytest.raises(StoreError, match="the disk is full"):
        run(plan, store, TinyProvider())
    assert {i.index for i in store.iterations()} == {0, 1}

"""The runner: every iteration once, whatever fails, and on from wherever it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.core.objectives import Objective
from trimtab.core.records import Iteration, Score
from trimtab.core.streams import stream_seed
from trimtab.errors import InputError, ProviderError, StoreError
from trimtab.providers.base import Completion, Provider, Request
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import RunConfig
from trimtab.sessions.iterate import MAX_ANSWER_BYTES
from trimtab.sessions.plan import Plan, agreed_settings, make_plan, space_of
from trimtab.sessions.runner import Outcome, Progress, run_sessions
from trimtab.sessions.strategies import Strategy, load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

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


def test_sessions_are_paired_over_strategies_and_spread_over_tasks() -> None:
    plan = plan_for(sessions=5)
    assert [s.id for s in plan.sessions][:4] == ["EF/task0/0", "SF/task0/0", "EF/task1/0", "SF/task1/0"]
    assert [s.id for s in plan.sessions if s.strategy.name == "SF"][3:] == ["SF/task0/1", "SF/task1/1"]
    assert plan_for(sessions=3).sessions == plan.sessions[:6]


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


def test_iteration_zero_is_the_starting_artefact_scored() -> None:
    start, first = one(lambda _: fenced(PROGRAM))
    assert (start.index, start.status, start.answer, start.extraction) == (0, "ok", None, "start")
    assert start.artefact == TASKS[0].artefact
    assert [s.objective for s in start.scores] == ["security", "efficiency", "functionality"]
    assert all(s.status == "ok" for s in start.scores)
    assert (first.index, first.status, first.artefact, first.extraction) == (1, "ok", PROGRAM, "fence")
    assert first.answer == fenced(PROGRAM)
    assert first.meta["seconds"] >= 0


def test_requests_carry_seed_model_and_the_program_in_force() -> None:
    plan = plan_for(1, 3, STRATEGIES[:1], seed=7, temperature=0.5, max_tokens=99)
    provider = ScriptedProvider(lambda r: fenced(f"def g(x):\n    return {len(r.messages[-1].content)}\n"))
    store = store_for(plan)
    run(plan, store, provider)
    stored = list(store.iterations())
    assert [r.seed for r in provider.requests] == [stream_seed(7, "EF", "task0", 0, t) for t in (1, 2, 3)]
    for request, before in zip(provider.requests, stored, strict=False):
        assert before.artefact in request.messages[-1].content
        assert (request.model, request.temperature, request.max_tokens) == ("rewriter", 0.5, 99)


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
    ("answer", "reason"),
    [
        ("Let us talk.", ""),
        ("", "empty"),
        (fenced("def g(:\n"), ""),
        (fenced(PROGRAM.replace("x", "x\0")), "the program holds a NUL character"),
        (fenced("x = '" + "a" * 70_000 + "'\n\n\ndef g():\n    return x\n"), "64 KB"),
        ("x" * (MAX_ANSWER_BYTES + 1), f"the answer has {MAX_ANSWER_BYTES + 1:,} bytes"),
    ],
)
def test_an_unusable_answer_is_kept_and_the_session_goes_on_with_the_previous_program(answer: str, reason: str) -> None:
    start, first = one(lambda _: answer)
    assert first.status == "failed"
    assert reason in first.reason
    assert first.reason
    assert first.artefact == start.artefact
    assert first.answer == answer[:MAX_ANSWER_BYTES]
    assert len(first.scores) == 3
    assert any(s.status == "failed" and s.reason for s in first.scores)


def test_a_giant_answer_of_wide_characters_is_bounded_in_bytes() -> None:
    _, first = one(lambda _: "ψ" * 2_000_000)
    assert first.status == "failed"
    assert len(first.answer.encode()) <= MAX_ANSWER_BYTES
    assert first.meta["answer_bytes"] == 4_000_000


def test_lone_surrogates_and_nul_in_an_answer_do_no_harm() -> None:
    _, first = one(lambda _: "\ud800 and \x00 here\n" + fenced(PROGRAM))
    assert first.artefact == PROGRAM
    assert first.answer.startswith("\ufffd and \x00 here")
    assert first.meta["replaced_characters"] == 1


def test_code_that_says_nothing_new_is_marked_unchanged() -> None:
    start, first = one(lambda _: fenced(TASKS[0].artefact))
    assert first.status == "ok"
    assert first.meta["unchanged"] is True
    assert first.scores == start.scores


def test_prose_that_would_parse_gets_no_values() -> None:
    _, first = one(lambda _: "Done")
    assert first.status == "failed"
    assert {s.status for s in first.scores} == {"failed"}


def test_a_refusal_that_may_pass_is_a_failed_iteration() -> None:
    def refuse(_: Request) -> str:
        raise ProviderError("status 500: \ud800 oh")

    start, first = one(refuse)
    assert (first.status, first.answer, first.artefact) == ("failed", None, start.artefact)
    assert first.reason == "status 500: \ufffd oh"
    assert {(s.status, s.reason) for s in first.scores} == {("failed", "status 500: \ufffd oh")}


def test_an_answer_that_takes_too_long_is_a_failed_iteration() -> None:
    async def slow() -> str:
        await asyncio.sleep(3600)
        return ""

    _, first = one(lambda _: slow(), timeout=0.02)
    assert (first.status, first.reason) == ("failed", "no answer within 0.02 s")


def test_a_cut_answer_says_so() -> None:
    _, first = one(lambda _: Completion("```python\ndef g(x):\n    return (", finish_reason="length"))
    assert first.status == "failed"
    assert "cut off" in first.reason
    assert first.meta["finish_reason"] == "length"


OPEN = f"```python\n{PROGRAM}"


@pytest.mark.parametrize(
    "text",
    [
        OPEN,
        PROGRAM,
        f"Here it is:\n{PROGRAM}",
        f"{OPEN}\nNow it",
        f"For example:\n{fenced(PROGRAM)}Now all:\n{OPEN}x = (",
    ],
)
def test_a_cut_program_that_happens_to_parse_is_no_program(text: str) -> None:
    start, first = one(lambda _: Completion(text, finish_reason="length"))
    assert (first.status, first.artefact, first.answer) == ("failed", start.artefact, text)
    assert "cut off at the longest answer allowed" in first.reason
    assert {(s.status, s.value) for s in first.scores} == {("failed", None)}
    _, whole = one(lambda _: Completion(text, finish_reason="stop"))
    assert (whole.status, whole.artefact) == ("ok", PROGRAM)


def test_a_program_closed_before_the_cut_counts() -> None:
    _, first = one(lambda _: Completion(f"{fenced(PROGRAM)}\nThis is fast", finish_reason="length"))
    assert (first.status, first.artefact) == ("ok", PROGRAM)


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


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("raises", "failed", "the scorer faulty failed with RecursionError: too deep \ufffd"),
        ("silent", "unscored", "the scorer faulty gave no score"),
        ("chatty", "ok", ""),
    ],
)
def test_a_faulty_scorer_does_not_end_the_run(kind: str, status: str, reason: str) -> None:
    scorers = [get_scorer("python-static"), Faulty(kind)]
    plan = plan_for(1, 1, STRATEGIES[:1], scorers=scorers)
    store = store_for(plan)
    assert run(plan, store, TinyProvider(), scorers).ended == "complete"
    for record in store.iterations():
        assert [s.objective for s in record.scores] == ["security", "efficiency", "functionality", "calm"]
        assert (record.scores[-1].status, record.scores[-1].reason) == (status, reason)


def test_objectives_are_chosen_among_those_of_the_scorers() -> None:
    scorers = [get_scorer("python-static"), Faulty("silent")]
    assert space_of(scorers, ("calm", "security")).names == ("calm", "security")
    with pytest.raises(InputError, match="no scorer gives the objective 'beauty'; there are security"):
        space_of(scorers, ("beauty",))
    with pytest.raises(InputError, match="both give the objective 'calm'"):
        space_of([Faulty("silent"), Faulty("silent")])


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


def test_tasks_in_other_languages_are_refused() -> None:
    with pytest.raises(InputError, match="task 'r' is in 'rust'"):
        plan_for(tasks=[replace(TASKS[0], id="r", language="rust")])


def test_settings_that_change_the_meaning_are_named() -> None:
    plan = plan_for(2, 2)
    other = Strategy("EF", "EF", "Do something else.")
    changes = {
        "seed": plan_for(2, 2, seed=9),
        "temperature": plan_for(2, 2, temperature=0.3),
        "max_tokens": plan_for(2, 2, max_tokens=5),
        "provider": plan_for(2, 2, provider="openai", model="m"),
        "objectives": plan_for(2, 2, objectives=("security",)),
        "tasks": plan_for(2, 2, tasks=TASKS[:2]),
        "the text of strategy EF": plan_for(2, 2, strategies=[other, STRATEGIES[1]]),
    }
    for name, changed in changes.items():
        with pytest.raises(StoreError, match=rf"other settings: .*{name}.*choose another --out or --store"):
            agreed_settings(plan.settings, changed.settings, "sqlite:///x.db")
    with pytest.raises(StoreError, match="holds imported data"):
        agreed_settings({}, plan.settings, "sqlite:///x.db")


def test_settings_that_only_add_are_agreed_to() -> None:
    plan = plan_for(3, 3)
    more = plan_for(5, 2, [*load_strategies(["FF"]), STRATEGIES[0]], concurrency=1)
    agreed = agreed_settings(plan.settings, more.settings, "")
    assert (agreed["sessions"], agreed["iterations"]) == (5, 3)
    assert list(agreed["strategies"]) == ["EF", "SF", "FF"]
    for one in (plan, more):
        again = agreed_settings(agreed, one.settings, "")
        assert {**again, "config": None} == {**agreed, "config": None}
        given = again["config"]
        assert (given["sessions"], given["iterations"], given["strategies"]) == (5, 3, ["EF", "SF", "FF"])
    assert (agreed["config"]["concurrency"], again["config"]["concurrency"]) == (1, 1)

"""Several processes at one run: every iteration once, whoever makes it and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.core.records import Iteration
from trimtab.providers.base import Completion, Request
from trimtab.scoring.registry import get_scorer
from trimtab.sessions import sharing
from trimtab.sessions.accounts import Accounts
from trimtab.sessions.config import RunConfig
from trimtab.sessions.limits import Limits, Meter
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.runner import Outcome, run_sessions
from trimtab.sessions.spending import Spending, Tally
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.leases import new_owner
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

TASKS = tuple(Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x\n") for i in range(3))
SCORERS = [get_scorer("python-static")]
Open = Callable[[], Store]


def plan_for(sessions: int = 6, iterations: int = 4, **fields: object) -> Plan:
    return make_plan(
        RunConfig(sessions=sessions, iterations=iterations, **fields), TASKS, load_strategies(["EF", "SF"]), SCORERS
    )


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the same store again and again, as another process would."""
    stores: list[Store] = []
    url = f"sqlite:///{tmp_path}/s.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh()

    def again() -> Store:
        if request.param == "memory" and stores:
            return stores[0]
        stores.append(MemoryStore() if request.param == "memory" else open_store(url, create=True))
        return stores[-1]

    yield again
    for store in stores:
        store.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_POLL", 0.01)


def begun(plan: Plan, store: Store) -> Store:
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def whole(plan: Plan) -> list[tuple[object, ...]]:
    store = begun(plan, MemoryStore())
    assert asyncio.run(run_sessions(plan, store, TinyProvider(), SCORERS)).ended == "complete"
    return contents(store)


def together(plan: Plan, stores: Sequence[Store], providers: Sequence[object], **options: object) -> list[Outcome]:
    async def all_of_them() -> list[Outcome]:
        runs = [run_sessions(plan, s, p, SCORERS, **options) for s, p in zip(stores, providers, strict=True)]
        return await asyncio.gather(*runs)

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("policy", ["", "predictive", "thompson"])
def test_processes_share_a_run_and_make_nothing_twice(opened: Open, policy: str) -> None:
    plan = plan_for(policy=policy, **({"round": 4} if policy else {}))
    stores = [begun(plan, opened()), opened(), opened()]
    providers = [TinyProvider() for _ in stores]
    outcomes = together(plan, stores, providers, concurrency=2)
    expected = whole(plan)
    assert contents(stores[0]) == expected
    made = sum(row[0] == "iteration" and row[2] > 0 for row in expected)
    assert sum(provider.calls for provider in providers) == made
    assert sum(provider.calls > 0 for provider in providers) > 1, "several must have done a part"
    assert [outcome.ended for outcome in outcomes] == ["complete"] * 3
    assert [outcome.reports for outcome in outcomes].count(True) == 1
    for outcome in outcomes:
        progress = outcome.progress
        assert progress.sessions_done == progress.sessions
        assert progress.iterations_done == progress.iterations == made
    assert sum(outcome.progress.new for outcome in outcomes) == made
    assert stores[0].leases() == []


def test_more_sessions_than_asked_for_may_be_shared(opened: Open) -> None:
    small, large = plan_for(sessions=2), plan_for(sessions=6)
    stores = [begun(large, opened()), opened()]

    async def both() -> list[Outcome]:
        few = run_sessions(small, stores[0], TinyProvider(), SCORERS, concurrency=2)
        return await asyncio.gather(few, run_sessions(large, stores[1], TinyProvider(), SCORERS, concurrency=2))

    ended = asyncio.run(both())
    assert [outcome.ended for outcome in ended] == ["complete"] * 2
    assert contents(stores[0]) == whole(large)


def test_processes_share_a_budget(opened: Open) -> None:
    budget, plan = 4000, plan_for(sessions=60, iterations=4)
    stores = [begun(plan, opened()), opened(), opened()]

    async def answer(request: Request) -> Completion:
        await asyncio.sleep(0.002)
        return Completion(fenced(f"def g(x):\n    return {request.seed}\n"), "m", "stop", 70, 30)

    async def all_of_them() -> list[Outcome]:
        limits = Limits(tokens=budget)
        return await asyncio.gather(
            *(
                run_sessions(plan, s, ScriptedProvider(answer), SCORERS, meter=Meter(limits=limits), concurrency=2)
                for s in stores
            )
        )

    outcomes = asyncio.run(all_of_them())
    taken = 100 * sum(record.index > 0 for record in stores[0].iterations())
    assert [outcome.ended for outcome in outcomes] == ["limit"] * 3
    assert sum(outcome.progress.spent.tokens for outcome in outcomes) == taken
    assert max(outcome.spent_in_all.tokens for outcome in outcomes) == taken
    # On top comes at most what two others have under way, and what has ended there since it was looked for last.
    assert budget - 100 < taken <= budget + 2 * (2 + 4) * 100


def test_only_what_others_have_made_is_found_by_a_look() -> None:
    plan = plan_for(sessions=1)
    store = begun(plan, MemoryStore())
    store.add_sessions(plan.records())

    async def at_once(function: Callable[..., object], /, *values: object) -> object:
        return function(*values)

    def made(session: str, t: int, tokens: int) -> Iteration:
        return Iteration(session, t, "EF", "x", meta={"prompt_tokens": tokens, "completion_tokens": 0})

    async def scenario() -> None:
        meter = Meter(limits=Limits(tokens=1000))
        accounts = Accounts(store, meter, at_once)
        accounts.extend([made("EF/task0/0", 0, 10)])
        assert await accounts.look() == Tally()
        store.append(made("SF/task0/0", 0, 500))
        store.append(made("SF/task0/0", 1, 20))
        accounts.extend([made("EF/task0/0", 1, 30)])
        assert await accounts.look() == Tally(2, Spending(520, unpriced=2), 500)
        assert await accounts.look() == Tally()

    asyncio.run(scenario())


class Slow:
    """Answers as `TinyProvider`, but holds back one answer until it is told to go on."""

    name = "tiny"

    def __init__(self, after: int) -> None:
        self.tiny, self.after, self.held = TinyProvider(), after, asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        if self.tiny.calls == self.after:
            await self.held.wait()
        return await self.tiny.complete(request)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("policy", ["", "predictive"])
@pytest.mark.parametrize("after", [0, 5])
def test_a_session_whose_lease_was_lost_is_given_up_without_harm(
    opened: Open, monkeypatch: pytest.MonkeyPatch, policy: str, after: int
) -> None:
    plan = plan_for(policy=policy, **({"round": 4} if policy else {}))
    stores, slow, quick = [begun(plan, opened()), opened()], Slow(after), TinyProvider()
    # The first is held up and does not renew, so that the second takes over what it holds.
    monkeypatch.setattr(sharing, "_RENEWALS", 0.001)
    monkeypatch.setattr(sharing, "LEASE", 0.3)

    async def both() -> tuple[Outcome, Outcome]:
        late = asyncio.create_task(run_sessions(plan, stores[0], slow, SCORERS, concurrency=1, cache=False))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(sharing, "LEASE", 60.0)
        prompt = await run_sessions(plan, stores[1], quick, SCORERS, concurrency=1, cache=False)
        slow.held.set()
        return await late, prompt

    outcomes = asyncio.run(both())
    assert [outcome.ended for outcome in outcomes] == ["complete"] * 2
    expected = whole(plan)
    assert contents(stores[0]) == expected
    made = sum(row[0] == "iteration" and row[2] > 0 for row in expected)
    assert slow.tiny.calls + quick.calls == made + 1, "only what was on its way when the lease was lost is made twice"
    for outcome in outcomes:
        assert outcome.progress.iterations_done == outcome.progress.iterations == made


def test_a_known_loss_stops_a_session_before_it_asks_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_for(sessions=1, iterations=6)
    store = begun(plan, opened())
    monkeypatch.setattr(sharing, "LEASE", 0.1)
    thief, tiny, asked = new_owner(), TinyProvider(), []

    async def answer(request: Request) -> str:
        asked.append(request)
        if len(asked) == 2:
            # Somebody else has them now, and lets them go again in a while.
            monkeypatch.setattr(store, "renew", lambda *_: set())
            await asyncio.sleep(0.15)
            monkeypatch.undo()
            assert store.claim(thief, [s.id for s in plan.sessions], 0.2)
        return (await tiny.complete(request)).text

    outcome = asyncio.run(run_sessions(plan, store, ScriptedProvider(answer), SCORERS, concurrency=2, cache=False))
    assert outcome.ended == "complete"
    assert [record.index for record in store.iterations()] == [0, 1, 2, 3, 4, 5, 6] * 2
    assert len(asked) <= 12 + 2


def test_a_run_that_finds_everything_done_reports_and_one_that_is_stopped_lets_go(opened: Open) -> None:
    plan = plan_for(sessions=2)
    store = begun(plan, opened())

    async def stopped() -> Outcome:
        stop = asyncio.Event()
        tiny = TinyProvider()

        async def answer(request: Request) -> str:
            stop.set()
            return (await tiny.complete(request)).text

        return await run_sessions(plan, store, ScriptedProvider(answer), SCORERS, stop=stop, concurrency=2)

    assert asyncio.run(stopped()).ended == "stopped"
    assert store.leases() == []
    for new in (plan.iterations, 0):
        (outcome,) = together(plan, [store], [TinyProvider()])
        assert (outcome.ended, outcome.reports, outcome.progress.new > 0) == ("complete", True, new > 0)


def test_who_waits_for_another_takes_over_when_it_has_died(opened: Open) -> None:
    plan = plan_for(sessions=2)
    store = begun(plan, opened())
    store.add_sessions(plan.records())
    dead = ":".join(["gone", "1", "1", "elsewhere", "0"])
    store.claim(dead, ["EF/task0/0", "SF/task1/0"], 0.4)
    (outcome,) = together(plan, [store], [TinyProvider()])
    assert (outcome.ended, outcome.reports) == ("complete", True)
    assert contents(store) == whole(plan)
    assert outcome.progress.seconds > 0.2


def test_a_lease_that_cannot_be_renewed_ends_the_run_in_a_sentence(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trimtab.errors import StoreError

    plan = plan_for(sessions=1)
    store = begun(plan, opened())
    monkeypatch.setattr(sharing, "LEASE", 0.05)

    def fails(*_: object) -> set[str]:
        raise StoreError("the store cannot be reached")

    async def never(_: Request) -> str:
        await asyncio.sleep(60)
        return ""

    monkeypatch.setattr(store, "renew", fails)
    with pytest.raises(StoreError, match="cannot be reached"):
        asyncio.run(run_sessions(plan, store, ScriptedProvider(never), SCORERS))

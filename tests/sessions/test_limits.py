"""Spending and its limits: what is counted, how far budgets are exceeded, and that a run goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.core.records import Iteration
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Provider, Request
from trimtab.scoring.registry import get_scorer
from trimtab.sessions import limits as limits_module
from trimtab.sessions.config import RunConfig, load_config
from trimtab.sessions.limits import Limits, Meter, read_deadline, require_prices
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.progress import Outcome
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.spending import Price, Spending, price_of, priced, spending_of
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

TASKS = [Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x\n") for i in range(3)]
SCORERS = [get_scorer("python-static")]
PRICES = {"gpt-*": Price(input=1.0, output=10.0, cached_input=0.25), "gpt-4-mini": Price(input=2.0, output=4.0)}


def plan_for(sessions: int = 6, iterations: int = 4, **fields: object) -> Plan:
    config = RunConfig(sessions=sessions, iterations=iterations, **fields)
    return make_plan(config, TASKS, load_strategies(["EF"]), SCORERS)


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def run(plan: Plan, store: Store, provider: Provider, limits: Limits | None = None, **options: object) -> Outcome:
    async def all_of_it() -> Outcome:
        earlier = store.metas() if limits is not None and limits.budgeted else ()
        meter = Meter("gpt-4", PRICES, limits, earlier)
        return await run_sessions(plan, store, provider, SCORERS, meter=meter, **options)

    return asyncio.run(all_of_it())


def answer(request: Request, prompt: int = 100, said: int = 50) -> Completion:
    return Completion(fenced(f"def g(x):\n    return x + {request.seed % 97}\n"), "gpt-4", "stop", prompt, said)


def test_a_price_is_that_of_the_exact_name_or_else_of_the_longest_pattern() -> None:
    prices = {**PRICES, "gpt-4*": Price(input=3.0, output=3.0)}
    assert price_of(prices, "gpt-4-mini") is PRICES["gpt-4-mini"]
    assert price_of(prices, "gpt-4-large").input == 3.0
    assert price_of(prices, "gpt-3").input == 1.0
    assert price_of(prices, "other", "gpt-3").input == 1.0
    assert price_of(prices, "other", "") is None


def test_usage_of_the_answer_of_attempts_in_vain_and_of_the_judge_is_priced() -> None:
    meta = {
        "model": "gpt-4", "finish_reason": "stop",
        "prompt_tokens": 1000, "completion_tokens": 100, "cached_tokens": 400,
        "wasted": {"prompt_tokens": 1000},
        "judge": [{"model": "gpt-4-mini", "prompt_tokens": 500, "completion_tokens": 10}, {"calls": 0}],
    }  # fmt: skip
    meta["judge"][0]["wasted"] = {"prompt_tokens": 100}
    usd = (600 * 1.0 + 400 * 0.25 + 100 * 10.0 + 1000 * 1.0 + 500 * 2.0 + 10 * 4.0 + 100 * 2.0) / 1e6
    assert spending_of(meta, PRICES) == Spending(2600, 110, pytest.approx(usd), judge_tokens=610)
    record, spent = priced(Iteration("s", 1, "EF", "x", meta=meta), PRICES)
    assert record.meta["cost_usd"] == spent.usd == pytest.approx(usd)
    # What was paid stays paid, whatever prices are now.
    assert spending_of(record.meta, {}).usd == spent.usd


@pytest.mark.parametrize(
    ("meta", "expected", "words"),
    [
        ({"finish_reason": "stop"}, Spending(unknown=1), "unknown tokens (1 answer of unknown usage)"),
        ({"finish_reason": "stop", "prompt_tokens": 7}, Spending(7, unknown=1, unpriced=1),
         "at least 7 tokens (1 answer of unknown usage)"),
        ({"finish_reason": "stop", "prompt_tokens": 7, "completion_tokens": 1}, Spending(7, 1, unpriced=1), "8 tokens"),
        ({"seconds": 1.0}, Spending(), "0 tokens"),
        ({"finish_reason": "stop", "prompt_tokens": True, "completion_tokens": -1}, Spending(unknown=1),
         "unknown tokens (1 answer of unknown usage)"),
    ],
)  # fmt: skip
def test_what_is_not_reported_is_unknown_and_never_zero(meta: dict, expected: Spending, words: str) -> None:
    assert spending_of(meta, {}) == expected
    assert str(expected) == words
    record, _ = priced(Iteration("s", 1, "EF", "x", meta=meta), {})
    assert "cost_usd" not in record.meta


@pytest.mark.parametrize("absurd", [10**400, -1, True])
def test_a_count_or_cost_that_is_none_is_passed_by(absurd: int) -> None:
    meta = {"prompt_tokens": absurd, "completion_tokens": 1_000_000, "cost_usd": absurd, "model": "m"}
    assert spending_of(meta, {"m": Price(input=1, output=2)}) == Spending(0, 1_000_000, 2.0)


def test_a_run_counts_what_it_takes_and_stores_what_each_iteration_cost() -> None:
    def say(request: Request) -> Completion:
        if request.seed % 3 == 0:
            raise ProviderError("withheld", usage={"prompt_tokens": 100, "completion_tokens": 5})
        return answer(request)

    plan = plan_for()
    store = store_for(plan)
    outcome = run(plan, store, ScriptedProvider(say))
    made = [record for record in store.iterations() if record.index]
    refused = [record for record in made if record.status == "failed"]
    assert 0 < len(refused) < len(made)
    assert all(record.meta["wasted"] == {"prompt_tokens": 100, "completion_tokens": 5} for record in refused)
    assert all(record.meta["cost_usd"] == pytest.approx(0.00015) for record in refused)
    whole, part = len(made) - len(refused), len(refused)
    spent = outcome.progress.spent
    assert (spent.prompt_tokens, spent.completion_tokens) == (100 * len(made), 50 * whole + 5 * part)
    assert (
        spent.usd
        == pytest.approx(sum(record.meta["cost_usd"] for record in made))
        == pytest.approx(0.0006 * whole + 0.00015 * part)
    )
    assert outcome.spent_in_all is None


def varying(least: int, most: int) -> ScriptedProvider:
    async def say(request: Request) -> Completion:
        await asyncio.sleep(request.seed % 5 / 1000)
        return answer(request, least + request.seed % (most - least + 1), 0)

    return ScriptedProvider(say)


@pytest.mark.parametrize("concurrency", [1, 5, 100])
@pytest.mark.parametrize(("least", "most"), [(100, 100), (50, 150)])
def test_a_budget_of_tokens_ends_the_run_and_is_hardly_exceeded(concurrency: int, least: int, most: int) -> None:
    plan = plan_for(sessions=20, iterations=3)
    for budget in (most, 777, 2000):
        store, provider = store_for(plan), varying(least, most)
        outcome = run(plan, store, provider, Limits(tokens=budget), concurrency=concurrency)
        taken = sum(record.meta.get("prompt_tokens", 0) for record in store.iterations())
        assert outcome.ended == "limit"
        assert outcome.progress.spent.tokens == outcome.spent_in_all.tokens == taken
        dearest = max(record.meta.get("prompt_tokens", 0) for record in store.iterations())
        # What does not fit waits, so that less than one iteration is left over; what is under way may be dearer than
        # any before it.
        assert budget - dearest < taken <= budget + (most - least) * min(concurrency, 20)
        assert taken <= budget or least < most
        assert outcome.reason == (
            f"the budget of {budget:,} tokens is spent: iterations took {taken:,}, and one more may take {dearest:,}"
        )
        assert len(provider.requests) == outcome.progress.new


def test_nothing_runs_side_by_side_before_it_is_known_what_it_takes() -> None:
    under_way, most = 0, []

    async def say(request: Request) -> Completion:
        nonlocal under_way
        under_way += 1
        most.append(under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        if len(most) < 3:
            raise ProviderError("busy")
        return answer(request)

    plan = plan_for(sessions=8)
    run(plan, store_for(plan), ScriptedProvider(say), Limits(tokens=10**6), concurrency=8)
    assert most[:3] == [1, 1, 1]
    assert max(most) > 1


def test_a_budget_in_money_counts_earlier_runs_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    plan = plan_for()
    whole = store_for(plan)
    assert run(plan, whole, ScriptedProvider(answer)).ended == "complete"
    store = store_for(plan, open_store(f"sqlite:///{tmp_path}/s.db", create=True))
    each, seen = 0.0006, []
    for budget in (5.5 * each, 5.5 * each, 12.2 * each, 1.0):
        provider = ScriptedProvider(answer)
        outcome = run(plan, store, provider, Limits(usd=budget), concurrency=4)
        seen.append((outcome.ended, len(provider.requests)))
        assert outcome.spent_in_all.usd == pytest.approx(each * sum(count for _, count in seen))
    assert seen == [("limit", 5), ("limit", 0), ("limit", 7), ("complete", 12)]
    assert outcome.reason == ""
    assert contents(store) == contents(whole)
    store.close()


def test_a_budget_that_is_spent_starts_nothing() -> None:
    plan = plan_for()
    store = store_for(plan)
    run(plan, store, ScriptedProvider(answer), Limits(tokens=300), concurrency=2)
    before = contents(store)
    provider = ScriptedProvider(answer)
    assert run(plan, store, provider, Limits(tokens=300), concurrency=2).ended == "limit"
    assert (contents(store), provider.requests) == (before, [])


@pytest.mark.parametrize("limits", [Limits(tokens=1000), Limits(usd=1.0)])
def test_an_endpoint_that_reports_no_usage_cannot_be_held_to_a_budget(limits: Limits) -> None:
    plan = plan_for()
    provider = ScriptedProvider(lambda request: answer(request).text)
    outcome = run(plan, store_for(plan), provider, limits)
    assert (outcome.ended, len(provider.requests)) == ("error", 1)
    assert "does not report how many tokens it used" in outcome.reason
    assert run(plan, store_for(plan), provider).progress.spent == Spending(unknown=24)


def test_single_answers_of_unknown_usage_count_as_much_as_the_dearest() -> None:
    plan, count = plan_for(sessions=1, iterations=20), 0

    def say(request: Request) -> Completion | str:
        nonlocal count
        count += 1
        return answer(request).text if count in (2, 3) else answer(request)

    outcome = run(plan, store_for(plan), ScriptedProvider(say), Limits(tokens=1000))
    assert (outcome.ended, count) == ("limit", 6)
    assert outcome.reason == (
        "the budget of 1,000 tokens is spent: iterations took 600, 2 answers of unknown usage count as much as the "
        "dearest one, and one more may take 150"
    )


def test_a_deadline_begins_nothing_more_and_lets_what_is_under_way_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(limits_module, "time", SimpleNamespace(time=lambda: now))
    come = asyncio.Event()

    async def slow(request: Request) -> Completion:
        nonlocal now
        if len(provider.requests) > 8:
            if len(provider.requests) == 12:  # all four sessions wait for an answer
                now = 1001.0
                come.set()
            await come.wait()
        return answer(request)

    plan = plan_for(sessions=4, iterations=50)
    store = store_for(plan)
    provider = ScriptedProvider(slow)
    outcome = run(plan, store, provider, Limits(deadline=1000.0), concurrency=4, grace=600.0)
    assert (outcome.ended, outcome.reason) == ("limit", "the deadline has come")
    assert outcome.progress.new == len(provider.requests) == 12
    late = ScriptedProvider(answer)
    assert run(plan, store, late, Limits(deadline=1000.0)).ended == "limit"
    assert late.requests == []
    assert run(plan, store, late).ended == "complete"
    whole = store_for(plan)
    run(plan, whole, late)
    assert contents(store) == contents(whole)


def test_a_run_that_is_done_before_its_limits_is_complete() -> None:
    plan = plan_for(sessions=2, iterations=2)
    outcome = run(plan, store_for(plan), TinyProvider(), Limits(usd=1.0, tokens=10**6, deadline=time.time() + 60))
    assert (outcome.ended, outcome.reason) == ("complete", "")


@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.integers(1, 8), st.integers(1, 600))
def test_whatever_iterations_take_the_overshoot_is_that_of_those_under_way(
    sizes: list[int], side_by_side: int, budget: int
) -> None:
    async def scenario() -> tuple[int, int]:
        meter, waiting = Meter(limits=Limits(tokens=budget)), iter(sizes)

        async def worker() -> None:
            for size in waiting:
                if not await meter.admit():
                    return
                await asyncio.sleep(0)
                usage = {"finish_reason": "stop", "prompt_tokens": size, "completion_tokens": 0}
                meter.release(Iteration("s", 1, "EF", "x", meta=usage))

        async with asyncio.timeout(5):
            await asyncio.gather(*(worker() for _ in range(side_by_side)))
        return meter.in_all.tokens, len(meter.reached)

    taken, reached = asyncio.run(scenario())
    assert taken <= budget + max(sizes) * side_by_side
    assert reached or taken == sum(sizes)
    if len(set(sizes)) == 1 and sizes[0] <= budget:
        assert taken <= budget


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", 190.0), ("30m", 1900.0), ("2h", 7300.0), ("1h30m", 5500.0), ("1.5h", 5500.0),
        ("1970-01-01T01:00:00+00:00", 3600.0), ("1970-01-02T00:00:00Z", 86400.0),
    ],
)  # fmt: skip
def test_deadlines_are_durations_or_times(text: str, at: float) -> None:
    assert read_deadline(text, 100.0) == at


@pytest.mark.parametrize("text", ["soon", "", "30", "-5m", "m", "2030-13-01", "5m 3 s", "1970"])
def test_other_deadlines_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="a deadline is a duration such as 30m or 2h"):
        read_deadline(text, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[prices.m]\ninput = 1.0\n", "trimtab.toml: prices.m.output is missing"),
        ("[prices.m]\ninput = -1\noutput = 1\n", "trimtab.toml: prices.m.input should be greater than or equal to 0"),
        ("[prices.m]\ninput = 1\noutputs = 1\n", "prices.m.outputs is no setting of trimtab; did you mean output?"),
        ("[prices]\nm = 3\n", "trimtab.toml: prices.m should be a valid dictionary"),
        ("prices = 3\n", "prices should be a valid dictionary"),
        ('deadline = "soon"\n', "a deadline is a duration such as 30m"),
        ("budget_tokens = 0\n", "budget_tokens should be greater than or equal to 1"),
    ],
)
def test_unusable_settings_are_named(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trimtab.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_config()
    assert said in str(caught.value)


def test_a_budget_in_money_needs_the_price_of_every_model_that_is_asked() -> None:
    config = RunConfig(provider="openai", model="m", budget_usd=5.0, prices={"m*": Price(input=1, output=1)})
    require_prices(config, "m", "m-judge", "")
    require_prices(config.model_copy(update={"budget_usd": None}), "other")
    with pytest.raises(InputError, match=r'price of the model other: .*as a table \[prices."other"\]'):
        require_prices(config, "m", "other")


def test_prices_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trimtab.toml").write_text(
        'provider = "openai"\nmodel = "small-2"\nbudget_usd = 5\n[prices."small-*"]\ninput = 0.15\noutput = 0.60\n'
    )
    assert load_config().prices == {"small-*": Price(input=0.15, output=0.6)}

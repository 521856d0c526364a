"""Keeping iterations: together where they come together, each with its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.records import SPACE, iteration, session
from trimtab.core.records import Iteration
from trimtab.errors import LeaseError, StoreError
from trimtab.sessions import keeping
from trimtab.sessions.keeping import Keeper
from trimtab.store.base import Experiment
from trimtab.store.leases import new_owner
from trimtab.store.memory import MemoryStore

NAMES = [f"EF/a/{number}" for number in range(6)]


class Counting(MemoryStore):
    """Counts transactions, and holds up the first until it is let go."""

    def __init__(self, hold_up: bool = False) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.going = threading.Event()
        if not hold_up:
            self.going.set()
        self.set_experiment(Experiment("e", SPACE))
        self.add_sessions([session(name) for name in NAMES])

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        assert self.going.wait(20)
        self.sizes.append(len(iterations))
        super().extend(iterations, owner)


def run(work: Callable[[Callable[..., Any]], Any]) -> Any:
    """Run a coroutine with a thread that writes."""

    async def whole() -> Any:
        with ThreadPoolExecutor(1) as thread:

            async def write(function: Callable[..., Any], *values: object) -> Any:
                return await asyncio.get_running_loop().run_in_executor(thread, function, *values)

            return await work(write)

    return asyncio.run(whole())


def at(name: str, index: int = 0) -> Iteration:
    return iteration(name, index=index)


def stored(store: MemoryStore) -> list[tuple[str, int]]:
    return [(record.session_id, record.index) for record in store.iterations()]


def test_what_waits_is_committed_together_and_what_comes_alone_at_once() -> None:
    store = Counting(hold_up=True)

    async def work(write: Any) -> None:
        keeper = Keeper(store, write)
        first = asyncio.create_task(keeper.keep(at(NAMES[0])))
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(keeper.keep(at(name))) for name in NAMES[1:]]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in (first, *others))
        store.going.set()
        await asyncio.gather(first, *others)
        assert store.sizes == [1, 5]
        await keeper.keep(at(NAMES[0], 1))
        assert store.sizes == [1, 5, 1]

    run(work)
    assert len(stored(store)) == 7


def test_no_transaction_is_larger_than_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_AT_ONCE", 2)
    store = Counting()
    run(lambda write: _all(Keeper(store, write), [at(name) for name in NAMES]))
    assert store.sizes == [2, 2, 2]
    assert len(stored(store)) == 6


async def _all(keeper: Keeper, records: list[Iteration]) -> list[Any]:
    return await asyncio.gather(*map(keeper.keep, records), return_exceptions=True)


def test_one_that_is_refused_takes_no_other_with_it() -> None:
    store = Counting()
    store.append(at(NAMES[2]))
    outcomes = run(lambda write: _all(Keeper(store, write), [at(name) for name in NAMES]))
    assert [isinstance(one, StoreError) for one in outcomes] == [name == NAMES[2] for name in NAMES]
    assert "has an iteration 0 already" in str(outcomes[2])
    assert len(stored(store)) == 6


def test_a_lease_that_was_lost_is_told_to_the_session_that_lost_it() -> None:
    store, mine = Counting(), new_owner()
    store.claim(mine, NAMES[:4], 60)
    store.claim("another", NAMES[4:], 60)
    outcomes = run(lambda write: _all(Keeper(store, write, mine), [at(name) for name in NAMES]))
    assert [type(one) for one in outcomes] == [type(None)] * 4 + [LeaseError] * 2
    assert stored(store) == [(name, 0) for name in NAMES[:4]]


def test_an_error_of_any_kind_reaches_all_who_wait() -> None:
    class Broken(Counting):
        def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
            raise OSError("no such disk")

    outcomes = run(lambda write: _all(Keeper(Broken(), write), [at(name) for name in NAMES]))
    assert [str(one) for one in outcomes] == ["no such disk"] * 6


def test_what_was_handed_over_is_written_even_if_its_session_was_given_up() -> None:
    store = Counting(hold_up=True)

    async def work(write: Any) -> None:
        keeper = Keeper(store, write)
        tasks = [asyncio.create_task(keeper.keep(at(name))) for name in NAMES]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        store.going.set()
        await keeper.written()
        await keeper.written()

    run(work)
    assert len(stored(store)) == 6


def test_a_store_that_fails_is_not_waited_for_again_for_each() -> None:
    class Broken(Counting):
        def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
            self.sizes.append(len(iterations))
            raise StoreError("the store is locked by another process")

    store = Broken()

    async def work(write: Callable[..., Any]) -> list[BaseException | None]:
        keeper = Keeper(store, write)
        return await asyncio.gather(*(keeper.keep(at(name)) for name in NAMES), return_exceptions=True)

    assert [str(refusal) for refusal in run(work)] == ["the store is locked by another process"] * len(NAMES)
    assert store.sizes == [len(NAMES), 1, 1]

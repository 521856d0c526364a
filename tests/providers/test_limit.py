"""How many requests are under way: against servers whose capacity is hidden, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from support import virtual_time
from trimtab.core.streams import stream
from trimtab.providers.limit import OPENING, Limit


class Server:
    """Answers after `latency` seconds, and refuses at once what is beyond `capacity`, or by chance."""

    def __init__(self, capacity: Callable[[float], int], latency: float = 1.0, chance: float = 0.0) -> None:
        self.capacity = capacity
        self.latency = latency
        self.chance = chance
        self.busy = 0
        self.answered: list[float] = []
        self.refused: list[float] = []
        self.draws = stream(5, "server")

    async def ask(self, now: Callable[[], float]) -> bool:
        if self.busy >= self.capacity(now()) or self.draws.random() < self.chance:
            self.refused.append(now())
            return False
        self.busy += 1
        await asyncio.sleep(self.latency * (0.8 + 0.4 * self.draws.random()))
        self.busy -= 1
        self.answered.append(now())
        return True


def simulate(server: Server, limit: Limit, seconds: float, sessions: int) -> list[tuple[float, int]]:
    """Let sessions ask without end, again half a second after each refusal; return the limit as time goes on."""
    course: list[tuple[float, int]] = []

    async def session(now: Callable[[], float]) -> None:
        while True:
            async with limit.slot() as slot:
                assert limit.in_use <= limit.ceiling
                done = await server.ask(now)
                slot.outcome = "answered" if done else "refused"
            course.append((now(), limit.current))
            if not done:
                await asyncio.sleep(0.5)

    async def everything() -> None:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(session(loop.time)) for _ in range(sessions)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual_time.run(everything())
    return course


def between(times: list[float], start: float, end: float) -> int:
    return sum(start <= time < end for time in times)


@pytest.mark.parametrize("capacity", [1, 3, 10, 40, 150])
def test_the_limit_finds_a_capacity_that_nobody_told(capacity: int) -> None:
    server, limit = Server(lambda now: capacity), Limit(400)
    course = simulate(server, limit, 200, 400)
    late = [current for time, current in course if time > 60]
    assert max(late) <= 1.1 * capacity + 2
    assert min(late) >= max(1, 0.45 * capacity - 1)
    # Least is half of the capacity, so that three quarters are used on average; a request takes a second.
    answered, refused = between(server.answered, 60, 200), between(server.refused, 60, 200)
    assert answered >= 0.6 * capacity * 140
    # A round in which the limit is one too high has a refusal, and there is one such in every few rounds.
    assert refused <= 1.6 / capacity * answered


def test_a_bare_loop_would_be_refused_far_more() -> None:
    """Without a limit, the same sessions at the same server are refused most of the time."""
    fixed = Server(lambda now: 10)
    simulate(fixed, Limit(400, adaptive=False), 40, 400)
    adaptive = Server(lambda now: 10)
    simulate(adaptive, Limit(400), 40, 400)
    assert len(fixed.refused) > 20 * len(adaptive.refused)


def test_the_limit_follows_a_capacity_that_changes() -> None:
    server, limit = Server(lambda now: 15 if 100 <= now < 300 else 100), Limit(1000)
    course = simulate(server, limit, 500, 300)
    assert max(c for t, c in course if 110 < t < 300) <= 18
    assert between(server.answered, 110, 300) >= 0.6 * 15 * 190
    assert min(c for t, c in course if t > 420) >= 45


def test_refusals_by_chance_do_not_throttle() -> None:
    """One request in fifty refused at random says nothing of the load: halving at each leaves fewer than ten."""
    server, limit = Server(lambda now: 10**6, chance=0.02), Limit(300)
    simulate(server, limit, 120, 300)
    assert limit.current >= 40


def test_the_ceiling_is_reached_and_kept() -> None:
    server, limit = Server(lambda now: 10**6), Limit(70)
    course = simulate(server, limit, 30, 200)
    assert course[0][1] == OPENING + 1
    assert max(current for _, current in course) == limit.current == 70
    reached = next(time for time, current in course if current == 70)
    assert reached < 6, "doubling takes a handful of round trips"


def outcomes(limit: Limit, *many: str) -> None:
    """Send as many requests at a time as there are outcomes, and let them end in that order."""

    async def together() -> None:
        gates = [asyncio.Event() for _ in many]

        async def one(gate: asyncio.Event, outcome: str) -> None:
            async with limit.slot() as slot:
                await gate.wait()
                slot.outcome = outcome  # type: ignore[assignment]

        tasks = [asyncio.create_task(one(gate, outcome)) for gate, outcome in zip(gates, many, strict=True)]
        for gate, task in zip(gates, tasks, strict=True):
            await asyncio.sleep(0)
            gate.set()
            await task

    asyncio.run(together())


def opened(at: int) -> Limit:
    limit = Limit(1000)
    limit._limit = float(at)
    return limit


def test_a_burst_of_refusals_halves_once() -> None:
    limit = opened(16)
    outcomes(limit, *["refused"] * 16)
    assert limit.current == 8
    outcomes(limit, "refused", "refused", "refused")
    assert limit.current == 4


def test_one_refusal_only_suspends_the_growth() -> None:
    limit = opened(4)
    outcomes(limit, "refused", *["answered"] * 3)
    for _ in range(4):
        outcomes(limit, *["answered"] * 4)
    assert limit._limit == 4.0
    limit._doubling = False
    outcomes(limit, *["answered"] * 4)
    assert 4.0 < limit._limit < 5.1


def test_answers_to_what_was_sent_before_a_halving_do_not_count() -> None:
    limit = opened(16)
    outcomes(limit, "refused", "refused", "refused", *["answered"] * 13)
    assert limit._limit == 8.0


def test_the_limit_stays_at_one_at_least() -> None:
    limit = opened(3)
    for _ in range(9):
        outcomes(limit, "refused")
    assert limit.current == 1
    for _ in range(40):
        outcomes(limit, "answered")
    assert limit.current > 1


def test_what_is_neither_answered_nor_refused_says_nothing() -> None:
    limit = opened(4)
    outcomes(limit, "unknown", "unknown", "unknown", "unknown")
    assert limit._limit == 4.0


def test_growth_needs_all_places_taken() -> None:
    limit = opened(100)
    outcomes(limit, *["answered"] * 50)
    assert limit._limit == 100.0


def test_slots_are_given_in_the_order_of_asking() -> None:
    limit, order = Limit(2, adaptive=False), []

    async def one(name: int) -> None:
        async with limit.slot():
            order.append(name)
            await asyncio.sleep(1 + name % 3)

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(30)))

    virtual_time.run(all_of_them())
    assert order == list(range(30))
    assert limit.in_use == 0


def test_who_goes_away_while_waiting_takes_no_slot() -> None:
    limit = Limit(1, adaptive=False)

    async def hold(seconds: float) -> None:
        async with limit.slot():
            await asyncio.sleep(seconds)

    async def story() -> None:
        first = asyncio.create_task(hold(1))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(hold(1)) for _ in range(5)]
        await asyncio.sleep(0.5)
        waiting[0].cancel()
        waiting[3].cancel()
        await first
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert [task.cancelled() for task in waiting] == [True, True, False, True, False]
        assert limit.in_use == 0
        await asyncio.wait_for(hold(1), 5)

    virtual_time.run(story())


def test_a_slot_that_is_handed_to_someone_on_the_way_out_goes_to_the_next() -> None:
    limit = Limit(1, adaptive=False)

    async def hold() -> None:
        async with limit.slot():
            await asyncio.sleep(1)

    async def story() -> None:
        async with limit.slot():
            waiting = [asyncio.create_task(hold()) for _ in range(2)]
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait_for(waiting[1], 5)
        assert waiting[0].cancelled()
        assert limit.in_use == 0

    virtual_time.run(story())


@pytest.mark.parametrize("seed", range(40))
def test_no_slot_is_lost_whoever_goes_away_and_whenever(seed: int) -> None:
    draws = stream(seed, "limit")
    limit = Limit(int(draws.choice([1, 2, 5, 40])), adaptive=seed % 4 > 0)
    began: list[int] = []

    async def one(name: int) -> None:
        async with limit.slot() as slot:
            assert 0 < limit.in_use <= limit.ceiling
            began.append(name)
            await asyncio.sleep(float(draws.choice([0, 1, 2])))
            slot.outcome = draws.choice(["answered", "answered", "refused", "unknown"])
            if draws.random() < 0.1:
                raise OSError

    async def story() -> None:
        tasks: list[asyncio.Task[None]] = []
        for name in range(120):
            tasks.append(asyncio.create_task(one(name)))
            if draws.random() < 0.4:
                await asyncio.sleep(float(draws.choice([0, 0.5, 1])))
            for _ in range(int(draws.choice([0, 0, 1, 3]))):
                tasks[int(draws.integers(len(tasks)))].cancel()
            if draws.random() < 0.02:
                limit.give_up(OSError("gone"))
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limit.in_use == 0
        # All that are left can be had at once.
        async with asyncio.timeout(0.1):
            for _ in range(limit.current):
                await limit.slot().__aenter__()
        assert limit.in_use == limit.current

    virtual_time.run(story())
    assert len(began) > 10


def test_giving_up_reaches_everyone_who_waits() -> None:
    limit = Limit(1, adaptive=False)

    async def hold() -> str:
        try:
            async with limit.slot():
                await asyncio.sleep(1)
                return "had it"
        except OSError as error:
            return str(error)

    async def story() -> list[str]:
        tasks = [asyncio.create_task(hold()) for _ in range(4)]
        await asyncio.sleep(0.5)
        limit.give_up(OSError("gone"))
        return await asyncio.gather(*tasks)

    assert virtual_time.run(story()) == ["had it", "gone", "gone", "gone"]
    assert limit.in_use == 0

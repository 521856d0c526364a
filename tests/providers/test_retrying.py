"""When and how long after a failure a request is sent again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from support import virtual_time
from trimtab.errors import ProviderError
from trimtab.providers.retrying import LONGEST_WAIT, backoff, retry_after, tried

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "10800"}, 10800),
        ({"retry-after": "Mon, 06 May 2030 12:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 06 May 2030 12:00:30 -0000"}, 30),
        ({"retry-after": "Mon, 06 May 2030 11:00:00 GMT"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Mon, 99 May 2030 12:00:30 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_what_an_endpoint_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOON) == seconds


def test_waits_grow_with_full_jitter_and_depend_on_the_seed_alone() -> None:
    draws = {attempt: [backoff(seed, attempt) for seed in range(400)] for attempt in (1, 2, 3, 8, 50)}
    for attempt, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (8, 60.0), (50, 60.0)):
        assert 0 <= min(draws[attempt]) < 0.02 * longest
        assert 0.98 * longest < max(draws[attempt]) <= longest
        # Uniform: the mean of 400 has a standard error of longest / sqrt(12 * 400).
        assert abs(sum(draws[attempt]) / 400 - longest / 2) < 6 * longest / (12 * 400) ** 0.5
    assert backoff(3, 2) == backoff(3, 2) != backoff(4, 2)


def attempts(*errors: ProviderError, retries: int = 5) -> tuple[object, list[float]]:
    """Fail with `errors`, one after the other, then succeed; return what came of it and when each attempt was made."""
    times: list[float] = []
    left = list(errors)

    async def attempt() -> str:
        times.append(asyncio.get_running_loop().time())
        if left:
            raise left.pop(0)
        return "done"

    async def story() -> object:
        try:
            return await tried(attempt, seed=9, retries=retries)
        except ProviderError as error:
            return error

    return virtual_time.run(story()), times


def test_a_fault_that_passes_is_waited_out() -> None:
    came, times = attempts(*[ProviderError("x", again="passing") for _ in range(3)])
    assert came == "done"
    assert times == pytest.approx([0, *[sum(backoff(9, i + 1) for i in range(n)) for n in (1, 2, 3)]])


def test_attempts_are_counted() -> None:
    last = ProviderError("last", again="busy")
    came, times = attempts(*[ProviderError("x", again="busy") for _ in range(4)], last, retries=4)
    assert came is last
    assert len(times) == 5
    assert len(attempts(ProviderError("x", again="passing"), retries=0)[1]) == 1


def test_what_does_not_pass_is_not_tried_again() -> None:
    error = ProviderError("x")
    assert attempts(error) == (error, [0])


def test_what_the_endpoint_asks_for_is_waited_on_top() -> None:
    _, times = attempts(ProviderError("x", again="busy", retry_after=30.0))
    assert times == pytest.approx([0, 30 + backoff(9, 1)])


def test_hours_are_neither_waited_nor_spent_asking_again() -> None:
    error = ProviderError("x", again="busy", retry_after=LONGEST_WAIT + 1)
    assert attempts(error) == (error, [0])
    assert len(attempts(ProviderError("x", again="busy", retry_after=LONGEST_WAIT))[1]) == 2


def test_an_error_of_ours_is_no_fault_of_the_endpoint() -> None:
    async def attempt() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(tried(attempt, seed=1, retries=3))

"""What an endpoint does about the failures of its provider: tries again, gives up, or ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import virtual_time
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Message, ProviderSettings, Request
from trimtab.providers.endpoint import HARMLESS, OUTAGE, REFUSALS, Endpoint
from trimtab.providers.retrying import LONGEST_WAIT

PASSING = {"again": "passing"}
BUSY = {"again": "busy"}
AWAY = {"again": "passing", "suspect": True}


class Remote:
    """Answers or fails by a function of the number of the request's attempt in the whole story."""

    name = "remote"
    where = "the endpoint"

    def __init__(self, answer: Callable[[int, Request], Completion | Awaitable[Completion]]) -> None:
        self.answer = answer
        self.calls = 0
        self.under_way = 0
        self.most = 0
        self.closed = False

    async def complete(self, request: Request) -> Completion:
        number, self.calls = self.calls, self.calls + 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.1)
            given = self.answer(number, request)
            return given if isinstance(given, Completion) else await given
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        self.closed = True


def request(number: int) -> Request:
    return Request((Message("user", str(number)),), seed=number)


def failing(**how: Any) -> Any:
    raise ProviderError("it failed", **how)


def asked(remote: Remote, *groups: int, **settings: Any) -> tuple[list[Completion | ProviderError], Endpoint]:
    """Send groups of requests, those of each at once; return what came of each request."""
    endpoint = Endpoint(remote, ProviderSettings(**settings))

    async def one(number: int) -> Completion | ProviderError:
        try:
            return await endpoint.complete(request(number))
        except ProviderError as error:
            return error

    async def story() -> list[Completion | ProviderError]:
        came: list[Completion | ProviderError] = []
        for many in groups:
            came += await asyncio.gather(*(one(len(came) + i) for i in range(many)))
        await endpoint.aclose()
        return came

    return virtual_time.run(story()), endpoint


def test_an_answer_after_failures_says_how_many_and_what_they_took() -> None:
    def answer(number: int, _: Request) -> Completion:
        if number < 2:
            failing(**PASSING, usage={"prompt_tokens": 10, "completion_tokens": number})
        return Completion("yes", prompt_tokens=10, completion_tokens=5)

    (got,), endpoint = asked(Remote(answer), 1)
    wasted = {"prompt_tokens": 20, "completion_tokens": 1}
    assert got == Completion("yes", prompt_tokens=10, completion_tokens=5, attempts=3, wasted=wasted)
    assert endpoint.provider.closed


def test_a_failure_at_last_says_how_many_attempts_there_were() -> None:
    def answer(number: int, _: Request) -> Completion:
        return Completion("yes") if number == 0 else failing(**PASSING, usage={"prompt_tokens": 7}, meta={"x": 1})

    (_, got), _ = asked(Remote(answer), 1, 1, retries=3)
    assert isinstance(got, ProviderError)
    assert str(got) == "it failed (the last of 4 attempts)"
    assert (got.fatal, got.meta, got.usage) == (False, {"x": 1, "attempts": 4}, {"prompt_tokens": 28})
    assert got.__context__ is None


def test_what_is_refused_is_asked_once() -> None:
    def answer(number: int, _: Request) -> Completion:
        return Completion("yes") if number == 0 else failing(suspect=True)

    remote = Remote(answer)
    (_, got), _ = asked(remote, 1, 1)
    assert (str(got), got.fatal, remote.calls) == ("it failed", False, 2)


@pytest.mark.parametrize(
    ("how", "attempts", "said"),
    [
        ({"fatal": True}, 1, "it failed"),
        ({"suspect": True}, 1, "it failed"),
        (AWAY, 1, "it failed"),
        (PASSING, 4, "it failed (the last of 4 attempts); it has not answered a single request"),
        (BUSY, 4, "it failed (the last of 4 attempts); it has not answered a single request"),
    ],
)
def test_an_endpoint_that_never_answered_is_found_out_by_one_request(
    how: dict[str, Any], attempts: int, said: str
) -> None:
    remote = Remote(lambda number, _: failing(**how))
    came, _ = asked(remote, 500, retries=3, concurrency=500)
    assert all(isinstance(error, ProviderError) and error.fatal for error in came)
    assert str(came[0]) == said
    assert remote.calls == attempts, "the others wait, and give up with the first"


def test_an_endpoint_that_goes_away_is_waited_for() -> None:
    remote = Remote(lambda number, _: failing(**AWAY) if 1 <= number < 4 else Completion("yes"))
    came, _ = asked(remote, 1, 1)
    assert [one.attempts for one in came] == [1, 4]


def test_an_endpoint_that_stays_away_ends_the_run() -> None:
    remote = Remote(lambda number, _: failing(**AWAY) if number else Completion("yes"))
    (_, got), _ = asked(remote, 1, 1, retries=2)
    assert (got.fatal, str(got)) == (True, "it failed (the last of 3 attempts)")


@pytest.mark.parametrize("how", [BUSY, PASSING])
def test_an_endpoint_that_asks_for_hours_is_left_alone(how: dict[str, Any]) -> None:
    remote = Remote(lambda number, _: failing(**how, retry_after=LONGEST_WAIT + 1) if number else Completion("yes"))
    came, _ = asked(remote, 1, 50, concurrency=4)
    assert all(got.fatal and str(got) == "it failed" for got in came[1:])
    assert remote.calls <= 1 + 4 + 1, "those under way, and one whose turn came in that moment"


def test_an_outage_ends_the_run_after_some_requests() -> None:
    remote = Remote(lambda number, _: failing(**PASSING) if number else Completion("yes"))
    came, _ = asked(remote, 1, *[1] * OUTAGE, retries=1)
    assert [error.fatal for error in came[1:]] == [False] * (OUTAGE - 1) + [True]
    assert str(came[-1]).endswith("; the 9 requests before it went the same way")


def test_an_answer_in_between_ends_an_outage() -> None:
    remote = Remote(lambda number, _: Completion("yes") if number % 12 == 0 else failing(**PASSING))
    came, _ = asked(remote, *[1] * 60, retries=1)
    assert not any(one.fatal for one in came if isinstance(one, ProviderError))
    assert sum(isinstance(one, ProviderError) for one in came) > OUTAGE


def test_refusals_alone_are_an_outage() -> None:
    remote = Remote(lambda number, _: failing())
    came, _ = asked(remote, 500)
    assert [error.fatal for error in came] == [False] * (OUTAGE - 1) + [True] * (501 - OUTAGE)
    assert remote.calls == OUTAGE


def test_refusals_of_single_requests_are_no_outage() -> None:
    remote = Remote(lambda number, _: failing() if number else Completion("yes"))
    came, _ = asked(remote, 1, *[1] * 3 * OUTAGE)
    assert not any(error.fatal for error in came[1:])


def harmless(asked: Request) -> bool:
    return [message.content for message in asked.messages] == [HARMLESS]


@pytest.mark.parametrize("many", [1, 40])
def test_an_endpoint_that_refuses_words_is_told_from_one_that_refuses_everything(many: int) -> None:
    def refuses_words(number: int, asked: Request) -> Completion:
        if number and not harmless(asked):
            failing(suspect=True, usage={"prompt_tokens": 1})
        return Completion("OK", prompt_tokens=3, completion_tokens=2)

    groups = [many] * (4 * REFUSALS // many)
    remote = Remote(refuses_words)
    came, _ = asked(remote, 1, *groups, concurrency=many)
    refused = came[1:]
    assert {(str(error), error.fatal) for error in refused} == {("it failed", False)}
    checks = remote.calls - len(came)
    assert checks == (4 if many == 1 else 1), "one after ten refusals, and those under way together share it"
    took = [error.usage for error in refused if error.usage != {"prompt_tokens": 1}]
    assert took == [{"prompt_tokens": 4, "completion_tokens": 2}] * checks

    remote = Remote(lambda number, _: failing(suspect=True) if number else Completion("yes"))
    came, _ = asked(remote, 1, *groups, concurrency=many)
    fatal = [error for error in came[1:] if error.fatal]
    assert len(fatal) == len(came) - REFUSALS
    assert str(fatal[0]).startswith("it failed; the ")
    assert str(fatal[0]).endswith(" requests before it were refused as well, and so is a harmless one")


def test_an_answer_in_between_shows_that_an_endpoint_goes_on() -> None:
    def answer(number: int, asked: Request) -> Completion:
        assert not harmless(asked)
        return Completion("yes") if number % REFUSALS == 0 else failing(suspect=True)

    came, _ = asked(Remote(answer), *[1] * 5 * REFUSALS)
    assert not any(one.fatal for one in came if isinstance(one, ProviderError))


@pytest.mark.parametrize(("how", "checks"), [(BUSY, 3), (PASSING, 3), (AWAY, 3), ({}, 1)])
def test_a_harmless_request_that_is_not_refused_is_no_end(how: dict[str, Any], checks: int) -> None:
    def answer(number: int, asked: Request) -> Completion:
        if number == 0:
            return Completion("yes")
        return failing(**how) if harmless(asked) else failing(suspect=True)

    remote = Remote(answer)
    came, _ = asked(remote, 1, *[1] * (REFUSALS + 2))
    assert not any(error.fatal for error in came[1:])
    assert remote.calls - len(came) == checks, "what was not answered is asked again after the next refusal"


def test_each_attempt_is_bounded_and_waiting_is_not() -> None:
    async def slow(number: int) -> Completion:
        await asyncio.sleep(3600 if number == 3 else 40)
        return Completion("yes")

    came, _ = asked(Remote(lambda number, _: slow(number)), 1, 9, timeout=60, concurrency=2, adaptive=False)
    assert [one.attempts for one in came] == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1]

    never = Remote(lambda number, _: slow(3) if number else Completion("yes"))
    (_, got), _ = asked(never, 1, 1, timeout=60, retries=1)
    assert str(got) == "the endpoint gave no answer within 60 s (the last of 2 attempts)"


def test_waiting_for_the_next_attempt_holds_no_place() -> None:
    times: dict[str, float] = {}

    def answer(number: int, asked: Request) -> Completion:
        if number == 1:
            failing(**PASSING, retry_after=100.0)
        times[asked.messages[0].content] = asyncio.get_running_loop().time()
        return Completion("yes")

    asked(Remote(answer), 1, 3, concurrency=1)
    assert times["2"] < times["3"] < 1
    assert times["1"] > 100


def test_a_request_that_is_given_up_leaves_its_place() -> None:
    async def story() -> None:
        endpoint = Endpoint(Remote(lambda number, _: Completion("yes")), ProviderSettings(concurrency=1))
        first = asyncio.create_task(endpoint.complete(request(0)))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await endpoint.complete(request(1))).text == "yes"

    virtual_time.run(story())


def test_a_fault_of_the_provider_itself_passes_through() -> None:
    def broken(number: int, _: Request) -> Completion:
        raise ZeroDivisionError

    endpoint = Endpoint(Remote(broken), ProviderSettings())
    with pytest.raises(ZeroDivisionError):
        virtual_time.run(endpoint.complete(request(0)))
    assert endpoint.limit.in_use == 0


def test_results_do_not_depend_on_how_many_are_under_way() -> None:
    def answer(number: int, asked: Request) -> Completion:
        if number % 7 == 3:
            failing(**BUSY)
        return Completion(asked.messages[0].content * 2)

    texts = []
    for concurrency in (1, 5, 60):
        came, _ = asked(Remote(answer), 1, 59, concurrency=concurrency)
        texts.append([one.text for one in came if isinstance(one, Completion)])
    assert texts[0] == texts[1] == texts[2] == [str(i) * 2 for i in range(60)]

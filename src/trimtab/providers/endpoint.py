"""An endpoint that is asked by many sessions at once: a limit, attempts, and an end where nothing more will come."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Provider, ProviderSettings, Request
from trimtab.providers.limit import Limit
from trimtab.providers.retrying import LONGEST_WAIT, tried

__all__ = ["Endpoint", "Remote"]

OUTAGE = 10
"""Requests in a row that are given up before the endpoint counts as out of order."""

REFUSALS = 10
"""Requests in a row that are refused before the endpoint is asked something harmless."""

HARMLESS = "Reply with the word OK."
"""What stands in place of every message of a refused request, to see whether it was refused for its words."""


class Remote(Provider, Protocol):
    """A provider that sends each request once and says what may pass; see ``ProviderError``."""

    @property
    def where(self) -> str:
        """The endpoint in a few words, as the subject of a sentence."""
        ...


class Endpoint:
    """Asks a provider under a limit, each attempt bounded in time, again and again where a fault may pass.

    A request waits for its turn without being timed, and holds its place only while it is under way, not while it waits
    to be sent again. Until the endpoint has answered for the first time, one request is sent and all others wait for
    what becomes of it, so that a wrong address or key costs one request.

    An endpoint that has answered may refuse a request for what it says, which is no end: the next ones may be answered.
    After 10 refusals in a row the last request is sent once more with harmless words. If those are refused as well, the
    endpoint refuses everything by now.

    Parameters
    ----------
    provider
        What is asked.
    settings
        Their timeout, retries, concurrency and adaptive count here. The timeout is that of one attempt, from sending
        the request to the last byte of the answer.
    """

    bounds_attempts = True

    def __init__(self, provider: Remote, settings: ProviderSettings) -> None:
        self.name = provider.name
        self.provider = provider
        self.timeout = settings.timeout
        self.retries = settings.retries
        self.limit = Limit(settings.concurrency, adaptive=settings.adaptive)
        self._proven = False
        self._proving = asyncio.Lock()
        self._ends: list[ProviderError] = []
        self._given_up = 0
        self._refused = 0
        self._weighing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Endpoint({self.provider!r})"

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises
        ------
        ProviderError
            If no attempt succeeds. It is fatal where further requests would fail as well: the endpoint has never
            answered, is gone, asks to be left alone for longer than a run waits, gave up 10 requests in a row, or
            refuses whatever it is asked.
        """
        if not self._proven:
            before = len(self._ends)
            async with self._proving:
                if len(self._ends) > before:
                    raise self._ends[-1]
                if not self._proven:
                    return await self._complete(request)
        return await self._complete(request)

    async def aclose(self) -> None:
        """Close the provider."""
        await self.provider.aclose()

    async def _complete(self, request: Request) -> Completion:
        failures: list[ProviderError] = []

        async def attempt() -> Completion:
            try:
                return await self._once(request)
            except ProviderError as error:
                failures.append(error)
                raise

        try:
            completion = await tried(attempt, seed=request.seed, retries=self.retries, worth=self._worth)
        except ProviderError as error:
            failure = self._final(error, failures)
            if _is_refusal(error) and not failure.fatal:
                failure = await self._weighed(failure, request)
        else:
            self._given_up = 0
            return replace(completion, attempts=len(failures) + 1, wasted=_wasted(failures)) if failures else completion
        if failure.fatal:
            self._ends.append(failure)
            self.limit.give_up(failure)
        raise failure

    async def _once(self, request: Request) -> Completion:
        async with self.limit.slot() as slot:
            try:
                async with asyncio.timeout(self.timeout):
                    completion = await self.provider.complete(request)
            except TimeoutError:
                error = ProviderError(f"{self.provider.where} gave no answer within {self.timeout:g} s", again="busy")
            except ProviderError as failed:
                error = failed
            else:
                slot.outcome = "answered"
                self._proven = True
                self._refused = 0
                return completion
            if error.again == "busy":
                slot.outcome = "refused"
        raise error

    async def _weighed(self, failure: ProviderError, request: Request) -> ProviderError:
        """Return the refusal of a request, fatal where a harmless one in its place is refused as well."""
        self._refused += 1
        if self._refused < REFUSALS:
            return failure
        async with self._weighing:
            if self._ends:
                return self._ends[-1]
            if self._refused < REFUSALS:  # meanwhile something was answered
                return failure
            before = self._refused - 1
            refused, took = await self._refuses_all(request)
        said = f"{failure}; the {before:,} requests before it were refused as well, and so is a harmless one"
        usage = Counter(failure.usage) + Counter(took)
        return ProviderError(said if refused else str(failure), fatal=refused, usage=usage, meta=failure.meta)

    async def _refuses_all(self, request: Request) -> tuple[bool, Mapping[str, int]]:
        """Tell whether a request with harmless words is refused too, and what it took."""
        words = tuple(replace(message, content=HARMLESS) for message in request.messages)
        try:
            answer = await self._once(replace(request, messages=words, schema=None))
        except ProviderError as error:
            refused = error.fatal or _is_refusal(error)
            if error.again == "no" and not refused:  # an answer, if one without text
                self._refused = 0
            return refused, error.usage
        return False, {"prompt_tokens": answer.prompt_tokens or 0, "completion_tokens": answer.completion_tokens or 0}

    def _worth(self, error: ProviderError) -> bool:
        return error.again != "no" and not error.fatal and (self._proven or not error.suspect)

    def _final(self, error: ProviderError, failures: list[ProviderError]) -> ProviderError:
        """Return what to say at the end of all attempts, and whether it is the end of the run."""
        if error.fatal:
            return error
        said, lasted = str(error), self._worth(error)
        if len(failures) > 1:
            said += f" (the last of {len(failures)} attempts)"
        fatal = error.suspect and (lasted or not self._proven)
        if not fatal and (lasted or not self._proven):
            self._given_up += 1
            if lasted and not self._proven:
                said, fatal = f"{said}; it has not answered a single request", True
            elif (error.retry_after or 0) > LONGEST_WAIT:
                fatal = True
            elif self._given_up >= OUTAGE:
                said, fatal = f"{said}; the {self._given_up - 1} requests before it went the same way", True
        attempts = {"attempts": len(failures)} if len(failures) > 1 else {}
        meta = {**error.meta, **attempts}
        return ProviderError(said, fatal=fatal, too_long=error.too_long, usage=_wasted(failures), meta=meta)


def _is_refusal(error: ProviderError) -> bool:
    """Tell whether the endpoint took a request for one that it does not answer, now or later."""
    return error.suspect and error.again == "no"


def _wasted(failures: list[ProviderError]) -> dict[str, int]:
    """Return the tokens that failed attempts were charged for, as far as the endpoint named them."""
    tokens: Counter[str] = Counter()
    for error in failures:
        tokens.update(error.usage)
    return dict(tokens)

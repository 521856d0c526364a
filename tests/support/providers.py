"""Providers for tests: small, exact, and able to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trimtab.core.streams import stream
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Request

__all__ = ["ScriptedProvider", "TinyProvider", "fenced"]


def fenced(code: str) -> str:
    return f"Here is the program.\n\n```python\n{code}```\n"


class TinyProvider:
    """Answers with a function whose number is drawn from the request's seed: a pure function of the request.

    One answer in ten is prose, and one in ten a refusal of the provider.
    """

    name = "tiny"

    def __init__(self) -> None:
        self.calls = 0
        self.closed = False

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        await asyncio.sleep(0)
        number = int(stream(request.seed).integers(1_000_000))
        if number % 10 == 0:
            raise ProviderError("the tiny provider is busy")
        if number % 10 == 1:
            return Completion("I would rather talk about it first.", model="tiny")
        current = request.messages[-1].content
        return Completion(
            fenced(f"import os\n\n\ndef work(x):\n    return x + {number} + {len(current)}\n"), "tiny", "stop", 10, 20
        )

    async def aclose(self) -> None:
        self.closed = True


class ScriptedProvider:
    """Answers by a function of the request that returns text or a completion, or raises."""

    name = "scripted"

    def __init__(self, answer: Callable[[Request], str | Completion | Awaitable[str]]) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        given = self.answer(request)
        if not isinstance(given, str | Completion):
            given = await given
        return given if isinstance(given, Completion) else Completion(given)

    async def aclose(self) -> None:
        pass

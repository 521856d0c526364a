"""The provider ``openai`` asked once, and what its errors say in a word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from support.openai_server import Reply
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Message, ProviderSettings, Request
from trimtab.providers.openai import OpenAIProvider

__all__ = ["JSON", "KEY", "REQUEST", "ask", "meaning", "provider_at", "reply"]

KEY = "sk-planted-0123456789"
REQUEST = Request((Message("system", "Be brief."), Message("user", "Hello")), seed=2**62 + 1)
JSON = {"Content-Type": "application/json"}


def provider_at(url: str) -> OpenAIProvider:
    return OpenAIProvider(ProviderSettings("some-model", url))


def ask(url: str, request: Request = REQUEST) -> Completion:
    async def once() -> Completion:
        provider = provider_at(url)
        try:
            return await provider.complete(request)
        finally:
            await provider.aclose()

    return asyncio.run(once())


def reply(body: Any, status: int = 200) -> Callable[[dict[str, Any]], Reply]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: (status, JSON, data)


def meaning(error: ProviderError) -> str:
    """Return what an error says of the next attempts, in a word or two."""
    if error.fatal:
        return "fatal"
    again = "" if error.again == "no" else error.again
    return " ".join(filter(None, ["suspect" if error.suspect else "", again])) or "refused"

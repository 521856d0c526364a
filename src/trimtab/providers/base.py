"""What a provider is: something that turns chat messages into text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Completion", "Message", "Provider", "Request"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a provider is asked.

    Parameters
    ----------
    messages
        The whole conversation, oldest first.
    model
        Name as the endpoint knows it.
    temperature
        Sampling temperature; None leaves the endpoint's default.
    max_tokens
        Longest answer, None for the endpoint's default.
    seed
        63-bit seed of this very request: an embedded provider is a pure function of the request because of it.
    """

    messages: tuple[Message, ...]
    model: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a provider answered."""

    text: str
    model: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Provider(Protocol):
    """Turns a request into a completion; raises ``ProviderError`` where it cannot."""

    name: str

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        ...

    async def aclose(self) -> None:
        """Release connections and workers."""
        ...

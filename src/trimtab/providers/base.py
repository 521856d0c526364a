"""What a provider is: something that turns chat messages into text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = ["Completion", "Message", "Place", "Provider", "ProviderSettings", "Request"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which iteration of a run a request is for. A model is not told; who keeps or replays answers goes by it.

    Parameters
    ----------
    arm
        What the session was planned with: a strategy, or the policy that steers it.
    task, replicate, iteration
        The session's task and replicate, and the index of the iteration asked for.
    strategy
        The strategy in force.
    followed
        True where the run follows a recording, so that strategy and base are those that were recorded.
    """

    arm: str
    task: str
    replicate: int
    iteration: int
    strategy: str
    followed: bool = False


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
    stop
        Texts at which the answer ends; none of them is part of it.
    schema
        JSON schema that the answer is to keep to, for providers and endpoints that take one; others ignore it, so that
        the messages have to ask for the same in words.
    place
        Which iteration of a run it is for; None where it is for none, as of a judge.
    """

    messages: tuple[Message, ...]
    model: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a provider answered.

    Parameters
    ----------
    model
        Name of the model that answered, as it calls itself.
    prompt_tokens, completion_tokens
        What this answer took; None where the endpoint does not say.
    cached_tokens
        Those of the prompt that the endpoint had in its own cache, which some charge less for.
    wasted
        Tokens of attempts at this answer that were charged for and gave nothing usable, by the same names.
    attempts
        How often the request was sent until this answer came.
    remembered
        True where an earlier run was given this answer and the store has kept it.
    masked
        How many times a key of ours was found in the answer and replaced by ``***``.
    """

    text: str
    model: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    wasted: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 1
    masked: int = 0
    remembered: bool = False


class Provider(Protocol):
    """Turns a request into a completion; raises ``ProviderError`` where it cannot.

    A run gives every answer up after its timeout. A provider that bounds each of its attempts itself, and may take
    longer in all, has an attribute ``bounds_attempts`` that is true. One whose answers cost nothing, and can be had
    again, has an attribute ``free`` that is true: its answers are not kept for a run that goes on.
    """

    name: str

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        ...

    async def aclose(self) -> None:
        """Release connections and workers."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What a provider is made from. Keys are not among it: a provider reads its own from the environment.

    Parameters
    ----------
    model, base_url
        Name of the model, and address of the endpoint; empty where not given.
    timeout
        Seconds that one attempt at an answer may take.
    retries
        How often a request is sent again after a fault that may pass.
    concurrency, adaptive
        Most requests under way, and whether their number follows what the endpoint bears.
    options
        What else the user gave, as texts: ``provider_options`` of a run.
    """

    model: str = ""
    base_url: str = ""
    timeout: float = 120.0
    options: Mapping[str, str] = field(default_factory=dict)
    retries: int = 6
    concurrency: int = 16
    adaptive: bool = True

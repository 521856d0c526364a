"""The OpenAI chat-completions protocol, as far as a text model needs it: requests read, answers and errors written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trimtab.errors import InputError
from trimtab.providers.base import Completion, Message, Request
from trimtab.providers.rewriter.answer import estimate_tokens

__all__ = [
    "ChatError",
    "ChatRequest",
    "answer_documents",
    "cut_at_stop",
    "encoded",
    "error_body",
    "on_the_wire",
    "read_request",
]

MOST_STOPS = 4
_LONGEST_SHOWN = 80


class ChatError(InputError):
    """A request that is refused, with what the protocol says about it.

    Parameters
    ----------
    message
        What was needed, what came, what to do.
    status
        HTTP status.
    kind, param, code
        The protocol's ``type`` of error, the field at fault, and the code that programs look at.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code


def _joined(content: object) -> object:
    """Take a list of text parts as the text that they make up."""
    if not isinstance(content, list):
        return content
    parts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError("only text can be read: a text, or a list of parts of type 'text'")
        parts.append(part["text"])
    return "".join(parts)


def _listed(stop: object) -> object:
    return (stop,) if isinstance(stop, str) else () if stop is None else tuple(stop) if isinstance(stop, list) else stop


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class _ChatMessage(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str | None, BeforeValidator(_joined)] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of role {self.role} needs a content")
        return self


class _StreamOptions(_Strict):
    include_usage: bool = False


class _ResponseFormat(_Strict):
    type: Literal["text"]


class ChatRequest(_Strict):
    """A request for a chat completion, checked. Fields of the protocol that are not here are ignored.

    Lists are read up to their first fault, the only one that is told: a record of each of a million takes gigabytes.
    """

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_ChatMessage], Field(min_length=1, fail_fast=True)]
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    stop: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(max_length=MOST_STOPS, fail_fast=True),
        BeforeValidator(_listed),
    ] = ()
    n: Annotated[int | None, Field(ge=1, le=1)] = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    response_format: _ResponseFormat | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("give max_tokens or max_completion_tokens, not both")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options goes with stream: true")
        return self

    def digest(self) -> str:
        """Return 32 hexadecimal digits that name this request's content."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=16).hexdigest()

    def for_provider(self, seed: int) -> Request:
        """Return what a provider is asked, with `seed` where the request brings none."""
        longest = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return Request(
            messages=tuple(
                Message("system" if one.role == "developer" else one.role, one.content or "") for one in self.messages
            ),
            model=self.model,
            temperature=self.temperature,
            max_tokens=longest,
            seed=seed if self.seed is None else self.seed,
        )


def read_request(body: bytes) -> ChatRequest:
    """Return the request in `body`; ``ChatError`` where it is none."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    said = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "json_invalid":
        raise ChatError(f"the body of a request must be JSON: {said.removeprefix('Invalid JSON: ')}")
    if not problem["loc"]:
        raise ChatError(said if "Input should" not in said else "the body of a request must be a JSON object")
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).removeprefix(".")
    if problem["type"] == "missing":
        raise ChatError(f"{param} is missing", param=param)
    if problem["type"] == "value_error":
        raise ChatError(f"{param}: {said}", param=param)
    shown = repr(problem["input"])
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "..."
    # "List should have at most 4 items after validation, not 5" says too much.
    needed = said[said.find("should") :].partition(" after validation")[0]
    raise ChatError(f"{param} {needed}, but is {shown}", param=param)


def cut_at_stop(completion: Completion, stop: tuple[str, ...]) -> Completion:
    """Return the completion up to the first of the texts in `stop`."""
    places = [place for text in stop if (place := completion.text.find(text)) >= 0]
    if not places:
        return completion
    text = completion.text[: min(places)]
    return replace(completion, text=text, finish_reason="stop", completion_tokens=estimate_tokens(text))


def answer_documents(asked: ChatRequest, name: str, created: int, completion: Completion) -> list[dict[str, Any]]:
    """Return the JSON objects that an answer is made of: one, or those of a stream where that was asked for.

    Parameters
    ----------
    name
        Identifier of the answer.
    created
        Seconds since 1970.
    """
    if asked.stream:
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        return list(_chunks(name, created, completion, usage))
    return [_whole(name, created, completion)]


def encoded(document: dict[str, Any]) -> bytes:
    """Return a JSON object as bytes."""
    return json.dumps(document, separators=(",", ":")).encode()


def on_the_wire(documents: Sequence[dict[str, Any]], stream: bool) -> Iterator[bytes]:
    """Yield the body that an answer's objects make: the one alone, or an event each and the end of the stream."""
    if not stream:
        yield encoded(documents[0])
        return
    for document in documents:
        yield b"data: " + encoded(document) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _whole(name: str, created: int, completion: Completion) -> dict[str, Any]:
    withheld = completion.finish_reason == "content_filter"
    message = {"role": "assistant", "content": None if withheld else completion.text, "refusal": None}
    return {
        "id": name,
        "object": "chat.completion",
        "created": created,
        "model": completion.model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason},
        ],
        "usage": _usage(completion),
    }


def _chunks(name: str, created: int, completion: Completion, usage: bool) -> Iterator[dict[str, Any]]:
    """Yield the objects of a stream: its text a line at a time."""
    head = {"id": name, "object": "chat.completion.chunk", "created": created, "model": completion.model}
    silent: dict[str, Any] = {"usage": None} if usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            **head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
            **silent,
        }

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for line in completion.text.splitlines(keepends=True):
        yield chunk({"content": line})
    yield chunk({}, completion.finish_reason)
    if usage:
        yield {**head, "choices": [], "usage": _usage(completion)}


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return the JSON object of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _usage(completion: Completion) -> dict[str, int]:
    asked, answered = completion.prompt_tokens or 0, completion.completion_tokens or 0
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}

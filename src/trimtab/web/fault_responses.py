"""The faults themselves: what goes over the wire, or does not."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from trimtab.providers.base import Completion
from trimtab.web.chat import encoded, error_body, on_the_wire
from trimtab.web.faults import FaultPlan

__all__ = ["HUGE", "MEDIA_TYPES", "TRANSPORT", "altered", "refusal", "spoiled"]

HUGE = 50_000_000
"""Bytes of text in an answer that is too long."""

TRANSPORT = "trimtab.transport"
"""Extension of the request's scope that gives the connection itself, which a reset needs."""

MEDIA_TYPES = {False: "application/json", True: "text/event-stream"}
"""What an answer is, by whether it is a stream."""

_PIECE = 64 * 1024
_DRIPS_PER_SECOND = 10
_PAGE = "<!doctype html><title>Welcome</title><p>This is a page, not an answer.</p>"
_REFUSALS = {
    "429": (429, "Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    "429-retry-after": (429, "Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    "500": (500, "The server had an error while processing your request.", "server_error", None),
    "503": (503, "The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
}
_MARK = "trimtab-place-of-the-answer"


class _Reset(Response):
    """Ends the connection with a RST in place of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await _hung_up(transport, receive)


class _Silence(Response):
    """Says nothing for some seconds, and then closes the connection."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await _gone(receive)
        except TimeoutError:
            await _hung_up(scope["extensions"][TRANSPORT]["transport"], receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _hung_up(transport: asyncio.Transport, receive: Receive) -> None:
    transport.abort()
    await _gone(receive)


def refusal(kind: str, plan: FaultPlan) -> Response | None:
    """Return the response of a fault that needs no answer to spoil, None where `kind` is another one."""
    if kind in _REFUSALS:
        status, message, type_, code = _REFUSALS[kind]
        headers = {"Retry-After": f"{plan.retry_after:g}"} if kind == "429-retry-after" else None
        body = encoded(error_body(message, type_, code=code))
        return Response(body, status, headers, media_type=MEDIA_TYPES[False])
    if kind == "reset":
        return _Reset()
    if kind == "hang":
        return _Silence(plan.hang)
    if kind == "content-type":
        return HTMLResponse(_PAGE)
    return None


def altered(kind: str, completion: Completion) -> Completion:
    """Return the completion as a fault of this kind leaves it, before it is written down."""
    if kind == "length":
        half = completion.text[: len(completion.text) // 2]
        tokens = math.ceil((completion.completion_tokens or 0) / 2)
        return replace(completion, text=half, finish_reason="length", completion_tokens=tokens)
    if kind == "content-filter":
        return replace(completion, text="", finish_reason="content_filter", completion_tokens=0)
    if kind in ("huge", "invalid-utf8"):
        return replace(completion, text=_MARK)
    return completion


def spoiled(
    kind: str, plan: FaultPlan, documents: Sequence[dict[str, Any]], stream: bool, headers: dict[str, str]
) -> Response:
    """Return the response of a fault that spoils an answer.

    Parameters
    ----------
    documents
        The JSON objects of the answer that `altered` left.
    stream
        Whether they are the events of a stream.
    """
    if kind == "empty-choices":
        documents = [{**document, "choices": []} for document in documents]
    pieces: Any = b"".join(on_the_wire(documents, stream))
    if kind == "truncated-json":
        # In a stream, somewhere within an event; the length that is announced is that of what comes.
        pieces = pieces[: len(pieces) * 2 // 3]
    elif kind == "invalid-utf8":
        pieces = pieces.replace(_MARK.encode(), b"caf\xe9 \xff\xfe \xc3(")
    elif kind == "drip":
        pieces = _dripping(pieces, plan.drip)
    elif kind == "huge":
        pieces = _giant(pieces)
    made = StreamingResponse if kind in ("drip", "huge") else Response
    return made(pieces, headers=headers, media_type=MEDIA_TYPES[stream])


async def _dripping(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    count = max(1, min(len(body), math.ceil(seconds * _DRIPS_PER_SECOND)))
    size = math.ceil(len(body) / count)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(seconds / count)


async def _giant(body: bytes) -> AsyncIterator[bytes]:
    head, _, tail = body.partition(_MARK.encode())
    yield head
    piece = b"x" * _PIECE
    for sent in range(0, HUGE, _PIECE):
        yield piece[: HUGE - sent]
        # Otherwise nothing would notice a client that has gone before all of it is written to nobody.
        await asyncio.sleep(0)
    yield tail

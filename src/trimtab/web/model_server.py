"""The application of ``trimtab serve-model``: stand-in models over the OpenAI chat-completions protocol."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from trimtab.core.streams import stream_seed
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Provider
from trimtab.web.chat import (
    ChatError,
    ChatRequest,
    answer_documents,
    cut_at_stop,
    encoded,
    error_body,
    on_the_wire,
    read_request,
)
from trimtab.web.fault_responses import MEDIA_TYPES, altered, refusal, spoiled
from trimtab.web.faults import Attempts, FaultPlan

__all__ = ["LARGEST_REQUEST", "ModelServer"]

LARGEST_REQUEST = 8 * 2**20
"""Bytes of a request that are read."""

_SERVED = "POST /v1/chat/completions, GET /v1/models and GET /health"
_MOST_TIMES = 10_000
_QUANTILES = {"median": 0.5, "p99": 0.99}
_LONGEST_NAME = 100
_TIMING = "Server-Timing"


class ModelServer:
    """Serves models; every request may meet with a fault.

    Parameters
    ----------
    models
        What answers, by the name that a request gives.
    faults
        Which faults happen, and how often.
    latency
        Seconds that every answer takes at least; a refusal takes none.
    key
        What a client has to show, "" for nothing.
    """

    def __init__(
        self,
        models: Mapping[str, Provider],
        *,
        faults: FaultPlan | None = None,
        latency: float = 0.0,
        key: str = "",
    ) -> None:
        self.models = models
        self.faults = faults or FaultPlan()
        self.latency = latency
        self.attempts = Attempts()
        self.requests = 0
        self.answering = 0
        self.met: Counter[str] = Counter()
        self._took: deque[float] = deque(maxlen=_MOST_TIMES)
        self._key = key
        self._began = int(time.time())

    def app(self) -> Starlette:
        """Return the application to be served."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._list, methods=["GET"]),
                Route("/v1/models/{name}", self._model, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
            ],
            exception_handlers={ChatError: _refused, HTTPException: _not_here},
        )

    async def aclose(self) -> None:
        """Close the models."""
        for provider in self.models.values():
            await provider.aclose()

    async def _complete(self, request: Request) -> Response:
        began = time.perf_counter()
        self.requests += 1
        self._admit(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ChatError(f"a request must come as application/json, but came as {kind or 'nothing'}", 415)
        try:
            asked = read_request(await _body(request))
        except ClientDisconnect:
            return Response()
        provider = self.models.get(asked.model)
        if provider is None:
            raise self._no_model(asked.model)
        digest = asked.digest()
        attempt = self.attempts.count(digest)
        fault = self.faults.draw(digest, attempt)
        if fault is not None:
            self.met[fault] += 1
            if (response := refusal(fault, self.faults)) is not None:
                return response
        seed = stream_seed(self.faults.seed, "unseeded", digest, attempt)
        self.answering += 1
        try:
            completion = await _unless_gone(request, self._answer(provider, asked, seed, began))
        finally:
            self.answering -= 1
        if completion is None:
            return Response()
        took = 1e3 * (time.perf_counter() - began)
        self._took.append(took)
        headers = {_TIMING: f"total;dur={took:.3f}"}
        name, stream = f"chatcmpl-{digest[:20]}-{attempt}", bool(asked.stream)
        if fault is not None:
            completion = altered(fault, completion)
        documents = answer_documents(asked, name, int(time.time()), completion)
        if fault is not None:
            return spoiled(fault, self.faults, documents, stream, headers)
        if stream:
            events = _each(on_the_wire(documents, stream))
            return StreamingResponse(events, headers=headers, media_type=MEDIA_TYPES[True])
        return Response(b"".join(on_the_wire(documents, stream)), headers=headers, media_type=MEDIA_TYPES[False])

    async def _answer(self, provider: Provider, asked: ChatRequest, seed: int, began: float) -> Completion:
        try:
            completion = await provider.complete(asked.for_provider(seed))
        except ProviderError as error:
            raise ChatError(str(error), 500, "server_error") from None
        except Exception as error:  # a model that breaks must not take the server with it
            raise ChatError(f"the model broke with {type(error).__name__}: {error}", 500, "server_error") from error
        if (left := self.latency - (time.perf_counter() - began)) > 0:
            await asyncio.sleep(left)
        return cut_at_stop(completion, asked.stop)

    async def _list(self, request: Request) -> Response:
        self._admit(request)
        return _json({"object": "list", "data": [self._card(name) for name in self.models]})

    async def _model(self, request: Request) -> Response:
        self._admit(request)
        name = request.path_params["name"]
        if name not in self.models:
            raise self._no_model(name)
        return _json(self._card(name))

    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok", "models": [*self.models], **self.counts()})

    def counts(self) -> dict[str, Any]:
        """Return how many requests came, are being answered and met with which fault, and how long answers took."""
        took = sorted(self._took)
        times = {name: took[int(share * (len(took) - 1))] for name, share in _QUANTILES.items()} if took else {}
        return {
            "requests": self.requests,
            "answering": self.answering,
            "faults": dict(self.met),
            "milliseconds": times,
        }

    def _no_model(self, name: str) -> ChatError:
        said = f"The model {name[:_LONGEST_NAME]!r} does not exist; there are {', '.join(self.models)}"
        return ChatError(said, 404, param="model", code="model_not_found")

    def _card(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._began, "owned_by": "trimtab"}

    def _admit(self, request: Request) -> None:
        if not self._key:
            return
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, b"Bearer " + self._key.encode()):
            what = "the key given is not the one expected" if given else "no key was given"
            raise ChatError(
                f"{what}: send it as Authorization: Bearer KEY", 401, code="invalid_api_key" if given else None
            )


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Completion]) -> Completion | None:
    """Return the answer, or None where the client hangs up before it is there: nobody then works on it any more."""
    working, gone = asyncio.ensure_future(answer), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        gone.cancel()


async def _body(request: Request) -> bytes:
    """Return the body of a request, or refuse it as soon as it is seen to be too long."""
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    parts: list[bytes] = []
    if size <= LARGEST_REQUEST:
        size = 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > LARGEST_REQUEST:
                break
    if size > LARGEST_REQUEST:
        raise ChatError(f"a request may have at most {LARGEST_REQUEST:,} bytes, but this one has more", 413)
    return b"".join(parts)


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _json(document: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encoded(document), status, headers, media_type=MEDIA_TYPES[False])


def _refused(_: Request, error: Exception) -> Response:
    refused = cast(ChatError, error)
    return _json(error_body(str(refused), refused.kind, refused.param, refused.code), refused.status)


def _not_here(request: Request, error: Exception) -> Response:
    wrong = cast(HTTPException, error)
    said = f"{request.method} {request.url.path[:_LONGEST_NAME]} is not served here; {_SERVED} are"
    return _json(error_body(said, "invalid_request_error"), wrong.status_code, wrong.headers)

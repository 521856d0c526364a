"""An endpoint over real HTTP: a capacity that nobody told, answers that drip or never come, and memory."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from support.openai_server import Reply, chat, serving
from trimtab.errors import ProviderError
from trimtab.providers import retrying
from trimtab.providers.base import Completion, Message, ProviderSettings, Request
from trimtab.providers.endpoint import Endpoint
from trimtab.providers.openai import OpenAIProvider

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST", 0.02)


@asynccontextmanager
async def listening(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve each connection by `speak` in this event loop, and end what is left of them."""
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await speak(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)


def requests(many: int) -> list[Request]:
    return [Request((Message("user", f"number {i}"),), seed=i) for i in range(many)]


class Crowded:
    """Answers in 20 ms, and refuses whoever comes while `capacity` others are being answered."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.busy = self.refused = 0
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            if self.busy >= self.capacity:
                self.refused += 1
                return 429, JSON, b"{}"
            self.busy += 1
        time.sleep(0.02)
        with self.lock:
            self.busy -= 1
        return chat(lambda request: Completion(request.messages[0].content))(body)


def test_a_server_that_is_soon_too_crowded_answers_all_and_refuses_few() -> None:
    server = Crowded(5)

    async def everything(url: str) -> list[Completion]:
        settings = ProviderSettings("m", url, retries=20, concurrency=100)
        endpoint = Endpoint(OpenAIProvider(settings), settings)
        answers = await asyncio.gather(*map(endpoint.complete, requests(300)))
        await endpoint.aclose()
        return answers

    with serving(server) as served:
        answers = asyncio.run(everything(served.url))
    assert [answer.text for answer in answers] == [f"number {i}" for i in range(300)]
    assert sum(answer.attempts - 1 for answer in answers) == server.refused
    # About 30 are, and fewer where this machine is too busy to send five at a time. Where the limit ends goes by that
    # as well: a client that is slow itself may be allowed more. Tests that set the clock hold the limit to a number.
    assert server.refused < 150, "without a limit it is two hundred"


def test_an_answer_that_never_ends_is_given_up_in_time() -> None:
    async def once(url: str) -> float:
        settings = ProviderSettings("m", url, timeout=0.3, retries=1)
        endpoint = Endpoint(OpenAIProvider(settings), settings)
        began = time.perf_counter()
        with pytest.raises(ProviderError, match=r"gave no answer within 0\.3 s \(the last of 2 attempts\)") as caught:
            await endpoint.complete(requests(1)[0])
        assert caught.value.fatal
        await endpoint.aclose()
        return time.perf_counter() - began

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"1\r\n{\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)

    async def story() -> float:
        async with listening(dripping) as url:
            return await once(url)

    assert 0.6 <= asyncio.run(story()) < 5


def test_giant_answers_by_the_dozen_take_no_memory_to_speak_of() -> None:
    """Sixty answers of 50 MB at the same time: three gigabytes are announced, and as good as nothing is read."""
    answer = chat(lambda request: Completion("yes"))

    async def giant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b"number 0" in body:
            _, _, data = answer({"messages": [{"role": "user", "content": "x"}], "model": "m"})
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 52428800\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(800):
                    writer.write(b" " * 65536)
                    await writer.drain()

    async def story() -> list[Any]:
        async with listening(giant) as url:
            settings = ProviderSettings("m", url, concurrency=100)
            endpoint = Endpoint(OpenAIProvider(settings), settings)
            first, *others = requests(61)
            assert (await endpoint.complete(first)).text == "yes"
            tracemalloc.start()
            came = await asyncio.gather(*map(endpoint.complete, others), return_exceptions=True)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            await endpoint.aclose()
        assert peak < 60e6, "a megabyte for each on both sides, of fifty that were to come"
        return came

    came = asyncio.run(story())
    assert len(came) == 60
    for error in came:
        assert isinstance(error, ProviderError)
        assert "an answer of 52,428,800 bytes" in str(error)
        assert error.meta == {"body_bytes": 52_428_800}

"""Connections spread over pools, against a server that answers, hangs and resets."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from support.model_server import model_serving
from trimtab.providers.http import http_client
from trimtab.providers.spread import PER_POOL, SpreadTransport, spread

BODY = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}


def sent(count: int, transport: SpreadTransport, timeout: float = 20.0, **server: Any) -> list[Any]:
    """Send so many requests at once, twice, and return what came of the second lot."""

    async def both() -> list[Any]:
        async with httpx2.AsyncClient(transport=transport, timeout=timeout) as client:
            for _ in range(2):
                asked = [client.post(f"{url}/chat/completions", json={**BODY, "seed": i}) for i in range(count)]
                got = await asyncio.gather(*asked, return_exceptions=True)
                assert [pool.busy for pool in transport._pools] == [0] * len(transport._pools)
        return got

    with model_serving(**server) as running:
        url = running.url
        return asyncio.run(both())


def test_requests_fill_one_pool_after_the_other_and_keep_their_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = SpreadTransport(4 * PER_POOL)
    most = [0] * len(transport._pools)
    post = SpreadTransport.handle_async_request

    async def watched(self: SpreadTransport, request: httpx2.Request) -> httpx2.Response:
        response = await post(self, request)
        most[:] = [max(before, pool.busy) for before, pool in zip(most, self._pools, strict=True)]
        return response

    monkeypatch.setattr(SpreadTransport, "handle_async_request", watched)
    got = sent(2 * PER_POOL + 5, transport, latency=0.3)
    assert {response.status_code for response in got} == {200}
    assert most == [PER_POOL, PER_POOL, 5, 0]


def test_more_requests_than_connections_share_them() -> None:
    got = sent(5 * PER_POOL, SpreadTransport(2 * PER_POOL), latency=0.1)
    assert {response.status_code for response in got} == {200}


def test_a_pool_gets_its_place_back_whatever_becomes_of_a_request() -> None:
    got = sent(30, SpreadTransport(2 * PER_POOL), shares={"reset": 1.0})
    assert {type(error) for error in got} == {httpx2.ReadError}
    got = sent(30, SpreadTransport(2 * PER_POOL), timeout=0.3, shares={"hang": 1.0})
    assert {type(error) for error in got} == {httpx2.ReadTimeout}


def test_few_connections_need_no_pools_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread(PER_POOL) == {}
    assert set(spread(PER_POOL + 1)) == {"transport"}
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert set(spread(PER_POOL + 1)["mounts"]) == {"all://"}


def test_hosts_without_a_proxy_have_pools_too(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    post = SpreadTransport.handle_async_request

    async def watched(self: SpreadTransport, request: httpx2.Request) -> httpx2.Response:
        used.append(request.url.host)
        return await post(self, request)

    async def ask(url: str) -> int:
        async with http_client(20, 100) as client:
            return (await client.post(f"{url}/chat/completions", json=BODY)).status_code

    monkeypatch.setattr(SpreadTransport, "handle_async_request", watched)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with model_serving() as running:
        assert asyncio.run(ask(running.url)) == 200
    assert used == ["127.0.0.1"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_goes_before(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(url: str) -> int:
        async with http_client(20, 100) as client:
            return (await client.post(f"{url}/chat/completions", json=BODY)).status_code

    with model_serving() as running, model_serving() as proxy:
        assert asyncio.run(ask(running.url)) == 200
        monkeypatch.setenv(variable, proxy.address)
        asyncio.run(ask(running.url))
        assert (running.server.requests, proxy.server.requests) == (1, 1)

"""Many connections to one endpoint, spread over pools of few.

A pool looks at all of its connections whenever a request begins or ends. With a thousand of them that takes longer than
everything else that a request costs; with `PER_POOL` in each of many pools it does not show.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any
from urllib.request import getproxies

import httpx2

__all__ = ["PER_POOL", "SpreadTransport", "spread"]

PER_POOL = 16
"""Connections of one pool."""


def spread(connections: int) -> dict[str, Any]:
    """Return what a client is to be made with for that many connections; nothing where one pool will do.

    Without proxies in the environment it is the client's one transport. Beside them it is mounted, so that those that
    the environment names for a scheme or a host go before it; one for everything would not, and keeps the client's own
    pool.
    """
    proxies = getproxies()
    if connections <= PER_POOL or "all" in proxies:
        return {}
    transport = SpreadTransport(connections)
    # Hosts that NO_PROXY names would be mounted before what is mounted here, with the client's own transport.
    return {"mounts": {"all://": transport}} if {"http", "https"} & proxies.keys() else {"transport": transport}


class _Counted(httpx2.AsyncByteStream):
    """A body that tells its pool when it is closed."""

    def __init__(self, stream: httpx2.AsyncByteStream, pool: _Pool) -> None:
        self._stream = stream
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        try:
            await self._stream.aclose()
        finally:
            if pool is not None:
                pool.busy -= 1


class _Pool:
    def __init__(self, transport: httpx2.AsyncHTTPTransport) -> None:
        self.transport = transport
        self.busy = 0


class SpreadTransport(httpx2.AsyncBaseTransport):
    """Sends each request over the first pool that has a connection to spare.

    Parameters
    ----------
    connections
        Requests under way at a time for which there are pools. More share them.
    """

    def __init__(self, connections: int) -> None:
        context = httpx2.create_ssl_context()
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=PER_POOL)
        self._pools = [
            _Pool(httpx2.AsyncHTTPTransport(verify=context, limits=limits))
            for _ in range(max(1, math.ceil(connections / PER_POOL)))
        ]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        pool = next((pool for pool in self._pools if pool.busy < PER_POOL), None) or min(
            self._pools, key=lambda one: one.busy
        )
        pool.busy += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            pool.busy -= 1
            raise
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Counted(response.stream, pool)
        else:
            pool.busy -= 1
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.transport.aclose()

"""The HTTP client of the providers: a connection per request under way, and no more read than an answer may hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trimtab.errors import InputError

if TYPE_CHECKING:
    import httpx2

__all__ = ["CONNECT_TIMEOUT", "MAX_BODY_BYTES", "BodyError", "check_address", "http_client"]

MAX_BODY_BYTES = 2 * 1024 * 1024
"""How much of a response is read: room for the largest answer that is kept, 256 KiB, with every character escaped."""

CONNECT_TIMEOUT = 10.0
"""Seconds within which a connection has to stand, however long an answer may take."""


class BodyError(Exception):
    """A response whose body is not read, or not to its end.

    Parameters
    ----------
    what
        The body in a few words, as in ``"an answer of 52,428,800 bytes, ..."``.
    status
        Of the response.
    size
        Bytes it was said to have, None where it was not said.
    always
        True where the next response will be like it.
    """

    def __init__(self, what: str, status: int, size: int | None = None, *, always: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.size = size
        self.always = always


def check_address(address: str, origin: str) -> None:
    """Refuse an address that is no HTTP address or carries credentials.

    Raises
    ------
    InputError
        The sentence names `origin` and shows nothing of what may be a secret.
    """
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna")
        usable = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        raise InputError(f"{origin} should look like http://host:port/v1, but cannot be read as an address") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"{origin} should hold no user, password, query or fragment, because it is stored and shown: "
            "keys go into the environment, as OPENAI_API_KEY"
        )
    if not usable or not address.isprintable() or " " in address:
        raise InputError(f"{origin} should look like http://host:port/v1, but is {address!r}")


def http_client(timeout: float, concurrency: int) -> httpx2.AsyncClient:
    """Return a client whose responses are bounded; see `BodyError`.

    It follows no redirect, so that what is sent goes to the address that was given and nowhere else, and asks for no
    compression, so that what is read is as large as what arrives. The time that an answer takes is for the caller to
    bound.
    """
    import httpx2

    from trimtab.providers.spread import spread

    class Bounded(httpx2.AsyncByteStream):
        """Passes a body on until it is longer than it may be."""

        def __init__(self, stream: httpx2.AsyncByteStream, status: int) -> None:
            self._stream = stream
            self._status = status

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for part in self._stream:
                read += len(part)
                if read > MAX_BODY_BYTES:
                    raise BodyError(
                        f"an answer of more than {MAX_BODY_BYTES:,} bytes, which was not read to its end", self._status
                    )
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: httpx2.Response) -> None:
        size = response.headers.get("content-length", "")
        if size.isdecimal() and len(size) <= 20 and int(size) > MAX_BODY_BYTES:
            what = f"an answer of {int(size):,} bytes, more than the {MAX_BODY_BYTES:,} that are read"
            raise BodyError(what, response.status_code, int(size))
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise BodyError("a compressed answer, although it was asked for none", response.status_code, always=True)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = Bounded(response.stream, response.status_code)

    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=min(timeout, CONNECT_TIMEOUT)),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=concurrency),
        **spread(concurrency),
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [bound]},
    )

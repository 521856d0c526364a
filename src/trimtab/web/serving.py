"""An application behind uvicorn: the address, the signals, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trimtab.errors import InputError
from trimtab.web.fault_responses import TRANSPORT

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["address_of", "is_loopback", "listen", "serve", "serve_until_signal"]

_BACKLOG = 4096
_KEEP_ALIVE = 60
_GRACE = 1


class _Protocol(HttpToolsProtocol):
    """HTTP that tells the application which connection a request came over."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever called `serve`."""
        yield


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Return a socket that listens at `host` and `port`; port 0 takes a free one.

    Parameters
    ----------
    option
        By which the port was given.

    Raises
    ------
    InputError
        If that address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror:
        raise InputError(f"--host must be an address of this machine, but {host!r} is none") from None
    except OverflowError:
        raise InputError(f"{option} must lie in 0..65535, but is {port}") from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"nothing can be served at {host}, port {port}: {why.lower()}; "
            f"choose another {option}, or {option} 0 for a free one"
        ) from None


def address_of(listener: socket.socket) -> str:
    """Return the URL at which a socket is reached, without a path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether a socket is reached from this machine alone."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


async def serve_until_signal(app: Starlette, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM; see `serve`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not every system has signal handlers in its event loop.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await serve(app, listener, stop, ready)


async def serve(app: Starlette, listener: socket.socket, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve `app` at `listener` until `stop` is set, and close everything.

    Parameters
    ----------
    ready
        Called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config, ready)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        await serving

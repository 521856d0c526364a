"""``serve-model`` in a thread of this process, at a free port of loopback."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trimtab.web.faults import FaultPlan
from trimtab.web.model_server import ModelServer
from trimtab.web.serving import address_of, listen, serve
from trimtab.web.stand_ins import stand_ins

__all__ = ["Running", "model_serving", "until"]


@dataclass
class Running:
    """A running server: what it is, and where."""

    server: ModelServer
    address: str

    @property
    def url(self) -> str:
        """Address as a client of the protocol is given it."""
        return f"{self.address}/v1"

    @property
    def port(self) -> int:
        """Port of loopback."""
        return int(self.address.rpartition(":")[2])


@contextmanager
def model_serving(workers: int = 0, **options: Any) -> Iterator[Running]:
    """Serve the embedded models until the context ends; options are those of ``ModelServer`` and of ``FaultPlan``."""
    plan = {name: options.pop(name) for name in ("shares", "seed", "hang", "drip", "retry_after") if name in options}
    server = ModelServer(stand_ins(workers), faults=FaultPlan(**plan), **options)
    listener = listen("127.0.0.1", 0)
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(server.app(), listener, stop, ready.set),))
    thread.start()
    try:
        assert ready.wait(20)
        yield Running(server, address_of(listener))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.run_until_complete(server.aclose())
        loop.close()


def until(true: Any, seconds: float = 10.0) -> bool:
    """Wait until ``true()`` is."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True

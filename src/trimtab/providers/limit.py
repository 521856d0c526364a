"""How many requests an endpoint is sent at a time: as many as it bears, found out by additive growth and halving.

The number that an endpoint bears is not known and changes. As TCP does with its window, a `Limit` begins small and
doubles per round trip until too much is refused for the first time. From then on it halves when too much is refused,
and grows by one (or 2%) per round trip in between. What counts as refused is a 429, a 503 or a timeout.

Two things differ from TCP. Requests that were sent before a halving do not halve again, so that one burst of refusals
counts once. And a refusal now and then, at most one in ten, only suspends the growth: some endpoints refuse at random,
and halving at each would leave next to nothing of the throughput.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

__all__ = ["Limit", "Slot"]

OPENING = 16
"""Requests at a time at the beginning, where the ceiling allows as many."""

TOLERATED = 0.1
"""Share of a round that may be refused without a halving."""

GROWTH = 0.02
"""Share by which the limit grows per round trip, where one is less."""

SHORTEST_ROUND = 20
"""Fewest requests that count as a round: of fewer, one or two refusals would be more than is tolerated."""


@dataclass(slots=True)
class Slot:
    """The right to send one request. What came of it is told by `outcome` before the slot is given back."""

    epoch: int
    outcome: Literal["answered", "refused", "unknown"] = "unknown"


class Limit:
    """Slots for requests, handed out in the order in which they are asked for.

    Parameters
    ----------
    ceiling
        Most requests at a time, whatever the endpoint bears.
    adaptive
        False to allow the ceiling from the start and keep to it.
    """

    def __init__(self, ceiling: int, *, adaptive: bool = True) -> None:
        self.ceiling = ceiling
        self.adaptive = adaptive
        self._limit = float(min(OPENING, ceiling) if adaptive else ceiling)
        self._doubling = True
        self._epoch = 0
        self._seen = 0
        self._refused = 0
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def current(self) -> int:
        """Requests that may be under way at present."""
        return int(self._limit)

    @property
    def in_use(self) -> int:
        """Requests that are under way."""
        return self._in_use

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a slot, first come, first served, and give it back at the end.

        Raises
        ------
        BaseException
            What `give_up` was called with meanwhile.
        """
        if self._in_use >= self.current:
            await self._turn()
        else:
            self._in_use += 1
        slot = Slot(self._epoch)
        try:
            yield slot
        finally:
            full = self._in_use >= self.current
            self._in_use -= 1
            if self.adaptive and slot.epoch == self._epoch:
                self._learn(slot, full)
            self._hand_out()

    def give_up(self, error: Exception) -> None:
        """Let all who wait for a slot fail with `error`."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The slot was handed over while its receiver was on the way out.
                self._in_use -= 1
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting and self._in_use < self.current:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._in_use += 1
                waiting.set_result(None)

    def _learn(self, slot: Slot, full: bool) -> None:
        """Take account of a request that was sent since the last halving."""
        if slot.outcome == "unknown":
            return
        self._seen += 1
        round_trip = max(self._limit, SHORTEST_ROUND)
        if slot.outcome == "refused":
            self._refused += 1
            if self._refused > TOLERATED * round_trip:
                self._doubling = False
                self._limit = max(1.0, self._limit / 2)
                self._epoch += 1
                self._seen = self._refused = 0
                return
        elif full and not self._refused:
            growth = 1.0 if self._doubling else max(1.0 / self._limit, GROWTH)
            self._limit = min(float(self.ceiling), self._limit + growth)
        if self._seen >= round_trip:
            self._seen = self._refused = 0

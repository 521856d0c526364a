"""Crew: workers that take sessions side by side, and give up their places while they wait for somebody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

__all__ = ["Crew", "cancel"]

T = TypeVar("T")
R = TypeVar("R")


class Crew(Generic[T]):
    """Works on many things, so many at a time.

    Parameters
    ----------
    do
        Works on one thing.
    places
        How many are worked on at the same time.
    stop
        Once set, nothing is begun any more.
    beside
        Tasks that go on meanwhile; where one of them fails, so does the work.
    """

    def __init__(
        self,
        do: Callable[[T], Awaitable[None]],
        places: int,
        stop: asyncio.Event,
        beside: Sequence[asyncio.Future[None]] = (),
    ) -> None:
        self._do, self._places, self._stop, self._beside = do, places, stop, beside
        self._workers: list[asyncio.Future[None]] = []
        self._slots = asyncio.Semaphore(places)
        self._things: AsyncIterable[T]
        self._moved = asyncio.Event()
        for task in beside:
            task.add_done_callback(self._has_moved)

    async def work(self, things: AsyncIterable[T], most: int, grace: float, closing: Callable[[], None]) -> None:
        """Work on all of `things`, or until a stop is asked for and `grace` seconds are over.

        Parameters
        ----------
        things
            Taken from as somebody has a place free, by several at the same time.
        most
            How many there may be.
        closing
            Called where a stop was asked for while there was something to do.
        """
        self._things, self._workers = things, []
        for _ in range(min(self._places, most)):
            self._hire()
        try:
            await self._finish(grace, closing)
        finally:
            await cancel(self._workers)

    async def away(self, answer: Awaitable[R]) -> R:
        """Wait for `answer` without taking up a place: somebody else works there meanwhile."""
        self._hire()
        self._slots.release()
        found = await answer
        await self._slots.acquire()
        return found

    def _hire(self) -> None:
        worker = asyncio.ensure_future(self._work())
        worker.add_done_callback(self._has_moved)
        self._workers.append(worker)

    async def _work(self) -> None:
        async for thing in self._things:
            async with self._slots:
                if not self._stop.is_set():
                    await self._do(thing)
            if self._stop.is_set():
                return

    async def _finish(self, grace: float, closing: Callable[[], None]) -> None:
        stopped = asyncio.ensure_future(self._stop.wait())
        stopped.add_done_callback(self._has_moved)
        try:
            while self._at_work() and not stopped.done():
                await self._moved.wait()
                self._moved.clear()
                _raise_first([*self._workers, *self._beside])
            if pending := self._at_work():
                closing()
                await asyncio.wait(pending, timeout=grace)
                _raise_first(self._workers)
        finally:
            stopped.cancel()

    def _at_work(self) -> list[asyncio.Future[None]]:
        return [worker for worker in self._workers if not worker.done()]

    def _has_moved(self, _: object) -> None:
        self._moved.set()


async def cancel(tasks: Iterable[asyncio.Future[None]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_first(tasks: Iterable[asyncio.Future[None]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error

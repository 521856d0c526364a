"""Sharing: several processes at one run, none of which makes an iteration that another makes.

A process works on a session only while it holds a lease on it in the store, and every write says by whom it is. So a
process that was held up beyond its lease writes nothing into a session that another has gone on with meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from typing import Generic, Protocol, Self, TypeVar

from trimtab.core.records import Iteration
from trimtab.errors import LeaseError, StoreError
from trimtab.sessions.crew import cancel
from trimtab.sessions.plan import PlannedSession
from trimtab.store.base import Store
from trimtab.store.leases import new_owner

__all__ = ["Share", "Sharing", "Write"]

LEASE = 60.0
"""Seconds for which a session is held. Whoever is not heard of for so long may be taken for dead."""

_RENEWALS = 4  # in the time of a lease
_POLL = 0.5  # seconds between two looks at what others still work on
_LOOKS = 20  # after so many, those that seem to stand still are looked at too
_PART = 4  # sessions are claimed for all workers at first, then for that part of them at once

T = TypeVar("T")
C = TypeVar("C")


class Write(Protocol):
    """Runs a function of the store on the one thread that writes, and returns what it returns."""

    async def __call__(self, function: Callable[..., T], /, *values: object) -> T:
        """Run it."""
        ...


class Sharing:
    """What this process holds of a run; a context, at whose end it gives back everything.

    Parameters
    ----------
    write
        Runs a function of the store where it holds up nobody.
    seconds
        Length of a lease.

    Attributes
    ----------
    owner
        By this name it holds them.
    renewing
        Renews all leases meanwhile, and fails where the store does.
    alone
        False once a session was found to be held by another.
    """

    def __init__(self, store: Store, write: Write, stop: asyncio.Event, seconds: float | None = None) -> None:
        self.store, self.write, self.stop = store, write, stop
        self.seconds = LEASE if seconds is None else seconds
        self.owner = new_owner()
        self.alone = True
        self._held: set[str] = set()

    async def __aenter__(self) -> Self:
        self.renewing = asyncio.ensure_future(self._renew())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await cancel([self.renewing])
        # Whatever went wrong before is to be told, not that the store is out of reach for this as well.
        with contextlib.suppress(*([StoreError] if kind is not None else [])):
            await self.write(self.store.release, self.owner)

    async def _renew(self) -> None:
        """Renew all leases again and again, until cancelled or the store fails."""
        while True:
            await asyncio.sleep(self.seconds / _RENEWALS)
            before = set(self._held)
            self._held -= before - await self.write(self.store.renew, self.owner, self.seconds)

    async def claim(self, names: list[str]) -> list[str]:
        """Claim sessions, and return those that were free."""
        got = await self.write(self.store.claim, self.owner, names, self.seconds)
        self._held.update(got)
        self.alone = self.alone and len(got) == len(names)
        return got

    def require(self, name: str) -> None:
        """Raise ``LeaseError`` if a session is known to have been lost, so that nothing more is made of it."""
        if name not in self._held:
            raise LeaseError(f"session {name!r} was taken over by another process")

    def lost(self, name: str) -> None:
        """Forget a session that was lost."""
        self._held.discard(name)

    async def give_back(self, names: Iterable[str]) -> None:
        """Let go of sessions."""
        held = [name for name in names if name in self._held]
        self._held.difference_update(held)
        if held:
            await self.write(self.store.release, self.owner, held)

    async def reports(self) -> bool:
        """Tell whether it is for this process to report on what is stored now, and not for another that is alive."""
        return await self.write(self.store.claim_report, self.owner)

    async def wait(self) -> None:
        """Wait a little for other processes, or until the run is to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), _POLL)


class Share(Generic[C]):
    """The sessions of one round, of which this process gets those that are free.

    Parameters
    ----------
    sessions
        In the order in which they are to start.
    workers
        How many sessions this process works on at once.
    is_over
        Takes in a session's latest iteration, as another process may have stored it, and tells whether nothing is
        left to do; not asked again then.
    course
        Returns how a session goes on from its latest iteration, which is None before the start.
    """

    def __init__(
        self,
        sharing: Sharing,
        sessions: Iterable[PlannedSession],
        workers: int,
        is_over: Callable[[PlannedSession, Iteration | None], bool],
        course: Callable[[PlannedSession, Iteration | None], C],
    ) -> None:
        self._sharing = sharing
        self._workers, self._block = workers, workers
        self._is_over, self._course = is_over, course
        self._open = {session.id: session for session in sessions}
        self._away: dict[str, PlannedSession] = {}
        self._ready: deque[C] = deque()
        self._heads: dict[str, int] = {}
        self._looks = 0
        self._lock = asyncio.Lock()

    def __aiter__(self) -> AsyncIterator[C]:
        return self

    async def __anext__(self) -> C:
        """Return the course of a session held now, once there is one; the end comes when all are over or by a stop."""
        async with self._lock:
            while not self._ready:
                if self._sharing.stop.is_set() or not (self._open or self._away):
                    raise StopAsyncIteration
                if self._open:
                    await self._claim()
                else:
                    await self._sharing.wait()
                    await self._look()
                    self._open, self._away = self._away, {}
            return self._ready.popleft()

    def give_up(self, session: PlannedSession) -> None:
        """Say that a session was lost: whoever took it over will end it, or it is free again one day."""
        self._sharing.lost(session.id)
        self._heads.pop(session.id, None)
        self._away[session.id] = session

    async def _claim(self) -> None:
        store, block = self._sharing.store, list(islice(self._open, self._block))
        self._block = max(1, self._workers // _PART)
        got = await self._sharing.claim(block)
        last = await self._sharing.write(store.last_iterations, got)
        over = []
        for name in block:
            session = self._open.pop(name)
            if name not in got:
                self._away[name] = session
            elif self._is_over(session, last.get(name)):
                over.append(name)
            else:
                self._ready.append(self._course(session, last.get(name)))
        if over:
            # Others are at work: better look what all of them have done than claim it piece by piece.
            await self._sharing.give_back(over)
            self._away.update(self._open)
            await self._look()
            self._open = {name: self._away.pop(name) for name in list(self._open) if name in self._away}

    async def _look(self) -> None:
        """Leave out those sessions held by others that have come to their end."""
        store, write = self._sharing.store, self._sharing.write
        self._looks += 1
        if self._looks % _LOOKS == 0:
            self._heads.clear()
        heads = await write(store.heads)
        moved = [name for name in self._away if name in heads and heads[name] != self._heads.get(name)]
        self._heads.update((name, heads[name]) for name in moved)
        for name, last in (await write(store.last_iterations, moved)).items():
            if self._is_over(self._away[name], last):
                del self._away[name]

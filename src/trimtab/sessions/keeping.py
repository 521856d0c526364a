"""Keeping iterations: each is committed before its session goes on, and all that wait meanwhile in one transaction.

A transaction costs a wait for the disk. While one is under way, iterations of other sessions come in, and the next one
commits them together, so that a thousand sessions wait little longer than one. Nobody waits for company: an iteration
that comes alone is committed at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from trimtab.core.records import Iteration
from trimtab.errors import StoreError
from trimtab.sessions.sharing import Write

__all__ = ["Keeper"]

MOST_AT_ONCE = 256
"""Iterations of one transaction, so that none takes long."""


class Extended(Protocol):
    """A store, or whoever passes iterations on to one."""

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        """Add many iterations in one transaction: all or none; see ``Store.extend``."""
        ...


class Keeper:
    """Keeps iterations in a store, within one event loop.

    Parameters
    ----------
    write
        Runs a function of the store where it holds up nobody.
    owner
        Whose leases are to hold; see ``Store.extend``.
    """

    def __init__(self, store: Extended, write: Write, owner: str = "") -> None:
        self._store, self._write, self._owner = store, write, owner
        self._waiting: list[tuple[Iteration, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, iteration: Iteration) -> None:
        """Return once `iteration` is committed. It is written even if nobody waits for it any more.

        Raises
        ------
        StoreError
            If the store refuses it, whatever it does with others.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((iteration, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await kept

    async def written(self) -> None:
        """Wait until all that was handed over has been written or refused."""
        while self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                try:
                    refusals = await self._write(self._commit, [iteration for iteration, _ in batch])
                except Exception as error:  # whatever it is, those who wait are to hear of it
                    refusals = [error] * len(batch)
                for (_, kept), refusal in zip(batch, refusals, strict=True):
                    if kept.done():  # its session was given up
                        continue
                    if refusal is None:
                        kept.set_result(None)
                    else:
                        kept.set_exception(refusal)
        finally:
            self._writing = None

    def _commit(self, batch: list[Iteration]) -> list[Exception | None]:
        """Write iterations, together if the store takes them so, and return for each why it was refused, if it was."""
        refusal = self._refusal(batch)
        if refusal is None or len(batch) == 1:
            return [refusal] * len(batch)
        # One of them may be at fault, and alone each is told what is true of it.
        refusals: list[Exception | None] = []
        for one in batch:
            # Two in a row that are told the same as all together: it is the store that fails, after a wait each time.
            fails = [str(last) for last in refusals[-2:]] == [str(refusal)] * 2
            refusals.append(refusal if fails else self._refusal([one]))
        return refusals

    def _refusal(self, batch: list[Iteration]) -> StoreError | None:
        try:
            self._store.extend(batch, self._owner)
        except StoreError as error:
            return error
        return None

"""Accounts: what the iterations in a store took, whoever made them, so that those who share a run share its budgets.

A process counts its own iterations as they end, and looks now and then for those of others. Its own are told from
theirs by the order of writes: it appends and looks on one thread, so that a look finds just what was appended before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimtab.core.records import Iteration
from trimtab.sessions.limits import Meter
from trimtab.sessions.sharing import Write
from trimtab.sessions.spending import Tally
from trimtab.store.base import Store

__all__ = ["Accounts"]


class Accounts:
    """Appends the iterations of a run to its store, and lets its meter know what others have appended.

    Parameters
    ----------
    meter
        Has counted what the store holds at first.
    write
        Runs a function of the store on the one thread that writes.
    """

    def __init__(self, store: Store, meter: Meter, write: Write) -> None:
        self._store, self._meter, self._write = store, meter, write
        self._known = meter.tally
        if meter.limits.budgeted:
            meter.share(self.look)

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        """Append iterations of this process, all or none; to be called on the thread that writes."""
        self._store.extend(iterations, owner)
        if self._meter.limits.budgeted:
            for record in iterations:
                self._known += Tally.of(self._meter.spending_of(record.meta))

    async def look(self) -> Tally:
        """Return what others have made since the last look, the dearest of all that there is with it."""
        return await self._write(self._look)

    def _look(self) -> Tally:
        known, heads = self._known, self._store.heads().values()
        if sum(heads) + len(heads) == known.count:
            return Tally()
        for_all = Tally()
        for meta in self._store.metas():
            for_all += Tally.of(self._meter.spending_of(meta))
        self._known = for_all
        return replace(for_all, count=for_all.count - known.count, total=for_all.total - known.total)

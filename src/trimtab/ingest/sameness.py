"""Whether a session that is about to be imported is the one that the store has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from trimtab.core.records import Iteration
from trimtab.store.base import Store

__all__ = ["Fingerprints"]

_FEW = 50


class Fingerprints:
    """One number per session that tells its iterations apart, whatever their order.

    Parameters
    ----------
    objectives
        Whose scores belong to the contents; none where the texts are scored anew, since scorers change.
    """

    def __init__(self, objectives: Sequence[str]) -> None:
        self._objectives = frozenset(objectives)
        self._new: dict[str, int] = {}

    def add_new(self, session_id: str, iteration: Iteration) -> None:
        """Take in one iteration of a session as its file has it."""
        self._new[session_id] = self._new.get(session_id, 0) + self._of(iteration)

    def compare(self, store: Store, session_ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return which of the sessions are in the store with the same contents, and which with others."""
        stored: dict[str, int] = {}
        wanted = frozenset(session_ids)
        for iteration in _iterations(store, session_ids):
            if iteration.session_id in wanted:
                stored[iteration.session_id] = stored.get(iteration.session_id, 0) + self._of(iteration)
        same = [i for i in session_ids if stored.get(i) == self._new.get(i)]
        agreed = frozenset(same)
        return same, [i for i in session_ids if i not in agreed]

    def _of(self, iteration: Iteration) -> int:
        # Digests are added rather than chained: the order of rows in a file is no part of its contents.
        text = iteration.artefact if iteration.answer is None else iteration.answer
        scores = sorted(
            (s.objective, s.repeat, s.status, s.value) for s in iteration.scores if s.objective in self._objectives
        )
        whole = json.dumps([iteration.index, iteration.strategy, text, scores])
        return int.from_bytes(blake2b(whole.encode(), digest_size=16).digest(), "little")


def _iterations(store: Store, session_ids: Sequence[str]) -> Iterable[Iteration]:
    if len(session_ids) > _FEW:
        yield from store.iterations()
        return
    for session_id in session_ids:
        yield from store.iterations(session_id)

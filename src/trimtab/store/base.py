"""What a store is: one experiment's sessions, iterations and scores, kept durably."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Session
from trimtab.core.trajectories import Trajectories
from trimtab.store.leases import Lease

__all__ = ["Experiment", "Outline", "Store"]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a store's sessions have in common.

    Parameters
    ----------
    name
        For headings.
    space
        The objectives that its iterations are scored on.
    settings
        The settings of the run that made it, as JSON values; for imported data, only what was imported.
    """

    name: str
    space: ObjectiveSpace
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outline:
    """One iteration without its texts and scores; see `trimtab.core.records.Iteration`.

    Parameters
    ----------
    recorded_at
        When it was stored, in seconds since 1970 by the clock of who wrote it.
    """

    session_id: str
    index: int
    strategy: str
    status: str
    reason: str
    meta: Mapping[str, Any]
    recorded_at: float


class Store(Protocol):
    """One experiment. Every write is one durable transaction: after it returns, a killed process loses nothing."""

    url: str

    def experiment(self) -> Experiment | None:
        """Return the experiment, or None if the store is new."""
        ...

    def set_experiment(self, experiment: Experiment) -> None:
        """Write or replace the experiment's name, objectives and settings."""
        ...

    def revise(self, change: Callable[[Experiment | None], Experiment]) -> Experiment:
        """Replace the experiment by what `change` makes of it, while nobody else can; nothing if that raises."""
        ...

    def start_over(self) -> None:
        """Forget all but the answers; ``StoreError`` if a session has gone beyond t = 0 or somebody works on one.

        Whoever has begun with the experiment of before can neither add nor claim sessions any more: ``StoreError``.
        """
        ...

    def add_sessions(self, sessions: Iterable[Session]) -> int:
        """Add the sessions whose id is not there yet, and return how many were new."""
        ...

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order they were added."""
        ...

    def append(self, iteration: Iteration, owner: str = "") -> None:
        """Add one iteration with its scores; ``StoreError`` if its session is unknown or its index is there already.

        Parameters
        ----------
        owner
            Who adds it: ``LeaseError``, and nothing written, unless they hold a lease on the session. "" asks for none.
        """
        ...

    def extend(self, iterations: Iterable[Iteration], owner: str = "") -> None:
        """Add many iterations in one transaction: all or none. As `append` does, it asks for the leases of `owner`."""
        ...

    def amend(self, session_id: str, index: int, more: Mapping[str, Any], owner: str = "") -> None:
        """Set keys of a stored iteration's meta, as `owner` if named; ``StoreError`` if there is no such iteration."""
        ...

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every iteration, by session, then index, without its texts and scores."""
        ...

    def outlines(self) -> Iterator[Outline]:
        """Yield every iteration by session, then index, without its texts and scores."""
        ...

    def last_iterations(self, sessions: Iterable[str] | None = None) -> dict[str, Iteration]:
        """Return the iteration of highest index of each started session, or of those named, by session id."""
        ...

    def heads(self) -> dict[str, int]:
        """Return the highest index of each started session, by session id: `last_iterations` without the texts."""
        ...

    def iterations(self, session_id: str | None = None) -> Iterator[Iteration]:
        """Yield iterations by session, then index, of one session or of all."""
        ...

    def trajectories(self, objectives: Iterable[str] | None = None) -> Trajectories:
        """Return the scores as `Trajectories`, of all objectives or those named; ``SourceError`` if there are none.

        Repeats of a score stay apart as its judgements, and their mean is the score; those that failed or are unscored
        are absent, and the score itself is so only where no repeat is ok.
        """
        ...

    def claim(self, owner: str, sessions: Iterable[str], seconds: float) -> list[str]:
        """Take leases on those of the sessions that nobody alive holds, and return which of them `owner` holds now.

        Parameters
        ----------
        owner
            From `trimtab.store.leases.new_owner`.
        seconds
            How long, by the clock of the database. `renew` puts the end off.
        """
        ...

    def renew(self, owner: str, seconds: float) -> set[str]:
        """Put off the end of all leases of `owner`, and return the sessions that it still holds."""
        ...

    def release(self, owner: str, sessions: Iterable[str] | None = None) -> None:
        """End the leases of `owner` on the sessions, or all of them."""
        ...

    def claim_report(self, owner: str) -> bool:
        """Tell whether it is for `owner` to report on what is stored now: True to the first alive that asks."""
        ...

    def leases(self) -> list[Lease]:
        """Return who holds which session, expired leases among them."""
        ...

    def remembers(self) -> bool:
        """Tell whether there is any answer to be had from `cached`."""
        ...

    def cached(self, key: str) -> Mapping[str, Any] | None:
        """Return the answer that was remembered under `key`, None where there is none."""
        ...

    def remember(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep answers, as JSON values, by key; one that is there already stays."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...

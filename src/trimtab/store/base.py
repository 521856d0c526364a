"""What a store is: one experiment's sessions, iterations and scores, kept durably."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Session
from trimtab.core.trajectories import Trajectories

__all__ = ["Experiment", "Store"]


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


class Store(Protocol):
    """One experiment. Every write is one durable transaction: after it returns, a killed process loses nothing."""

    url: str

    def experiment(self) -> Experiment | None:
        """Return the experiment, or None if the store is new."""
        ...

    def set_experiment(self, experiment: Experiment) -> None:
        """Write or replace the experiment's name, objectives and settings."""
        ...

    def add_sessions(self, sessions: Iterable[Session]) -> int:
        """Add the sessions whose id is not there yet, and return how many were new."""
        ...

    def sessions(self) -> list[Session]:
        """Return all sessions, in the order they were added."""
        ...

    def append(self, iteration: Iteration) -> None:
        """Add one iteration with its scores; ``StoreError`` if its session is unknown or its index is there already."""
        ...

    def extend(self, iterations: Iterable[Iteration]) -> None:
        """Add many iterations in one transaction: all or none."""
        ...

    def amend(self, session_id: str, index: int, more: Mapping[str, Any]) -> None:
        """Set keys of a stored iteration's meta; ``StoreError`` if there is no such iteration."""
        ...

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every iteration, by session, then index, without its texts and scores."""
        ...

    def last_iterations(self) -> dict[str, Iteration]:
        """Return each started session's iteration of highest index, by session id: where a run goes on."""
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

    def close(self) -> None:
        """Release the connection."""
        ...

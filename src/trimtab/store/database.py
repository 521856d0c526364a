"""A database behind a store: how transactions are run in it. Subclasses hold what differs between kinds."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine
from sqlalchemy.exc import DBAPIError

from trimtab.errors import StoreError

__all__ = ["Database"]

T = TypeVar("T")

_AGAIN = 4
"""How often a transaction that the database has undone is tried again."""

_MOMENT = 0.05
"""Seconds before that, in which the other comes to its end."""

_PAUSE = 2.0
"""Seconds before a lost connection is made anew: a server that starts again takes one or two."""


class Database(ABC):
    """A SQL database that holds, or is to hold, one store."""

    kind: ClassVar[str]
    """What it is, in words."""
    now: ClassVar[ColumnElement[float]]
    """Seconds since 1970 by the clock of the database."""
    reading: ClassVar[Mapping[str, Any]] = {}
    """Execution options of a transaction that only reads, and sees one state of the store throughout."""
    writing: ClassVar[Mapping[str, Any]] = {}
    """Execution options of a transaction that writes."""
    errors: ClassVar[tuple[type[Exception], ...]] = (DBAPIError,)
    """What goes wrong in it."""
    url: str
    """As it was given."""
    name: str
    """What messages call it."""
    engine: Engine

    @abstractmethod
    def explain(self, error: Exception) -> StoreError:
        """Return an error of the database as one sentence that says what to do."""

    def was_undone(self, error: Exception) -> bool:
        """Tell whether the database has undone the transaction in favour of another, so that it can be tried again."""
        return False

    @abstractmethod
    def alone(self, connection: Connection) -> None:
        """Hold up every other transaction that calls this on the store, until this one has ended."""

    @abstractmethod
    def insert_or_update(self, table: Any) -> Any:
        """Return an INSERT of the kind that has ``on_conflict_do_update``."""

    @abstractmethod
    def foreign(self, tables: str) -> str:
        """Say that the database is another program's, of which it has `tables`, and what to do."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads in one transaction."""
        return self._done(work, self.reading, alone=False)

    def write(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Run `work` in one transaction, which has been committed durably when this returns.

        Where two transactions waited for each other and this one was undone, it is tried again. Where the connection is
        lost, it is made anew and all is tried once more. Whether the transaction had been committed is not known then,
        so `work` must see for itself what is there already.

        Parameters
        ----------
        alone
            Hold up every other transaction that is to be alone.
        """
        return self._done(work, self.writing, alone=alone)

    def _done(self, work: Callable[[Connection], T], options: Mapping[str, Any], alone: bool) -> T:
        undone, lost = 0, False
        while True:
            try:
                return self._attempt(work, options, alone)
            except self.errors as error:
                if self.was_undone(error) and undone < _AGAIN:
                    undone += 1
                    time.sleep(_MOMENT)
                elif isinstance(error, DBAPIError) and error.connection_invalidated and not lost:
                    lost = True
                    time.sleep(_PAUSE)
                else:
                    raise self.explain(error) from error

    def _attempt(self, work: Callable[[Connection], T], options: Mapping[str, Any], alone: bool) -> T:
        with self.engine.connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                if alone:
                    self.alone(connection)
                return work(connection)

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

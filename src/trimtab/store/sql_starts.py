"""How often a SQL store was started over, so that whoever began in it before notices; part of a transaction each."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from trimtab.store.schema import meta

__all__ = ["count_start", "read_starts"]

_NAME = "starts"


def read_starts(connection: Connection) -> int:
    """Return how often the store was started over."""
    return int(connection.scalar(select(meta.c.value).where(meta.c.name == _NAME)) or 0)


def count_start(connection: Connection) -> int:
    """Count that the store is started over, and return how often it was now."""
    starts = read_starts(connection) + 1
    connection.execute(delete(meta).where(meta.c.name == _NAME))
    connection.execute(insert(meta), {"name": _NAME, "value": str(starts)})
    return starts

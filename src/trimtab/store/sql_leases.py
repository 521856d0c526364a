"""Leases in a SQL store: each function is part of the transaction that its connection is in."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, func, insert, literal, or_, select, update

from trimtab.store.database import Database
from trimtab.store.leases import Lease, is_gone, taken_over
from trimtab.store.schema import iteration, lease, meta, session

__all__ = ["claimed", "held", "hold", "is_idle", "released", "renewed", "report_claimed"]

_REPORT = "report"


def claimed(database: Database, connection: Connection, owner: str, keys: Collection[int], seconds: float) -> set[int]:
    """Give `owner` those of the sessions that nobody alive holds, and return which of `keys` it holds then."""
    among = lease.c.session_key.in_(keys)
    others = connection.scalars(select(lease.c.owner).distinct().where(among, lease.c.owner != owner))
    free = [owner, *(other for other in others if is_gone(other))]
    until = database.now + seconds
    wanted = select(session.c.key, literal(owner), until).where(session.c.key.in_(keys)).order_by(session.c.key)
    statement = database.insert_or_update(lease).from_select(["session_key", "owner", "expires"], wanted)
    # One statement decides between processes that ask at the same moment: it waits for the other's row, then looks.
    statement = statement.on_conflict_do_update(
        index_elements=[lease.c.session_key],
        set_={"owner": statement.excluded.owner, "expires": statement.excluded.expires},
        where=or_(lease.c.expires < database.now, lease.c.owner.in_(free)),
    )
    connection.execute(statement)
    return set(connection.scalars(select(lease.c.session_key).where(among, lease.c.owner == owner)))


def renewed(database: Database, connection: Connection, owner: str, seconds: float) -> set[int]:
    """Put off the end of all leases of `owner`, and return which sessions it still holds."""
    connection.execute(update(lease).where(lease.c.owner == owner).values(expires=database.now + seconds))
    return set(connection.scalars(select(lease.c.session_key).where(lease.c.owner == owner)))


def hold(connection: Connection, owner: str, sessions: Mapping[int, str]) -> None:
    """Keep sessions, by key, from being taken over until the transaction ends; ``LeaseError`` if one was already."""
    mine = select(lease.c.session_key).where(lease.c.session_key.in_(sessions), lease.c.owner == owner)
    # In one order always, so that two processes do not wait for each other in a circle.
    held = set(connection.scalars(mine.order_by(lease.c.session_key).with_for_update()))
    for key, session_id in sessions.items():
        if key not in held:
            raise taken_over(session_id)


def released(connection: Connection, owner: str, keys: Collection[int] | None) -> None:
    """End the leases of `owner` on sessions, or all of them."""
    which = delete(lease).where(lease.c.owner == owner)
    connection.execute(which if keys is None else which.where(lease.c.session_key.in_(keys)))


def held(database: Database, connection: Connection) -> list[Lease]:
    """Return all leases, in the order of the sessions."""
    left = lease.c.expires - database.now
    query = select(session.c.id, lease.c.owner, left).join(session, session.c.key == lease.c.session_key)
    return [Lease(*row) for row in connection.execute(query.order_by(session.c.key))]


def report_claimed(connection: Connection, owner: str) -> bool:
    """Note that `owner` reports on as many iterations as there are, unless somebody alive does so already."""
    stored = str(connection.scalar(select(func.count()).select_from(iteration)))
    found = connection.scalar(select(meta.c.value).where(meta.c.name == _REPORT)) or ""
    count, _, other = found.partition(" ")
    if count == stored and other != owner and not is_gone(other):
        return False
    connection.execute(delete(meta).where(meta.c.name == _REPORT))
    connection.execute(insert(meta), {"name": _REPORT, "value": f"{stored} {owner}"})
    return True


def is_idle(database: Database, connection: Connection) -> bool:
    """Return True where nobody alive holds a session."""
    return not any(one.alive for one in held(database, connection))

"""The format of a SQL store: made where there is none, checked, and brought up to date when opened for writing.

A store that is opened for reading is never changed. Every format so far holds what reading needs in the same tables,
so it is read as it is, and what it lacks counts as empty.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, update

from trimtab.errors import SourceError, StoreError
from trimtab.store import schema
from trimtab.store.database import Database

__all__ = ["prepare"]


def prepare(database: Database, create: bool) -> int:
    """Return the format of the store in `database`, which is the present one where it may be written.

    Parameters
    ----------
    create
        Make the store where the database holds nothing, and bring an older one up to date.

    Raises
    ------
    SourceError
        If there is nothing to read.
    StoreError
        If the database belongs to another program, or a newer version wrote it.
    """
    tables = database.read(_tables)
    if not tables and create:
        database.write(_make, alone=True)
        tables = database.read(_tables)
    if not tables:
        raise SourceError(f"{database.name} is {database.kind} without any table: it holds no store")
    found = database.read(_facts) if "meta" in tables else {}
    if found.get("application") != schema.APPLICATION:
        raise StoreError(database.foreign(", ".join(sorted(tables)[:5])))
    version = found.get("schema_version", "")
    if not version.isdecimal() or not 1 <= int(version) <= schema.VERSION:
        raise StoreError(
            f"{database.name} has the store format {version or 'unknown'}, but this version of trimtab reads format "
            f"{schema.VERSION}; use a version of trimtab that is at least as new as the one that wrote it"
        )
    if create and int(version) < schema.VERSION:
        return database.write(_upgrade, alone=True)
    return int(version)


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _facts(connection: Connection) -> dict[str, str]:
    columns = {column["name"] for column in inspect(connection).get_columns("meta")}
    if columns != {"name", "value"}:
        return {}
    return {row.name: row.value for row in connection.execute(select(schema.meta))}


def _make(connection: Connection) -> None:
    # Looked at again now that nobody else may: two processes may both have found nothing.
    if not _tables(connection):
        schema.metadata.create_all(connection, checkfirst=False)
        facts = {"application": schema.APPLICATION, "schema_version": str(schema.VERSION)}
        connection.execute(insert(schema.meta), [{"name": name, "value": value} for name, value in facts.items()])


def _upgrade(connection: Connection) -> int:
    """Go step by step from the store's format to the present one, in the one transaction of `connection`.

    The format stands in the store's own table, so that Alembic needs none: of it come the order of the steps and the
    operations in which they are written.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    now = _facts(connection)["schema_version"]
    steps = ScriptDirectory(str(Path(__file__).with_name("migrations")))
    with Operations.context(MigrationContext.configure(connection)):
        for step in reversed(list(steps.iterate_revisions(str(schema.VERSION), now))):
            step.module.upgrade()
    where = schema.meta.c.name == "schema_version"
    connection.execute(update(schema.meta).where(where).values(value=str(schema.VERSION)))
    return schema.VERSION

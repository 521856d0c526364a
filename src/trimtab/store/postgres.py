"""A store in a PostgreSQL database: its URL, how text is kept in it, and what its errors mean."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, literal_column, make_url, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, DBAPIError

from trimtab.errors import InputError, StoreError
from trimtab.store.database import Database

__all__ = ["PostgresDatabase", "address_of"]

_DRIVER = "postgresql+psycopg"
_SECRET = re.compile("passw|pwd|secret|token", re.IGNORECASE)
"""What names of parameters that may hold one have in them, mistyped ones among them."""

_WAITING = {
    "connect_timeout": "10",
    # A server whose machine or network went away without a word is noticed within a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "trimtab",
}
"""What a connection is told where the URL does not say otherwise."""

_ESCAPE = "\x10"
"""DATA LINK ESCAPE, hardly ever found in text: only text that holds it or NUL is stored other than as it is."""


def _escaped(text: str) -> str:
    r"""Return `text` without NUL, which PostgreSQL cannot keep.

    >>> [_escaped(text) for text in ("plain", "a\0b", "a\x10b")]
    ['plain', 'a\x100b', 'a\x101b']
    """
    if "\0" in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ESCAPE + "1").replace("\0", _ESCAPE + "0")
    return text


def _restored(text: str) -> str:
    if _ESCAPE in text:
        return text.replace(_ESCAPE + "0", "\0").replace(_ESCAPE + "1", _ESCAPE)
    return text


def address_of(url: str) -> URL:
    """Read a store URL of PostgreSQL.

    Raises
    ------
    InputError
        If it cannot be read, or holds a password: a URL is stored, printed, and seen by others. It is not shown then.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(f"a PostgreSQL store is written {_DRIVER}://user@host/database, but this is not") from error
    if parsed.password is not None or any(map(_SECRET.search, parsed.query)):
        raise InputError(
            "a store URL must hold no password, because it is shown and can be seen among a machine's processes: put "
            "it into the environment variable PGPASSWORD, into ~/.pgpass, or name a service with PGSERVICE"
        )
    if "service" in parsed.query:
        raise InputError(f"a service is named by the environment variable PGSERVICE, not in the URL {url!r:.200}")
    return parsed.set(drivername=_DRIVER, query={**_WAITING, **parsed.query})


class PostgresDatabase(Database):
    """A PostgreSQL database, or one schema of it.

    Parameters
    ----------
    url
        ``postgresql+psycopg://user@host/database``. Parameters after ``?`` are libpq's, and what is left out is looked
        for where libpq does: in ``PGHOST``, ``PGUSER``, ``PGPASSWORD``, ``PGSERVICE``, ``~/.pgpass`` and so on.

    Raises
    ------
    InputError
        If the URL cannot be read or holds a password, or the extra ``postgres`` is not installed.
    StoreError
        If the database cannot be reached, or keeps text in another encoding than UTF-8.
    """

    kind = "a PostgreSQL database"
    now = literal_column("extract(epoch FROM clock_timestamp())::float8")
    reading: ClassVar = {"isolation_level": "REPEATABLE READ"}
    writing: ClassVar = {"isolation_level": "READ COMMITTED"}  # whatever the server's own default is

    def __init__(self, url: str) -> None:
        self.url = self.name = url
        self.engine = _engine_for(address_of(url))
        try:
            self.read(self._require_text)
        except BaseException:
            self.engine.dispose()
            raise

    def _require_text(self, connection: Connection) -> None:
        encoding, schema = connection.exec_driver_sql(
            "SELECT current_setting('server_encoding'), current_schema()"
        ).one()
        if encoding != "UTF8":
            raise StoreError(
                f"the database at {self.url} keeps text as {encoding}, but a store needs UTF8: "
                "make another with createdb --template=template0 --encoding=UTF8 NAME"
            )
        if schema is None:
            raise StoreError(
                f"the database at {self.url} has no schema that the URL or search_path names: make it with "
                "CREATE SCHEMA, or name another"
            )

    def was_undone(self, error: Exception) -> bool:
        """See `Database`."""
        return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") in _UNDONE

    def alone(self, connection: Connection) -> None:
        """See `Database`."""
        key = func.hashtextextended("trimtab " + func.current_schema(), 0)
        connection.execute(select(func.pg_advisory_xact_lock(key)))

    def insert_or_update(self, table: Any) -> Any:
        """See `Database`."""
        return insert(table)

    def foreign(self, tables: str) -> str:
        """See `Database`."""
        return (
            f"the database at {self.url} holds tables of another program ({tables}) and no trimtab store; choose "
            "another database, or a schema of its own with ?options=-csearch_path%3DNAME"
        )

    def explain(self, error: Exception) -> StoreError:
        """See `Database`."""
        original = error.orig if isinstance(error, DBAPIError) else error
        said = " ".join(str(original).split())
        state = getattr(original, "sqlstate", None) or ""
        for known, text in (*_BY_STATE.items(), *_BY_WORDS.items()):
            if (known == state) if known in _BY_STATE else (not state and known in said):
                return StoreError(f"the store {self.url} {text}")
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if lost or said.startswith("connection") or state.startswith(("08", "57P")):
            return StoreError(
                f"the store {self.url} cannot be reached ({said:.200}): check that the server runs and that host, port "
                "and network are right; everything stored so far is safe"
            )
        return StoreError(f"the store {self.url} failed: {said:.300}")


_UNDONE = ("40001", "40P01")  # a serialization failure, a deadlock

_BY_STATE = {
    "28P01": "refused the password: check PGPASSWORD, ~/.pgpass or the service that PGSERVICE names",
    "3D000": "names a database that does not exist: make it with createdb, or correct the name",
    "42501": "denies permission: its user needs the right to read, and to write or create tables, in its schema",
    "25006": "can only be read, not written: the server or the user is set to read-only",
    "53100": "cannot be written because the server's disk is full; everything stored so far is safe",
    "53300": "has no connection left: end other programs that use the server, or raise its max_connections",
    "54000": "cannot keep so long a name: PostgreSQL indexes session ids and objectives up to some 2,600 bytes",
}
# What comes before a connection stands has no code, only words.
_BY_WORDS = {
    "password authentication failed": _BY_STATE["28P01"],
    "no password supplied": "asks for a password: put it into PGPASSWORD or ~/.pgpass, or name a service by PGSERVICE",
    "does not exist": "names a database or user that does not exist on this server: create it, or correct the URL",
    "no pg_hba.conf entry": "does not let this user in from here: its pg_hba.conf has no line for it",
    "not currently accepting connections": "does not let anybody in at present: its owner has closed it",
    "too many clients": _BY_STATE["53300"],
    "remaining connection slots": _BY_STATE["53300"],
    "definition of service": "is to be found by a service that no pg_service.conf defines: correct PGSERVICE",
}


def _engine_for(address: URL) -> Engine:
    try:
        from psycopg.types.string import StrDumperUnknown, TextLoader
    except ImportError as error:
        raise InputError(
            "a store in PostgreSQL needs the package psycopg: install it with pip install 'trimtab[postgres]'"
        ) from error

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(_escaped(obj))

    class Loader(TextLoader):
        def load(self, data: Any) -> str:
            return _restored(str(super().load(data)))

    engine = create_engine(address, pool_size=4, max_overflow=4)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.adapters.register_dumper(str, Dumper)
        for name in ("text", "varchar"):
            connection.adapters.register_loader(name, Loader)

    return engine

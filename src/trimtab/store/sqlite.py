"""A store in a SQLite file: what it must be, how it is set up, and what its errors mean.

The file is in WAL mode, so that readers and the one writer do not block each other, with ``synchronous=FULL``: a
commit is on the disk when it returns, and survives a power cut as well as a killed process.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, literal_column
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from trimtab.errors import InputError, SourceError, StoreError
from trimtab.store.database import Database

__all__ = ["SqliteDatabase", "path_of"]

_MAGIC = b"SQLite format 3\x00"


class SqliteDatabase(Database):
    """A SQLite file.

    Parameters
    ----------
    url
        ``sqlite:///relative/file.db`` or ``sqlite:////absolute/file.db``, taken to the letter.
    create
        Make the file where there is none. Otherwise a missing file is an error and nothing is created.
    busy_timeout
        Seconds to wait for another process that is writing.

    Raises
    ------
    SourceError
        If there is no SQLite database to read.
    StoreError
        If none can be made.
    """

    kind = "a SQLite database"
    now = literal_column("((julianday('now') - 2440587.5) * 86400.0)")
    writing: ClassVar = {"trimtab_writing": True}
    errors = (DBAPIError, sqlite3.Error)

    def __init__(self, url: str, *, create: bool, busy_timeout: float = 10.0) -> None:
        path = path_of(url)
        if create:
            _require_place(path)
        else:
            _require_database(path)
        self.url, self.name = url, str(path)
        wal = path.with_name(path.name + "-wal")
        fixed = not create and not os.access(path.parent, os.W_OK) and not wal.exists()
        self.engine = _engine_for(path, busy_timeout=busy_timeout, make=create, immutable=fixed)

    def alone(self, connection: Connection) -> None:
        """Do nothing: a transaction that writes is alone in any case."""

    def insert_or_update(self, table: Any) -> Any:
        """See `Database`."""
        return insert(table)

    def foreign(self, tables: str) -> str:
        """See `Database`."""
        return (
            f"{self.name} is a SQLite database of another program (tables {tables}), not a trimtab store; "
            "choose another file"
        )

    def explain(self, error: Exception) -> StoreError:
        """See `Database`."""
        cause = str(error.orig if isinstance(error, DBAPIError) else error)
        said = cause.lower()
        if "locked" in said:
            text = f"the store {self.url} is locked by another process; try again when that has finished"
        elif "readonly" in said or "read-only" in said:
            text = f"the store {self.url} can only be read, not written: check its permissions and those of its folder"
        elif "unable to open" in said:
            text = f"the store {self.url} cannot be opened: check the permissions of the file and of its folder"
        elif "full" in said:
            text = f"the store {self.url} cannot be written because the disk is full; everything stored so far is safe"
        elif "malformed" in said or "not a database" in said:
            text = f"the store {self.url} is damaged ({cause}); restore a copy, or start a new one"
        else:
            text = f"the store {self.url} failed: {cause}"
        return StoreError(text)


def path_of(url: str) -> Path:
    """Return the file that a URL ``sqlite:///relative`` or ``sqlite:////absolute`` names, taken to the letter."""
    scheme = "sqlite:///"
    name = url.removeprefix(scheme)
    if not url.startswith(scheme) or name in ("", ":memory:") or "?" in name or "\0" in name:
        raise InputError(
            f"a SQLite store needs a file, as in sqlite:///folder/file.db (relative) or sqlite:////folder/file.db "
            f"(absolute), but got {url!r}; for a store that is never written down use memory://"
        )
    return Path(name)


def _require_database(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"there is no store at {path}; check the path, or make one with 'trimtab run' or 'import'")
    if path.is_dir():
        raise SourceError(f"a store must be a file, but {path} is a folder")
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise SourceError(f"{path} is empty: it holds no store")
    if start != _MAGIC:
        raise SourceError(f"a store must be a SQLite database, but {path} is some other kind of file")


def _require_place(path: Path) -> None:
    if path.exists() and (path.is_dir() or path.stat().st_size):
        _require_database(path)
    elif not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} for the store {path.name} does not exist; make it first")
    elif not os.access(path.parent, os.W_OK):
        raise StoreError(f"the folder {path.parent} for the store {path.name} cannot be written to")


def _may_become_store(connection: sqlite3.Connection) -> bool:
    """Return False where the file has tables, and not those of a store: it is left as it is, its mode too."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return not tables or tables >= {"meta", "session", "iteration"}


def _engine_for(path: Path, *, busy_timeout: float, make: bool, immutable: bool) -> Engine:
    """Return an engine whose transactions begin when SQLAlchemy says so, and take the write lock at once if writing.

    Parameters
    ----------
    make
        Put the file into WAL mode, where it is a store or can become one. It stays in it.
    immutable
        Read a file that nobody can write, in a folder where SQLite cannot put its shared-memory file.
    """

    def connect() -> sqlite3.Connection:
        # The driver's own implicit transactions would begin too late for a read and a write to be one.
        name = f"file:{quote(str(path.absolute()))}"
        connection = sqlite3.connect(
            name + ("?immutable=1" if immutable else ""),
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        if make and _may_become_store(connection):
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=2)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing: Any = connection.get_execution_options().get("trimtab_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine

"""Which store a URL means."""

from __future__ import annotations

from trimtab.errors import InputError, SourceError
from trimtab.store.base import Store

__all__ = ["is_store_url", "open_store", "require_lasting"]

_KNOWN = (
    "sqlite:///relative/file.db, sqlite:////absolute/file.db, postgresql+psycopg://user@host/database and memory://"
)
_POSTGRES = ("postgresql", "postgresql+psycopg")


def is_store_url(source: str) -> bool:
    """Return True where `source` is written like a store URL rather than a path."""
    return "://" in source


def _shown(url: str) -> str:
    """Return a URL that cannot be read without anything that may be a password."""
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://..." if separator and scheme != "sqlite" else url


def require_lasting(url: str) -> None:
    """Raise ``InputError`` unless `url` is that of a store that lasts, and one that may be shown to anybody."""
    scheme = url.partition("://")[0]
    if scheme in _POSTGRES:
        from trimtab.store.postgres import address_of

        address_of(url)
    elif not url.startswith("sqlite:///"):
        raise InputError(
            "store should be a URL that lasts, as in sqlite:///folder/file.db or "
            f"postgresql+psycopg://user@host/database, but is {_shown(url)!r:.200}"
        )


def open_store(url: str, *, create: bool = False) -> Store:
    """Open the store at `url`.

    Parameters
    ----------
    url
        ``sqlite:///relative/file.db``, ``sqlite:////absolute/file.db``, ``postgresql+psycopg://user@host/database``
        (also written ``postgresql://``) or ``memory://``.
    create
        Make the store where there is none, and bring one of an older format up to date; otherwise a missing one is an
        error and nothing is changed.

    Raises
    ------
    SourceError
        If the scheme is unknown, or there is nothing to read at `url`.
    StoreError
        If the store cannot be made or used; see `trimtab.store.sql.SqlStore`.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        # SQLAlchemy is heavy, so it is imported only where a database is opened.
        from trimtab.store.sql import SqlStore
        from trimtab.store.sqlite import SqliteDatabase

        return SqlStore(SqliteDatabase(url, create=create), create=create)
    if scheme in _POSTGRES and separator:
        from trimtab.store.postgres import PostgresDatabase
        from trimtab.store.sql import SqlStore

        return SqlStore(PostgresDatabase(url), create=create)
    if scheme == "memory" and separator:
        from trimtab.store.memory import MemoryStore

        if rest.strip("/"):
            raise SourceError(f"the store in memory has no name, so its URL is just memory://, but got {url!r}")
        if not create:
            raise SourceError("memory:// is always empty when opened, so there is nothing to read from it")
        return MemoryStore()
    raise SourceError(f"a store URL is one of {_KNOWN}, but got {_shown(url)!r:.200}")

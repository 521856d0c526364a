"""Which store a URL means."""

from __future__ import annotations

from trimtab.errors import SourceError
from trimtab.store.base import Store

__all__ = ["is_store_url", "open_store"]

_KNOWN = "sqlite:///relative/file.db, sqlite:////absolute/file.db and memory://"


def is_store_url(source: str) -> bool:
    """Return True where `source` is written like a store URL rather than a path."""
    return "://" in source


def open_store(url: str, *, create: bool = False) -> Store:
    """Open the store at `url`.

    Parameters
    ----------
    url
        ``sqlite:///relative/file.db``, ``sqlite:////absolute/file.db`` or ``memory://``.
    create
        Make the store where there is none; otherwise a missing one is an error and nothing is created.

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

        return SqlStore(url, create=create)
    if scheme == "memory" and separator:
        from trimtab.store.memory import MemoryStore

        if rest.strip("/"):
            raise SourceError(f"the store in memory has no name, so its URL is just memory://, but got {url!r}")
        if not create:
            raise SourceError("memory:// is always empty when opened, so there is nothing to read from it")
        return MemoryStore()
    raise SourceError(f"a store URL is one of {_KNOWN}, but got {url!r}")

"""One run at a time on a store: a lock that the operating system drops when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trimtab.errors import StoreError
from trimtab.store.sqlite import path_of

__all__ = ["exclusive"]


@contextmanager
def exclusive(url: str) -> Iterator[None]:
    """Hold the right to run on the store at `url`; reading it stays open to everyone.

    The lock is an advisory one on the file ``<store>.lock``. The file stays behind, empty of meaning: what counts is
    who holds the lock, and a dead process holds nothing. Where the system has no such locks (Windows), none is taken.

    Raises
    ------
    StoreError
        If another process holds it.
    """
    if not url.startswith("sqlite://") or sys.platform == "win32":
        yield
        return
    import fcntl

    path = path_of(url)
    path = path.with_name(path.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"the lock {path} of the store cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise StoreError(
                f"another run{f' (process {holder})' if holder else ''} is at work on the store {url}; "
                "wait until it has finished, or choose another store"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)

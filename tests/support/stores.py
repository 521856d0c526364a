"""New stores for tests of what every store must do."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.store.base import Store

__all__ = ["MakeStore"]

MakeStore = Callable[[], Store]
"""Makes a new store of one kind."""

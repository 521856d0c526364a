"""Settings for all tests: nothing fails because a busy machine is slow, and no time goes into what stays anyway."""

from __future__ import annotations

import gc

from hypothesis import settings

from support.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Take what was imported out of garbage collection, which would look through it thousands of times."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

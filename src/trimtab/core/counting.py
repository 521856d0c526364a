"""Counts with their nouns, as sentences write them."""

from __future__ import annotations

__all__ = ["are", "count_of"]


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one.

    >>> count_of(1, "session"), count_of(1500, "row")
    ('1 session', '1,500 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def are(count: int) -> str:
    """Return what follows "there": ``is one`` or ``are 5``."""
    return "is one" if count == 1 else f"are {count:,}"
